#pragma once

#include <cstddef>
#include <string_view>

namespace muster {

/// Lets this process open as many file descriptors as the system allows it: raises its soft limit
/// (RLIMIT_NOFILE) to the hard one, where it is lower. Gives the limit that holds then. A
/// connection is one descriptor, and the usual soft limit is 1024. Children inherit it; a program
/// that calls select() must not raise it.
std::size_t raise_descriptor_limit() noexcept;

/// The same, and makes sure, before anything is opened, that `count` descriptors more than now will
/// fit, with some to spare for files and name servers. Throws Error, which names the limit and what
/// to do; `purpose` is who needs them: "500 sessions at once".
void require_descriptors(std::size_t count, std::string_view purpose);

} // namespace muster
