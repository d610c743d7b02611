#pragma once

#include <muster/core/clock.hpp>
#include <muster/fleet/event.hpp>
#include <muster/fleet/outcome.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace muster::fleet {

/// Counts a run, and tells its rate and the time left. Computes only: it reads no clock and writes
/// nothing, all times are counted from the run's begin.
class Progress {
public:
    explicit Progress(std::size_t total) noexcept : total_(total) {}

    /// For `FleetOptions::on_event`.
    void observe(const Event& event);

    void started();
    void finished(Ending ending, Clock::duration at);

    [[nodiscard]] std::size_t total() const noexcept { return total_; }

    [[nodiscard]] std::size_t running() const noexcept { return running_; }

    /// Devices whose part has ended, in whatever way.
    [[nodiscard]] std::size_t done() const noexcept { return done_; }

    [[nodiscard]] std::size_t count(Ending ending) const noexcept {
        return counts_[static_cast<std::size_t>(ending)];
    }

    /// Neither started nor finished.
    [[nodiscard]] std::size_t waiting() const noexcept { return total_ - done_ - running_; }

    /// Devices finished per second of late (up to 30 seconds back); 0 before the first.
    [[nodiscard]] double rate(Clock::duration now) const;

    /// Time until all are done if it goes on at this rate; nothing while that can't be told.
    [[nodiscard]] std::optional<Clock::duration> time_left(Clock::duration now) const;

    /// `37/50 done, 2 failed, 8 running, 12.3/s, 2 s left`.
    [[nodiscard]] std::string line(Clock::duration now) const;

private:
    static constexpr std::int64_t window = 30;

    // Completions in one second of the run.
    struct Bucket {
        std::int64_t second = -1;
        std::size_t count = 0;
    };

    std::size_t total_;
    std::size_t running_ = 0;
    std::size_t done_ = 0;
    std::array<std::size_t, 4> counts_{};
    std::array<Bucket, static_cast<std::size_t>(window)> buckets_{};
};

/// A time for people: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
[[nodiscard]] std::string to_words(Clock::duration time);

} // namespace muster::fleet
