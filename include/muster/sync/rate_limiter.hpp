#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/detail/loop_core.hpp>
#include <muster/core/detail/timer_queue.hpp>
#include <muster/sync/detail/acquire.hpp>
#include <muster/sync/detail/wait_list.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>

namespace muster {

class RateLimiter;

namespace detail {

/// Waits for a RateLimiter's next token.
class RateAwaiter final : public QueuedWaiter {
public:
    explicit RateAwaiter(RateLimiter& limiter) noexcept;
    ~RateAwaiter();

    [[nodiscard]] bool await_ready() const noexcept;

    template <std::derived_from<PromiseBase> Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) {
        begin(handle.promise());
    }

    void await_resume();

private:
    void begin(PromiseBase& leaf);

    RateLimiter& limiter_;
};

} // namespace detail

/// Lets tasks through at a rate, in the order they came: a token bucket on the loop's clock. Not
/// for threads. While nobody waits it costs nothing, not even a timer.
class RateLimiter : private detail::TimerNode {
public:
    /// Lets `per_second` through in a second, and up to `burst` at once after a quiet time. Throws
    /// ValueError unless both are positive; an infinite rate is no limit.
    explicit RateLimiter(double per_second, std::size_t burst = 1);

    RateLimiter(const RateLimiter&) = delete;
    RateLimiter& operator=(const RateLimiter&) = delete;
    ~RateLimiter();

    /// Awaiting it takes a token; at once when there is one and nobody waits. There is nothing to
    /// release. A task that is cancelled meanwhile leaves its token to the next.
    detail::Acquire<RateLimiter, detail::RateAwaiter> acquire() noexcept {
        return detail::Acquire<RateLimiter, detail::RateAwaiter>(*this);
    }

    /// Takes a token if that needs no waiting.
    [[nodiscard]] bool try_acquire() noexcept;

    /// Tokens in a second.
    [[nodiscard]] double rate() const noexcept { return per_second_; }

    /// Changes the rate from now on, for tasks that wait, too. Throws ValueError unless it is
    /// positive.
    void set_rate(double per_second);

    /// The most tokens that are kept.
    [[nodiscard]] std::size_t burst() const noexcept { return burst_; }

private:
    friend class detail::RateAwaiter;

    static detail::TaskBase* on_node(detail::Node& node, detail::NodeEvent event) noexcept;

    [[nodiscard]] Clock::time_point next_token() const noexcept { return full_at_ - tolerance_; }

    void spend(Clock::time_point now) noexcept;
    void give_back() noexcept;
    void serve(Clock::time_point now) noexcept;
    void set_timer(detail::LoopCore& loop);
    void stop_timer() noexcept;

    double per_second_;
    std::size_t burst_;
    Clock::duration interval_;         // from token to token
    Clock::duration tolerance_;        // what a full bucket is ahead
    Clock::time_point full_at_{};      // when the bucket is full if no more is taken
    detail::LoopCore* loop_ = nullptr; // whenever tasks wait: the timer is set
    detail::WaitList waiters_;
};

} // namespace muster
