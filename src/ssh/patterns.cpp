#include "ssh/patterns.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>

namespace muster::ssh::detail {

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        if (c >= 'A' && c <= 'Z') {
            c = static_cast<char>(c - 'A' + 'a');
        }
    }
    return result;
}

// Backtracks over the last star only, so that no pattern takes long.
bool matches_pattern(std::string_view text, std::string_view pattern) {
    std::size_t t = 0;
    std::size_t p = 0;
    std::optional<std::size_t> star;
    std::size_t resume = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
            ++p;
            ++t;
        } else if (star) {
            p = *star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') {
        ++p;
    }
    return p == pattern.size();
}

bool matches_list(std::string_view name, std::string_view list) {
    bool matched = false;
    while (!list.empty()) {
        const auto comma = std::min(list.find(','), list.size());
        std::string_view pattern = list.substr(0, comma);
        list.remove_prefix(std::min(comma + 1, list.size()));
        const bool negated = pattern.starts_with('!');
        if (negated) {
            pattern.remove_prefix(1);
        }
        if (!pattern.empty() && matches_pattern(name, pattern)) {
            if (negated) {
                return false;
            }
            matched = true;
        }
    }
    return matched;
}

} // namespace muster::ssh::detail
