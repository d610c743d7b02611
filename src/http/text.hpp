#pragma once

#include "net/printable.hpp"

#include <string>
#include <string_view>

namespace muster::http::detail {

/// ASCII only: what HTTP compares without regard to case is ASCII.
std::string to_lower(std::string_view text);

[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

/// A token of RFC 9110: a method or a field name.
[[nodiscard]] bool is_token(std::string_view text) noexcept;

using muster::detail::printable;

} // namespace muster::http::detail
