#pragma once

#include "reply_reader.hpp"

#include <muster/core/clock.hpp>
#include <muster/device/cli.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster::device {

/// One thing that is said to a device, and what is known about the answer.
struct Turn {
    /// The lines, without newlines; none: only listen.
    std::vector<std::string> lines = {};
    std::span<const Answer> dialogue = {};
    std::chrono::milliseconds limit{};
    Phase phase = Phase::command;
    /// For messages: "the first prompt", "`show version`"; masked.
    std::string what = {};
    /// Part of an answer that began with an earlier turn.
    bool goes_on = false;
};

/// The conversation below Cli: sends, reads up to the prompt, answers questions, keeps deadlines.
class Session {
public:
    /// `terminal` is connected.
    Session(Device device, const Platform& platform, CliOptions options,
            std::unique_ptr<Terminal> terminal);

    /// Says something and reads the answer up to the prompt. Throws DeviceError and ends the
    /// session when that does not come.
    Coro<void> say(Turn turn);

    /// Takes the shell over, where the platform says so; waits for the first prompt; sends what is
    /// to be sent on open.
    Coro<void> start();

    /// Goes to another mode, by way of privileged mode if need be. Does nothing on a platform that
    /// has no modes.
    Coro<void> enter(Mode mode);

    /// Ends it in order.
    Coro<void> close();

    /// Ends it at once.
    void abort() noexcept { terminal_.reset(); }

    [[nodiscard]] bool closed() const noexcept { return terminal_ == nullptr; }

    [[nodiscard]] const Device& device() const noexcept { return device_; }

    [[nodiscard]] const Platform& platform() const noexcept { return *platform_; }

    [[nodiscard]] const PhaseTimeouts& limits() const noexcept { return limits_; }

    [[nodiscard]] const ReplyReader& reader() const noexcept { return reader_; }

    [[nodiscard]] Mode mode() const noexcept { return reader_.prompt().mode; }

    /// The device stopped at text mode, not at a prompt.
    [[nodiscard]] bool in_text() const noexcept { return in_text_; }

    /// A failure of this device. What comes from it or from the user has to be masked before.
    [[nodiscard]] Failure failure(Phase phase, std::string_view reason,
                                  std::string_view remedy = {}) const;

    /// The text without this device's secrets.
    [[nodiscard]] std::string masked(std::string_view text) const;

private:
    class Guard;

    Coro<void> listen(const Turn& turn, Clock::time_point deadline);
    Coro<void> write(std::string text, const Turn& turn, Clock::time_point deadline);
    Coro<std::optional<std::string>> read(const Turn& turn, Clock::time_point until);
    Coro<void> take_over();
    Coro<void> follow(const Transition& transition);
    [[nodiscard]] std::string reply_to(const Answer& question, const Turn& turn);
    [[nodiscard]] Failure timed_out(const Turn& turn) const;
    [[nodiscard]] Failure lost(const Turn& turn, std::string_view why) const;
    [[nodiscard]] std::string seen() const;
    void check_open() const;

    Device device_;
    const Platform* platform_;
    CliOptions options_;
    PhaseTimeouts limits_;
    std::vector<Secret> secrets_;
    std::unique_ptr<Terminal> terminal_;
    ReplyReader reader_;
    bool busy_ = false;
    bool in_text_ = false;
    std::vector<const Answer*> given_;
};

} // namespace muster::device
