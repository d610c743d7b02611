#include "fleet/suggest.hpp"

#include <muster/device/platform.hpp>
#include <muster/fleet/filter.hpp>

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <set>
#include <utility>

namespace muster::fleet {
namespace detail {

struct FilterNode {
    enum class Kind : std::uint8_t { both, either, inverse, term };

    Kind kind = Kind::term;
    std::vector<FilterNode> operands;
    // Kind::term
    std::string field;
    std::string value;
    std::size_t field_position = 0;
    std::size_t value_position = 0;
};

} // namespace detail

namespace {

using detail::FilterNode;
using device::Device;

constexpr std::array<std::string_view, 7> own_fields{"name",     "host",      "port",    "group",
                                                     "platform", "transport", "username"};

// Parentheses and `not` deeper than any person writes, and shallow enough for the stack.
constexpr int max_depth = 200;

bool is_own_field(std::string_view field) {
    return std::find(own_fields.begin(), own_fields.end(), field) != own_fields.end();
}

bool has_pattern(std::string_view text) {
    return text.find_first_of("*?[") != std::string_view::npos;
}

bool glob(const std::string& pattern, const std::string& text) {
    return ::fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

struct Word {
    enum class Kind : std::uint8_t { text, open, close, end };

    Kind kind = Kind::end;
    std::string text;
    std::size_t position = 0;
    // Where the first colon outside of quotes is, in `text` and in the expression.
    std::optional<std::size_t> colon;
    std::size_t value_position = 0;
    // Quoted words are never operators.
    bool quoted = false;
};

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) { advance(); }

    FilterNode parse() {
        if (word_.kind == Word::Kind::end) {
            refuse("the filter is empty", word_.position);
        }
        FilterNode node = either(0);
        if (word_.kind == Word::Kind::close) {
            refuse("')' without '('", word_.position);
        }
        if (word_.kind != Word::Kind::end) {
            refuse("'and' or 'or' is missing here", word_.position);
        }
        return node;
    }

private:
    [[noreturn]] void refuse(const std::string& reason, std::size_t position) const {
        throw FilterError(reason, text_, position);
    }

    [[nodiscard]] bool is_operator(std::string_view name) const {
        if (word_.kind != Word::Kind::text || word_.quoted || word_.text.size() != name.size()) {
            return false;
        }
        return std::equal(name.begin(), name.end(), word_.text.begin(), [](char a, char b) {
            return a == static_cast<char>(std::tolower(static_cast<unsigned char>(b)));
        });
    }

    FilterNode either(int depth) {
        FilterNode left = both(depth);
        while (is_operator("or")) {
            advance();
            left = join(FilterNode::Kind::either, std::move(left), both(depth));
        }
        return left;
    }

    FilterNode both(int depth) {
        FilterNode left = inverse(depth);
        while (is_operator("and")) {
            advance();
            left = join(FilterNode::Kind::both, std::move(left), inverse(depth));
        }
        return left;
    }

    // `a and b and c` is one node with three operands: long chains stay flat.
    static FilterNode join(FilterNode::Kind kind, FilterNode left, FilterNode right) {
        if (left.kind != kind) {
            FilterNode node;
            node.kind = kind;
            node.operands.push_back(std::move(left));
            left = std::move(node);
        }
        left.operands.push_back(std::move(right));
        return left;
    }

    FilterNode inverse(int depth) {
        if (depth > max_depth) {
            refuse("the filter is nested too deeply", word_.position);
        }
        if (is_operator("not")) {
            advance();
            FilterNode node;
            node.kind = FilterNode::Kind::inverse;
            node.operands.push_back(inverse(depth + 1));
            return node;
        }
        if (word_.kind != Word::Kind::open) {
            return term();
        }
        const std::size_t open = word_.position;
        advance();
        FilterNode node = either(depth + 1);
        if (word_.kind == Word::Kind::end) {
            refuse("'(' without ')'", open);
        }
        if (word_.kind != Word::Kind::close) {
            refuse("'and' or 'or' is missing here", word_.position);
        }
        advance();
        return node;
    }

    FilterNode term() {
        if (word_.kind != Word::Kind::text || is_operator("and") || is_operator("or")) {
            refuse("expected FIELD:VALUE or a name here", word_.position);
        }
        FilterNode node;
        node.field_position = word_.position;
        if (!word_.colon) {
            node.field = "name";
            node.value = word_.text;
            node.value_position = word_.position;
        } else {
            node.field = word_.text.substr(0, *word_.colon);
            node.value = word_.text.substr(*word_.colon + 1);
            node.value_position = word_.value_position;
            if (node.field.empty()) {
                refuse("a field's name is missing before ':'", word_.position);
            }
            if (node.value.empty() && !word_.quoted) {
                refuse("a value is missing after ':'; write \"\" for an empty one",
                       word_.value_position);
            }
        }
        advance();
        return node;
    }

    void advance() {
        while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) {
            ++at_;
        }
        word_ = Word{};
        word_.position = at_;
        if (at_ == text_.size()) {
            return;
        }
        if (text_[at_] == '(' || text_[at_] == ')') {
            word_.kind = text_[at_] == '(' ? Word::Kind::open : Word::Kind::close;
            ++at_;
            return;
        }
        word_.kind = Word::Kind::text;
        while (at_ < text_.size() && !ends_word(text_[at_])) {
            read_piece();
        }
    }

    static bool ends_word(char c) {
        return c == '(' || c == ')' || std::isspace(static_cast<unsigned char>(c)) != 0;
    }

    void read_piece() {
        const char c = text_[at_];
        if (c == '"' || c == '\'') {
            const std::size_t close = text_.find(c, at_ + 1);
            if (close == std::string_view::npos) {
                refuse("the quote is not closed", at_);
            }
            word_.text += text_.substr(at_ + 1, close - at_ - 1);
            word_.quoted = true;
            at_ = close + 1;
            return;
        }
        if (c == ':' && !word_.colon) {
            word_.colon = word_.text.size();
            word_.value_position = at_ + 1;
        }
        word_.text += c;
        ++at_;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    Word word_;
};

std::string as_text(const nlohmann::json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

// `rack.row` in {"rack": {"row": 7}}; a key that holds dots itself is found as well.
const nlohmann::json* find_data(const nlohmann::json& data, std::string_view path) {
    if (!data.is_object()) {
        return nullptr;
    }
    const auto whole = data.find(std::string(path));
    if (whole != data.end()) {
        return &*whole;
    }
    const std::size_t dot = path.find('.');
    if (dot == std::string_view::npos) {
        return nullptr;
    }
    const auto nested = data.find(std::string(path.substr(0, dot)));
    return nested == data.end() ? nullptr : find_data(*nested, path.substr(dot + 1));
}

const nlohmann::json* find_fact(const Device& device, std::string_view field) {
    constexpr std::string_view prefix = "data.";
    if (const nlohmann::json* found = find_data(device.data, field)) {
        return found;
    }
    return field.starts_with(prefix) ? find_data(device.data, field.substr(prefix.size()))
                                     : nullptr;
}

bool matches_platform(const std::string& value, const std::string& platform) {
    if (glob(value, platform)) {
        return true;
    }
    const device::Platform* wanted = device::find_platform(value);
    return wanted != nullptr && wanted == device::find_platform(platform);
}

bool matches_data(const nlohmann::json* fact, const std::string& value) {
    if (fact == nullptr || fact->is_null()) {
        return false;
    }
    if (fact->is_array()) {
        return std::any_of(fact->begin(), fact->end(),
                           [&](const nlohmann::json& item) { return glob(value, as_text(item)); });
    }
    return glob(value, as_text(*fact));
}

bool matches_term(const FilterNode& term, const Device& device) {
    const std::string& value = term.value;
    if (term.field == "name") {
        return glob(value, device.name);
    }
    if (term.field == "host") {
        return glob(value, device.host);
    }
    if (term.field == "port") {
        return glob(value, std::to_string(device::effective_port(device)));
    }
    if (term.field == "group") {
        return std::any_of(device.groups.begin(), device.groups.end(),
                           [&](const std::string& group) { return glob(value, group); });
    }
    if (term.field == "platform") {
        return matches_platform(value, device.platform);
    }
    if (term.field == "transport") {
        return glob(value, std::string(device::to_string(device.transport)));
    }
    if (term.field == "username") {
        return glob(value, device.username);
    }
    return matches_data(find_fact(device, term.field), value);
}

bool evaluate(const FilterNode& node, const Device& device) {
    const auto holds = [&](const FilterNode& operand) { return evaluate(operand, device); };
    switch (node.kind) {
    case FilterNode::Kind::both:
        return std::all_of(node.operands.begin(), node.operands.end(), holds);
    case FilterNode::Kind::either:
        return std::any_of(node.operands.begin(), node.operands.end(), holds);
    case FilterNode::Kind::inverse:
        return !evaluate(node.operands.front(), device);
    case FilterNode::Kind::term:
        return matches_term(node, device);
    }
    return false;
}

class Checker {
public:
    Checker(std::string_view expression, const std::vector<Device>& devices)
        : expression_(expression), devices_(&devices) {}

    void check(const FilterNode& node) const {
        for (const FilterNode& operand : node.operands) {
            check(operand);
        }
        if (node.kind != FilterNode::Kind::term) {
            return;
        }
        if (node.field == "group" && !has_pattern(node.value)) {
            check_group(node);
        } else if (!is_own_field(node.field)) {
            check_fact(node);
        } else if (node.field == "name" && !has_pattern(node.value)) {
            check_name(node);
        }
    }

private:
    void check_group(const FilterNode& term) const {
        std::set<std::string> groups;
        for (const Device& device : *devices_) {
            groups.insert(device.groups.begin(), device.groups.end());
        }
        refuse_unless_known(groups, "no device is in a group '", term.value, term.value_position);
    }

    void check_name(const FilterNode& term) const {
        std::set<std::string> names;
        for (const Device& device : *devices_) {
            names.insert(device.name);
        }
        refuse_unless_known(names, "no device is called '", term.value, term.value_position);
    }

    void refuse_unless_known(const std::set<std::string>& known, const std::string& reason,
                             const std::string& word, std::size_t position) const {
        if (!known.contains(word)) {
            throw FilterError(reason + word + "'" +
                                  detail::did_you_mean(
                                      word, std::vector<std::string>(known.begin(), known.end())),
                              expression_, position);
        }
    }

    void check_fact(const FilterNode& term) const {
        const bool known =
            std::any_of(devices_->begin(), devices_->end(), [&](const Device& device) {
                return find_fact(device, term.field) != nullptr;
            });
        if (known) {
            return;
        }
        std::set<std::string> fields(own_fields.begin(), own_fields.end());
        for (const Device& device : *devices_) {
            for (const auto& item : device.data.items()) {
                fields.insert(item.key());
            }
        }
        const std::vector<std::string> candidates(fields.begin(), fields.end());
        throw FilterError("no device has a field '" + term.field + "'" +
                              detail::did_you_mean(term.field, candidates),
                          expression_, term.field_position);
    }

    std::string_view expression_;
    const std::vector<Device>* devices_;
};

std::string with_caret(const std::string& reason, std::string_view expression,
                       std::size_t position) {
    std::string line(expression);
    // A tab or a newline would move the caret away from its place.
    std::replace_if(
        line.begin(), line.end(),
        [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }, ' ');
    return "filter: " + reason + "\n  " + line + "\n  " + std::string(position, ' ') + "^";
}

} // namespace

FilterError::FilterError(const std::string& reason, std::string_view expression,
                         std::size_t position)
    : Error(with_caret(reason, expression, position)), position_(position) {}

Filter::Filter(std::string expression, std::shared_ptr<const detail::FilterNode> root)
    : expression_(std::move(expression)), root_(std::move(root)) {}

Filter Filter::parse(std::string_view expression) {
    auto root = std::make_shared<const FilterNode>(Parser(expression).parse());
    return {std::string(expression), std::move(root)};
}

bool Filter::matches(const Device& device) const { return evaluate(*root_, device); }

void Filter::check_against(const std::vector<Device>& devices) const {
    Checker(expression_, devices).check(*root_);
}

} // namespace muster::fleet
