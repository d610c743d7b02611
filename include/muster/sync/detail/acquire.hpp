#pragma once

#include <muster/core/detail/list.hpp>
#include <muster/sync/detail/wait_list.hpp>

#include <concepts>
#include <coroutine>
#include <utility>

namespace muster::detail {

/// Holds a Lock or Semaphore until the end of the scope. Movable; inert when moved from, after
/// release(), and when what it holds is destroyed first.
template <class P>
class [[nodiscard("the guard releases at the end of its scope: keep it in a variable")]] Guard
    : private Link {
public:
    Guard() noexcept = default;

    Guard(Guard&& other) noexcept { take(other); }

    Guard& operator=(Guard&& other) noexcept {
        if (this != &other) {
            release();
            take(other);
        }
        return *this;
    }

    ~Guard() { release(); }

    /// Releases before the end of the scope. Harmless when there is nothing to release.
    void release() noexcept {
        if (linked()) {
            unlink();
            held_->release_held();
        }
    }

    /// Whether there is something to release.
    explicit operator bool() const noexcept { return linked(); }

private:
    friend P;
    template <class>
    friend class GuardAwaiter;
    template <class>
    friend class List;

    explicit Guard(P& held) noexcept : held_(&held) { held.guards_.push_back(*this); }

    void take(Guard& other) noexcept {
        if (other.linked()) {
            other.unlink();
            held_ = other.held_;
            held_->guards_.push_back(*this);
        }
    }

    P* held_ = nullptr;
};

/// Waits for a Lock or Semaphore.
template <class P>
class AcquireAwaiter : public QueuedWaiter {
public:
    explicit AcquireAwaiter(P& wanted) noexcept
        : QueuedWaiter(wanted.waiters_, P::what), wanted_(wanted) {}

    ~AcquireAwaiter() {
        if (granted()) {
            wanted_.forget_grant();
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return wanted_.try_acquire(); }

    template <std::derived_from<PromiseBase> Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) {
        wait(handle.promise());
    }

    void await_resume() {
        if (!waited()) {
            return;
        }
        switch (leave()) {
        case Outcome::granted:
            wanted_.take_grant();
            return;
        case Outcome::declined:
            wanted_.decline_grant();
            break;
        case Outcome::cancelled:
            break;
        }
        throw_cancelled();
    }

protected:
    P& wanted_;
};

/// The same, and gives a guard.
template <class P>
class GuardAwaiter final : public AcquireAwaiter<P> {
public:
    using AcquireAwaiter<P>::AcquireAwaiter;

    Guard<P> await_resume() {
        AcquireAwaiter<P>::await_resume();
        return Guard<P>(this->wanted_);
    }
};

/// What acquire() and guard() give: movable, so that wait_for() and gather() can take it. Awaited
/// once.
template <class P, class A>
class [[nodiscard("nothing is acquired until this is awaited")]] Acquire {
public:
    explicit Acquire(P& wanted) noexcept : wanted_(&wanted) {}

    A operator co_await() && noexcept { return A(*wanted_); }

private:
    P* wanted_;
};

} // namespace muster::detail
