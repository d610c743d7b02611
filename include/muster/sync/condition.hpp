#pragma once

#include <muster/core/coro.hpp>
#include <muster/sync/detail/acquire.hpp>
#include <muster/sync/detail/wait_list.hpp>
#include <muster/sync/lock.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <functional>
#include <type_traits>
#include <utility>

namespace muster {

/// Lets tasks that hold a lock wait until another task says that something has changed
/// (asyncio.Condition). Not for threads.
///
///     auto held = co_await condition.guard();
///     co_await condition.wait_for([&] { return !jobs.empty(); });
class Condition {
public:
    using Guard = Lock::Guard;

    /// With a lock of its own.
    Condition() noexcept : lock_(&own_lock_) {}

    /// With a lock that others use, too. It must outlive the condition.
    explicit Condition(Lock& lock) noexcept : lock_(&lock) {}

    Condition(const Condition&) = delete;
    Condition& operator=(const Condition&) = delete;

    /// Awaiting it takes the lock: see Lock::acquire.
    auto acquire() noexcept { return lock_->acquire(); }

    /// The same; `auto held = co_await condition.guard();` releases it at the end of the scope.
    auto guard() noexcept { return lock_->guard(); }

    /// Takes the lock if that needs no waiting.
    [[nodiscard]] bool try_acquire() noexcept { return lock_->try_acquire(); }

    /// Throws RuntimeError when the lock is not locked.
    void release() { lock_->release(); }

    /// Whether a task holds the lock.
    [[nodiscard]] bool locked() const noexcept { return lock_->locked(); }

    /// Releases the lock, waits until notified, and takes the lock again. May also return without
    /// a reason: check what was waited for, or use wait_for(). Throws RuntimeError when the lock is
    /// not locked. When the task is cancelled, CancelledError is thrown once the lock is held
    /// again, and a notification that had reached it goes to the next.
    Coro<void> wait();

    /// Waits until `predicate()` is true; its value. Needs no lock when it is true at once. The
    /// predicate is kept alive meanwhile: a capturing lambda is safe.
    template <std::invocable Predicate>
    Coro<std::decay_t<std::invoke_result_t<Predicate&>>> wait_for(Predicate predicate) {
        for (;;) {
            std::decay_t<std::invoke_result_t<Predicate&>> value = std::invoke(predicate);
            if (value) {
                co_return value;
            }
            co_await wait();
        }
    }

    /// Wakes `count` of the tasks that wait, in the order they came; they go on, one after the
    /// other, once the lock is released. Throws RuntimeError when the lock is not locked.
    void notify(std::size_t count = 1);

    /// Wakes all tasks that wait. Throws RuntimeError when the lock is not locked.
    void notify_all();

private:
    friend class detail::ConditionAwaiter;

    void check_locked() const;
    void wake(std::size_t count) noexcept;

    Lock own_lock_;
    Lock* lock_;
    detail::WaitList waiters_;
    detail::List<detail::QueuedWaiter> notified_; // they take the lock again
};

namespace detail {

/// Releases a condition's lock and waits for a notification.
class ConditionAwaiter final : public QueuedWaiter {
public:
    explicit ConditionAwaiter(Condition& condition) noexcept
        : QueuedWaiter(condition.waiters_, "condition"), condition_(condition) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<PromiseBase> Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) {
        wait(handle.promise()); // may throw: the lock is still held then
        condition_.lock_->release_held();
    }

    /// False: the task was cancelled.
    bool await_resume() {
        const Outcome outcome = leave();
        if (outcome != Outcome::cancelled) {
            condition_.notified_.push_back(*this);
        }
        return outcome == Outcome::granted;
    }

    /// Hands a notification that has reached this task to the next one, then throws.
    [[noreturn]] void give_up() {
        if (linked()) { // false, too, when the condition is gone
            condition_.wake(1);
        }
        throw_cancelled();
    }

private:
    Condition& condition_;
};

/// Takes a lock whatever happens: a cancellation is noted, and the lock asked for once more.
class ReacquireAwaiter final : public AcquireAwaiter<Lock> {
public:
    ReacquireAwaiter(Lock& lock, bool& cancelled) noexcept
        : AcquireAwaiter<Lock>(lock), cancelled_(cancelled) {}

    /// False: cancelled in line, the lock is not held.
    [[nodiscard]] bool await_resume() {
        if (!waited()) {
            return true;
        }
        const Outcome outcome = leave();
        cancelled_ = cancelled_ || outcome != Outcome::granted;
        if (outcome == Outcome::cancelled) {
            return false;
        }
        wanted_.take_grant();
        return true;
    }

private:
    bool& cancelled_;
};

} // namespace detail
} // namespace muster
