#pragma once
// A router's command grammar: patterns in a tree, matched with the abbreviations IOS allows.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace muster::sim {

/// A word of a typed line and the column it starts in.
struct Token {
    std::string_view text;
    std::size_t column = 0;
};

/// Splits at blanks; columns count from the start of `line`.
std::vector<Token> tokenize(std::string_view line);

/// How a typed line fits the grammar.
struct Match {
    enum class Kind { ok, empty, incomplete, ambiguous, invalid };

    Kind kind = Kind::empty;
    int rule = -1;                    ///< the rule of the pattern that matched (Kind::ok)
    std::size_t column = 0;           ///< where the first wrong character is (Kind::invalid)
    std::vector<std::string> words;   ///< the words so far, keywords written out
    std::vector<std::size_t> columns; ///< where each of `words` was typed
    std::vector<int> below;           ///< rules still reachable (Kind::incomplete)

    [[nodiscard]] bool ok() const { return kind == Kind::ok; }
};

/// Patterns are words; `<...>` are parameters, `(a|b c)` alternatives, `[...]` optional parts.
/// Parameters: `<word> <line> <int:1-9> <ip> <mask> <prefix> <interface>`.
class Grammar {
public:
    Grammar();
    ~Grammar();
    Grammar(Grammar&&) noexcept;
    Grammar& operator=(Grammar&&) noexcept;

    void add(std::string_view pattern, int rule);

    /// Matches `line` from its column `from` on. A keyword may be cut to any unique prefix; an
    /// exact keyword wins over longer ones; parameters are tried after the keywords.
    [[nodiscard]] Match match(std::string_view line, std::size_t from = 0) const;

    /// What `?` lists after `line`: keywords that continue it, then parameters, then `<cr>`.
    [[nodiscard]] std::vector<std::string> help(std::string_view line, std::size_t from = 0) const;

private:
    struct Node;
    std::unique_ptr<Node> root_;
};

/// `gi0/1` or `GigabitEthernet 0/1` as IOS writes it; empty if `text` names no interface.
std::string interface_name(std::string_view text);

/// True for a dotted quad.
bool is_ipv4(std::string_view text);

/// True for a dotted quad whose set bits are contiguous from the left.
bool is_netmask(std::string_view text);

/// `text` in lower case (ASCII).
std::string to_lower(std::string_view text);

/// True if `word`, case ignored, is `keyword` cut short by any number of letters but all.
bool abbreviates(std::string_view word, std::string_view keyword);

} // namespace muster::sim
