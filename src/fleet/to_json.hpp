#pragma once

#include "fleet/document.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>

namespace muster::fleet::detail {

/// A value as JSON. An unquoted scalar becomes true, false or a number only if it would be printed
/// as it is written: `10` is a number, `1.10`, `012` and `1e3` are text. `budget` is the number of
/// values still allowed, which bounds what aliases of aliases can blow up; throws ValueError when
/// it is spent, InventoryError for an unknown tag.
[[nodiscard]] nlohmann::json to_json(const TreeNode& node, std::size_t& budget);

} // namespace muster::fleet::detail
