#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/coro.hpp>
#include <muster/core/sleep.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

namespace muster {

/// One failed attempt, as a RetryPolicy's functions see it.
struct RetryState {
    int attempt = 0;          ///< the first is 1
    std::exception_ptr error; ///< what it threw
    Clock::duration delay{};  ///< until the next one
};

/// When `retry` tries again, and how long it waits before.
struct RetryPolicy {
    /// In all, the first included; ValueError unless positive.
    int max_attempts = 3;
    /// Before the second attempt; each further delay is `multiplier` times as long, up to
    /// `max_delay`.
    Clock::duration initial_delay = std::chrono::milliseconds(100);
    double multiplier = 2;
    Clock::duration max_delay = std::chrono::seconds(30);
    /// The part of each delay that is left to chance, so that many who failed together do not come
    /// back together: 0 is none, 1 is anything from nothing to the whole delay. ValueError outside
    /// of that.
    double jitter = 0.5;
    /// For all attempts and delays together: none is begun that would start later.
    TimeLimit stop_after = std::nullopt;
    /// Whether this error is worth another attempt; empty: every std::exception is.
    std::function<bool(const std::exception_ptr&)> retry_if = {};
    /// Told before each delay: for a log line.
    std::function<void(const RetryState&)> before_sleep = {};
};

namespace detail {

/// The side of retry() that needs no types: counts attempts, decides, computes delays.
class RetryAttempts {
public:
    explicit RetryAttempts(RetryPolicy policy);

    /// Called in a catch handler after a failed attempt: how long to wait before the next one.
    /// Throws the error again when there is to be none.
    Clock::duration failed();

private:
    [[nodiscard]] bool worth_it(const std::exception_ptr& error) const;
    [[nodiscard]] Clock::duration next_delay();

    RetryPolicy policy_;
    Clock::time_point stop_;
    int attempt_ = 0;
    double backoff_;
};

template <class F>
auto run_retry(F function, RetryPolicy policy) -> std::invoke_result_t<F&> {
    RetryAttempts attempts(std::move(policy));
    for (;;) {
        Clock::duration delay{};
        try {
            co_return co_await std::invoke(function);
        } catch (const std::exception&) {
            delay = attempts.failed();
        }
        co_await async_sleep(delay);
    }
}

} // namespace detail

/// Awaits `function()`, which gives a Coro, until it succeeds, as often as `policy` says, with
/// growing, partly random delays between; then throws the last error. What does not derive from
/// std::exception, CancelledError first of all, is never retried (tenacity.retry). The function is
/// kept alive: a capturing lambda is safe.
template <class F>
auto retry(F&& function, RetryPolicy policy = {}) {
    static_assert(detail::is_coro<std::invoke_result_t<std::decay_t<F>&>>,
                  "retry() takes a function that gives a Coro: a Coro itself runs only once");
    return detail::run_retry<std::decay_t<F>>(std::forward<F>(function), std::move(policy));
}

} // namespace muster
