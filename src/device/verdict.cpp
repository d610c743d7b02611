#include "verdict.hpp"

#include "text.hpp"

#include <muster/device/log_line.hpp>

#include <algorithm>

namespace muster::device {

namespace {

constexpr std::size_t head_lines = 8;

bool contains_ignoring_case(std::string_view text, std::string_view part) {
    return std::ranges::search(text, part, [](char a, char b) {
               return equal_ignoring_case(a, b);
           }).begin() != text.end();
}

bool is_caret(std::string_view line) { return line == "^"; }

} // namespace

bool has_marker(std::string_view line, std::span<const Marker> markers) {
    const std::string_view text = trim(line);
    return std::ranges::any_of(markers, [&](const Marker& marker) {
        return marker.anywhere ? contains_ignoring_case(text, marker.text)
                               : starts_with_ignoring_case(text, marker.text);
    });
}

std::optional<std::string> find_marker(std::string_view answer, std::span<const Marker> markers) {
    while (!answer.empty()) {
        const std::string_view line = take_line(answer);
        if (has_marker(line, markers) && !is_log_line(line)) {
            return std::string(trim(line));
        }
    }
    return std::nullopt;
}

std::vector<std::string> find_warnings(std::string_view answer, const Platform& platform) {
    std::vector<std::string> warnings;
    while (!answer.empty()) {
        const std::string_view line = take_line(answer);
        const std::string_view text = trim(line);
        if (text.starts_with('%') && !is_log_line(line) && !has_marker(line, platform.harmless) &&
            !has_marker(line, platform.errors)) {
            warnings.emplace_back(text);
        }
    }
    return warnings;
}

std::string words_of(std::string_view answer) {
    std::string words;
    while (!answer.empty()) {
        const std::string_view line = take_line(answer);
        const std::string_view text = trim(line);
        if (text.empty() || is_caret(text) || is_log_line(line)) {
            continue;
        }
        words += words.empty() ? "" : " / ";
        words += text;
    }
    return words;
}

std::string_view head_of(std::string_view answer) {
    std::size_t end = 0;
    for (std::size_t line = 0; line < head_lines && end < answer.size(); ++line) {
        end = std::min(answer.find('\n', end), answer.size() - 1) + 1;
    }
    return answer.substr(0, end);
}

} // namespace muster::device
