#include "fleet/resolve.hpp"

#include "fleet/read_file.hpp"
#include "fleet/secret_source.hpp"
#include "fleet/suggest.hpp"
#include "fleet/to_json.hpp"

#include <muster/core/error.hpp>
#include <muster/device/platform.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <optional>
#include <unordered_map>
#include <unordered_set>

namespace muster::fleet::detail {
namespace {

using device::Device;

constexpr std::array<std::string_view, 5> connection_preference{"muster", "netmiko", "scrapli",
                                                                "paramiko", "napalm"};

// Values in the data of one inventory, all devices together: more is an alias bomb.
constexpr std::size_t data_budget = 500'000;
constexpr std::size_t data_budget_per_device = 2'000;

std::chrono::milliseconds to_milliseconds(const std::string& text) {
    std::int64_t count = 0;
    std::from_chars(text.data(), text.data() + text.size(), count);
    return std::chrono::milliseconds(count);
}

class Resolver {
public:
    Resolver(const Source& source, const LoadOptions& options, const std::string& folder,
             Problems& problems)
        : source_(&source),
          options_(&options),
          folder_(folder),
          secrets_(folder),
          problems_(&problems),
          budget_(data_budget + data_budget_per_device * source.hosts.size()) {
        for (const Level& group : source.groups) {
            groups_.emplace(group.name, &group);
            group_names_.push_back(group.name);
        }
    }

    std::vector<Device> run() {
        check_groups();
        std::vector<Device> devices;
        devices.reserve(source_->hosts.size());
        for (const Level& host : source_->hosts) {
            devices.push_back(resolve_host(host));
        }
        return devices;
    }

private:
    // The levels a host inherits from, nearest first, itself included.
    struct Chain {
        std::vector<const Level*> levels;
        std::vector<std::string> groups;
    };

    void check_groups() {
        if (!source_->groups_are_described) {
            return;
        }
        std::unordered_set<std::string> finished;
        for (const Level& group : source_->groups) {
            std::vector<const Level*> path;
            check_group(group, path, finished);
        }
        for (const Level& host : source_->hosts) {
            for (const GroupName& group : host.groups) {
                check_exists(group);
            }
        }
    }

    bool check_exists(const GroupName& group) {
        if (groups_.contains(group.name)) {
            return true;
        }
        problems_->add(group.where, group.field,
                       "there is no group '" + group.name + "'" +
                           did_you_mean(group.name, group_names_));
        return false;
    }

    void check_group(const Level& group, std::vector<const Level*>& path,
                     std::unordered_set<std::string>& finished) {
        if (finished.contains(group.name)) {
            return;
        }
        path.push_back(&group);
        for (const GroupName& parent : group.groups) {
            if (!check_exists(parent)) {
                continue;
            }
            const Level* next = groups_.at(parent.name);
            const auto start = std::find(path.begin(), path.end(), next);
            if (start == path.end()) {
                check_group(*next, path, finished);
                continue;
            }
            std::string circle;
            for (auto step = start; step != path.end(); ++step) {
                circle += (*step)->name + " > ";
            }
            problems_->add(parent.where, parent.field,
                           "the groups go round in a circle: " + circle + parent.name);
        }
        path.pop_back();
        finished.insert(group.name);
    }

    Chain chain_of(const Level& host) const {
        Chain chain;
        chain.levels.push_back(&host);
        std::unordered_set<std::string> seen;
        add_groups(chain, host, seen);
        chain.levels.push_back(&source_->defaults);
        return chain;
    }

    // Each group is followed by its own groups, as in nornir.
    void add_groups(Chain& chain, const Level& level, std::unordered_set<std::string>& seen) const {
        for (const GroupName& name : level.groups) {
            if (!seen.insert(name.name).second) {
                continue;
            }
            chain.groups.push_back(name.name);
            const auto group = groups_.find(name.name);
            if (group != groups_.end()) {
                chain.levels.push_back(group->second);
                add_groups(chain, *group->second, seen);
            }
        }
    }

    // nornir's order for a field: the connection's extras, which come from one level only; the
    // connection's own values; the hosts', groups' and defaults' values.
    static Layer merge(const Chain& chain) {
        Layer merged;
        for (const std::string_view plugin : connection_preference) {
            const auto uses = [&](const Level* level) {
                return level->connections.contains(plugin);
            };
            if (std::none_of(chain.levels.begin(), chain.levels.end(), uses)) {
                continue;
            }
            const Layer* extras = nullptr;
            Layer fields;
            for (const Level* level : chain.levels) {
                const auto found = level->connections.find(plugin);
                if (found == level->connections.end()) {
                    continue;
                }
                const Connection& connection = found->second;
                if (extras == nullptr && connection.extras) {
                    extras = &*connection.extras;
                }
                fields.insert(connection.fields.begin(), connection.fields.end());
            }
            if (extras != nullptr) {
                merged = *extras;
            }
            merged.merge(fields);
            break;
        }
        for (const Level* level : chain.levels) {
            merged.insert(level->fields.begin(), level->fields.end());
        }
        return merged;
    }

    Device resolve_host(const Level& host) {
        Device device;
        device.name = host.name;
        device.origin = *host.where.file + ":" + std::to_string(host.where.line);
        if (const std::string problem = name_problem(host.name); !problem.empty()) {
            problems_->add(host.where, {}, problem);
        }
        Chain chain = chain_of(host);
        const Layer merged = merge(chain);
        set_place(device, host, merged);
        set_platform(device, host, merged);
        set_login(device, merged);
        set_limits(device, merged);
        set_data(device, chain);
        device.groups = std::move(chain.groups);
        return device;
    }

    static const Value* find(const Layer& layer, Field field) {
        const auto found = layer.find(field);
        return found == layer.end() ? nullptr : &found->second;
    }

    void set_place(Device& device, const Level& host, const Layer& merged) {
        // As in Ansible, a device without an address is reached by its name.
        const Value* address = find(merged, Field::host);
        device.host = address != nullptr ? address->text : host.name;
        if (const Value* port = find(merged, Field::port)) {
            device.port = static_cast<std::uint16_t>(std::stoul(port->text));
        }
        if (const Value* transport = find(merged, Field::transport)) {
            device.transport = transport->text == "http"    ? device::Transport::http
                               : transport->text == "https" ? device::Transport::https
                                                            : device::Transport::ssh;
        }
    }

    void set_platform(Device& device, const Level& host, const Layer& merged) {
        const Value* platform = find(merged, Field::platform);
        device.platform = platform != nullptr ? platform->text : options_->platform;
        if (device.platform.empty()) {
            if (device.transport == device::Transport::ssh && !host.is_malformed) {
                problems_->add(platform != nullptr ? platform->where : host.where,
                               host.name + ".platform", "is missing; " + known_platforms());
            }
            return;
        }
        if (device::find_platform(device.platform) != nullptr || platform == nullptr) {
            return;
        }
        std::vector<std::string> names;
        for (const std::string_view name : device::platform_names()) {
            names.emplace_back(name);
        }
        const std::string& text = platform->text;
        for (const std::string_view ending : {"_telnet", "_serial"}) {
            if (text.ends_with(ending)) {
                problems_->add(platform->where, platform->field,
                               "unknown platform '" + text + "': muster speaks SSH and HTTP, not " +
                                   std::string(ending.substr(1)));
                return;
            }
        }
        problems_->add(platform->where, platform->field,
                       "unknown platform '" + text + "'" + did_you_mean(text, names) + "; " +
                           known_platforms());
    }

    static std::string known_platforms() {
        std::string text = "known are";
        for (const std::string_view name : device::platform_names()) {
            text += " " + std::string(name);
        }
        return text;
    }

    void set_login(Device& device, const Layer& merged) {
        const Value* username = find(merged, Field::username);
        device.username =
            username != nullptr ? read_reference(*username).reveal() : options_->username;
        const Value* password = find(merged, Field::password);
        device.password = password != nullptr ? read_reference(*password) : options_->password;
        if (const Value* secret = find(merged, Field::secret)) {
            device.secret = read_reference(*secret);
        }
        if (const Value* passphrase = find(merged, Field::passphrase)) {
            device.passphrase = read_reference(*passphrase);
        }
        if (const Value* key = find(merged, Field::key)) {
            device.key = in_folder(key->text);
        }
    }

    [[nodiscard]] std::string in_folder(const std::string& written) const {
        const std::filesystem::path path = expand_home(written);
        return path.is_absolute() || path.empty() ? path.string() : (folder_ / path).string();
    }

    Secret read_reference(const Value& value) {
        try {
            return secrets_.resolve(value.text);
        } catch (const ValueError& error) {
            problems_->add(value.where, value.field, error.what());
            return {};
        }
    }

    void set_limits(Device& device, const Layer& merged) const {
        if (const Value* limit = find(merged, Field::connect_timeout)) {
            device.timeouts.connect = to_milliseconds(limit->text);
        }
        if (const Value* limit = find(merged, Field::authenticate_timeout)) {
            device.timeouts.authenticate = to_milliseconds(limit->text);
        }
        if (const Value* limit = find(merged, Field::command_timeout)) {
            device.timeouts.command = to_milliseconds(limit->text);
        }
        if (const Value* legacy = find(merged, Field::legacy_algorithms)) {
            device.legacy_algorithms = legacy->text == "true";
        }
        if (const Value* verify = find(merged, Field::verify_tls)) {
            device.verify_tls = verify->text == "true";
        }
        if (const Value* ca_file = find(merged, Field::ca_file)) {
            device.ca_file = in_folder(ca_file->text);
        }
    }

    void set_data(Device& device, const Chain& chain) {
        for (const Level* level : chain.levels) {
            for (const Entry& entry : level->data) {
                if (!entry.value->is_null() && !device.data.contains(entry.key)) {
                    device.data[entry.key] = value_of(entry, device.name);
                }
            }
        }
    }

    nlohmann::json value_of(const Entry& entry, const std::string& device) {
        try {
            return to_json(*entry.value, budget_);
        } catch (const ValueError& error) {
            // Later entries would fail too: one report is enough.
            fail(entry.key_where, device + ".data." + entry.key, error.what());
        }
    }

    const Source* source_;
    const LoadOptions* options_;
    std::filesystem::path folder_;
    SecretSource secrets_;
    Problems* problems_;
    std::unordered_map<std::string, const Level*> groups_;
    std::vector<std::string> group_names_;
    std::size_t budget_;
};

} // namespace

std::string name_problem(std::string_view name) {
    if (name.empty()) {
        return "a device needs a name";
    }
    const bool has_separator = name.find_first_of("/\\") != std::string_view::npos;
    const bool has_control = std::any_of(name.begin(), name.end(), [](char c) {
        return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
    });
    if (has_separator || has_control || name == "." || name == "..") {
        return "a device's name also names its files, so it can't hold '/', '\\' or control "
               "characters";
    }
    return {};
}

std::vector<Device> resolve(const Source& source, const LoadOptions& options,
                            const std::string& folder, Problems& problems) {
    return Resolver(source, options, folder, problems).run();
}

} // namespace muster::fleet::detail
