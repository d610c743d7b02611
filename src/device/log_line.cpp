#include <muster/device/log_line.hpp>

#include <algorithm>
#include <array>
#include <cstddef>

namespace muster::device {

namespace {

constexpr std::size_t head_size = 200;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

/// `%FACILITY-SUBFACILITY-SEVERITY-MNEMONIC` followed by `:`, anywhere in the text.
bool has_cisco_tag(std::string_view text) {
    for (std::size_t at = text.find('%'); at != std::string_view::npos;
         at = text.find('%', at + 1)) {
        std::size_t end = at + 1;
        if (end == text.size() || !is_upper(text[end])) {
            continue;
        }
        bool has_severity = false;
        std::size_t part = end;
        while (end < text.size() && (is_upper(text[end]) || is_digit(text[end]) ||
                                     text[end] == '_' || text[end] == '-')) {
            if (text[end] == '-') {
                has_severity = has_severity || (end - part == 1 && is_digit(text[part]));
                part = end + 1;
            }
            ++end;
        }
        const bool has_mnemonic = end > part;
        while (end < text.size() && text[end] == ' ') {
            ++end;
        }
        if (has_severity && has_mnemonic && end < text.size() && text[end] == ':') {
            return true;
        }
    }
    return false;
}

/// Matches a pattern in which `0` stands for a digit (or a blank in its place) at the beginning.
bool starts_like(std::string_view text, std::string_view pattern) {
    if (text.size() < pattern.size()) {
        return false;
    }
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const bool fits =
            pattern[i] == '0' ? is_digit(text[i]) || text[i] == ' ' : text[i] == pattern[i];
        if (!fits) {
            return false;
        }
    }
    return is_digit(text[0]);
}

/// `2026/11/21 01:02:03` (FRR), `2026-11-21T01:02:03` (RFC 5424).
bool starts_with_date(std::string_view text) {
    return starts_like(text, "0000/00/00 00:00:00") || starts_like(text, "0000-00-00T00:00:00") ||
           starts_like(text, "0000-00-00 00:00:00");
}

/// `Nov 21 01:02:03 host program:` (RFC 3164).
bool starts_with_syslog_date(std::string_view text) {
    constexpr std::array<std::string_view, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    constexpr std::size_t date_size = sizeof("Nov 21 01:02:03") - 1;
    if (text.size() < date_size || std::ranges::find(months, text.substr(0, 3)) == months.end() ||
        text[3] != ' ') {
        return false;
    }
    const std::string_view day = text.substr(4, 2);
    return (is_digit(day[0]) || day[0] == ' ') && is_digit(day[1]) && text[6] == ' ' &&
           starts_like(text.substr(7), "00:00:00") &&
           text.substr(date_size).find(": ") != std::string_view::npos;
}

/// `[  123.456789] message` (a kernel's).
bool is_kernel_message(std::string_view text) {
    if (text.empty() || text[0] != '[') {
        return false;
    }
    const std::size_t close = text.find(']');
    return close != std::string_view::npos && close > 1 &&
           text.substr(1, close - 1).find_first_not_of(" .0123456789") == std::string_view::npos &&
           text.substr(1, close - 1).find('.') != std::string_view::npos;
}

} // namespace

bool is_log_line(std::string_view line) noexcept {
    const std::string_view head = line.substr(0, head_size);
    return has_cisco_tag(head) || starts_with_date(head) || starts_with_syslog_date(head) ||
           is_kernel_message(head) || head.starts_with("Broadcast message from ") ||
           head.starts_with("Message from syslogd@") || head.starts_with("***");
}

} // namespace muster::device
