#pragma once

#include "fleet/level.hpp"

#include <string>
#include <string_view>

namespace muster::fleet::detail {

/// What was read, and the folder in which its relative paths start.
struct Loaded {
    Source source;
    std::string folder;
    /// The file as messages name it.
    std::string name;
};

/// Reads a file, a folder or standard input (`-`) in whatever form it is.
[[nodiscard]] Loaded load_source(const std::string& path, Problems& problems);

/// Reads a text as a file of that name; the files beside it are not looked at.
[[nodiscard]] Loaded parse_source(std::string_view text, const std::string& name,
                                  Problems& problems);

} // namespace muster::fleet::detail
