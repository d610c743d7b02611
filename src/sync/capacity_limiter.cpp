#include <muster/core/detail/loop_core.hpp>
#include <muster/core/error.hpp>
#include <muster/sync/capacity_limiter.hpp>

namespace muster {

namespace {

detail::TaskBase& running_task() {
    const detail::LoopCore* loop = detail::LoopCore::current();
    if (loop == nullptr || loop->current_task == nullptr) {
        throw RuntimeError("no task runs here that could be the borrower; name one with the "
                           "functions that end in on_behalf_of");
    }
    return *loop->current_task;
}

} // namespace

bool CapacityLimiter::try_acquire() {
    detail::TaskBase& task = running_task();
    check_new(&task);
    if (locked()) {
        return false;
    }
    lend(&task, &task);
    return true;
}

bool CapacityLimiter::try_acquire_on_behalf_of(const void* borrower) {
    check_new(borrower);
    if (locked()) {
        return false;
    }
    lend(borrower, nullptr);
    return true;
}

void CapacityLimiter::release() { release_on_behalf_of(&running_task()); }

void CapacityLimiter::release_on_behalf_of(const void* borrower) {
    waiters_.check_thread();
    if (!loans_.contains(borrower)) {
        throw RuntimeError("this borrower isn't holding any of this CapacityLimiter's tokens");
    }
    give_back(borrower);
}

void CapacityLimiter::set_total_tokens(std::size_t total_tokens) {
    waiters_.check_thread();
    total_tokens_ = total_tokens;
    wake();
}

CapacityLimiterStatistics CapacityLimiter::statistics() const noexcept {
    return {.borrowed_tokens = borrowed_tokens(),
            .total_tokens = total_tokens_,
            .tasks_waiting = waiters_.count_waiting()};
}

void CapacityLimiter::check_new(const void* borrower) const {
    if (loans_.contains(borrower)) {
        throw RuntimeError("this borrower is already holding one of this CapacityLimiter's tokens");
    }
}

detail::Loan& CapacityLimiter::lend(const void* borrower, detail::TaskBase* task) {
    try {
        check_new(borrower); // it may have got one by another task while it stood in line
        return loans_.try_emplace(borrower, *this, borrower, task).first->second;
    } catch (...) {
        wake();
        throw;
    }
}

void CapacityLimiter::give_back(const void* borrower) noexcept {
    loans_.erase(borrower);
    wake();
}

void CapacityLimiter::wake() noexcept {
    while (waiters_.has_waiting() && has_free()) {
        waiters_.grant_first();
    }
}

} // namespace muster
