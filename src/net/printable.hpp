#pragma once

#include <string>
#include <string_view>

namespace muster::detail {

/// What somebody else sent, fit for a message: at most 60 characters, others than printable ASCII
/// as "\x1b".
std::string printable(std::string_view text);

} // namespace muster::detail
