#pragma once
/// What a device's answer to a command means.

#include <muster/device/platform.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace muster::device {

/// Is one of the markers in the line?
[[nodiscard]] bool has_marker(std::string_view line, std::span<const Marker> markers);

/// The first line of the answer that has one of the markers; log messages aside.
[[nodiscard]] std::optional<std::string> find_marker(std::string_view answer,
                                                     std::span<const Marker> markers);

/// The lines that begin with `%` and are neither errors nor known to be harmless.
[[nodiscard]] std::vector<std::string> find_warnings(std::string_view answer,
                                                     const Platform& platform);

/// The answer on one line: without blank lines, log messages and the line that only has a caret.
[[nodiscard]] std::string words_of(std::string_view answer);

/// The first lines of an answer; an error that is further below is a part of what was asked for.
[[nodiscard]] std::string_view head_of(std::string_view answer);

} // namespace muster::device
