#pragma once

#include <muster/core/secret.hpp>

#include <string>

namespace programs {

/// The password that a program's --password-from refers to: `env:NAME`, `file:PATH` (its first
/// line) or `prompt` (asked for on the terminal, without echo); none when it is empty. Throws
/// muster::ValueError, which never holds the password.
[[nodiscard]] muster::Secret read_password(const std::string& source);

} // namespace programs
