#pragma once
/// Small things about text that several files of this room need.

#include <cctype>
#include <cstddef>
#include <string_view>

namespace muster::device {

[[nodiscard]] inline std::string_view trim(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t");
    return begin == std::string_view::npos
               ? std::string_view{}
               : text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

[[nodiscard]] inline bool equal_ignoring_case(char a, char b) noexcept {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
}

[[nodiscard]] inline bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) {
        return false;
    }
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (!equal_ignoring_case(a[i], b[i])) {
            return false;
        }
    }
    return true;
}

[[nodiscard]] inline bool starts_with_ignoring_case(std::string_view text,
                                                    std::string_view start) noexcept {
    return text.size() >= start.size() && equal_ignoring_case(text.substr(0, start.size()), start);
}

[[nodiscard]] inline bool ends_with_ignoring_case(std::string_view text,
                                                  std::string_view end) noexcept {
    return text.size() >= end.size() &&
           equal_ignoring_case(text.substr(text.size() - end.size()), end);
}

/// Takes the first line off the text, without its newline.
[[nodiscard]] inline std::string_view take_line(std::string_view& text) noexcept {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return line;
}

} // namespace muster::device
