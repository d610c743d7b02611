#pragma once

#include <muster/core/clock.hpp>

#include <atomic>
#include <string_view>

namespace muster::ssh::detail {

/// How long the longest step of a key exchange method takes on this machine: at first what it took
/// on another one, then what it is seen to take. One for each method in the process; thread-safe.
class KexCost {
public:
    /// Lives as long as the process. A name that is not known counts as slow.
    static KexCost& of(std::string_view method) noexcept;

    KexCost(std::string_view method, Clock::duration guess) noexcept
        : method_(method), estimate_(guess.count()) {}

    [[nodiscard]] Clock::duration estimate() const noexcept {
        return Clock::duration(estimate_.load(std::memory_order_relaxed));
    }

    /// A step of such a key exchange has taken so much of the processor's time.
    void note(Clock::duration taken) noexcept;

private:
    std::string_view method_;
    std::atomic<Clock::rep> estimate_;
};

/// The processor's time of this thread, which does not count that others had the processor.
class CpuTimer {
public:
    CpuTimer() noexcept : start_(now()) {}

    [[nodiscard]] Clock::duration elapsed() const noexcept { return now() - start_; }

private:
    static Clock::duration now() noexcept;

    Clock::duration start_;
};

} // namespace muster::ssh::detail
