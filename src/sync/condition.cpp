#include <muster/core/error.hpp>
#include <muster/sync/condition.hpp>

namespace muster {

Coro<void> Condition::wait() {
    if (!locked()) {
        throw RuntimeError("cannot wait on un-acquired lock");
    }
    Lock& lock = *lock_; // outlives the condition
    detail::ConditionAwaiter notification(*this);
    bool cancelled = !co_await notification;
    while (!co_await detail::ReacquireAwaiter(lock, cancelled)) {
    }
    if (cancelled) {
        notification.give_up();
    }
}

void Condition::notify(std::size_t count) {
    check_locked();
    wake(count);
}

void Condition::notify_all() {
    check_locked();
    waiters_.grant_all();
}

void Condition::check_locked() const {
    waiters_.check_thread();
    if (!locked()) {
        throw RuntimeError("cannot notify on un-acquired lock");
    }
}

void Condition::wake(std::size_t count) noexcept {
    for (; count > 0 && waiters_.has_waiting(); --count) {
        waiters_.grant_first();
    }
}

} // namespace muster
