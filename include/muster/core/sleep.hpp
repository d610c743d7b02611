#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/detail/task_base.hpp>

#include <chrono>
#include <concepts>
#include <coroutine>

namespace muster {

namespace detail {

/// Waits for a point in time, or for one turn.
class [[nodiscard("a sleep does nothing until it is awaited")]] SleepAwaiter : public Waiter,
                                                                               public TimerNode {
public:
    explicit SleepAwaiter(Clock::duration delay) noexcept
        : TimerNode(&SleepAwaiter::on_node), delay_(delay) {}

    explicit SleepAwaiter(Clock::time_point until) noexcept
        : TimerNode(&SleepAwaiter::on_node), until_(until), absolute_(true) {}

    SleepAwaiter(const SleepAwaiter&) = delete;
    SleepAwaiter& operator=(const SleepAwaiter&) = delete;

    ~SleepAwaiter() {
        if (task_ != nullptr && task_->loop() != nullptr) {
            task_->loop()->remove_timer(*this);
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<PromiseBase> P>
    void await_suspend(std::coroutine_handle<P> handle) {
        begin(handle.promise());
    }

    void await_resume() {
        if (cancelled_ || task_->take_cancel()) [[unlikely]] {
            task_->throw_cancelled();
        }
    }

    bool cancel(const std::string&) noexcept override;

    [[nodiscard]] std::string describe() const override { return "sleep"; }

private:
    static void on_node(Node& node, NodeEvent event) noexcept;
    void begin(PromiseBase& leaf);

    TaskBase* task_ = nullptr;
    Clock::duration delay_{};
    Clock::time_point until_{};
    bool absolute_ = false;
    bool fired_ = false;
    bool cancelled_ = false;
};

} // namespace detail

/// Pauses this task for at least `delay`; zero and less yield exactly one turn to the others
/// (asyncio.sleep). Throws ValueError for NaN, CancelledError when cancelled.
template <class Rep, class Period>
detail::SleepAwaiter async_sleep(std::chrono::duration<Rep, Period> delay) {
    return detail::SleepAwaiter(detail::to_duration(delay));
}

/// Pauses this task until `when`; a time that has passed yields exactly one turn.
inline detail::SleepAwaiter async_sleep_until(Clock::time_point when) {
    return detail::SleepAwaiter(when);
}

} // namespace muster
