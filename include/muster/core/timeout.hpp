#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/coro.hpp>
#include <muster/core/detail/task_base.hpp>
#include <muster/core/task.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

namespace muster {

enum class OnTimeout : std::uint8_t;

namespace detail {

/// What a std::optional can hold of a result.
template <class T>
using OptionalValue = std::conditional_t<std::is_reference_v<T>,
                                         std::reference_wrapper<std::remove_reference_t<T>>, T>;

} // namespace detail

/// A deadline on a block of code (asyncio.Timeout): given to the function that timeout() runs.
class Timeout : private detail::TimerNode {
public:
    /// For `timeout` and `timeout_at`.
    explicit Timeout(TimeLimit delay) noexcept
        : TimerNode(&Timeout::on_node), delay_(delay), state_(State::created) {}

    explicit Timeout(std::optional<Clock::time_point> when) noexcept
        : TimerNode(&Timeout::on_node), deadline_(when), state_(State::created) {}

    ~Timeout();

    /// The deadline; nothing when there is none.
    [[nodiscard]] std::optional<Clock::time_point> when() const noexcept { return deadline_; }

    /// Moves the deadline; nothing removes it. Throws RuntimeError once it has passed or the block
    /// has ended.
    void reschedule(std::optional<Clock::time_point> when);

    /// Whether the deadline passed while the block ran.
    [[nodiscard]] bool expired() const noexcept {
        return state_ == State::expiring || state_ == State::expired;
    }

private:
    template <class F, OnTimeout Policy>
    friend class TimeoutAwaiter;

    enum class State : std::uint8_t { created, entered, expiring, expired, exited };

    static detail::TaskBase* on_node(detail::Node& node, detail::NodeEvent event) noexcept;
    void enter(detail::TaskBase& task);

    /// Ends the block. True: the block was cancelled by this deadline, and the CancelledError it
    /// ended with is to become a TimeoutError.
    [[nodiscard]] bool exit(bool cancelled) noexcept;
    void schedule(Clock::time_point now);

    std::optional<TimeLimit> delay_;
    std::optional<Clock::time_point> deadline_;
    detail::TaskBase* task_ = nullptr;
    unsigned cancelling_ = 0;
    State state_;
};

/// What is made of a block that its deadline has cut off.
enum class OnTimeout : std::uint8_t { fail, move_on };

/// Runs a function's coroutine in the current task under a deadline; see timeout() and
/// move_on_after().
template <class F, OnTimeout Policy>
class TimeoutAwaiter {
    static constexpr bool takes_timeout = std::is_invocable_v<F&, Timeout&>;

    static auto call(F& function, Timeout& timeout) {
        if constexpr (takes_timeout) {
            return std::invoke(function, timeout);
        } else {
            return std::invoke(function);
        }
    }

    using Body = decltype(call(std::declval<F&>(), std::declval<Timeout&>()));
    static_assert(detail::is_coro<Body>, "timeout() takes a function that gives a Coro");
    using T = typename Body::value_type;

public:
    template <class Deadline>
    TimeoutAwaiter(Deadline deadline, F&& function)
        : timeout_(deadline), function_(std::move(function)) {}

    TimeoutAwaiter(const TimeoutAwaiter&) = delete;
    TimeoutAwaiter& operator=(const TimeoutAwaiter&) = delete;

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::PromiseBase> P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> handle) {
        detail::PromiseBase& parent = handle.promise();
        body_.emplace(call(function_, timeout_).release());
        static_cast<void>(body_->await_ready());
        timeout_.enter(*parent.task);
        return body_->begin(parent, nullptr);
    }

    auto await_resume() -> std::conditional_t<
        Policy == OnTimeout::fail, T,
        std::conditional_t<std::is_void_v<T>, bool, std::optional<detail::OptionalValue<T>>>> {
        const bool timed_out = timeout_.exit(body_->slot().state() == detail::State::cancelled);
        if constexpr (Policy == OnTimeout::fail) {
            if (timed_out) {
                throw TimeoutError();
            }
            return body_->await_resume();
        } else if constexpr (std::is_void_v<T>) {
            if (!timed_out) {
                body_->await_resume();
            }
            return !timed_out;
        } else {
            if (timed_out) {
                return std::nullopt;
            }
            return body_->await_resume();
        }
    }

private:
    Timeout timeout_;
    F function_;
    std::optional<detail::CoroAwaiter<T>> body_;
};

/// What timeout() and move_on_after() give: movable, so that gather() and wait_for() can take it.
/// Awaited once.
template <class Deadline, class F, OnTimeout Policy>
class [[nodiscard("a block with a deadline does nothing until it is awaited")]] TimeoutBlock {
    static_assert(std::is_invocable_v<F&> || std::is_invocable_v<F&, Timeout&>,
                  "timeout() takes a function that gives a Coro: it is called with nothing or with "
                  "a Timeout&");

public:
    template <class U>
    TimeoutBlock(Deadline deadline, U&& function)
        : deadline_(deadline), function_(std::forward<U>(function)) {}

    TimeoutAwaiter<F, Policy> operator co_await() && {
        return TimeoutAwaiter<F, Policy>(deadline_, std::move(function_));
    }

private:
    Deadline deadline_;
    F function_;
};

/// Runs `function()` or `function(Timeout&)`, which gives a Coro, in this task for at most `limit`,
/// counted from the await; std::nullopt is no limit. When the time is up, the coroutine is
/// cancelled, waited for, and TimeoutError thrown (asyncio.timeout). The function is kept alive
/// meanwhile: a capturing lambda is safe.
template <class F>
auto timeout(TimeLimit limit, F&& function) {
    return TimeoutBlock<TimeLimit, std::decay_t<F>, OnTimeout::fail>(limit,
                                                                     std::forward<F>(function));
}

/// The same with a point in time (asyncio.timeout_at).
template <class F>
auto timeout_at(std::optional<Clock::time_point> when, F&& function) {
    return TimeoutBlock<std::optional<Clock::time_point>, std::decay_t<F>, OnTimeout::fail>(
        when, std::forward<F>(function));
}

/// The same without an exception: gives the function's value as a std::optional, which is empty
/// when the time was up; for void whether it ended in time (trio.move_on_after).
template <class F>
auto move_on_after(TimeLimit limit, F&& function) {
    return TimeoutBlock<TimeLimit, std::decay_t<F>, OnTimeout::move_on>(limit,
                                                                        std::forward<F>(function));
}

/// The same with a point in time (trio.move_on_at).
template <class F>
auto move_on_at(std::optional<Clock::time_point> when, F&& function) {
    return TimeoutBlock<std::optional<Clock::time_point>, std::decay_t<F>, OnTimeout::move_on>(
        when, std::forward<F>(function));
}

namespace detail {

/// Whether an A goes on by itself, awaited or not: a Task or Future.
template <class A>
inline constexpr bool begun_already = requires(const A& awaitable) { awaitable.done(); };

template <class A>
bool already_done(const A& awaitable) {
    if constexpr (begun_already<A>) {
        return awaitable.done();
    } else {
        return false;
    }
}

} // namespace detail

/// Waits for `awaitable` for at most `limit`. When the time is up, it is cancelled, waited for,
/// and TimeoutError thrown, unless it ends with a value all the same (asyncio.wait_for). With a
/// limit that is not positive nothing is begun: only a Task or Future that is done gives its value.
template <class A>
    requires Awaitable<std::decay_t<A>>
Coro<std::remove_cvref_t<await_result_t<std::decay_t<A>>>> wait_for(A awaitable, TimeLimit limit) {
    if (!limit.limited()) {
        co_return co_await std::move(awaitable);
    }
    if (limit.value() <= Clock::duration::zero()) {
        if (detail::already_done(awaitable)) {
            co_return co_await std::move(awaitable);
        }
        if constexpr (detail::is_coro<A>) {
            awaitable.close();
        }
        if constexpr (!detail::begun_already<A>) {
            throw TimeoutError();
        }
    }
    co_return co_await timeout(limit, [&] { return detail::awaited(std::move(awaitable)); });
}

} // namespace muster
