#pragma once

#include <muster/core/detail/list.hpp>
#include <muster/sync/detail/acquire.hpp>
#include <muster/sync/detail/wait_list.hpp>

#include <cstddef>

namespace muster {

/// Lets a number of tasks through at a time, in the order they came (asyncio.Semaphore). Not for
/// threads.
class Semaphore {
public:
    using Guard = detail::Guard<Semaphore>;

    /// Throws ValueError for a negative value.
    explicit Semaphore(std::ptrdiff_t value = 1);

    Semaphore(const Semaphore&) = delete;
    Semaphore& operator=(const Semaphore&) = delete;

    /// Awaiting it takes a permit; at once when one is left and nobody waits. A task that is
    /// cancelled meanwhile has none.
    detail::Acquire<Semaphore, detail::AcquireAwaiter<Semaphore>> acquire() noexcept {
        return detail::Acquire<Semaphore, detail::AcquireAwaiter<Semaphore>>(*this);
    }

    /// The same; `auto held = co_await semaphore.guard();` gives it back at the end of the scope.
    detail::Acquire<Semaphore, detail::GuardAwaiter<Semaphore>> guard() noexcept {
        return detail::Acquire<Semaphore, detail::GuardAwaiter<Semaphore>>(*this);
    }

    /// Takes a permit if that needs no waiting.
    [[nodiscard]] bool try_acquire() noexcept {
        if (locked()) {
            return false;
        }
        --value_;
        return true;
    }

    /// Gives `count` permits back, or more than were taken: a Semaphore has no upper bound,
    /// BoundedSemaphore has. Throws ValueError when `count` is less than one (threading.Semaphore
    /// has the count).
    void release(std::ptrdiff_t count = 1) {
        waiters_.check_thread();
        if (count < 1) [[unlikely]] {
            refuse_count();
        }
        value_ += count;
        while (count > 0 && wake_next()) {
            --count;
        }
    }

    /// Whether acquire() would wait.
    [[nodiscard]] bool locked() const noexcept { return value_ == 0 || !waiters_.idle(); }

    /// The permits that are left.
    [[nodiscard]] std::ptrdiff_t value() const noexcept { return value_; }

private:
    friend Guard;
    friend class detail::AcquireAwaiter<Semaphore>;

    static constexpr const char* what = "semaphore";

    [[noreturn]] static void refuse_count();

    void release_held() noexcept {
        ++value_;
        wake_next();
    }

    void take_grant() noexcept { wake_all(); }

    void decline_grant() noexcept {
        ++value_;
        wake_all();
    }

    void forget_grant() noexcept { ++value_; }

    // A grant takes its permit at once: the task that gets it need not have resumed.
    bool wake_next() noexcept {
        if (!waiters_.has_waiting()) {
            return false;
        }
        --value_;
        waiters_.grant_first();
        return true;
    }

    // Tasks that came while a grant was under way stood in line although permits were left.
    void wake_all() noexcept {
        while (value_ > 0 && wake_next()) {
        }
    }

    std::ptrdiff_t value_;
    detail::WaitList waiters_;
    detail::List<Guard> guards_;
};

/// A Semaphore that is never released more often than it was acquired
/// (asyncio.BoundedSemaphore).
class BoundedSemaphore : public Semaphore {
public:
    /// Throws ValueError for a negative value.
    explicit BoundedSemaphore(std::ptrdiff_t value = 1) : Semaphore(value), bound_(value) {}

    /// Throws ValueError when fewer permits are out; none is given back then.
    void release(std::ptrdiff_t count = 1);

private:
    std::ptrdiff_t bound_;
};

} // namespace muster
