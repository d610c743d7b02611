#include <muster/device/log_line.hpp>
#include <muster/device/prompt.hpp>

#include <algorithm>

namespace muster::device {

namespace {

constexpr std::size_t max_tail = 1024;
constexpr std::size_t max_name = 63;
constexpr std::size_t max_context = 48;
constexpr std::size_t max_blanks = 2;
constexpr std::size_t max_prompt = 2 * max_name;

bool is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// `NAME(CONTEXT)` cut in two; without parentheses at the end, all of it is the head.
struct Parts {
    std::string_view head;
    std::string_view context;
};

Parts split_context(std::string_view body) {
    if (!body.ends_with(')')) {
        return {body, {}};
    }
    const std::size_t close = body.size() - 1;
    const std::size_t first = close > max_context + 1 ? close - max_context - 1 : 0;
    for (std::size_t i = close; i-- > first;) {
        if (body[i] == '(' && i + 1 < close) {
            return {body.substr(0, i), body.substr(i + 1, close - i - 1)};
        }
        if (body[i] == '(' || body[i] == ')') {
            break;
        }
    }
    return {body, {}};
}

bool fits(const PromptShape& shape, std::string_view context) {
    if (shape.context.empty() || context.empty()) {
        return shape.context.empty() && context.empty();
    }
    return shape.context == "*" || context.starts_with(shape.context);
}

std::string_view drop_end(std::string_view line) {
    for (std::size_t i = 0; i < max_blanks && line.ends_with(' '); ++i) {
        line.remove_suffix(1);
    }
    return line;
}

} // namespace

PromptMatch PromptMatcher::match(std::string_view last_line) const {
    if (last_line.empty()) {
        return past_prompt_.followed_by_log ? past_prompt_ : PromptMatch{};
    }
    ++examined_;
    const std::string_view line = drop_end(last_line);
    if (line.empty() || !is_end(line.back())) {
        return {};
    }
    const std::size_t skipped = line.size() > max_tail ? line.size() - max_tail : 0;
    std::string_view body = line.substr(skipped);
    const char end = body.back();
    body.remove_suffix(1);

    PromptMatch found;
    if (!name_.empty()) {
        found = match_own(body, end);
    }
    if (!found) {
        found = match_shape(body, end);
    }
    if (found) {
        found.position += skipped;
        if (found.position != 0) {
            found.strength = PromptMatch::Strength::likely;
        }
    }
    return found;
}

PromptMatch PromptMatcher::match_own(std::string_view body, char end) const {
    for (const PromptShape& shape : platform_->prompts) {
        if (shape.end != end) {
            continue;
        }
        PromptMatch found;
        std::string_view head = body;
        if (shape.exit_status) {
            int status = 0;
            int scale = 1;
            std::size_t digits = 0;
            while (digits < 3 && digits < head.size() && is_digit(head[head.size() - 1 - digits])) {
                status += scale * (head[head.size() - 1 - digits] - '0');
                scale *= 10;
                ++digits;
            }
            if (digits == 0 || digits == head.size() || head[head.size() - 1 - digits] != ':') {
                continue;
            }
            head.remove_suffix(digits + 1);
            found.exit_status = status;
        } else if (!shape.context.empty()) {
            const Parts parts = split_context(body);
            examined_ += body.size() - parts.head.size();
            if (!fits(shape, parts.context)) {
                continue;
            }
            head = parts.head;
            found.context = parts.context;
        }

        std::string_view shown = name_;
        examined_ += std::min(shown.size(), head.size());
        if (!head.ends_with(shown)) {
            if (shape.mode != Mode::config || platform_->config_name_limit == 0) {
                continue;
            }
            shown = shown.substr(0, platform_->config_name_limit);
            examined_ += std::min(shown.size(), head.size());
            if (!head.ends_with(shown)) {
                continue;
            }
        }
        const std::size_t position = head.size() - shown.size();
        // `hostname` may just have made `bar1` of `r1`; outside configuration mode it is a file
        // without a newline at its end, shown before the prompt.
        if (position > 0 && shape.mode == Mode::config && is_name_character(head[position - 1])) {
            continue;
        }
        found.strength =
            position == 0 ? PromptMatch::Strength::certain : PromptMatch::Strength::likely;
        found.mode = shape.mode;
        found.end = end;
        found.name = name_;
        found.position = position;
        return found;
    }
    return {};
}

PromptMatch PromptMatcher::match_shape(std::string_view body, char end) const {
    const Parts parts = split_context(body);
    examined_ += body.size() - parts.head.size();
    const PromptShape* shape = shape_for(end, parts.context);
    if (shape == nullptr) {
        return {};
    }
    std::size_t begin = parts.head.size();
    bool has_alphanumeric = false;
    while (begin > 0 && is_name_character(parts.head[begin - 1])) {
        --begin;
        ++examined_;
        has_alphanumeric = has_alphanumeric || is_alphanumeric(parts.head[begin]);
        if (parts.head.size() - begin > max_name) {
            return {};
        }
    }
    if (!has_alphanumeric) {
        return {};
    }
    PromptMatch found;
    found.strength = PromptMatch::Strength::likely;
    found.mode = shape->mode;
    found.end = end;
    found.name = parts.head.substr(begin);
    found.context = parts.context;
    found.position = begin;
    return found;
}

bool PromptMatcher::complete_line(std::string_view line) {
    if (past_prompt_) {
        if (drop_end(line).empty()) {
            return false;
        }
        if (is_log_line(line)) {
            past_prompt_.followed_by_log = true;
            return false;
        }
        past_prompt_ = PromptMatch{};
    }
    ++examined_;
    if (line.empty() || line.size() > max_tail || !is_name_character(line.front())) {
        return false;
    }
    // A prompt, alone or with a log message glued to it?
    std::size_t end = 0;
    while (end < line.size() && end <= max_prompt && !is_end(line[end])) {
        ++end;
    }
    examined_ += end;
    if (end == line.size() || end > max_prompt) {
        return false;
    }
    const std::string_view rest = drop_end(line.substr(end + 1));
    if (!rest.empty() && !is_log_line(rest)) {
        return false;
    }
    const std::string_view body = line.substr(0, end);
    if (!name_.empty()) {
        past_prompt_ = match_own(body, line[end]);
    }
    if (!past_prompt_) {
        past_prompt_ = match_shape(body, line[end]);
    }
    if (past_prompt_.position != 0) {
        past_prompt_ = PromptMatch{};
    }
    if (!past_prompt_) {
        return false;
    }
    past_prompt_.strength = PromptMatch::Strength::likely;
    past_prompt_.followed_by_log = !rest.empty();
    return true;
}

void PromptMatcher::learn(const PromptMatch& match) {
    // Nobody is in configuration mode before he has typed anything: those parentheses are a part of
    // the host name.
    const bool odd_name = name_.empty() && match.mode == Mode::config && !match.context.empty();
    name_ = odd_name ? match.name + "(" + match.context + ")" : match.name;
}

const PromptShape* PromptMatcher::shape_for(char end, std::string_view context) const noexcept {
    const auto found = std::ranges::find_if(platform_->prompts, [&](const PromptShape& shape) {
        return shape.end == end && !shape.exit_status && fits(shape, context);
    });
    return found == platform_->prompts.end() ? nullptr : &*found;
}

bool PromptMatcher::is_end(char c) const noexcept {
    return std::ranges::any_of(platform_->prompts,
                               [&](const PromptShape& shape) { return shape.end == c; });
}

bool PromptMatcher::is_name_character(char c) const noexcept {
    return is_alphanumeric(c) || platform_->name_characters.find(c) != std::string::npos;
}

} // namespace muster::device
