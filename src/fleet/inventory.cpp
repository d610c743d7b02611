#include "fleet/load.hpp"
#include "fleet/resolve.hpp"

#include <muster/core/error.hpp>
#include <muster/fleet/filter.hpp>
#include <muster/fleet/inventory.hpp>

#include <algorithm>
#include <map>
#include <unordered_set>
#include <utility>

namespace muster::fleet {
namespace {

using device::Device;

std::string ignored_warning(const detail::Loaded& loaded) {
    std::string keys;
    for (const std::string& key : loaded.source.ignored) {
        keys += (keys.empty() ? "" : ", ") + key;
    }
    return loaded.name + ": ignored, as they have no counterpart here: " + keys;
}

// The same device under two names would be worked on twice at once.
std::vector<std::string> shared_addresses(const std::vector<Device>& devices) {
    std::map<std::string, std::vector<std::string>> names;
    for (const Device& device : devices) {
        names[device::endpoint(device)].push_back(device.name);
    }
    std::vector<std::string> warnings;
    for (const auto& [address, users] : names) {
        if (users.size() > 1) {
            std::string text = address + " is the address of " + users[0];
            for (std::size_t i = 1; i < users.size(); ++i) {
                text += (i + 1 == users.size() ? " and " : ", ") + users[i];
            }
            warnings.push_back(std::move(text));
        }
    }
    return warnings;
}

} // namespace

Inventory::Inventory(std::vector<Device> devices) : devices_(std::move(devices)) {
    std::unordered_set<std::string_view> names;
    for (const Device& device : devices_) {
        if (const std::string problem = detail::name_problem(device.name); !problem.empty()) {
            throw ValueError("'" + device.name + "': " + problem);
        }
        if (!names.insert(device.name).second) {
            throw ValueError("two devices are called '" + device.name + "'");
        }
    }
}

namespace {

std::pair<std::vector<Device>, std::vector<std::string>>
finish(const detail::Loaded& loaded, const LoadOptions& options, detail::Problems& problems) {
    std::vector<Device> devices = detail::resolve(loaded.source, options, loaded.folder, problems);
    problems.throw_if_any();
    if (devices.empty()) {
        detail::fail({std::make_shared<const std::string>(loaded.name), 0, 0}, {},
                     "has no devices");
    }
    std::vector<std::string> warnings = shared_addresses(devices);
    if (!loaded.source.ignored.empty()) {
        warnings.insert(warnings.begin(), ignored_warning(loaded));
    }
    return {std::move(devices), std::move(warnings)};
}

} // namespace

Inventory Inventory::load(const std::string& path, const LoadOptions& options) {
    detail::Problems problems;
    const detail::Loaded loaded = detail::load_source(path, problems);
    Inventory inventory;
    std::tie(inventory.devices_, inventory.warnings_) = finish(loaded, options, problems);
    return inventory;
}

Inventory Inventory::parse(std::string_view text, const std::string& name,
                           const LoadOptions& options) {
    detail::Problems problems;
    const detail::Loaded loaded = detail::parse_source(text, name, problems);
    Inventory inventory;
    std::tie(inventory.devices_, inventory.warnings_) = finish(loaded, options, problems);
    return inventory;
}

const Device* Inventory::find(std::string_view name) const noexcept {
    const auto found = std::find_if(devices_.begin(), devices_.end(),
                                    [&](const Device& device) { return device.name == name; });
    return found == devices_.end() ? nullptr : &*found;
}

Inventory Inventory::filter(std::string_view expression) const {
    const Filter filter = Filter::parse(expression);
    filter.check_against(devices_);
    Inventory chosen;
    std::copy_if(devices_.begin(), devices_.end(), std::back_inserter(chosen.devices_),
                 [&](const Device& device) { return filter.matches(device); });
    chosen.warnings_ = warnings_;
    return chosen;
}

} // namespace muster::fleet
