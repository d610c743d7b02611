#include <muster/device/terminal_text.hpp>

#include <algorithm>

namespace muster::device {

namespace {

// Sequences can neither move the cursor nor blank a line beyond this column: a device's garbage
// must not make us allocate, or go over, megabytes at a time.
constexpr std::size_t max_column = 4096;

// Blanks behind the cursor are looked for this far.
constexpr std::size_t max_blank_tail = 1024;

bool is_continuation_byte(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

} // namespace

void TerminalText::feed(std::string_view bytes) {
    for (const char c : bytes) {
        // CAN and SUB end any sequence.
        if (c == '\x18' || c == '\x1a') {
            state_ = State::text;
            continue;
        }
        switch (state_) {
        case State::text:
            text(c);
            break;
        case State::escape:
            state_ = State::text;
            if (c == '[') {
                state_ = State::csi;
                parameter_ = 0;
                later_parameter_ = false;
                private_ = false;
            } else if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_') {
                state_ = State::string;
            } else if (c >= ' ' && c <= '/') {
                state_ = State::charset;
            } else if (c == 'D' || c == 'E') {
                newline();
            } else if (c < ' ') {
                // A control character has its meaning even here.
                text(c);
            }
            break;
        case State::charset:
            if (c < ' ') {
                state_ = State::text;
                text(c);
            } else if (c >= '0') {
                state_ = State::text;
            }
            break;
        case State::csi:
            csi(c);
            break;
        case State::string:
            if (c == '\a') {
                state_ = State::text;
            } else if (c == '\x1b') {
                state_ = State::string_escape;
            } else if (c == '\n') {
                // Never part of such a string: its end was lost, and the text must not be.
                state_ = State::text;
                newline();
            }
            break;
        case State::string_escape:
            state_ = State::text;
            if (c != '\\') {
                // The escape was the beginning of another sequence.
                state_ = State::escape;
                feed(std::string_view(&c, 1));
            }
            break;
        }
    }
}

std::string_view TerminalText::line() const noexcept {
    // `--More--` is taken back by writing blanks over it: those are not part of the line.
    if (edited_ && line_.size() - cursor_ <= max_blank_tail &&
        line_.find_first_not_of(' ', cursor_) == std::string::npos) {
        return std::string_view(line_).substr(0, cursor_);
    }
    return line_;
}

void TerminalText::clear() noexcept {
    lines_.clear();
    line_.clear();
    cursor_ = 0;
    edited_ = false;
}

void TerminalText::text(char c) {
    switch (c) {
    case '\n':
        newline();
        break;
    case '\r':
        carriage_return();
        break;
    case '\b':
        backspace();
        break;
    case '\x1b':
        state_ = State::escape;
        break;
    case '\t':
        put(c);
        break;
    default:
        if (static_cast<unsigned char>(c) >= ' ' && c != '\x7f') {
            put(c);
        }
        break;
    }
}

void TerminalText::put(char c) {
    if (cursor_ == line_.size()) {
        line_ += c;
    } else {
        line_[cursor_] = c;
        edited_ = true;
        // The rest of a character that was several bytes goes with its first.
        while (cursor_ + 1 < line_.size() && line_.size() <= max_column &&
               !is_continuation_byte(c) && is_continuation_byte(line_[cursor_ + 1])) {
            line_.erase(cursor_ + 1, 1);
        }
    }
    ++cursor_;
}

void TerminalText::newline() {
    if (edited_) {
        line_.resize(line_.find_last_not_of(' ') + 1);
    }
    lines_ += line_;
    lines_ += '\n';
    line_.clear();
    cursor_ = 0;
    edited_ = false;
}

void TerminalText::carriage_return() noexcept {
    cursor_ = width_ == 0 || cursor_ == 0 ? 0 : (cursor_ - 1) / width_ * width_;
}

void TerminalText::backspace() noexcept {
    while (cursor_ > 0) {
        --cursor_;
        if (!is_continuation_byte(line_[cursor_])) {
            break;
        }
    }
}

void TerminalText::csi(char c) {
    if (c >= '0' && c <= '9') {
        if (!later_parameter_) {
            parameter_ = std::min(parameter_ * 10 + static_cast<std::size_t>(c - '0'), max_column);
        }
    } else if (c == ';' || c == ':') {
        later_parameter_ = true;
    } else if (c >= '<' && c <= '?') {
        private_ = true;
    } else if (c >= '@' && c <= '~') {
        state_ = State::text;
        if (!private_) {
            execute_csi(c);
        }
    } else if (c == '\x1b') {
        state_ = State::escape;
    } else if (static_cast<unsigned char>(c) < ' ') {
        // Terminals execute control characters inside a sequence and go on with it.
        text(c);
    } else if (static_cast<unsigned char>(c) > 0x7e) {
        // No such sequence: line noise. The text that follows counts.
        state_ = State::text;
    }
}

void TerminalText::execute_csi(char final_byte) {
    const std::size_t count = std::max<std::size_t>(parameter_, 1);
    switch (final_byte) {
    case 'K':
    case 'J':
        if (parameter_ == 2) {
            // The whole line, or the screen with it.
            line_.clear();
            cursor_ = 0;
        } else if (parameter_ == 0) {
            line_.resize(cursor_);
        } else if (parameter_ == 1) {
            std::fill_n(line_.begin(), std::min({cursor_, line_.size(), max_column}), ' ');
        }
        break;
    case 'C':
        move_to(cursor_ + count);
        break;
    case 'D':
        cursor_ -= std::min(count, cursor_);
        break;
    case 'G':
        move_to(count - 1);
        break;
    case 'E':
        newline();
        break;
    case 'H':
    case 'f':
        // Somewhere else on the screen: for a reader of lines, another line.
        if (!line_.empty()) {
            newline();
        }
        break;
    default:
        // Colours, modes, reports: nothing a reader would see.
        break;
    }
}

void TerminalText::move_to(std::size_t column) {
    column = std::min(column, std::max(line_.size(), max_column));
    if (column > line_.size()) {
        line_.resize(column, ' ');
    }
    cursor_ = column;
}

} // namespace muster::device
