#pragma once
/// The keys of netmiko's, nornir's, scrapli's, NAPALM's and Ansible's inventories.

#include "fleet/level.hpp"

#include <optional>
#include <span>
#include <string_view>

namespace muster::fleet::detail {

/// What a key means here.
struct KeyRule {
    std::string_view key;
    /// Empty: a setting of that tool which has no counterpart.
    std::optional<Field> field;
};

/// Of a device, a group or the defaults: netmiko's arguments, nornir's attributes and muster's own.
[[nodiscard]] std::span<const KeyRule> device_keys();

/// Of scrapli's `extras`.
[[nodiscard]] std::span<const KeyRule> scrapli_keys();

/// Of NAPALM's `optional_args`.
[[nodiscard]] std::span<const KeyRule> napalm_keys();

/// Of Ansible's variables that begin with `ansible_`.
[[nodiscard]] std::span<const KeyRule> ansible_keys();

[[nodiscard]] const KeyRule* find_rule(std::span<const KeyRule> rules, std::string_view key);

} // namespace muster::fleet::detail
