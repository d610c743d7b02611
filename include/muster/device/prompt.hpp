#pragma once

#include <muster/device/platform.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace muster::device {

/// A prompt that was found at the end of the output.
struct PromptMatch {
    enum class Strength {
        none,
        /// Has the shape of a prompt, or comes after other text on the line: wait a moment, whether
        /// more comes, before believing it.
        likely,
        /// The device's own prompt, alone on its line.
        certain,
    };

    Strength strength = Strength::none;
    Mode mode = Mode::none;
    /// The host name as the prompt shows it.
    std::string name;
    /// The text in parentheses: "config-if".
    std::string context;
    /// The character the prompt ends with.
    char end = 0;
    /// For platforms whose prompt shows it.
    std::optional<int> exit_status;
    /// Where the prompt begins in the last line; 0 also when log messages follow it.
    std::size_t position = 0;
    /// The prompt is not the last line: nothing but log messages came after it.
    bool followed_by_log = false;

    explicit operator bool() const noexcept { return strength != Strength::none; }
};

/// Finds a device's prompt at the end of its output, looking at the tail of the last line only: at
/// most 1 KiB, and in nearly all cases at its last character, so that the work is linear in the
/// output whatever the pieces it comes in.
///
/// Prompts are described by a platform's `PromptShape`s rather than by regular expressions: the
/// backtracking ones of the standard library are slow and recursive, and no expression can say
/// "the host name I have learned, or its first 20 characters".
class PromptMatcher {
public:
    /// The platform must outlive the matcher.
    explicit PromptMatcher(const Platform& platform) : platform_(&platform) {}

    /// Looks at the line that is not complete yet.
    [[nodiscard]] PromptMatch match(std::string_view last_line) const;

    /// Tells of a completed line, so that a prompt followed by nothing but log messages counts.
    /// True when this line is a prompt, alone or with a log message glued to it.
    bool complete_line(std::string_view line);

    /// Forgets the lines so far: a command was sent.
    void forget_lines() noexcept { past_prompt_ = PromptMatch{}; }

    /// Takes the host name of the match for the device's own.
    void learn(const PromptMatch& match);

    /// Takes `name` for the name in the prompt; for shells whose prompt was set by us.
    void learn_name(std::string name) { name_ = std::move(name); }

    /// The name prompts begin with; empty until it was learned.
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    /// How many bytes were looked at so far: what tests count.
    [[nodiscard]] std::size_t examined() const noexcept { return examined_; }

private:
    [[nodiscard]] PromptMatch match_own(std::string_view body, char end) const;
    [[nodiscard]] PromptMatch match_shape(std::string_view body, char end) const;
    [[nodiscard]] const PromptShape* shape_for(char end, std::string_view context) const noexcept;
    [[nodiscard]] bool is_end(char c) const noexcept;
    [[nodiscard]] bool is_name_character(char c) const noexcept;

    const Platform* platform_;
    std::string name_;
    // A prompt as a completed line, while nothing but log messages and blank lines follows it.
    PromptMatch past_prompt_;
    mutable std::size_t examined_ = 0;
};

} // namespace muster::device
