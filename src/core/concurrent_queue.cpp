#include <muster/core/concurrent_future.hpp>
#include <muster/core/concurrent_queue.hpp>
#include <muster/core/error.hpp>

#include <algorithm>
#include <condition_variable>

namespace muster::concurrent::detail {

namespace {

using muster::detail::LoopCore;

class ThreadSleeper final : public Sleeper {
public:
    void wake() noexcept override { woken_.notify_one(); }

    /// Whether the wait ended before the deadline.
    bool sleep(std::unique_lock<std::mutex>& lock, const Deadline& deadline, const Place& place) {
        return wait_until(woken_, lock, deadline,
                          [&place] { return place.turn() != Turn::waiting; });
    }

private:
    std::condition_variable woken_;
};

} // namespace

bool QueueBase::is_shutdown() const {
    const std::lock_guard lock(mutex_);
    return shut_down_;
}

void QueueBase::task_done() {
    const std::lock_guard lock(mutex_);
    if (unfinished_ == 0) {
        throw ValueError("task_done() called too many times");
    }
    count_done(1);
}

void QueueBase::join(const TimeLimit& timeout) {
    check(timeout);
    std::unique_lock lock(mutex_);
    Place place;
    if (!finished() && !block(lock, joiners_, place, timeout, "join")) {
        throw TimeoutError("the items of the queue were not dealt with in time");
    }
}

bool QueueBase::block(std::unique_lock<std::mutex>& lock, Line& line, Place& place,
                      const TimeLimit& timeout, const char* call) {
    if (timeout.limited() && timeout.value() <= Clock::duration::zero()) {
        return false;
    }
    if (LoopCore::current() != nullptr) {
        throw RuntimeError(std::string("concurrent::Queue::") + call +
                           "() would block the event loop that runs on this thread: co_await "
                           "async_" +
                           call + "() in a task");
    }
    const Deadline deadline = deadline_of(timeout);
    ThreadSleeper sleeper;
    place.line_up(line, sleeper);
    if (!sleeper.sleep(lock, deadline, place)) {
        place.unlink();
        return false;
    }
    return true;
}

void QueueBase::check(const TimeLimit& timeout) {
    if (timeout.limited() && timeout.value() < Clock::duration::zero()) {
        throw ValueError("'timeout' must be a non-negative number");
    }
}

void QueueBase::count_done(std::size_t count) noexcept {
    unfinished_ -= std::min(unfinished_, count);
    if (unfinished_ == 0) {
        end_all(joiners_, Turn::served);
    }
}

void QueueBase::end_all(Line& line, Turn how) noexcept {
    while (!line.empty()) {
        line.front().end(how);
    }
}

void TaskSleeper::wake() noexcept {
    // The task waits for just this, so it and its loop will be there; unless the loop is closed
    // first: then it refuses the work, or drops it, and the task passes on what it got.
    LoopCore& core = *task_->loop();
    if (LoopCore::current() == &core) {
        task_->wake();
        return;
    }
    UniqueFunction<void()> work = [task = task_] { task->wake(); };
    static_cast<void>(core.gate()->post(work));
}

bool TaskSleeper::cancel(const std::string&) noexcept {
    {
        const std::lock_guard lock(queue_->mutex());
        if (place_->turn() != Turn::waiting) {
            return false;
        }
        place_->leave(Turn::cancelled);
    }
    task_->wake();
    return true;
}

std::string TaskSleeper::describe() const { return what_; }

void TaskSleeper::line_up(Line& line, muster::detail::PromiseBase& leaf) noexcept {
    task_ = leaf.task;
    in_line_ = true;
    place_->line_up(line, *this);
}

bool TaskSleeper::suspend(muster::detail::PromiseBase& leaf) {
    if (in_line_) {
        leaf.task->suspend(leaf, *this);
        return true;
    }
    if (!leaf.task->spend_ready()) [[likely]] {
        return false;
    }
    task_ = leaf.task;
    task_->suspend(leaf, *this);
    task_->wake();
    return true;
}

Turn TaskSleeper::leave() noexcept {
    if (std::exchange(in_line_, false)) {
        const std::lock_guard lock(queue_->mutex());
        place_->unlink();
    }
    return place_->turn(); // nobody else knows the place any more
}

bool TaskSleeper::take_cancel(Turn turn) noexcept {
    // Asked in every case: a request that came after the wait had been cancelled is part of it.
    const bool late = task_ != nullptr && task_->take_cancel();
    return late || turn == Turn::cancelled;
}

void TaskSleeper::check(Turn turn, bool cancelled) const {
    if (cancelled) {
        task_->throw_cancelled();
    }
    if (turn == Turn::shut_down) {
        throw QueueShutDown();
    }
    if (turn == Turn::orphaned) {
        throw CancelledError(std::string("what the task waited for was destroyed: ") + what_);
    }
}

bool QueueJoinAwaiter::begin(muster::detail::PromiseBase& leaf) {
    {
        const std::lock_guard lock(queue().mutex());
        if (queue().finished()) {
            place_.end(Turn::served);
        } else {
            line_up(queue().joiners(), leaf);
        }
    }
    return suspend(leaf);
}

} // namespace muster::concurrent::detail
