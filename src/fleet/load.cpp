#include "fleet/load.hpp"

#include "fleet/formats.hpp"
#include "fleet/read_file.hpp"
#include "fleet/suggest.hpp"

#include <muster/core/error.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>

namespace muster::fleet::detail {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> extensions{".yaml", ".yml", ".json"};

enum class Form { netmiko, nornir_hosts, nornir_config, combined, ansible };

Where whole_file(const std::string& name) {
    return {std::make_shared<const std::string>(name), 0, 0};
}

std::string read_or_fail(const std::string& path) {
    try {
        return read_file(path);
    } catch (const ValueError& error) {
        std::string reason = error.what();
        const std::string lead = "can't read " + path + ": ";
        fail(whole_file(path), {}, "can't be read: " + reason.substr(lead.size()));
    }
}

std::optional<fs::path> find_file(const fs::path& folder, const std::string& stem) {
    for (const std::string_view extension : extensions) {
        fs::path path = folder / (stem + std::string(extension));
        if (fs::is_regular_file(path)) {
            return path;
        }
    }
    return std::nullopt;
}

bool has_any_key(const TreeNode& node, std::initializer_list<std::string_view> keys) {
    return node.is_map() && std::any_of(keys.begin(), keys.end(), [&](std::string_view key) {
               return node.find(key) != nullptr;
           });
}

bool any_device_has(const TreeNode& root, std::initializer_list<std::string_view> keys) {
    return std::any_of(root.entries.begin(), root.entries.end(),
                       [&](const Entry& entry) { return has_any_key(*entry.value, keys); });
}

Form form_of(const TreeNode& root) {
    if (root.is_list()) {
        return Form::netmiko;
    }
    if (root.is_null()) {
        fail(root.where, {}, "is empty; an inventory lists devices");
    }
    if (!root.is_map()) {
        fail(root.where, {}, "is not an inventory: it must be a list or a mapping of devices");
    }
    if (root.find("_meta") != nullptr) {
        return Form::ansible;
    }
    const TreeNode* all = root.find("all");
    if (all != nullptr && has_any_key(*all, {"hosts", "children"})) {
        fail(root.where, {},
             "is an Ansible inventory; give what 'ansible-inventory --list' prints for it");
    }
    const TreeNode* hosts = root.find("hosts");
    if (hosts != nullptr && !has_any_key(*hosts, {"host", "ip", "hostname", "device_type"})) {
        return Form::combined;
    }
    const TreeNode* inventory = root.find("inventory");
    if (inventory != nullptr && has_any_key(*inventory, {"plugin", "options"})) {
        return Form::nornir_config;
    }
    const bool is_nornir = any_device_has(root, {"hostname", "connection_options"}) &&
                           !any_device_has(root, {"device_type", "host", "ip"});
    return is_nornir ? Form::nornir_hosts : Form::netmiko;
}

class Loader {
public:
    explicit Loader(Problems& problems) : problems_(&problems) {}

    Loaded load(const std::string& path) {
        if (path == "-") {
            loaded_.name = "<stdin>";
            read_root(*parse(read_standard_input(), loaded_.name));
            return std::move(loaded_);
        }
        if (fs::is_directory(path)) {
            load_folder(path);
            return std::move(loaded_);
        }
        loaded_.name = path;
        loaded_.folder = fs::path(path).parent_path().string();
        const NodePtr root = parse(read_or_fail(path), path);
        if (root->is_map() && fs::path(path).stem() == "hosts" &&
            form_of(*root) != Form::combined && form_of(*root) != Form::ansible) {
            read_nornir_hosts(loaded_.source, *root, *problems_);
            read_beside(fs::path(path).parent_path());
        } else {
            read_root(*root);
        }
        return std::move(loaded_);
    }

    Loaded parse_only(std::string_view text, const std::string& name) {
        loaded_.name = name;
        read_root(*parse(text, name));
        return std::move(loaded_);
    }

private:
    NodePtr parse(std::string_view text, const std::string& name) {
        return parse_document(text, name, *problems_);
    }

    NodePtr parse_file(const fs::path& path) {
        return parse(read_or_fail(path.string()), path.string());
    }

    void load_folder(const std::string& folder) {
        loaded_.name = folder;
        loaded_.folder = folder;
        if (const auto hosts = find_file(folder, "hosts")) {
            read_nornir_hosts(loaded_.source, *parse_file(*hosts), *problems_);
            read_beside(folder);
        } else if (const auto config = find_file(folder, "config")) {
            read_config(*parse_file(*config));
        } else {
            fail(whole_file(folder), {}, "is a folder with neither hosts.yaml nor config.yaml");
        }
    }

    // nornir goes without groups and defaults if there are none.
    void read_beside(const fs::path& folder) {
        if (const auto groups = find_file(folder, "groups")) {
            read_nornir_groups(loaded_.source, *parse_file(*groups), *problems_);
        }
        if (const auto defaults = find_file(folder, "defaults")) {
            read_nornir_defaults(loaded_.source, *parse_file(*defaults), *problems_);
        }
    }

    void read_root(const TreeNode& root) {
        switch (form_of(root)) {
        case Form::netmiko:
            read_netmiko(loaded_.source, root, *problems_);
            break;
        case Form::nornir_hosts:
            read_nornir_hosts(loaded_.source, root, *problems_);
            break;
        case Form::nornir_config:
            read_config(root);
            break;
        case Form::combined:
            read_combined(loaded_.source, root, *problems_);
            break;
        case Form::ansible:
            read_ansible(loaded_.source, root, *problems_);
            break;
        }
    }

    // nornir's config.yaml: only its inventory part matters here.
    void read_config(const TreeNode& root) {
        const TreeNode* inventory = root.find("inventory");
        if (inventory == nullptr || !inventory->is_map()) {
            fail(root.where, "inventory", "is missing: a config.yaml names the files of its hosts");
        }
        const TreeNode* plugin = inventory->find("plugin");
        if (plugin != nullptr && plugin->is_text() && plugin->text != "SimpleInventory" &&
            plugin->text != "YAMLInventory") {
            fail(plugin->where, "inventory.plugin",
                 "'" + plugin->text + "' can't be run here; only SimpleInventory's files are read");
        }
        std::string hosts = "hosts.yaml";
        std::string groups = "groups.yaml";
        std::string defaults = "defaults.yaml";
        bool groups_named = false;
        bool defaults_named = false;
        const TreeNode* options = inventory->find("options");
        if (options != nullptr && options->is_map()) {
            for (const Entry& entry : options->entries) {
                const std::string path = "inventory.options." + entry.key;
                const std::string value =
                    entry.value->is_text() ? entry.value->text : std::string{};
                if (entry.key == "host_file") {
                    hosts = value;
                } else if (entry.key == "group_file") {
                    groups = value;
                    groups_named = true;
                } else if (entry.key == "defaults_file") {
                    defaults = value;
                    defaults_named = true;
                } else if (entry.key != "encoding") {
                    problems_->add(entry.key_where, path,
                                   "unknown key" +
                                       did_you_mean(entry.key, {"host_file", "group_file",
                                                                "defaults_file", "encoding"}));
                }
            }
        }
        if (inventory->find("transform_function") != nullptr) {
            loaded_.source.ignored.insert("inventory.transform_function");
        }
        read_nornir_hosts(loaded_.source, *parse_file(in_folder(hosts)), *problems_);
        if (groups_named || fs::exists(in_folder(groups))) {
            read_nornir_groups(loaded_.source, *parse_file(in_folder(groups)), *problems_);
        }
        if (defaults_named || fs::exists(in_folder(defaults))) {
            read_nornir_defaults(loaded_.source, *parse_file(in_folder(defaults)), *problems_);
        }
    }

    // nornir starts in the current folder, people mean the config's: the latter if it is there.
    [[nodiscard]] fs::path in_folder(const std::string& written) const {
        const fs::path path = expand_home(written);
        const fs::path beside = fs::path(loaded_.folder) / path;
        return path.is_absolute() || !fs::exists(beside) ? path : beside;
    }

    Problems* problems_;
    Loaded loaded_;
};

} // namespace

Loaded load_source(const std::string& path, Problems& problems) {
    return Loader(problems).load(path);
}

Loaded parse_source(std::string_view text, const std::string& name, Problems& problems) {
    return Loader(problems).parse_only(text, name);
}

} // namespace muster::fleet::detail
