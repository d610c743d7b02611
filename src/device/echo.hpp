#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace muster::device {

/// Recognises what was typed when the terminal shows it, so that everything before it can be told
/// from the answer: what the device had to say earlier, and prompts that are not the answer's.
///
/// Blanks do not count, and an echo may be spread over several lines: a terminal that wraps puts
/// either anywhere. Linear in the lines it is given.
class Echo {
public:
    /// Expects these lines, in order; empty ones are not waited for.
    void expect(const std::vector<std::string>& lines);

    /// Takes a completed line of the terminal. `prompt` is what it began with when the lines were
    /// sent; besides, a line may begin with any prompt that ends with one of `ends`.
    void take(std::string_view line, std::string_view prompt, std::string_view ends);

    /// All lines were seen.
    [[nodiscard]] bool complete() const noexcept { return line_ == lines_.size(); }

    /// Of the first line, something was seen that may be its beginning.
    [[nodiscard]] bool began() const noexcept { return line_ > 0 || position_ > 0; }

private:
    [[nodiscard]] bool try_line(std::string_view squeezed, std::size_t position);

    std::vector<std::string> lines_;
    std::size_t line_ = 0;
    std::size_t position_ = 0;
};

} // namespace muster::device
