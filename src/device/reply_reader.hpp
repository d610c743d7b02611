#pragma once

#include "echo.hpp"

#include <muster/device/prompt.hpp>
#include <muster/device/terminal_text.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace muster::device {

/// Reads a device's answers out of the bytes of its terminal: knows when one is complete, and what
/// of it is echo, prompt or noise. Does no input or output of its own.
class ReplyReader {
public:
    /// What the bytes so far amount to.
    enum class State {
        /// The answer goes on.
        more,
        /// The device is at its prompt.
        prompt,
        /// It seems to be, but it may be something else: see whether more comes.
        likely_prompt,
        /// A prompt, but what was sent has not been echoed: the answer to something earlier,
        /// unless the device does not echo.
        unechoed_prompt,
        /// It asks `question()`.
        question,
        /// It waits for `pager().reply`.
        pager,
        /// It takes the following lines as text.
        text,
    };

    /// `width` is the terminal's.
    ReplyReader(const Platform& platform, std::size_t width)
        : platform_(&platform), text_(width), prompts_(platform), echoes_(platform.echoes) {}

    /// These lines are about to be sent: the answer begins after them. `dialogue` are the questions
    /// to expect; it must outlive the answer.
    void begin(const std::vector<std::string>& lines, std::span<const Answer> dialogue);

    /// Some more of the same answer's input is about to be sent.
    void expect_echo(const std::vector<std::string>& lines);

    /// Takes the next bytes.
    void feed(std::string_view bytes);

    [[nodiscard]] State state();

    /// After State::question.
    [[nodiscard]] const Answer& question() const noexcept { return *question_; }

    /// After State::pager.
    [[nodiscard]] const Pager& pager() const noexcept { return *pager_; }

    /// The question or pager was answered: do not see it again.
    void answered();

    /// The prompt found last is believed: its mode and host name are the device's now. What came
    /// before it is `answer()`.
    void accept();

    /// After State::likely_prompt: there is little to say for it.
    [[nodiscard]] bool is_doubtful() const noexcept {
        return prompt_.followed_by_log && !prompts_.name().empty() &&
               prompt_.name != prompts_.name();
    }

    [[nodiscard]] const PromptMatch& prompt() const noexcept { return prompt_; }

    /// The text of that prompt: `r1(config-if)#`.
    [[nodiscard]] const std::string& prompt_text() const noexcept { return prompt_text_; }

    /// What the device said between the echo and the prompt; lines end with a newline, except the
    /// last of a text that does not.
    [[nodiscard]] const std::string& answer() const noexcept { return answer_; }

    /// The last line that has something on it, for error messages.
    [[nodiscard]] std::string last_line() const;

    /// Bytes of the answer so far.
    [[nodiscard]] std::size_t size() const noexcept { return answer_.size() + text_.line().size(); }

    /// The device was seen to echo.
    [[nodiscard]] bool has_echoed() const noexcept { return has_echoed_; }

    /// This device does not echo after all: wait for no echo from now on.
    void give_up_echo() noexcept { echoes_ = false; }

    /// Prompts begin with this word.
    void learn_name(std::string name) { prompts_.learn_name(std::move(name)); }

    /// The name prompts begin with; empty until a prompt was accepted.
    [[nodiscard]] const std::string& name() const noexcept { return prompts_.name(); }

private:
    void complete_line(std::string_view line);
    [[nodiscard]] const Answer* find_question(std::string_view line) const;
    [[nodiscard]] bool find_pager(std::string_view line);

    const Platform* platform_;
    TerminalText text_;
    PromptMatcher prompts_;
    Echo echo_;
    bool echoes_;
    bool has_echoed_ = false;
    std::string prompt_ends_;

    std::span<const Answer> dialogue_;
    const Answer* question_ = nullptr;
    /// A question on a completed line, while nothing but log messages follows it, and whether any
    /// did.
    const Answer* past_question_ = nullptr;
    bool question_is_past_ = false;
    const Pager* pager_ = nullptr;
    bool text_begins_ = false;
    /// The unfinished line when it was answered, so that it is not answered again.
    std::string answered_line_;
    bool is_answered_ = false;

    std::string answer_;
    std::string line_at_begin_;
    std::string last_line_;
    /// Where in the answer the prompt stands that is followed by log messages.
    std::size_t prompt_offset_ = 0;
    PromptMatch prompt_;
    std::string prompt_text_;
};

} // namespace muster::device
