#include "fleet/formats.hpp"
#include "fleet/level_reader.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_map>

namespace muster::fleet::detail {
namespace {

const std::string ansible_prefix = "ansible_";

// Groups every inventory has; they say nothing.
bool is_implicit(const std::string& group) { return group == "all" || group == "ungrouped"; }

bool is_true(const TreeNode* value) {
    return value != nullptr && value->is_text() &&
           (value->text == "true" || value->text == "True" || value->text == "yes");
}

// Ansible names a platform by the collection that serves it (`cisco.nxos.nxos`), and a Linux host
// by nothing at all.
void read_network_os(Layer& layer, const TreeNode& value, const std::string& path,
                     const LevelReader& reader) {
    reader.read_field(layer, Field::platform, value, path);
    const auto platform = layer.find(Field::platform);
    if (platform != layer.end() && platform->second.field == path) {
        std::string& text = platform->second.text;
        text = text.substr(text.rfind('.') + 1);
    }
}

class AnsibleReader {
public:
    AnsibleReader(Source& source, Problems& problems)
        : source_(&source), problems_(&problems), reader_(source, problems) {}

    void read(const TreeNode& root) {
        read_hosts(root);
        for (const Entry& entry : root.entries) {
            if (entry.key != "_meta" && entry.value->is_map()) {
                read_group(entry, root);
            }
        }
        for (Level& host : source_->hosts) {
            // Of groups at one depth Ansible prefers the last in the alphabet.
            std::reverse(host.groups.begin(), host.groups.end());
        }
        // A host without ansible_network_os is a POSIX system.
        source_->defaults.fields.try_emplace(Field::platform, Value{"linux", root.where, "all"});
    }

private:
    void read_hosts(const TreeNode& root) {
        const TreeNode* meta = root.find("_meta");
        const TreeNode* variables =
            meta != nullptr && meta->is_map() ? meta->find("hostvars") : nullptr;
        if (variables != nullptr && variables->is_map()) {
            for (const Entry& entry : variables->entries) {
                Level& host = add_host(entry.key, entry.key_where);
                read_variables(host, *entry.value);
            }
        }
    }

    Level& add_host(const std::string& name, const Where& where) {
        const auto [place, is_new] = hosts_.emplace(name, source_->hosts.size());
        if (is_new) {
            Level host;
            host.name = name;
            host.where = where;
            source_->hosts.push_back(std::move(host));
        }
        return source_->hosts[place->second];
    }

    void read_group(const Entry& group, const TreeNode& root) {
        Level level;
        level.name = group.key;
        level.where = group.key_where;
        for (const Entry& entry : group.value->entries) {
            if (entry.key == "vars") {
                read_variables(group.key == "all" ? source_->defaults : level, *entry.value);
            } else if (entry.key == "hosts") {
                for (const NodePtr& item : entry.value->items) {
                    Level& host = add_host(item->text, item->where);
                    if (!is_implicit(group.key)) {
                        host.groups.push_back({group.key, item->where, group.key});
                    }
                }
            }
        }
        if (is_implicit(group.key)) {
            return;
        }
        for (const Entry& parent : root.entries) {
            const TreeNode* children =
                parent.value->is_map() ? parent.value->find("children") : nullptr;
            if (children == nullptr || is_implicit(parent.key)) {
                continue;
            }
            for (const NodePtr& child : children->items) {
                if (child->text == group.key) {
                    level.groups.push_back({parent.key, child->where, parent.key});
                }
            }
        }
        source_->groups.push_back(std::move(level));
    }

    void read_variables(Level& level, const TreeNode& variables) {
        if (level.name.empty()) {
            level.name = "all";
        }
        if (!variables.is_map()) {
            return;
        }
        for (const Entry& entry : variables.entries) {
            const std::string path = level.name + "." + entry.key;
            const KeyRule* rule = find_rule(ansible_keys(), entry.key);
            if (rule != nullptr && rule->field) {
                read_known(level.fields, *rule->field, entry, path);
            } else if (entry.key == "ansible_connection") {
                read_connection(level.fields, variables, entry, path);
            } else if (entry.key == "ansible_httpapi_use_ssl") {
                continue; // read together with ansible_connection
            } else if (entry.key.starts_with(ansible_prefix)) {
                source_->ignored.insert(entry.key);
            } else {
                level.data.push_back(entry);
            }
        }
    }

    void read_known(Layer& layer, Field field, const Entry& entry, const std::string& path) {
        if (entry.value->is_text() && entry.value->text.find("{{") != std::string::npos) {
            problems_->add(entry.value->where, path,
                           "is a Jinja2 expression, which only Ansible can work out");
        } else if (field == Field::platform) {
            read_network_os(layer, *entry.value, path, reader_);
        } else {
            reader_.read_field(layer, field, *entry.value, path);
        }
    }

    void read_connection(Layer& layer, const TreeNode& variables, const Entry& entry,
                         const std::string& path) {
        if (!entry.value->is_text()) {
            return;
        }
        std::string connection = entry.value->text;
        connection = connection.substr(connection.rfind('.') + 1);
        if (connection == "httpapi") {
            const bool secure = is_true(variables.find("ansible_httpapi_use_ssl"));
            layer[Field::transport] = {secure ? "https" : "http", entry.value->where, path};
            return;
        }
        constexpr std::array<std::string_view, 6> over_ssh{"ssh",          "smart",  "paramiko",
                                                           "paramiko_ssh", "libssh", "network_cli"};
        if (std::find(over_ssh.begin(), over_ssh.end(), connection) == over_ssh.end()) {
            problems_->add(entry.value->where, path,
                           "'" + entry.value->text +
                               "' is no connection muster has; it has ssh, "
                               "network_cli and httpapi");
        }
    }

    Source* source_;
    Problems* problems_;
    LevelReader reader_;
    std::unordered_map<std::string, std::size_t> hosts_;
};

} // namespace

void read_ansible(Source& source, const TreeNode& root, Problems& problems) {
    AnsibleReader(source, problems).read(root);
}

} // namespace muster::fleet::detail
