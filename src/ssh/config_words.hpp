#pragma once
/// The words of an ssh_config line, and what single words mean.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace muster::ssh::detail {

/// What is wrong with a value; whoever knows the line says where.
class ValueProblem : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// "Keyword value", "keyword=value": the keyword in lower case and the rest. The keyword is empty
/// for blank lines and comments.
struct ConfigLine {
    std::string keyword;
    std::string_view rest;
};

ConfigLine split_keyword(std::string_view line);

/// Splits at blanks; quotes of both kinds hold words together, a backslash takes a quote, a
/// backslash or a blank for itself, and "#" in front of a word ends the line. Throws ValueProblem.
std::vector<std::string> split_words(std::string_view text);

/// 1 to 65535. Throws ValueProblem.
std::uint16_t parse_port(std::string_view text);

/// "90", "1m30s"; nothing for "none". Throws ValueProblem.
std::optional<std::chrono::seconds> parse_time(std::string_view text);

/// A number that is not negative. Throws ValueProblem.
int parse_count(std::string_view text);

/// Whom to connect to: "host", "user@host:port", "[2001:db8::1]:22", "ssh://user@host:port".
struct Destination {
    std::string user;
    std::string host;
    std::optional<std::uint16_t> port;
};

/// As an argument of ssh: without "ssh://" in front there is no port, and colons belong to the
/// host.
Destination parse_destination(std::string_view text);

/// As an element of ProxyJump.
Destination parse_jump(std::string_view text);

/// All of ProxyJump's value; empty for "none". Throws ValueProblem.
std::vector<Destination> parse_jumps(std::string_view text);

/// The value of a token ("h" for "%h"), or nothing for an unknown one.
using Tokens = std::function<std::optional<std::string>(char token)>;

/// Replaces "%h" and its like. Throws ValueProblem.
std::string expand_tokens(std::string_view text, const Tokens& tokens);

/// The same for the name of a file: "~" in front, and "${NAME}", too.
std::string expand_path(std::string_view text, const Tokens& tokens);

} // namespace muster::ssh::detail
