#pragma once

#include <string_view>

namespace muster::device {

/// Does the line look like a log message a device put on the terminal by itself: `*Mar  1
/// 00:00:07.123: %SYS-5-CONFIG_I: ...`, IOS XR's and NX-OS's forms of it, FRR's and a POSIX
/// system's dated lines, wall messages? Looks at the first 200 characters only.
[[nodiscard]] bool is_log_line(std::string_view line) noexcept;

} // namespace muster::device
