#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace muster::fleet::detail {

/// ` (did you mean 'port'?)` with the candidate nearest to `word`, or nothing when none is near.
/// For the end of an error message.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       const std::vector<std::string>& candidates);

} // namespace muster::fleet::detail
