#include <muster/device/config_text.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace muster::device {

namespace {

std::string_view trim_left(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t");
    return begin == std::string_view::npos ? std::string_view{} : text.substr(begin);
}

std::string_view trim_right(std::string_view text) {
    return text.substr(0, text.find_last_not_of(" \t") + 1);
}

std::string_view trim(std::string_view text) { return trim_right(trim_left(text)); }

/// Takes `words` off the beginning of the text, with the blanks behind them.
bool take_words(std::string_view& text, std::string_view words) {
    if (!text.starts_with(words) ||
        (text.size() > words.size() && text[words.size()] != ' ' && text[words.size()] != '\t')) {
        return false;
    }
    text = trim_left(text.substr(words.size()));
    return true;
}

constexpr std::array<std::string_view, 11> delimited_commands = {"banner motd",
                                                                 "banner login",
                                                                 "banner exec",
                                                                 "banner incoming",
                                                                 "banner slip-ppp",
                                                                 "banner prompt-timeout",
                                                                 "banner config-save",
                                                                 "vacant-message",
                                                                 "refuse-message",
                                                                 "aaa authentication banner",
                                                                 "aaa authentication fail-message"};

/// The frame `show running-config` puts around what it shows.
bool is_frame(std::string_view line) {
    return line.starts_with("Building configuration") ||
           line.starts_with("Building Configuration") ||
           line.starts_with("Current configuration") || line.starts_with("Using ");
}

bool enters_configuration(std::string_view line) {
    constexpr std::array<std::string_view, 5> spellings = {"configure terminal", "configure term",
                                                           "conf t", "config t", "conf term"};
    return std::ranges::find(spellings, line) != spellings.end();
}

class Parser {
public:
    Parser(std::string_view text, const ConfigTextOptions& options) : options_(options) {
        constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
        if (text.starts_with(byte_order_mark)) {
            text.remove_prefix(byte_order_mark.size());
        }
        while (!text.empty()) {
            const std::size_t end = std::min(text.find('\n'), text.size());
            std::string_view line = text.substr(0, end);
            text.remove_prefix(std::min(end + 1, text.size()));
            if (line.ends_with('\r')) {
                line.remove_suffix(1);
            }
            lines_.push_back(line);
        }
    }

    std::vector<ConfigCommand> parse() {
        for (next_ = 0; next_ < lines_.size();) {
            const std::size_t first = next_;
            std::string command = options_.syntax == ConfigSyntax::cisco ? cisco() : plain();
            if (!command.empty()) {
                commands_.push_back({.text = std::move(command), .line = first + 1});
            }
        }
        return std::move(commands_);
    }

private:
    [[noreturn]] void fail(std::size_t line, const std::string& reason) const {
        throw ConfigTextError(options_.source, line, reason);
    }

    /// The next line, checked for what a terminal would obey.
    std::string take() {
        const std::string_view line = lines_[next_++];
        std::string result;
        for (const char c : line) {
            const auto byte = static_cast<unsigned char>(c);
            if (c == '\t') {
                result += ' ';
            } else if (byte < ' ' || byte == 0x7f) {
                constexpr std::string_view digits = "0123456789abcdef";
                fail(next_, std::string("control character 0x") + digits[byte >> 4U] +
                                digits[byte & 0xfU] + ": a terminal would act on it; remove it");
            } else {
                result += c;
            }
        }
        return result;
    }

    std::string plain() {
        std::string line = take();
        const std::string_view text = trim(line);
        if (text.empty() || text.front() == '#') {
            return {};
        }
        return std::string(trim_right(line));
    }

    std::string cisco() {
        const std::string_view text = trim(lines_[next_]);
        if (text.empty() || text.front() == '!' || text.front() == '#' ||
            (commands_.empty() && (is_frame(text) || enters_configuration(text)))) {
            ++next_;
            return {};
        }
        if (text == "end") {
            check_nothing_follows();
            return {};
        }
        std::string_view rest = text;
        for (const std::string_view words : delimited_commands) {
            if (take_words(rest, words)) {
                return delimited(words, rest);
            }
        }
        // The old form without a kind, which is `motd`.
        if (take_words(rest, "banner") && !rest.empty() && rest.find(' ') == rest.npos &&
            (rest.size() == 1 || rest == "^C")) {
            return delimited("banner", rest);
        }
        const bool has_certificate = text.starts_with("certificate ") && in_chain() &&
                                     text.find(':') == std::string_view::npos;
        if (has_certificate) {
            return block({"quit"});
        }
        if (text == "key-string") {
            return block({"quit", "exit"});
        }
        if (text.starts_with("macro name ")) {
            return block({"@"});
        }
        return std::string(trim_right(take()));
    }

    /// Is the command to come inside a certificate chain? (Elsewhere, `certificate` can be the
    /// beginning of an ordinary command.)
    [[nodiscard]] bool in_chain() const {
        for (auto command = commands_.rbegin(); command != commands_.rend(); ++command) {
            const std::string_view text = trim_left(command->text);
            if (text.starts_with("crypto pki certificate chain") ||
                text.starts_with("crypto ca certificate chain")) {
                return true;
            }
            if (!text.starts_with("certificate ")) {
                return false;
            }
        }
        return false;
    }

    void check_nothing_follows() {
        const std::size_t end = next_++;
        for (; next_ < lines_.size(); ++next_) {
            const std::string_view text = trim(lines_[next_]);
            if (!text.empty() && text.front() != '!' && text.front() != '#' && text != "end") {
                fail(end + 1, "`end` leaves configuration mode, but line " +
                                  std::to_string(next_ + 1) + " has another command; remove it");
            }
        }
    }

    /// The lines up to one of the ends, as one command.
    std::string block(std::initializer_list<std::string_view> ends) {
        const std::size_t first = next_;
        std::string result(trim_right(take()));
        while (next_ < lines_.size()) {
            const std::string line = take();
            const std::string_view text = trim(line);
            result += '\n';
            result += trim_right(line);
            if (std::ranges::find(ends, text) != ends.end()) {
                return result;
            }
        }
        fail(first + 1, "`" + std::string(trim(lines_[first])) + "` has no `" +
                            std::string(*ends.begin()) + "` line that ends it");
    }

    /// A command whose text stands between two delimiters. `rest` is what follows its words.
    std::string delimited(std::string_view words, std::string_view rest) {
        const std::size_t first = next_;
        // FRR: `banner motd line TEXT`, `banner motd file FILE`, `banner motd default`.
        for (const std::string_view keyword : {"line", "file", "default"}) {
            std::string_view argument = rest;
            if (words == "banner motd" && take_words(argument, keyword)) {
                return std::string(trim_right(take()));
            }
        }
        if (rest.empty()) {
            // Arista: the text follows, up to a line EOF.
            return block({"EOF"});
        }
        // `show running-config` writes the delimiter Ctrl-C as ^ and C; a user may mean ^ alone.
        for (const std::string_view control_c : {"^C", "\x03"}) {
            if (rest.starts_with(control_c)) {
                next_ = first;
                const auto text = text_until(control_c, rest.substr(control_c.size()));
                if (text) {
                    const char free = free_delimiter(*text, first);
                    return std::string(words) + " " + free + *text + free;
                }
            }
        }
        next_ = first;
        const std::string_view delimiter = rest.substr(0, 1);
        const auto text = text_until(delimiter, rest.substr(1));
        if (!text) {
            const std::string shown(rest.starts_with("^C") ? "^C" : delimiter);
            fail(first + 1, "`" + std::string(words) + "` has no second `" + shown +
                                "`, the delimiter that must end its text");
        }
        return std::string(words) + " " + std::string(delimiter) + *text + std::string(delimiter);
    }

    /// The text up to the delimiter, beginning with `rest` of the current line; what follows the
    /// delimiter on its line is ignored, as a device does.
    std::optional<std::string> text_until(std::string_view delimiter, std::string_view rest) {
        std::string text;
        std::string line(rest);
        for (std::size_t number = next_++;; number = next_++) {
            const std::size_t end = line.find(delimiter);
            text += line.substr(0, end);
            if (end != std::string::npos) {
                check_banner(text, number);
                return text;
            }
            text += '\n';
            if (next_ >= lines_.size()) {
                return std::nullopt;
            }
            line = lines_[next_];
        }
    }

    void check_banner(std::string_view text, std::size_t last) const {
        const auto obeyed = [](char c) {
            return (static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t') || c == '\x7f';
        };
        if (std::ranges::any_of(text, obeyed)) {
            fail(last + 1, "the banner that ends here has a control character in it: a terminal "
                           "would act on it; remove it");
        }
    }

    char free_delimiter(std::string_view text, std::size_t first) const {
        for (const char c : std::string_view("^~#%$@&*+=|;")) {
            if (text.find(c) == std::string_view::npos) {
                return c;
            }
        }
        fail(first + 1, "the banner uses every character that could delimit it: give it a "
                        "delimiter of its own in place of ^C");
    }

    const ConfigTextOptions& options_;
    std::vector<std::string_view> lines_;
    std::size_t next_ = 0;
    std::vector<ConfigCommand> commands_;
};

} // namespace

std::vector<std::string_view> ConfigCommand::lines() const {
    std::vector<std::string_view> result;
    std::string_view rest = text;
    for (;;) {
        const std::size_t end = rest.find('\n');
        result.push_back(rest.substr(0, end));
        if (end == std::string_view::npos) {
            return result;
        }
        rest.remove_prefix(end + 1);
    }
}

ConfigTextError::ConfigTextError(std::string source, std::size_t line, const std::string& reason)
    : Error((source.empty() ? std::string("line ") : source + ":") + std::to_string(line) + ": " +
            reason),
      source_(std::move(source)),
      line_(line) {}

ConfigText ConfigText::parse(std::string_view text, const ConfigTextOptions& options) {
    ConfigText result;
    result.commands_ = Parser(text, options).parse();
    result.source_ = options.source;
    return result;
}

} // namespace muster::device
