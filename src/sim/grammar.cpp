#include "grammar.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

namespace muster::sim {

namespace {

using Sequence = std::vector<std::string>;

// Writes a pattern's alternatives and optional parts out into plain sequences of words.
class PatternReader {
public:
    explicit PatternReader(std::string_view text) : text_(text) {}

    std::vector<Sequence> alternatives() {
        auto all = sequence();
        while (peek() == '|') {
            ++position_;
            auto more = sequence();
            all.insert(all.end(), more.begin(), more.end());
        }
        return all;
    }

private:
    std::vector<Sequence> sequence() {
        std::vector<Sequence> result(1);
        for (;;) {
            while (peek() == ' ') {
                ++position_;
            }
            const char next = peek();
            if (next == '\0' || next == '|' || next == ')' || next == ']') {
                return result;
            }
            append(result, term(next));
        }
    }

    std::vector<Sequence> term(char first) {
        if (first == '(' || first == '[') {
            ++position_;
            auto inner = alternatives();
            ++position_; // the closing bracket
            if (first == '[') {
                inner.emplace_back();
            }
            return inner;
        }
        const auto end = std::min(text_.find_first_of(" |()[]", position_), text_.size());
        std::string word(text_.substr(position_, end - position_));
        position_ = end;
        std::vector<Sequence> result(1);
        result.front().push_back(std::move(word));
        return result;
    }

    static void append(std::vector<Sequence>& heads, const std::vector<Sequence>& tails) {
        std::vector<Sequence> result;
        for (const auto& head : heads) {
            for (const auto& tail : tails) {
                result.push_back(head);
                result.back().insert(result.back().end(), tail.begin(), tail.end());
            }
        }
        heads = std::move(result);
    }

    [[nodiscard]] char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }

    std::string_view text_;
    std::size_t position_ = 0;
};

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto* begin = text.data();
    const auto* end = begin + text.size();
    const auto [at, error] = std::from_chars(begin, end, value);
    if (error != std::errc() || at != end) {
        return std::nullopt;
    }
    return value;
}

std::optional<std::uint32_t> parse_ipv4(std::string_view text) {
    std::uint32_t address = 0;
    for (int octet = 0; octet < 4; ++octet) {
        const auto end = octet < 3 ? text.find('.') : text.size();
        if (end == std::string_view::npos || end > 3) {
            return std::nullopt;
        }
        const auto value = parse_number(text.substr(0, end));
        if (!value || *value > 255) {
            return std::nullopt;
        }
        address = address << 8 | static_cast<std::uint32_t>(*value);
        text.remove_prefix(octet < 3 ? end + 1 : end);
    }
    return address;
}

bool in_range(std::string_view parameter, std::string_view text) {
    const auto colon = parameter.find(':');
    const auto dash = parameter.find('-');
    const auto low = parse_number(parameter.substr(colon + 1, dash - colon - 1));
    const auto high = parse_number(parameter.substr(dash + 1, parameter.size() - dash - 2));
    const auto value = parse_number(text);
    return value && low && high && *low <= *value && *value <= *high;
}

bool is_prefix(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) {
        return false;
    }
    const auto bits = parse_number(text.substr(slash + 1));
    return bits && *bits <= 32 && is_ipv4(text.substr(0, slash));
}

// What a parameter takes from the tokens: how many, and the text as the router writes it.
struct Taken {
    std::size_t tokens = 0;
    std::string text;
};

Taken take(std::string_view parameter, std::string_view line, const std::vector<Token>& tokens,
           std::size_t index) {
    const auto& token = tokens[index];
    if (parameter == "<line>") {
        auto rest = line.substr(token.column);
        while (!rest.empty() && rest.back() == ' ') {
            rest.remove_suffix(1);
        }
        return {tokens.size() - index, std::string(rest)};
    }
    if (parameter == "<interface>") {
        if (auto name = interface_name(token.text); !name.empty()) {
            return {1, std::move(name)};
        }
        if (index + 1 < tokens.size()) {
            const auto joined = std::string(token.text) + std::string(tokens[index + 1].text);
            if (auto name = interface_name(joined); !name.empty()) {
                return {2, std::move(name)};
            }
        }
        return {};
    }
    const bool fits = parameter == "<word>" || (parameter == "<ip>" && is_ipv4(token.text)) ||
                      (parameter == "<mask>" && is_netmask(token.text)) ||
                      (parameter == "<prefix>" && is_prefix(token.text)) ||
                      (parameter.starts_with("<int:") && in_range(parameter, token.text));
    return fits ? Taken{1, std::string(token.text)} : Taken{};
}

// How `?` names a parameter.
std::string parameter_help(std::string_view parameter) {
    if (parameter.starts_with("<int:")) {
        return "<" + std::string(parameter.substr(5));
    }
    constexpr std::array<std::pair<std::string_view, std::string_view>, 6> names{{
        {"<word>", "WORD"},
        {"<line>", "LINE"},
        {"<ip>", "A.B.C.D"},
        {"<mask>", "A.B.C.D"},
        {"<prefix>", "A.B.C.D/nn"},
        {"<interface>", "Interface"},
    }};
    const auto found = std::ranges::find(names, parameter, &decltype(names)::value_type::first);
    return std::string(found != names.end() ? found->second : parameter);
}

std::size_t common_prefix(std::string_view word, std::string_view keyword) {
    const auto lower = to_lower(word);
    const auto target = to_lower(keyword);
    const auto [at, other] = std::ranges::mismatch(lower, target);
    return static_cast<std::size_t>(at - lower.begin());
}

} // namespace

struct Grammar::Node {
    std::string label;
    int rule = -1;
    std::vector<std::unique_ptr<Node>> keywords;
    std::vector<std::unique_ptr<Node>> parameters;

    Node& child(const std::string& word) {
        auto& list = word.starts_with('<') ? parameters : keywords;
        const auto found =
            std::ranges::find_if(list, [&](const auto& node) { return node->label == word; });
        if (found != list.end()) {
            return **found;
        }
        list.push_back(std::make_unique<Node>());
        list.back()->label = word;
        return *list.back();
    }

    void rules(std::vector<int>& into) const {
        if (rule >= 0 && std::ranges::find(into, rule) == into.end()) {
            into.push_back(rule);
        }
        for (const auto& node : keywords) {
            node->rules(into);
        }
        for (const auto& node : parameters) {
            node->rules(into);
        }
    }

    // The keyword `word` stands for; `ambiguous` when it could be several.
    [[nodiscard]] const Node* keyword(std::string_view word, bool& ambiguous) const {
        const auto exact = std::ranges::find(
            keywords, to_lower(word), [](const auto& node) { return to_lower(node->label); });
        if (exact != keywords.end()) {
            return exact->get();
        }
        const Node* found = nullptr;
        for (const auto& node : keywords) {
            if (abbreviates(word, node->label)) {
                ambiguous = found != nullptr;
                if (ambiguous) {
                    return nullptr;
                }
                found = node.get();
            }
        }
        return found;
    }
};

Grammar::Grammar() : root_(std::make_unique<Node>()) {}

Grammar::~Grammar() = default;
Grammar::Grammar(Grammar&&) noexcept = default;
Grammar& Grammar::operator=(Grammar&&) noexcept = default;

void Grammar::add(std::string_view pattern, int rule) {
    for (const auto& sequence : PatternReader(pattern).alternatives()) {
        auto* node = root_.get();
        for (const auto& word : sequence) {
            node = &node->child(word);
        }
        node->rule = rule;
    }
}

Match Grammar::match(std::string_view line, std::size_t from) const {
    Match result;
    auto tokens = tokenize(line.substr(from));
    for (auto& token : tokens) {
        token.column += from;
    }
    if (tokens.empty()) {
        return result;
    }
    const auto* node = root_.get();
    for (std::size_t i = 0; i < tokens.size();) {
        bool ambiguous = false;
        const auto* next = node->keyword(tokens[i].text, ambiguous);
        if (ambiguous) {
            result.kind = Match::Kind::ambiguous;
            return result;
        }
        Taken taken{1, next != nullptr ? next->label : std::string()};
        for (auto at = node->parameters.begin(); next == nullptr && at != node->parameters.end();
             ++at) {
            taken = take((*at)->label, line, tokens, i);
            next = taken.tokens > 0 ? at->get() : nullptr;
        }
        if (next == nullptr) {
            std::size_t matching = 0;
            for (const auto& keyword : node->keywords) {
                matching = std::max(matching, common_prefix(tokens[i].text, keyword->label));
            }
            result.kind = Match::Kind::invalid;
            result.column = tokens[i].column + matching;
            return result;
        }
        result.words.push_back(std::move(taken.text));
        result.columns.push_back(tokens[i].column);
        i += taken.tokens;
        node = next;
    }
    result.rule = node->rule;
    result.kind = node->rule >= 0 ? Match::Kind::ok : Match::Kind::incomplete;
    if (!result.ok()) {
        node->rules(result.below);
    }
    return result;
}

std::vector<std::string> Grammar::help(std::string_view line, std::size_t from) const {
    auto tokens = tokenize(line.substr(from));
    std::string_view partial;
    if (!tokens.empty() && !line.ends_with(' ')) {
        partial = tokens.back().text;
        tokens.pop_back();
    }
    for (auto& token : tokens) {
        token.column += from;
    }
    const auto* node = root_.get();
    for (std::size_t i = 0; i < tokens.size();) {
        bool ambiguous = false;
        const auto* next = node->keyword(tokens[i].text, ambiguous);
        std::size_t taken = 1;
        for (auto at = node->parameters.begin(); next == nullptr && at != node->parameters.end();
             ++at) {
            taken = take((*at)->label, line, tokens, i).tokens;
            next = taken > 0 ? at->get() : nullptr;
        }
        if (next == nullptr) {
            return {};
        }
        node = next;
        i += taken;
    }
    std::vector<std::string> result;
    for (const auto& keyword : node->keywords) {
        if (partial.empty() || abbreviates(partial, keyword->label)) {
            result.push_back(keyword->label);
        }
    }
    std::ranges::sort(result);
    if (partial.empty()) {
        for (const auto& parameter : node->parameters) {
            result.push_back(parameter_help(parameter->label));
        }
        if (node->rule >= 0) {
            result.emplace_back("<cr>");
        }
    }
    return result;
}

std::vector<Token> tokenize(std::string_view line) {
    std::vector<Token> tokens;
    std::size_t at = 0;
    while ((at = line.find_first_not_of(" \t", at)) != std::string_view::npos) {
        const auto end = std::min(line.find_first_of(" \t", at), line.size());
        tokens.push_back({line.substr(at, end - at), at});
        at = end;
    }
    return tokens;
}

std::string to_lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        if (c >= 'A' && c <= 'Z') {
            c = static_cast<char>(c - 'A' + 'a');
        }
    }
    return result;
}

bool abbreviates(std::string_view word, std::string_view keyword) {
    return !word.empty() && to_lower(keyword).starts_with(to_lower(word));
}

bool is_ipv4(std::string_view text) { return parse_ipv4(text).has_value(); }

bool is_netmask(std::string_view text) {
    const auto mask = parse_ipv4(text);
    const auto inverse = ~mask.value_or(1);
    return mask && (inverse & (inverse + 1)) == 0;
}

std::string interface_name(std::string_view text) {
    constexpr std::array<std::string_view, 10> types{
        "Ethernet", "FastEthernet", "GigabitEthernet", "TenGigabitEthernet",
        "Loopback", "Null",         "Port-channel",    "Serial",
        "Tunnel",   "Vlan"};
    const auto digits = text.find_first_of("0123456789");
    if (digits == 0 || digits == std::string_view::npos) {
        return {};
    }
    const auto typed = text.substr(0, digits);
    const auto number = text.substr(digits);
    if (number.find_first_not_of("0123456789/.:") != std::string_view::npos ||
        number.back() < '0' || number.back() > '9') {
        return {};
    }
    std::string_view type;
    for (const auto candidate : types) {
        if (abbreviates(typed, candidate)) {
            if (!type.empty()) {
                return {};
            }
            type = candidate;
        }
    }
    return type.empty() ? std::string() : std::string(type) + std::string(number);
}

} // namespace muster::sim
