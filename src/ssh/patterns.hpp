#pragma once
/// Patterns of host names, as OpenSSH's files have them (ssh_config(5), "PATTERNS").

#include <string>
#include <string_view>

namespace muster::ssh::detail {

/// ASCII letters in lower case; the rest as it is.
std::string lower(std::string_view text);

/// `*` and `?` as in the shell; letters must agree in case.
bool matches_pattern(std::string_view text, std::string_view pattern);

/// A list, separated by commas, matches if one of its patterns does and none of those with `!` in
/// front.
bool matches_list(std::string_view name, std::string_view list);

} // namespace muster::ssh::detail
