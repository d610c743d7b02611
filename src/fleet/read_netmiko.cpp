#include "fleet/formats.hpp"
#include "fleet/level_reader.hpp"
#include "fleet/suggest.hpp"

#include <cctype>
#include <unordered_map>

namespace muster::fleet::detail {
namespace {

// `.base: &base {...}` and `x-base:` hold what others merge; netmiko-tools keeps `__meta__`.
bool is_template(const std::string& name) {
    const bool hidden =
        name.size() > 1 && name[0] == '.' && std::isalnum(static_cast<unsigned char>(name[1])) != 0;
    return hidden || name.starts_with("x-");
}

void check_meta(const TreeNode& meta, Problems& problems) {
    const TreeNode* encryption = meta.is_map() ? meta.find("encryption") : nullptr;
    const bool encrypted = encryption != nullptr && encryption->is_text() &&
                           (encryption->text == "true" || encryption->text == "True");
    if (encrypted) {
        problems.add(encryption->where, "__meta__.encryption",
                     "passwords encrypted by netmiko-tools can't be read; use references such as "
                     "env:NAME or cmd:COMMAND");
    }
}

// In a list a device is called by its `name`, or else as its host is written.
std::string name_in_list(const TreeNode& device, std::size_t index) {
    for (const char* key : {"name", "host", "ip", "hostname"}) {
        const TreeNode* value = device.find(key);
        if (value != nullptr && value->is_text() && !value->text.empty()) {
            return value->text;
        }
    }
    return "device " + std::to_string(index + 1);
}

void read_list(Source& source, const TreeNode& root, Problems& problems) {
    const LevelReader reader(source, problems);
    std::unordered_map<std::string, int> lines;
    for (std::size_t i = 0; i < root.items.size(); ++i) {
        const TreeNode& item = *root.items[i];
        if (!item.is_map()) {
            problems.add(item.where, {},
                         "a device must be a mapping, and this is " +
                             std::string(item.kind_name()));
            continue;
        }
        const std::string name = name_in_list(item, i);
        const auto [earlier, is_new] = lines.emplace(name, item.where.line);
        if (!is_new) {
            problems.add(item.where, name,
                         "duplicate device; it stands in line " + std::to_string(earlier->second) +
                             " already (give each a 'name')");
            continue;
        }
        source.hosts.push_back(reader.read(name, item.where, item));
    }
}

void read_members(Source& source, const Entry& group, Problems& problems,
                  const std::unordered_map<std::string, std::size_t>& devices,
                  const std::vector<std::string>& device_names) {
    for (const NodePtr& item : group.value->items) {
        if (!item->is_text()) {
            problems.add(item->where, group.key,
                         "must be names of devices, and this is " + std::string(item->kind_name()));
            continue;
        }
        const auto found = devices.find(item->text);
        if (found == devices.end()) {
            problems.add(item->where, group.key,
                         "there is no device '" + item->text + "'" +
                             did_you_mean(item->text, device_names));
            continue;
        }
        source.hosts[found->second].groups.push_back({group.key, item->where, group.key});
    }
}

void read_mapping(Source& source, const TreeNode& root, Problems& problems) {
    const LevelReader reader(source, problems);
    std::unordered_map<std::string, std::size_t> devices;
    std::vector<std::string> names;
    for (const Entry& entry : root.entries) {
        if (entry.key == "__meta__") {
            check_meta(*entry.value, problems);
        } else if (!entry.value->is_list() && !is_template(entry.key)) {
            devices.emplace(entry.key, source.hosts.size());
            names.push_back(entry.key);
            source.hosts.push_back(reader.read(entry.key, entry.key_where, *entry.value));
        }
    }
    for (const Entry& entry : root.entries) {
        if (entry.value->is_list() && !is_template(entry.key)) {
            read_members(source, entry, problems, devices, names);
        }
    }
}

} // namespace

void read_netmiko(Source& source, const TreeNode& root, Problems& problems) {
    source.groups_are_described = false;
    if (root.is_list()) {
        read_list(source, root, problems);
    } else {
        read_mapping(source, root, problems);
    }
}

} // namespace muster::fleet::detail
