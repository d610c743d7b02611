#pragma once

#include <string>

namespace muster::fleet::detail {

/// The whole of a file. Throws ValueError with the system's reason.
[[nodiscard]] std::string read_file(const std::string& path);

/// Standard input until its end.
[[nodiscard]] std::string read_standard_input();

/// A leading `~/` as the user's home.
[[nodiscard]] std::string expand_home(const std::string& path);

} // namespace muster::fleet::detail
