#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace muster::device {

/// Turns the bytes of a terminal session into the text a reader would have seen: applies carriage
/// return, backspace and erasing, drops NUL, bells and ANSI escape sequences (CSI, OSC and the
/// other strings, two-character and charset sequences).
///
/// A state machine: the result does not depend on how the bytes are cut into pieces, and the work
/// is linear in them. Bytes above 127 pass unchanged.
class TerminalText {
public:
    /// `width`: where the terminal wraps, so that a carriage return goes back to the beginning of
    /// the wrapped part only; 0: nowhere.
    explicit TerminalText(std::size_t width = 0) : width_(width) {}

    /// Takes the next bytes.
    void feed(std::string_view bytes);

    /// The lines completed since `drop_lines()`, each with its newline.
    [[nodiscard]] const std::string& lines() const noexcept { return lines_; }

    /// Forgets the completed lines: their reader is done with them.
    void drop_lines() noexcept { lines_.clear(); }

    /// The line that is not complete yet, such as a prompt. Valid until the next `feed()`.
    [[nodiscard]] std::string_view line() const noexcept;

    /// Forgets everything read, but not the state inside an escape sequence.
    void clear() noexcept;

private:
    enum class State : std::uint8_t { text, escape, charset, csi, string, string_escape };

    void text(char c);
    void put(char c);
    void newline();
    void carriage_return() noexcept;
    void backspace() noexcept;
    void csi(char c);
    void execute_csi(char final_byte);
    void move_to(std::size_t column);

    std::size_t width_;
    State state_ = State::text;
    std::string lines_;
    std::string line_;
    std::size_t cursor_ = 0;
    bool edited_ = false;
    std::size_t parameter_ = 0;
    bool later_parameter_ = false;
    bool private_ = false;
};

} // namespace muster::device
