#include "fleet/level_reader.hpp"

#include "fleet/address.hpp"
#include "fleet/suggest.hpp"

#include <muster/core/error.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdlib>

namespace muster::fleet::detail {
namespace {

// Plugins whose connection_options describe a command line, in order of preference: where a device
// has several, the first is used.
constexpr std::array<std::string_view, 5> cli_plugins{"muster", "netmiko", "scrapli", "paramiko",
                                                      "napalm"};

bool is_secret(Field field) {
    return field == Field::password || field == Field::secret || field == Field::passphrase;
}

std::string lower(std::string text) {
    for (char& c : text) {
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return text;
}

// The words YAML 1.1 knows: older tools' files have them all.
std::string parse_boolean(const std::string& text) {
    const std::string word = lower(text);
    if (word == "true" || word == "yes" || word == "on") {
        return "true";
    }
    if (word == "false" || word == "no" || word == "off") {
        return "false";
    }
    throw ValueError("'" + text + "' is neither true nor false");
}

// `10`, `2.5`, `10s`, `500ms`, `2m`; a bare number is seconds. Gives milliseconds.
std::string parse_duration(const std::string& text) {
    const char* begin = text.c_str();
    char* end = nullptr;
    const bool starts_well =
        !text.empty() && (std::isdigit(static_cast<unsigned char>(text[0])) != 0);
    const double number = starts_well ? std::strtod(begin, &end) : 0;
    const std::string_view unit = starts_well ? std::string_view(end) : std::string_view("?");
    double factor = 0;
    if (unit.empty() || unit == "s") {
        factor = 1000;
    } else if (unit == "ms") {
        factor = 1;
    } else if (unit == "m") {
        factor = 60'000;
    }
    const double milliseconds = number * factor;
    constexpr double a_day = 86'400'000;
    if (!(milliseconds >= 1) || milliseconds > a_day) {
        throw ValueError("'" + text + "' is not a time limit; write 10s, 500ms or 2m");
    }
    return std::to_string(std::llround(milliseconds));
}

std::string parse_transport(const std::string& text) {
    if (text == "ssh" || text == "http" || text == "https") {
        return text;
    }
    if (text == "telnet") {
        throw ValueError("telnet is not supported: it sends passwords in clear text");
    }
    throw ValueError("'" + text + "' is not a transport" +
                     did_you_mean(text, {"ssh", "http", "https"}) + "; it is ssh, http or https");
}

std::string canonical(Field field, const std::string& text) {
    switch (field) {
    case Field::port:
        return std::to_string(parse_port(text));
    case Field::transport:
        return parse_transport(text);
    case Field::connect_timeout:
    case Field::authenticate_timeout:
    case Field::command_timeout:
        return parse_duration(text);
    case Field::legacy_algorithms:
    case Field::verify_tls:
        return parse_boolean(text);
    default:
        return text;
    }
}

// What to say of a list or mapping where text belongs.
std::string wrong_kind(Field field, const TreeNode& value) {
    if (field == Field::host && value.is_list()) {
        return "is a list; an address in brackets needs quotes: \"[::1]:22\"";
    }
    if (value.is_map() && value.find("__ansible_vault") != nullptr) {
        return "is encrypted by ansible-vault; use a reference such as env:NAME or cmd:COMMAND";
    }
    return "must be text, and this is " + std::string(value.kind_name());
}

} // namespace

void LevelReader::read_field(Layer& layer, Field field, const TreeNode& value,
                             const std::string& path) const {
    if (value.is_null()) {
        return;
    }
    if (!value.is_text()) {
        problems_->add(value.where, path, wrong_kind(field, value));
        return;
    }
    if (!value.tag.empty()) {
        const bool vault = value.tag == "!vault";
        problems_->add(value.where, path,
                       vault ? "is encrypted by ansible-vault; use a reference such as env:NAME or "
                               "cmd:COMMAND"
                             : "the tag " + value.tag + " is not known");
        return;
    }
    const auto set = [&](Field target, const std::string& text) {
        const auto [place, is_new] = layer.try_emplace(target, Value{text, value.where, path});
        if (!is_new && place->second.text != text) {
            const std::string what =
                is_secret(target) ? "" : ": '" + place->second.text + "' and '" + text + "'";
            problems_->add(value.where, path,
                           "contradicts " + place->second.field + " in line " +
                               std::to_string(place->second.where.line) + what);
        }
    };
    try {
        if (field != Field::host) {
            set(field, canonical(field, value.text));
            return;
        }
        const Address address = parse_address(value.text);
        set(Field::host, address.host);
        if (address.port != 0) {
            set(Field::port, std::to_string(address.port));
        }
    } catch (const ValueError& error) {
        problems_->add(value.where, path, error.what());
    }
}

void LevelReader::read_groups(Level& level, const TreeNode& value, const std::string& path) const {
    const auto add = [&](const TreeNode& item) {
        if (!item.is_text() || item.text.empty()) {
            problems_->add(item.where, path,
                           "must be names of groups, and this is " + std::string(item.kind_name()));
            return;
        }
        const bool repeated =
            std::any_of(level.groups.begin(), level.groups.end(),
                        [&](const GroupName& group) { return group.name == item.text; });
        if (!repeated) {
            level.groups.push_back({item.text, item.where, path});
        }
    };
    if (value.is_null()) {
        return;
    }
    if (value.is_list()) {
        for (const NodePtr& item : value.items) {
            add(*item);
        }
    } else {
        add(value);
    }
}

void LevelReader::read_data(Level& level, const TreeNode& value, const std::string& path) const {
    if (value.is_null()) {
        return;
    }
    if (!value.is_map()) {
        problems_->add(value.where, path,
                       "must be a mapping, and this is " + std::string(value.kind_name()));
        return;
    }
    level.data.insert(level.data.end(), value.entries.begin(), value.entries.end());
}

Level LevelReader::read(const std::string& name, const Where& where, const TreeNode& node) const {
    Level level;
    level.name = name;
    level.where = where;
    if (node.is_null()) {
        return level;
    }
    if (!node.is_map()) {
        problems_->add(node.where, name,
                       "must be a mapping, and this is " + std::string(node.kind_name()));
        level.is_malformed = true;
        return level;
    }
    for (const Entry& entry : node.entries) {
        const std::string path = name + "." + entry.key;
        if (const KeyRule* rule = find_rule(device_keys(), entry.key)) {
            if (rule->field) {
                read_field(level.fields, *rule->field, *entry.value, path);
            } else if (!entry.value->is_null()) {
                source_->ignored.insert(entry.key);
            }
        } else if (entry.key == "groups") {
            read_groups(level, *entry.value, path);
        } else if (entry.key == "data") {
            read_data(level, *entry.value, path);
        } else if (entry.key == "connection_options") {
            read_connections(level, *entry.value, path);
        } else if (entry.key == "name") {
            if (!entry.value->is_text() || entry.value->text != name) {
                problems_->add(entry.value->where, path, "does not agree with '" + name + "'");
            }
        } else {
            std::vector<std::string> known{"groups", "data", "connection_options"};
            for (const KeyRule& known_rule : device_keys()) {
                known.emplace_back(known_rule.key);
            }
            problems_->add(entry.key_where, path,
                           "unknown key" + did_you_mean(entry.key, known) +
                               "; facts of your own belong under 'data'");
        }
    }
    return level;
}

void LevelReader::read_connections(Level& level, const TreeNode& value,
                                   const std::string& path) const {
    if (value.is_null()) {
        return;
    }
    if (!value.is_map()) {
        problems_->add(value.where, path,
                       "must be a mapping, and this is " + std::string(value.kind_name()));
        return;
    }
    for (const Entry& entry : value.entries) {
        const bool is_cli =
            std::find(cli_plugins.begin(), cli_plugins.end(), entry.key) != cli_plugins.end();
        if (is_cli) {
            read_connection(level, entry.key, *entry.value, path + "." + entry.key);
        } else {
            source_->ignored.insert("connection_options." + entry.key);
        }
    }
}

void LevelReader::read_connection(Level& level, const std::string& plugin, const TreeNode& value,
                                  const std::string& path) const {
    if (value.is_null()) {
        return;
    }
    if (!value.is_map()) {
        problems_->add(value.where, path,
                       "must be a mapping, and this is " + std::string(value.kind_name()));
        return;
    }
    Connection& connection = level.connections[plugin];
    for (const Entry& entry : value.entries) {
        const std::string key_path = path + "." + entry.key;
        if (entry.key == "hostname") {
            read_field(connection.fields, Field::host, *entry.value, key_path);
        } else if (entry.key == "port") {
            read_field(connection.fields, Field::port, *entry.value, key_path);
        } else if (entry.key == "username") {
            read_field(connection.fields, Field::username, *entry.value, key_path);
        } else if (entry.key == "password") {
            read_field(connection.fields, Field::password, *entry.value, key_path);
        } else if (entry.key == "platform") {
            read_field(connection.fields, Field::platform, *entry.value, key_path);
        } else if (entry.key == "extras") {
            if (!entry.value->is_null()) {
                read_extras(connection.extras.emplace(), plugin, *entry.value, key_path);
            }
        } else {
            problems_->add(entry.key_where, key_path,
                           "unknown key" +
                               did_you_mean(entry.key, {"hostname", "port", "username", "password",
                                                        "platform", "extras"}));
        }
    }
}

void LevelReader::read_extras(Layer& layer, const std::string& plugin, const TreeNode& value,
                              const std::string& path) const {
    if (!value.is_map()) {
        problems_->add(value.where, path,
                       "must be a mapping, and this is " + std::string(value.kind_name()));
        return;
    }
    const std::string ignored_as = "connection_options." + plugin + ".extras.";
    if (plugin == "scrapli") {
        read_foreign(layer, scrapli_keys(), value, path, ignored_as);
        return;
    }
    if (plugin != "napalm") {
        read_foreign(layer, device_keys(), value, path, ignored_as);
        return;
    }
    for (const Entry& entry : value.entries) {
        if (entry.key == "optional_args" && entry.value->is_map()) {
            read_foreign(layer, napalm_keys(), *entry.value, path + ".optional_args",
                         ignored_as + "optional_args.");
        } else if (entry.key == "timeout") {
            read_field(layer, Field::connect_timeout, *entry.value, path + ".timeout");
        } else {
            source_->ignored.insert(ignored_as + entry.key);
        }
    }
}

// Another library's arguments: it may know more than is known of it here, so that what is unknown
// is named in the warnings and no error.
void LevelReader::read_foreign(Layer& layer, std::span<const KeyRule> rules, const TreeNode& value,
                               const std::string& path, const std::string& ignored_as) const {
    for (const Entry& entry : value.entries) {
        const KeyRule* rule = find_rule(rules, entry.key);
        if (rule != nullptr && rule->field) {
            read_field(layer, *rule->field, *entry.value, path + "." + entry.key);
        } else {
            source_->ignored.insert(ignored_as + entry.key);
        }
    }
}

} // namespace muster::fleet::detail
