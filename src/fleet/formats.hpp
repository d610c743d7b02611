#pragma once
/// One reader for each form an inventory comes in; all give a Source.

#include "fleet/level.hpp"

#include <string>

namespace muster::fleet::detail {

/// netmiko: a list of its argument mappings, or a mapping of names to them in which a list of names
/// is a group (`~/.netmiko.yml`).
void read_netmiko(Source& source, const TreeNode& root, Problems& problems);

/// nornir: what stands in hosts.yaml, groups.yaml and defaults.yaml.
void read_nornir_hosts(Source& source, const TreeNode& root, Problems& problems);
void read_nornir_groups(Source& source, const TreeNode& root, Problems& problems);
void read_nornir_defaults(Source& source, const TreeNode& root, Problems& problems);

/// nornir: the three under the keys `hosts`, `groups` and `defaults` of one file.
void read_combined(Source& source, const TreeNode& root, Problems& problems);

/// What `ansible-inventory --list` prints.
void read_ansible(Source& source, const TreeNode& root, Problems& problems);

} // namespace muster::fleet::detail
