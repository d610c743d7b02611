#pragma once

#include <muster/core/detail/list.hpp>
#include <muster/sync/detail/acquire.hpp>
#include <muster/sync/detail/wait_list.hpp>

namespace muster {

namespace detail {
class ConditionAwaiter;
class ReacquireAwaiter;
} // namespace detail

/// Lets one task at a time through, in the order they came (asyncio.Lock). Not for threads. Not
/// recursive: a task that acquires it twice waits for itself.
class Lock {
public:
    using Guard = detail::Guard<Lock>;

    Lock() noexcept = default;
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

    /// Awaiting it takes the lock; at once when it is free and nobody waits. A task that is
    /// cancelled meanwhile does not have it.
    detail::Acquire<Lock, detail::AcquireAwaiter<Lock>> acquire() noexcept {
        return detail::Acquire<Lock, detail::AcquireAwaiter<Lock>>(*this);
    }

    /// The same; `auto held = co_await lock.guard();` releases it at the end of the scope.
    detail::Acquire<Lock, detail::GuardAwaiter<Lock>> guard() noexcept {
        return detail::Acquire<Lock, detail::GuardAwaiter<Lock>>(*this);
    }

    /// Takes the lock if that needs no waiting.
    [[nodiscard]] bool try_acquire() noexcept {
        if (locked_ || !waiters_.idle()) {
            return false;
        }
        locked_ = true;
        return true;
    }

    /// Lets the next task have it. Throws RuntimeError when it is not locked.
    void release();

    /// Whether a task holds it; false between a release and the moment the next task resumes.
    [[nodiscard]] bool locked() const noexcept { return locked_; }

private:
    friend Guard;
    friend class detail::AcquireAwaiter<Lock>;
    friend class detail::ConditionAwaiter;
    friend class detail::ReacquireAwaiter;

    static constexpr const char* what = "lock";

    void release_held() noexcept {
        locked_ = false;
        wake_next();
    }

    void take_grant() noexcept { locked_ = true; }

    void decline_grant() noexcept {
        if (!locked_) {
            wake_next();
        }
    }

    void forget_grant() noexcept {}

    void wake_next() noexcept {
        if (waiters_.granted() == 0 && waiters_.has_waiting()) {
            waiters_.grant_first();
        }
    }

    bool locked_ = false;
    detail::WaitList waiters_;
    detail::List<Guard> guards_;
};

} // namespace muster
