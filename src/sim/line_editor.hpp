#pragma once
// The line being typed on a virtual terminal: editing keys and echo.

#include <string>
#include <string_view>

namespace muster::sim {

/// Builds a line from keystrokes and says what the terminal shows of them.
class LineEditor {
public:
    enum class Event { none, enter, interrupt, end_of_config, help, complete };

    /// Takes one character; appends what is to be shown to `echo`. With `secret`, nothing is.
    Event feed(char c, bool secret, std::string& echo);

    [[nodiscard]] const std::string& line() const { return line_; }

    /// The line typed so far, which is then empty.
    std::string take();

    /// Types `text` for the user (completion).
    void append(std::string_view text) { line_ += text; }

private:
    enum class Escape { none, started, sequence };

    void erase(std::size_t count, bool secret, std::string& echo);

    std::string line_;
    bool after_return_ = false; // a line feed after a carriage return belongs to it
    bool literal_ = false;      // Ctrl-V: the next character is not a command
    Escape escape_ = Escape::none;
};

} // namespace muster::sim
