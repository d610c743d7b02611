#include "read_back.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <utility>
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

std::size_t indentation(std::string_view line) {
    return std::min(line.find_first_not_of(" \t"), line.size());
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

// A running configuration as the tree its indentation makes of it. Views into the text.
class Shown {
public:
    struct Line {
        std::string_view text; // trimmed
        std::string path;      // the sections it is in and itself, a line for each
        std::size_t parent;    // none: a line of its own
        bool has_children = false;
    };

    static constexpr auto none = static_cast<std::size_t>(-1);

    explicit Shown(std::string_view config) {
        std::vector<std::pair<std::size_t, std::size_t>> open; // indentation, line
        for (const std::string_view line : lines_that_count(config)) {
            const std::size_t indent = indentation(line);
            while (!open.empty() && open.back().first >= indent) {
                open.pop_back();
            }
            const std::size_t parent = open.empty() ? none : open.back().second;
            std::string path(trim(line));
            if (parent != none) {
                lines_[parent].has_children = true;
                path = lines_[parent].path + '\n' + path;
            }
            open.emplace_back(indent, lines_.size());
            paths_.insert(path);
            texts_.insert(trim(line));
            lines_.push_back({.text = trim(line), .path = std::move(path), .parent = parent});
        }
    }

    [[nodiscard]] const std::vector<Line>& lines() const noexcept { return lines_; }

    [[nodiscard]] bool has(std::string_view text) const { return texts_.contains(text); }

    [[nodiscard]] bool has_path(const std::string& path) const { return paths_.contains(path); }

private:
    std::vector<Line> lines_;
    std::set<std::string> paths_;
    std::set<std::string_view> texts_;
};

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

using Commands = std::vector<device::ConfigCommand>;

// For a file that is indented: the sections above the command, and itself, as Shown has them.
std::string path_of(const Commands& commands, std::size_t index) {
    std::string path(trim(commands[index].text));
    std::size_t inside = indentation(commands[index].text);
    for (std::size_t i = index; i-- > 0 && inside > 0;) {
        if (indentation(commands[i].text) < inside) {
            inside = indentation(commands[i].text);
            path = std::string(trim(commands[i].text)) + '\n' + path;
        }
    }
    return path;
}

// Whether `text` stands in a section that begins with `header`. Nothing where there are several
// such sections, and it stands in some of them.
std::optional<bool> is_in_section(const Shown& now, std::string_view header,
                                  std::string_view text) {
    std::set<std::size_t> sections;
    std::set<std::size_t> with;
    for (std::size_t i = 0; i < now.lines().size(); ++i) {
        const Shown::Line& line = now.lines()[i];
        if (line.text == header && line.has_children) {
            sections.insert(i);
        }
        if (line.text == text && sections.contains(line.parent)) {
            with.insert(line.parent);
        }
    }
    if (with.empty() || with.size() == sections.size()) {
        return !with.empty();
    }
    return std::nullopt;
}

// Whether the configuration shows the command where it belongs. The same words elsewhere say
// nothing: two interfaces may have the same description.
std::optional<bool> is_in_place(const Commands& commands, std::size_t index, const Shown& now) {
    const std::string_view text = trim(commands[index].text);
    if (indentation(commands[index].text) > 0) {
        return now.has_path(path_of(commands, index));
    }
    if (now.has_path(std::string(text))) {
        return true;
    }
    if (!now.has(text)) {
        return false;
    }
    // A file without indentation: the section is the one that was entered last.
    for (std::size_t i = index; i-- > 0;) {
        const std::string_view above = trim(commands[i].text);
        if (above.starts_with("exit") || above.find('\n') != std::string_view::npos) {
            break;
        }
        const auto is_header = [&](const Shown::Line& line) {
            return line.text == above && line.has_children;
        };
        if (std::ranges::any_of(now.lines(), is_header)) {
            return is_in_section(now, above, text);
        }
        if (now.has_path(std::string(above))) {
            break; // a line of its own, or a section with nothing in it
        }
    }
    return std::nullopt;
}

// Whether the device may show `text` in other words: something has come or gone that the commands
// before it do not explain, and that begins like it. (Abbreviated words keep their first letter.)
bool may_be_there(std::string_view text, const std::set<std::string_view>& explained,
                  const Shown& before, const Shown& now) {
    const auto first_letter = [](std::string_view line) {
        if (line.starts_with("no ")) {
            line = trim(line.substr(3));
        }
        return std::tolower(static_cast<unsigned char>(line.front()));
    };
    const auto suspicious = [&](const Shown& here, const Shown& there) {
        return std::ranges::any_of(here.lines(), [&](const Shown::Line& line) {
            return !there.has_path(line.path) && !explained.contains(line.text) &&
                   first_letter(line.text) == first_letter(text);
        });
    };
    return suspicious(now, before) || suspicious(before, now);
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
    const Shown now(after);
    const std::optional<bool> in_place = is_in_place(commands, index, now);
    if (!in_place || *in_place) {
        return in_place; // just now, or it was there before: either way it is in effect
    }
    // Its absence means something only if what was there before is known, and if this device shows
    // lines as they are typed.
    if (before.empty()) {
        return std::nullopt;
    }
    std::set<std::string_view> explained;
    for (std::size_t i = 0; i < index; ++i) {
        const std::string_view text = trim(commands[i].text);
        if (shows_itself(commands[i]) && !now.has(text)) {
            return std::nullopt;
        }
        explained.insert(text);
    }
    if (may_be_there(trim(commands[index].text), explained, Shown(before), now)) {
        return std::nullopt;
    }
    return false;
}

} // namespace muster::fleet
