#include "read_back.hpp"

#include <array>
#include <set>
#include <vector>

namespace muster::fleet {

namespace {

std::string_view trim(std::string_view text) {
    constexpr std::string_view blanks = " \t\r";
    const std::size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// Its lines, indentation kept, without comments and the frame around the configuration.
std::vector<std::string_view> lines_that_count(std::string_view config) {
    constexpr std::array<std::string_view, 4> frame = {
        "Building configuration", "Current configuration", "Using ", "ntp clock-period"};
    std::vector<std::string_view> lines;
    while (!config.empty()) {
        const std::size_t end = config.find('\n');
        std::string_view line = config.substr(0, end);
        config.remove_prefix(end == std::string_view::npos ? config.size() : end + 1);
        const std::string_view text = trim(line);
        bool counts = !text.empty() && text.front() != '!';
        for (const std::string_view begin : frame) {
            counts = counts && !text.starts_with(begin);
        }
        if (counts) {
            line.remove_suffix(line.size() - (line.find_last_not_of(" \t\r") + 1));
            lines.push_back(line);
        }
    }
    return lines;
}

std::set<std::string_view> trimmed_lines(std::string_view config) {
    std::set<std::string_view> lines;
    for (const std::string_view line : lines_that_count(config)) {
        lines.insert(trim(line));
    }
    return lines;
}

// A line that shows up in the running configuration as it was typed, if the device agrees.
bool shows_itself(const device::ConfigCommand& command) {
    constexpr std::array<std::string_view, 6> others = {"no ",      "exit", "end",
                                                        "default ", "do ",  "quit"};
    const std::string_view text = trim(command.text);
    for (const std::string_view begin : others) {
        if (text.starts_with(begin) || text == trim(begin)) {
            return false;
        }
    }
    return text.find('\n') == std::string_view::npos;
}

} // namespace

Coro<std::string> read_config(device::Cli& cli) {
    const std::string command = cli.platform().config_command;
    if (command.empty()) {
        co_return std::string();
    }
    co_return co_await cli.send_command(command);
}

bool same_config(std::string_view before, std::string_view after) {
    return lines_that_count(before) == lines_that_count(after);
}

std::optional<bool> line_applied(const device::ConfigText& config, std::size_t index,
                                 std::string_view before, std::string_view after) {
    const auto& commands = config.commands();
    if (index >= commands.size() || after.empty() || !shows_itself(commands[index])) {
        return std::nullopt;
    }
    const std::set<std::string_view> now = trimmed_lines(after);
    if (now.contains(trim(commands[index].text))) {
        return true; // just now, or it was there before: either way it is in effect
    }
    // Its absence means something only if this device shows lines as they are typed.
    for (std::size_t i = 0; i < index; ++i) {
        if (shows_itself(commands[i]) && !now.contains(trim(commands[i].text))) {
            return std::nullopt;
        }
    }
    if (index == 0 && !same_config(before, after)) {
        return std::nullopt;
    }
    return false;
}

} // namespace muster::fleet
