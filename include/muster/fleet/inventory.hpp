#pragma once

#include <muster/core/secret.hpp>
#include <muster/device/device.hpp>
#include <muster/fleet/inventory_error.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace muster::fleet {

/// What to use where an inventory says nothing, for all its devices: the command line's
/// `--username` and its kin.
struct LoadOptions {
    std::string username;
    Secret password;
    std::string platform;
};

/// The devices of a fleet, from the inventory files people have already.
///
/// `load` reads, telling them apart by their content:
/// - netmiko: a list of device mappings, or a mapping of names to them, in which a list of names is
///   a group (`~/.netmiko.yml`);
/// - nornir: a folder with hosts.yaml, groups.yaml and defaults.yaml; hosts.yaml itself; a
///   config.yaml which names them; or one file with the keys `hosts`, `groups` and `defaults`;
/// - Ansible: what `ansible-inventory --list` prints.
///
/// Each as YAML or JSON. A device's own value wins, then its groups' in order (each followed by its
/// own groups), then the defaults'. Null inherits, "" does not. Text stays as it is written:
/// `012345`, `yes` and `1e3` are fine passwords.
///
/// Secrets and user names may be references, read while loading: `env:NAME`, `file:PATH`,
/// `cmd:COMMAND` (run by the shell, once for all devices that share it), and `text:...` for a text
/// which happens to begin like one of these.
class Inventory {
public:
    Inventory() = default;

    /// An inventory made by hand. Throws ValueError for a name that is empty, used twice, or could
    /// lead out of a folder.
    explicit Inventory(std::vector<device::Device> devices);

    /// Reads a file, a folder, or standard input for `-`. Blocks; relative paths inside the
    /// inventory start in its folder. Throws InventoryError with everything that is wrong.
    [[nodiscard]] static Inventory load(const std::string& path, const LoadOptions& options = {});

    /// Reads `text` as `load` reads a file; `name` stands for the file in messages.
    [[nodiscard]] static Inventory parse(std::string_view text,
                                         const std::string& name = "inventory",
                                         const LoadOptions& options = {});

    /// In the order of the file.
    [[nodiscard]] const std::vector<device::Device>& devices() const noexcept { return devices_; }

    [[nodiscard]] std::size_t size() const noexcept { return devices_.size(); }

    [[nodiscard]] bool empty() const noexcept { return devices_.empty(); }

    [[nodiscard]] auto begin() const noexcept { return devices_.begin(); }

    [[nodiscard]] auto end() const noexcept { return devices_.end(); }

    /// The device of that name, or nullptr. The pointer lives as long as this inventory.
    [[nodiscard]] const device::Device* find(std::string_view name) const noexcept;

    /// The devices which match an expression such as `role:edge and not site:ams`, in the same
    /// order; see Filter. Throws FilterError for a malformed expression, and for a field or a group
    /// that no device has: a misspelt filter must not look like an empty result.
    [[nodiscard]] Inventory filter(std::string_view expression) const;

    /// What a user should know: keys of other tools that were ignored, addresses used twice.
    [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }

private:
    std::vector<device::Device> devices_;
    std::vector<std::string> warnings_;
};

} // namespace muster::fleet
