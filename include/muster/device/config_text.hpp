#pragma once

#include <muster/core/error.hpp>
#include <muster/device/platform.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace muster::device {

/// One thing a configuration file asks for: in most cases a line.
struct ConfigCommand {
    /// What is sent, without the last newline. A banner or certificate has its lines in it.
    std::string text;
    /// Where it begins in the file, counted from 1.
    std::size_t line = 1;

    /// Its lines: `text` cut at the newlines.
    [[nodiscard]] std::vector<std::string_view> lines() const;
};

/// A configuration file that can't be sent: `what()` is `file:line: reason`.
class ConfigTextError : public Error {
public:
    ConfigTextError(std::string source, std::size_t line, const std::string& reason);

    /// The name given to `parse`.
    [[nodiscard]] const std::string& source() const noexcept { return source_; }

    /// Counted from 1.
    [[nodiscard]] std::size_t line() const noexcept { return line_; }

private:
    std::string source_;
    std::size_t line_;
};

/// How `ConfigText::parse` reads.
struct ConfigTextOptions {
    /// What messages call the text: its file.
    std::string source = {};
    ConfigSyntax syntax = ConfigSyntax::cisco;
};

/// A configuration file as the commands it consists of, each with its line in the file.
///
/// In Cisco's syntax, `!` and `#` lines are comments; `banner motd ^C ... ^C` with any delimiter, a
/// `certificate` block up to its `quit`, `key-string` blocks and macros are one command each; the
/// frame that `show running-config` gives (`Building configuration...`, `end`) and a leading
/// `configure terminal` are left out. A banner that `show running-config` wrote with `^C` gets a
/// delimiter that can be typed: typed as it stands, its `C` would become a part of the banner.
/// Line ends may be CR LF; tabs become blanks (a terminal completes words at a tab).
class ConfigText {
public:
    ConfigText() = default;

    /// Throws ConfigTextError for a construct that does not end, for an `end` with commands after
    /// it, and for control characters, which a terminal would obey.
    [[nodiscard]] static ConfigText parse(std::string_view text, const ConfigTextOptions& = {});

    [[nodiscard]] const std::vector<ConfigCommand>& commands() const noexcept { return commands_; }

    [[nodiscard]] bool empty() const noexcept { return commands_.empty(); }

    [[nodiscard]] std::size_t size() const noexcept { return commands_.size(); }

    /// The name given to `parse`.
    [[nodiscard]] const std::string& source() const noexcept { return source_; }

private:
    std::vector<ConfigCommand> commands_;
    std::string source_;
};

} // namespace muster::device
