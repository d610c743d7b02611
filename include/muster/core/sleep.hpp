#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/coro.hpp>
#include <muster/core/detail/task_base.hpp>

#include <chrono>
#include <concepts>
#include <coroutine>
#include <type_traits>

namespace muster {

namespace detail {

/// Waits for a point in time, or for one turn.
class SleepAwaiter final : public Waiter, public TimerNode {
public:
    /// `when`: the point in time if `absolute`, else how long after the await.
    SleepAwaiter(Clock::duration when, bool absolute) noexcept
        : TimerNode(&SleepAwaiter::on_node, Clock::time_point(when)), absolute_(absolute) {}

    SleepAwaiter(const SleepAwaiter&) = delete;
    SleepAwaiter& operator=(const SleepAwaiter&) = delete;

    ~SleepAwaiter() {
        if (active()) [[unlikely]] {
            task_->loop()->remove_timer(*this);
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<PromiseBase> P>
    void await_suspend(std::coroutine_handle<P> handle) {
        PromiseBase& leaf = handle.promise();
        task_ = leaf.task;
        if (!absolute_ && when().time_since_epoch() <= Clock::duration::zero()) {
            yield(leaf);
        } else {
            begin(leaf);
        }
    }

    void await_resume() {
        // Asked in every case: a second request is part of the cancellation that ended the wait.
        if (task_->take_cancel() || cancelled_) [[unlikely]] {
            task_->throw_cancelled();
        }
    }

    bool cancel(const std::string&) noexcept override;

    [[nodiscard]] std::string describe() const override { return "sleep"; }

    [[nodiscard]] bool open_ended() const noexcept override { return true; }

private:
    static TaskBase* on_node(Node& node, NodeEvent event) noexcept;

    void yield(PromiseBase& leaf) noexcept {
        fired_ = true;
        task_->yield(leaf);
    }

    void begin(PromiseBase& leaf);

    bool absolute_;
    bool fired_ = false;
    bool cancelled_ = false;
    TaskBase* task_ = nullptr;
};

/// What async_sleep() gives: movable, so that gather() and wait_for() can take it. Awaited once.
class [[nodiscard("a sleep does nothing until it is awaited")]] Sleep {
public:
    explicit Sleep(Clock::duration delay) noexcept : when_(delay) {}

    explicit Sleep(Clock::time_point until) noexcept
        : when_(until.time_since_epoch()), absolute_(true) {}

    SleepAwaiter operator co_await() && noexcept { return {when_, absolute_}; }

private:
    Clock::duration when_;
    bool absolute_ = false;
};

} // namespace detail

/// Pauses this task for at least `delay`; zero and less yield exactly one turn to the others
/// (asyncio.sleep). Throws ValueError for NaN, CancelledError when cancelled.
template <class Rep, class Period>
detail::Sleep async_sleep(std::chrono::duration<Rep, Period> delay) {
    return detail::Sleep(detail::to_duration(delay));
}

// Compilers show this line where a number is given.
template <class T>
    requires std::is_arithmetic_v<T>
void async_sleep(T) = delete; // a delay has a unit: write 5s, 100ms or std::chrono::seconds(n)

/// The same, and gives `result` then: async_sleep(delay, result).
template <class Rep, class Period, class T>
Coro<T> async_sleep(std::chrono::duration<Rep, Period> delay, T result) {
    co_await async_sleep(delay);
    co_return result;
}

/// Pauses this task until `when`; a time that has passed yields exactly one turn.
inline detail::Sleep async_sleep_until(Clock::time_point when) { return detail::Sleep(when); }

} // namespace muster
