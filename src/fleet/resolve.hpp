#pragma once

#include "fleet/level.hpp"

#include <muster/device/device.hpp>
#include <muster/fleet/inventory.hpp>

#include <string>
#include <vector>

namespace muster::fleet::detail {

/// Empty, or why a name is refused: names become names of files.
[[nodiscard]] std::string name_problem(std::string_view name);

/// Inheritance: one device for each host of `source`. Reads referenced secrets; relative paths
/// start in `folder`. What is wrong goes to `problems`.
[[nodiscard]] std::vector<device::Device> resolve(const Source& source, const LoadOptions& options,
                                                  const std::string& folder, Problems& problems);

} // namespace muster::fleet::detail
