#include "line_editor.hpp"

#include <algorithm>
#include <utility>

namespace muster::sim {

namespace {

constexpr char ctrl(char letter) { return static_cast<char>(letter - '@'); }

bool printable(char c) {
    return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) != 0x7f;
}

} // namespace

std::string LineEditor::take() { return std::exchange(line_, {}); }

void LineEditor::erase(std::size_t count, bool secret, std::string& echo) {
    count = std::min(count, line_.size());
    line_.resize(line_.size() - count);
    for (std::size_t i = 0; i < count && !secret; ++i) {
        echo += "\b \b";
    }
}

LineEditor::Event LineEditor::feed(char c, bool secret, std::string& echo) {
    const bool paired = std::exchange(after_return_, c == '\r') && c == '\n';
    if (paired) {
        return Event::none;
    }
    if (escape_ != Escape::none) {
        // Cursor keys are sequences ESC [ ... letter; they are not worth moving a cursor for.
        const bool goes_on = escape_ == Escape::started ? c == '[' || c == 'O' : c < '@';
        escape_ = goes_on ? Escape::sequence : Escape::none;
        return Event::none;
    }
    if (std::exchange(literal_, false) && c != '\r' && c != '\n') {
        line_ += c;
        echo += secret         ? ""
                : printable(c) ? std::string(1, c)
                               : "^" + std::string(1, static_cast<char>(c + '@'));
        return Event::none;
    }
    switch (c) {
    case '\r':
    case '\n':
        echo += "\r\n";
        return Event::enter;
    case '\b':
    case '\x7f':
        erase(1, secret, echo);
        return Event::none;
    case ctrl('U'):
    case ctrl('X'):
        erase(line_.size(), secret, echo);
        return Event::none;
    case ctrl('W'): {
        const auto last = line_.find_last_not_of(' ');
        const auto blank = last == std::string::npos ? last : line_.find_last_of(' ', last);
        erase(line_.size() - (blank == std::string::npos ? 0 : blank + 1), secret, echo);
        return Event::none;
    }
    case ctrl('V'):
        literal_ = true;
        return Event::none;
    case ctrl('C'):
        return Event::interrupt;
    case ctrl('Z'):
        return Event::end_of_config;
    case '\x1b':
        escape_ = Escape::started;
        return Event::none;
    case '\t':
        return Event::complete;
    case '?':
        if (!secret) {
            return Event::help;
        }
        break;
    default:
        break;
    }
    if (printable(c)) {
        line_ += c;
        if (!secret) {
            echo += c;
        }
    }
    return Event::none;
}

} // namespace muster::sim
