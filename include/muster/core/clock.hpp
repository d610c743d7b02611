#pragma once

#include <muster/core/error.hpp>

#include <chrono>
#include <concepts>
#include <limits>
#include <optional>
#include <ratio>

namespace muster {

/// The loop's clock: monotonic, or virtual inside `muster::testing::run_virtual` (loop.time() in
/// asyncio). All deadlines are its time points.
struct Clock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<Clock>;
    static constexpr bool is_steady = true;

    /// The time of the loop that runs on this thread, else the system's monotonic time.
    static time_point now() noexcept;
};

namespace detail {

/// Any std::chrono duration in the clock's unit; out of range saturates.
/// Throws ValueError for NaN.
template <class Rep, class Period>
Clock::duration to_duration(std::chrono::duration<Rep, Period> value) {
    if constexpr (std::integral<Rep>) {
        using Given = std::chrono::duration<Rep, Period>;
        if constexpr (std::ratio_greater_equal_v<Period, Clock::period>) {
            if (value >= std::chrono::duration_cast<Given>(Clock::duration::max())) {
                return Clock::duration::max();
            }
            if (value <= std::chrono::duration_cast<Given>(Clock::duration::min())) {
                return Clock::duration::min();
            }
        }
        return std::chrono::duration_cast<Clock::duration>(value);
    }
    using Seconds = std::chrono::duration<long double>;
    if (value.count() != value.count()) {
        throw ValueError("Invalid delay: NaN (not a number)");
    }
    constexpr auto lowest = Seconds(Clock::duration::min()) + Seconds(1);
    constexpr auto highest = Seconds(Clock::duration::max()) - Seconds(1);
    const auto seconds = std::chrono::duration_cast<Seconds>(value);
    if (seconds >= highest) {
        return Clock::duration::max();
    }
    if (seconds <= lowest) {
        return Clock::duration::min();
    }
    return std::chrono::duration_cast<Clock::duration>(value);
}

inline Clock::duration to_duration(Clock::duration value) noexcept { return value; }

/// `start + delay`, saturating. `start` is a time of a loop's clock: not negative.
inline Clock::time_point deadline_after(Clock::time_point start, Clock::duration delay) noexcept {
    return delay > Clock::time_point::max() - start ? Clock::time_point::max() : start + delay;
}

} // namespace detail

/// A time limit: any std::chrono duration, or `std::nullopt` for none. Not positive means at once.
/// Throws ValueError for NaN.
class TimeLimit {
public:
    TimeLimit(std::nullopt_t) noexcept {}

    template <class Rep, class Period>
    TimeLimit(std::chrono::duration<Rep, Period> limit) : limit_(detail::to_duration(limit)) {}

    template <class Rep, class Period>
    TimeLimit(std::optional<std::chrono::duration<Rep, Period>> limit) {
        if (limit) {
            limit_ = detail::to_duration(*limit);
        }
    }

    [[nodiscard]] bool limited() const noexcept { return limit_.has_value(); }

    /// The limit; only when `limited()`.
    // NOLINTNEXTLINE(bugprone-unchecked-optional-access): the caller has asked
    [[nodiscard]] Clock::duration value() const noexcept { return *limit_; }

    /// The deadline counted from `start`; the far end of time when there is none.
    [[nodiscard]] Clock::time_point deadline(Clock::time_point start) const noexcept {
        return limit_ ? detail::deadline_after(start, *limit_) : Clock::time_point::max();
    }

private:
    std::optional<Clock::duration> limit_;
};

} // namespace muster
