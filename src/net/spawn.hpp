#pragma once

#include <muster/net/subprocess.hpp>

#include <sys/types.h>

#include <array>
#include <string>
#include <vector>

namespace muster::detail {

/// Starts a program; its pid, which the caller reaps. `ends`: what becomes the child's standard
/// input, output and error; all above 2, or negative where `options` say it all. No other
/// descriptor reaches the child. Blocks until the program runs or could not be started; then throws
/// SubprocessError, and there is no child.
[[nodiscard]] pid_t spawn(const std::string& program, const std::vector<std::string>& args,
                          const SubprocessOptions& options, const std::array<int, 3>& ends);

} // namespace muster::detail
