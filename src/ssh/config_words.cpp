#include "ssh/config_words.hpp"

#include "ssh/files.hpp"
#include "ssh/patterns.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <utility>

namespace muster::ssh::detail {

namespace {

constexpr std::string_view blanks = " \t\r\f";

bool is_blank(char c) { return blanks.find(c) != std::string_view::npos; }

void skip_blanks(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
}

std::string in_quotes(std::string_view text) { return "'" + std::string(text) + "'"; }

template <class Number>
std::optional<Number> to_number(std::string_view text) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return number;
}

/// "%40" for "@", as in any URI.
std::string decode_percent(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            result += text[i];
            continue;
        }
        unsigned value = 0;
        const std::string_view digits = text.substr(i + 1, 2);
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        if (error != std::errc() || end != digits.data() + 2 || value == 0) {
            throw ValueProblem("a '%' in a URI stands before two hexadecimal digits");
        }
        result += static_cast<char>(value);
        i += 2;
    }
    return result;
}

/// "host", "host:port", "[host]:port".
void parse_host_and_port(std::string_view text, std::string_view whole, Destination& result) {
    std::string_view host;
    std::string_view port;
    if (text.starts_with('[')) {
        const auto bracket = text.find(']');
        host = text.substr(1, bracket == std::string_view::npos ? 0 : bracket - 1);
        port = bracket == std::string_view::npos ? text : text.substr(bracket + 1);
    } else {
        const auto colon = std::min(text.find(':'), text.size());
        host = text.substr(0, colon);
        port = text.substr(colon);
    }
    const bool has_port = port.starts_with(':');
    if (has_port) {
        port.remove_prefix(1);
    }
    if (host.empty() || host.find('/') != std::string_view::npos || (!has_port && !port.empty())) {
        throw ValueProblem(in_quotes(whole) + " is no host");
    }
    result.host = host;
    if (!port.empty()) {
        result.port = parse_port(port);
    }
}

std::optional<Destination> parse_uri(std::string_view text) {
    constexpr std::string_view scheme = "ssh://";
    if (lower(text.substr(0, scheme.size())) != scheme) {
        return std::nullopt;
    }
    std::string_view rest = text.substr(scheme.size());
    if (rest.ends_with('/')) {
        rest.remove_suffix(1);
    }
    Destination result;
    if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
        result.user = decode_percent(rest.substr(0, std::min(rest.find(';'), at)));
        rest.remove_prefix(at + 1);
    }
    parse_host_and_port(rest, text, result);
    result.host = decode_percent(result.host);
    return result;
}

/// Takes "user@" off the front.
std::string take_user(std::string_view& text) {
    const auto at = text.rfind('@');
    if (at == std::string_view::npos) {
        return {};
    }
    if (at == 0) {
        throw ValueProblem("no user before the '@' in " + in_quotes(text));
    }
    std::string user(text.substr(0, at));
    text.remove_prefix(at + 1);
    return user;
}

/// The value of the "${NAME}" that `rest` begins with, which is taken off.
std::string take_variable(std::string_view& rest) {
    const auto end = rest.find('}');
    if (end == std::string_view::npos) {
        throw ValueProblem("a '${' is not closed");
    }
    const std::string name(rest.substr(2, end - 2));
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here changes the environment
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) {
        throw ValueProblem("the environment has no variable " + in_quotes(name));
    }
    rest.remove_prefix(end + 1);
    return value;
}

// In one pass: what a value brings in is not looked at again.
std::string expand(std::string_view rest, const Tokens& tokens, bool with_environment) {
    std::string result;
    while (!rest.empty()) {
        if (with_environment && rest.starts_with("${")) {
            result += take_variable(rest);
            continue;
        }
        if (rest.front() != '%') {
            result += rest.front();
            rest.remove_prefix(1);
            continue;
        }
        const char token = rest.size() > 1 ? rest[1] : '\0';
        const auto value = token == '%' ? std::string("%") : tokens(token);
        if (!value) {
            throw ValueProblem("unknown token " + in_quotes(rest.substr(0, 2)));
        }
        result += *value;
        rest.remove_prefix(2);
    }
    return result;
}

} // namespace

ConfigLine split_keyword(std::string_view line) {
    while (!line.empty() && is_blank(line.back())) {
        line.remove_suffix(1);
    }
    skip_blanks(line);
    const auto end = std::min(line.find_first_of(std::string(blanks) + "="), line.size());
    ConfigLine result;
    if (!line.starts_with('#')) {
        result.keyword = lower(line.substr(0, end));
    }
    line.remove_prefix(end);
    skip_blanks(line);
    if (line.starts_with('=')) {
        line.remove_prefix(1);
        skip_blanks(line);
    }
    result.rest = line;
    return result;
}

std::vector<std::string> split_words(std::string_view text) {
    std::vector<std::string> words;
    for (skip_blanks(text); !text.empty() && text.front() != '#'; skip_blanks(text)) {
        std::string word;
        char quote = '\0';
        std::size_t i = 0;
        for (; i < text.size() && (quote != '\0' || !is_blank(text[i])); ++i) {
            const char c = text[i];
            const char next = i + 1 < text.size() ? text[i + 1] : '\0';
            if (c == '\\' &&
                (next == '"' || next == '\'' || next == '\\' || (next == ' ' && quote == '\0'))) {
                word += next;
                ++i;
            } else if (quote == '\0' && (c == '"' || c == '\'')) {
                quote = c;
            } else if (quote != '\0' && c == quote) {
                quote = '\0';
            } else {
                word += c;
            }
        }
        if (quote != '\0') {
            throw ValueProblem("a quote is not closed");
        }
        words.push_back(std::move(word));
        text.remove_prefix(i);
    }
    return words;
}

std::uint16_t parse_port(std::string_view text) {
    if (text == "ssh") {
        return 22;
    }
    const auto port = to_number<std::uint16_t>(text);
    if (!port || *port == 0) {
        throw ValueProblem(in_quotes(text) + " is no port");
    }
    return *port;
}

std::optional<std::chrono::seconds> parse_time(std::string_view text) {
    if (text == "none") {
        return std::nullopt;
    }
    const auto bad = [&] { return ValueProblem(in_quotes(text) + " is no time"); };
    constexpr long most = std::numeric_limits<int>::max();
    long total = 0;
    std::string_view rest = text;
    do {
        const auto digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
        const auto number = to_number<int>(rest.substr(0, digits));
        if (!number) {
            throw bad();
        }
        long unit = 1;
        rest.remove_prefix(digits);
        if (!rest.empty()) {
            switch (rest.front()) {
            case 's':
            case 'S':
                break;
            case 'm':
            case 'M':
                unit = 60;
                break;
            case 'h':
            case 'H':
                unit = 60L * 60;
                break;
            case 'd':
            case 'D':
                unit = 24L * 60 * 60;
                break;
            case 'w':
            case 'W':
                unit = 7L * 24 * 60 * 60;
                break;
            default:
                throw bad();
            }
            rest.remove_prefix(1);
        }
        if (*number > (most - total) / unit) {
            throw bad();
        }
        total += *number * unit;
    } while (!rest.empty());
    return std::chrono::seconds(total);
}

int parse_count(std::string_view text) {
    const auto number = to_number<int>(text);
    if (!number || *number < 0) {
        throw ValueProblem(in_quotes(text) + " is no number");
    }
    return *number;
}

Destination parse_destination(std::string_view text) {
    if (auto uri = parse_uri(text)) {
        return std::move(*uri);
    }
    Destination result;
    std::string_view rest = text;
    result.user = take_user(rest);
    if (rest.empty()) {
        throw ValueProblem("no host was given");
    }
    result.host = rest;
    return result;
}

Destination parse_jump(std::string_view text) {
    if (auto uri = parse_uri(text)) {
        return std::move(*uri);
    }
    Destination result;
    std::string_view rest = text;
    result.user = take_user(rest);
    parse_host_and_port(rest, text, result);
    return result;
}

std::vector<Destination> parse_jumps(std::string_view text) {
    std::vector<Destination> jumps;
    if (lower(text) == "none") {
        return jumps;
    }
    for (;;) {
        const auto comma = text.find(',');
        jumps.push_back(parse_jump(text.substr(0, comma)));
        if (comma == std::string_view::npos) {
            return jumps;
        }
        text.remove_prefix(comma + 1);
    }
}

std::string expand_tokens(std::string_view text, const Tokens& tokens) {
    return expand(text, tokens, false);
}

std::string expand_path(std::string_view text, const Tokens& tokens) {
    return expand(expand_home(std::string(text)), tokens, true);
}

} // namespace muster::ssh::detail
