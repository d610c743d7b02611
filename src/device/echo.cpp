#include "echo.hpp"

namespace muster::device {

namespace {

std::string squeeze(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c != ' ' && c != '\t') {
            result += c;
        }
    }
    return result;
}

} // namespace

void Echo::expect(const std::vector<std::string>& lines) {
    lines_.clear();
    for (const std::string& line : lines) {
        if (std::string squeezed = squeeze(line); !squeezed.empty()) {
            lines_.push_back(std::move(squeezed));
        }
    }
    line_ = 0;
    position_ = 0;
}

void Echo::take(std::string_view line, std::string_view prompt, std::string_view ends) {
    if (complete()) {
        return;
    }
    // Nothing that is much longer than what is waited for can be a part of it.
    constexpr std::size_t max_prompt = 1024;
    if (line.size() > 2 * lines_[line_].size() + max_prompt) {
        position_ = 0;
        return;
    }
    const std::string whole = squeeze(line);
    if (whole.empty() || try_line(whole, position_)) {
        return;
    }
    position_ = 0;
    if (!prompt.empty() && line.starts_with(prompt) &&
        try_line(squeeze(line.substr(prompt.size())), 0)) {
        return;
    }
    if (try_line(whole, 0)) {
        return;
    }
    const std::size_t end = whole.find_first_of(ends);
    if (end != std::string::npos) {
        static_cast<void>(try_line(std::string_view(whole).substr(end + 1), 0));
    }
}

bool Echo::try_line(std::string_view squeezed, std::size_t position) {
    const std::string& expected = lines_[line_];
    if (squeezed.empty() || expected.compare(position, squeezed.size(), squeezed) != 0) {
        return false;
    }
    position_ = position + squeezed.size();
    if (position_ == expected.size()) {
        ++line_;
        position_ = 0;
    }
    return true;
}

} // namespace muster::device
