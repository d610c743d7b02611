#include <muster/device/terminal_text.hpp>

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>

using muster::device::TerminalText;

namespace {

/// Completed lines, then the unfinished one.
std::string seen(std::string_view bytes, std::size_t width = 0) {
    TerminalText text(width);
    text.feed(bytes);
    return text.lines() + std::string(text.line());
}

std::string seen_byte_by_byte(std::string_view bytes, std::size_t width = 0) {
    TerminalText text(width);
    for (const char c : bytes) {
        text.feed(std::string_view(&c, 1));
    }
    return text.lines() + std::string(text.line());
}

struct Row {
    const char* name;
    std::string_view bytes;
    std::string_view expected;
};

using namespace std::string_view_literals;

const Row rows[] = {
    {"plain lines", "a\r\nb\r\nr1#", "a\nb\nr1#"},
    {"CR CR LF", "a\r\r\nb", "a\nb"},
    {"NUL, BEL and DEL", "a\0b\ac\x7f"sv, "abc"},
    {"CR overwrites", "old text\rnew\r\n", "new text\n"},
    {"backspace overwrites", "shwo\b\bow\r\n", "show\n"},
    {"backspace stops at the margin", "\b\bx", "x"},
    {"backspace over UTF-8", "a\xC3\xA9\b \b\r\n", "a\n"},
    {"a pager taken back by backspaces",
     "one\r\n --More-- \b\b\b\b\b\b\b\b\b\b          \b\b\b\b\b\b\b\b\b\btwo\r\n", "one\ntwo\n"},
    {"a pager taken back by CR and blanks", "one\r\n --More-- \r          \rtwo\r\nr1#",
     "one\ntwo\nr1#"},
    {"a pager erased", " --More-- \r\x1b[Ktwo", "two"},
    {"a pager taken back, a prompt after it", " --More-- \r          \rr1# ", "r1# "},
    {"blank lines stay, blanks at line ends stay", "a  \r\n \r\n\r\nb", "a  \n \n\nb"},
    {"colours", "\x1b[1;31mred\x1b[0m\x1b[m text", "red text"},
    {"private modes", "\x1b[?2004hr1#\x1b[?25l\x1b[?1K", "r1#"},
    {"two-character sequences",
     "\x1b=\x1b>\x1b"
     "7a\x1b"
     "8\x1b"
     "c",
     "a"},
    {"charsets", "\x1b(Ba\x1b)0b\x1b#8c", "abc"},
    {"OSC ended by BEL", "\x1b]0;title\ar1#", "r1#"},
    {"OSC ended by ST", "\x1b]0;title\x1b\\r1#", "r1#"},
    {"OSC that never ends loses its line only", "\x1b]0;title\nr1#", "\nr1#"},
    {"an escape inside OSC begins a sequence", "\x1b]0;x\x1b[31mr1#", "r1#"},
    {"DCS", "\x1bP1$r0m\x1b\\a", "a"},
    {"erase to the end", "abcdef\x1b[3D\x1b[K", "abc"},
    {"erase from the beginning", "abc\x1b[1Kd\r\n", "   d\n"},
    {"erase the line", "abc\x1b[2Kd", "d"},
    {"erase the screen below", "abc\r\x1b[Jd", "d"},
    {"cursor right", "a\x1b[3Cb", "a   b"},
    {"cursor left", "abc\x1b[2Dx", "axc"},
    {"column", "abc\x1b[2Gx", "axc"},
    {"cursor addressing is another line", "a\x1b[5;1Hb\x1b[Hc", "a\nb\nc"},
    {"next line",
     "a\x1b"
     "Eb\x1b[Ec",
     "a\nb\nc"},
    {"CAN ends a sequence",
     "\x1b[12\x18"
     "a",
     "a"},
    {"a control inside a sequence is obeyed", "ab\x1b[1\b1Dx", "xb"},
    {"a huge count allocates nothing", "\x1b[999999999Dx\x1b[99999999999999999999Db", "b"},
    {"UTF-8 passes", "Z\xC3\xBCrich", "Z\xC3\xBCrich"},
    {"a tab passes", "a\tb", "a\tb"},
    {"an escape in an escape", "\x1b\x1b[31ma", "a"},
};

} // namespace

TEST_CASE("terminal bytes become the text a reader would have seen") {
    for (const Row& row : rows) {
        CAPTURE(std::string(row.name));
        CHECK(seen(row.bytes) == row.expected);
        CHECK(seen_byte_by_byte(row.bytes) == row.expected);
    }
}

TEST_CASE("where the bytes are cut makes no difference") {
    std::string all;
    for (const Row& row : rows) {
        all += std::string(row.bytes) + "\x18\r\n";
    }
    const std::string expected = seen(all);
    std::mt19937 random(7);
    for (int round = 0; round < 50; ++round) {
        TerminalText text;
        std::string_view rest = all;
        while (!rest.empty()) {
            const std::size_t size = std::min<std::size_t>(
                rest.size(), std::uniform_int_distribution<std::size_t>(1, 9)(random));
            text.feed(rest.substr(0, size));
            rest.remove_prefix(size);
        }
        CHECK(text.lines() + std::string(text.line()) == expected);
    }
}

TEST_CASE("a carriage return goes back to the beginning of the wrapped part") {
    // What readline sends when the input reaches the right margin: a blank in the next row, CR.
    CHECK(seen("12345678 \r90\r\n", 8) == "1234567890\n");
    CHECK(seen_byte_by_byte("12345678 \r90\r\n", 8) == "1234567890\n");
    CHECK(seen("12345678\r\nx", 8) == "12345678\nx");
    CHECK(seen("123456789012\r\nx", 8) == "123456789012\nx");
}

TEST_CASE("completed lines are handed over once") {
    TerminalText text;
    text.feed("a\r\nb");
    CHECK(text.lines() == "a\n");
    text.drop_lines();
    text.feed("c\r\n");
    CHECK(text.lines() == "bc\n");
    text.clear();
    CHECK(text.lines().empty());
    CHECK(text.line().empty());
}

TEST_CASE("garbage can't blow a line up") {
    TerminalText text;
    for (int i = 0; i < 10'000; ++i) {
        text.feed("\x1b[4096C");
    }
    CHECK(text.line().size() <= 4096);
}
