#include "reply_reader.hpp"

#include "text.hpp"
#include "verdict.hpp"

#include <muster/device/log_line.hpp>

#include <algorithm>

namespace muster::device {

void ReplyReader::begin(const std::vector<std::string>& lines, std::span<const Answer> dialogue) {
    text_.drop_lines();
    if (platform_->echoes) {
        line_at_begin_ = text_.line();
    } else {
        // The answer begins on the prompt's line.
        text_.clear();
        line_at_begin_.clear();
    }
    prompts_.forget_lines();
    dialogue_ = dialogue;
    question_ = nullptr;
    past_question_ = nullptr;
    question_is_past_ = false;
    pager_ = nullptr;
    text_begins_ = false;
    is_answered_ = true;
    answered_line_ = text_.line();
    answer_.clear();
    last_line_.clear();
    prompt_offset_ = 0;
    expect_echo(lines);
}

void ReplyReader::expect_echo(const std::vector<std::string>& lines) {
    text_begins_ = false;
    if (platform_->echoes) {
        echo_.expect(lines);
    }
}

void ReplyReader::feed(std::string_view bytes) {
    text_.feed(bytes);
    std::string_view lines = text_.lines();
    while (!lines.empty()) {
        complete_line(take_line(lines));
    }
    text_.drop_lines();
    if (is_answered_ && text_.line() != answered_line_) {
        is_answered_ = false;
    }
}

void ReplyReader::complete_line(std::string_view line) {
    if (!trim(line).empty()) {
        last_line_ = line.substr(0, 200);
    }
    const bool was_answered = is_answered_ && line == answered_line_;
    is_answered_ = false;
    if (!echo_.complete()) {
        if (prompt_ends_.empty()) {
            for (const PromptShape& shape : platform_->prompts) {
                prompt_ends_ += shape.end;
            }
        }
        echo_.take(line, line_at_begin_, prompt_ends_);
        if (echo_.complete()) {
            // All before the echo answered something else.
            has_echoed_ = true;
            echoes_ = true;
            answer_.clear();
            last_line_.clear();
            prompts_.forget_lines();
            line_at_begin_.clear();
            return;
        }
    }
    if (!line_at_begin_.empty()) {
        // Without an echo, the answer begins behind the prompt.
        if (line.starts_with(line_at_begin_)) {
            line.remove_prefix(line_at_begin_.size());
        }
        line_at_begin_.clear();
        if (line.empty()) {
            return;
        }
    }
    if (prompts_.complete_line(line)) {
        prompt_offset_ = answer_.size();
    }
    if (pager_ != nullptr && trim(line) == pager_->line) {
        return;
    }
    if (const Answer* asked = find_question(line); asked != nullptr && !was_answered) {
        past_question_ = asked;
    } else if (past_question_ != nullptr && is_log_line(line)) {
        question_is_past_ = true;
    } else if (!trim(line).empty()) {
        past_question_ = nullptr;
        question_is_past_ = false;
    }
    text_begins_ = text_begins_ || has_marker(line, platform_->text_begins);
    answer_ += line;
    answer_ += '\n';
}

ReplyReader::State ReplyReader::state() {
    const std::string_view line = text_.line();
    const bool echoed = echo_.complete();
    if (text_begins_ && (echoed || !echoes_)) {
        return State::text;
    }
    if (is_answered_ && !line.empty()) {
        return State::more;
    }
    if (find_pager(line)) {
        return State::pager;
    }
    if (echoed || !echoes_) {
        question_ = line.empty() && question_is_past_ ? past_question_ : find_question(line);
        if (question_ != nullptr) {
            return State::question;
        }
    }
    prompt_ = prompts_.match(line);
    if (!prompt_) {
        return State::more;
    }
    if (!echoed && echoes_) {
        return State::unechoed_prompt;
    }
    return prompt_.strength == PromptMatch::Strength::certain ? State::prompt
                                                              : State::likely_prompt;
}

const Answer* ReplyReader::find_question(std::string_view line) const {
    const std::string_view text = trim(line);
    if (text.empty()) {
        return nullptr;
    }
    const auto found = std::ranges::find_if(dialogue_, [&](const Answer& answer) {
        return ends_with_ignoring_case(text, answer.question);
    });
    return found == dialogue_.end() ? nullptr : &*found;
}

bool ReplyReader::find_pager(std::string_view line) {
    constexpr std::size_t max_pager = 80;
    if (line.empty() || line.size() > max_pager) {
        return false;
    }
    const auto found = std::ranges::find_if(
        platform_->pagers, [&](const Pager& pager) { return trim(line) == pager.line; });
    if (found == platform_->pagers.end()) {
        return false;
    }
    pager_ = &*found;
    return true;
}

void ReplyReader::answered() {
    is_answered_ = true;
    answered_line_ = text_.line();
    past_question_ = nullptr;
    question_is_past_ = false;
}

void ReplyReader::accept() {
    const std::string_view line = text_.line();
    if (prompt_.followed_by_log) {
        answer_.resize(prompt_offset_);
    } else {
        answer_ += line.substr(0, prompt_.position);
    }
    if (prompts_.name().empty() || prompt_.name != prompts_.name()) {
        prompts_.learn(prompt_);
        prompt_ = prompts_.match(line);
    }
    if (!prompt_.followed_by_log) {
        prompt_text_ = trim(text_.line().substr(prompt_.position));
        return;
    }
    prompt_text_ = prompt_.name;
    if (!prompt_.context.empty()) {
        prompt_text_ += "(" + prompt_.context + ")";
    }
    prompt_text_ += prompt_.end;
}

std::string ReplyReader::last_line() const {
    const std::string_view line = trim(text_.line());
    return std::string(line.empty() ? trim(last_line_) : line.substr(0, 200));
}

} // namespace muster::device
