#include <muster/core/error.hpp>
#include <muster/sync/detail/wait_list.hpp>

namespace muster::detail {

QueuedWaiter::~QueuedWaiter() {
    // Granted and not resumed: the loop is going away, nobody is left to hand the grant to.
    if (phase_ == Phase::granted) {
        --list_->granted_count_;
    }
}

bool QueuedWaiter::cancel(const std::string&) noexcept {
    if (phase_ != Phase::waiting) {
        return false;
    }
    list_->dismiss(*this);
    task_->wake();
    return true;
}

std::string QueuedWaiter::describe() const { return what_; }

void QueuedWaiter::wait(PromiseBase& leaf) {
    TaskBase& task = *leaf.task;
    if (!list_->waiting_.empty() && list_->waiting_.front().task_->loop() != task.loop()) {
        throw RuntimeError(std::string("tasks of another event loop wait for the same ") + what_ +
                           "; concurrent::Queue is the one that several loops may share");
    }
    task_ = &task;
    phase_ = Phase::waiting;
    list_->waiting_.push_back(*this);
    task.suspend(leaf, *this);
}

void QueuedWaiter::pass(PromiseBase& leaf) {
    wait(leaf);
    if (phase_ == Phase::waiting) {
        list_->grant(*this);
    }
}

QueuedWaiter::Outcome QueuedWaiter::leave() {
    // Asked in every case: a request that came after the wait had been cancelled is part of it.
    const bool late = task_->take_cancel();
    switch (phase_) {
    case Phase::granted:
        unlink();
        --list_->granted_count_;
        phase_ = Phase::outside;
        return late ? Outcome::declined : Outcome::granted;
    case Phase::orphaned:
        if (late) {
            throw_cancelled();
        }
        // As when a future is cancelled that a task awaits. A task that main() leaves waiting
        // for something of its own thus ends as quietly as run() would have it end.
        throw CancelledError(std::string("what the task waited for was destroyed: ") + what_);
    default:
        if (list_ == nullptr) {
            throw_cancelled();
        }
        unlink();
        break;
    }
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
