#include <muster/core/error.hpp>
#include <muster/sync/detail/wait_list.hpp>

namespace muster::detail {

bool QueuedWaiter::cancel(const std::string&) noexcept {
    if (phase_ != Phase::waiting) {
        return false;
    }
    list_->dismiss(*this);
    task_->wake();
    return true;
}

std::string QueuedWaiter::describe() const { return what_; }

void QueuedWaiter::throw_other_loop() const {
    throw RuntimeError(std::string("tasks of another event loop wait for the same ") + what_ +
                       "; concurrent::Queue is the one that several loops may share");
}

void QueuedWaiter::pass(PromiseBase& leaf) {
    wait(leaf);
    if (phase_ == Phase::waiting) {
        list_->grant(*this);
    }
}

QueuedWaiter::Outcome QueuedWaiter::leave_without_grant(bool late) {
    if (phase_ == Phase::orphaned) {
        if (late) {
            throw_cancelled();
        }
        // As when a future is cancelled that a task awaits. A task that main() leaves waiting
        // for something of its own thus ends as quietly as run() would have it end.
        throw CancelledError(std::string("what the task waited for was destroyed: ") + what_);
    }
    if (list_ == nullptr) {
        throw_cancelled();
    }
    unlink();
    return Outcome::cancelled;
}

WaitList::~WaitList() {
    orphan(granted_);
    orphan(waiting_);
    while (!leaving_.empty()) {
        leaving_.pop_front().list_ = nullptr;
    }
}

void WaitList::dismiss(QueuedWaiter& waiter) noexcept {
    waiter.unlink();
    waiter.phase_ = QueuedWaiter::Phase::cancelled;
    leaving_.push_back(waiter);
}

void WaitList::orphan(List<QueuedWaiter>& waiters) noexcept {
    while (!waiters.empty()) {
        QueuedWaiter& waiter = waiters.pop_front();
        waiter.phase_ = QueuedWaiter::Phase::orphaned;
        waiter.task_->wake();
    }
}

void WaitList::revoke_last() noexcept {
    QueuedWaiter& waiter = granted_.back();
    --granted_count_;
    if (waiter.task_->unwake()) {
        waiter.unlink();
        waiter.phase_ = QueuedWaiter::Phase::waiting;
        waiting_.push_front(waiter);
    } else {
        // Its task resumes because of a cancellation; as if that had come while it stood in line.
        dismiss(waiter);
    }
}

} // namespace muster::detail
