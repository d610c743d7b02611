#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace muster::ssh::detail {

/// What somebody else has said, fit for a message: the first `most` bytes, those that control a
/// terminal replaced by blanks. Letters of other languages stay.
std::string one_line(std::string_view text, std::size_t most = std::string_view::npos);

} // namespace muster::ssh::detail
