#pragma once
/// What a service exports about its event loop.

#include <muster/core/clock.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace muster {

/// How many times something took how long. The buckets of durations are a quarter of a power of two
/// wide, so that what this tells is at most a quarter too long and never too short; half an hour
/// and more are the last bucket.
class DurationHistogram {
public:
    void record(Clock::duration took) noexcept;

    /// How many durations were recorded, all together, and the longest.
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

    [[nodiscard]] Clock::duration sum() const noexcept { return sum_; }

    [[nodiscard]] Clock::duration max() const noexcept { return max_; }

    /// What `percent` of the durations do not exceed; zero when there are none. ValueError unless
    /// it is from 0 to 100.
    [[nodiscard]] Clock::duration percentile(double percent) const;

    /// How many durations are known to be below `bound`: all of them if that is a power of two of
    /// nanoseconds. What a cumulative bucket of Prometheus counts.
    [[nodiscard]] std::uint64_t count_below(Clock::duration bound) const noexcept;

private:
    static constexpr std::size_t bucket_count = 160;

    std::array<std::uint64_t, bucket_count> buckets_{};
    std::uint64_t count_ = 0;
    Clock::duration sum_{};
    Clock::duration max_{};
};

namespace concurrent {

/// An executor as it is at one moment.
struct ExecutorMetrics {
    std::size_t queued = 0;  ///< jobs that wait for a thread
    std::size_t running = 0; ///< jobs on threads
    std::size_t threads = 0; ///< busy or idle
};

} // namespace concurrent

/// An event loop as it is at one moment (EventLoop::metrics).
struct LoopMetrics {
    std::size_t tasks = 0;           ///< not done
    std::uint64_t tasks_created = 0; ///< since the loop was made
    std::size_t ready = 0;           ///< tasks and callbacks that wait for their turn
    std::size_t inbox = 0;           ///< calls of other threads that the loop has not seen yet
    std::size_t timers = 0;          ///< deadlines, of timeouts too
    std::size_t external = 0;        ///< operations of threads and of Asio that tasks wait for
    /// How often the loop has gone through what was ready, and how many steps of tasks and
    /// callbacks that were, up to when it last looked for I/O.
    std::uint64_t turns = 0;
    std::uint64_t steps = 0;
    concurrent::ExecutorMetrics executor; ///< the default one; zeros while there is none
    DurationHistogram step_times;         ///< since EventLoop::set_step_times(true); else empty
};

} // namespace muster
