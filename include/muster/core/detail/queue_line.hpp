#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/detail/list.hpp>
#include <muster/core/detail/loop_core.hpp>
#include <muster/core/detail/promise.hpp>
#include <muster/core/detail/task_base.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace muster::concurrent::detail {

/// What waits in a line: a thread, or a task.
class Sleeper {
public:
    /// Its wait is over. Called under the queue's mutex, by any thread.
    virtual void wake() noexcept = 0;

protected:
    ~Sleeper() = default;
};

/// How a wait ended.
enum class Turn : std::uint8_t {
    waiting,   ///< it has not
    served,    ///< with what was waited for
    shut_down, ///< the queue was shut down
    cancelled, ///< the task was cancelled
    orphaned,  ///< the queue was destroyed
};

/// A place in one of a queue's lines. Guarded by the queue's mutex.
class Place : public muster::detail::Link {
public:
    [[nodiscard]] Turn turn() const noexcept { return turn_; }

    void line_up(muster::detail::List<Place>& line, Sleeper& sleeper) noexcept {
        sleeper_ = &sleeper;
        line.push_back(*this);
    }

    /// Needs no waiting, or wakes who waits.
    void end(Turn how) noexcept {
        turn_ = how;
        if (linked()) {
            unlink();
            sleeper_->wake();
        }
    }

    /// Leaves the line without a wake-up.
    void leave(Turn how) noexcept {
        turn_ = how;
        unlink();
    }

private:
    Sleeper* sleeper_ = nullptr;
    Turn turn_ = Turn::waiting;
};

/// One in which an item is left for who waits, or waits itself for room.
template <class Held>
struct ItemPlace : Place {
    Held item;
};

using Line = muster::detail::List<Place>;

/// What all queues between threads and tasks do, whatever they hold: who waits, in which order,
/// and for how long. Shared by the queue and the tasks that wait, which may outlive it.
class QueueBase {
public:
    explicit QueueBase(std::size_t maxsize) noexcept : maxsize_(maxsize) {}

    QueueBase(const QueueBase&) = delete;
    QueueBase& operator=(const QueueBase&) = delete;

    [[nodiscard]] std::mutex& mutex() const noexcept { return mutex_; }

    [[nodiscard]] std::size_t maxsize() const noexcept { return maxsize_; }

    [[nodiscard]] bool is_shutdown() const;
    void task_done();
    void join(const TimeLimit& timeout);

    // --- under the mutex ---

    /// Whether join() need not wait.
    [[nodiscard]] bool finished() const noexcept { return unfinished_ == 0; }

    [[nodiscard]] Line& joiners() noexcept { return joiners_; }

protected:
    ~QueueBase() = default;

    /// Has this thread wait in `line`. False: the timeout has passed, or is zero. Throws
    /// RuntimeError when it would block the loop that runs on this thread: `call` has a sibling for
    /// tasks.
    bool block(std::unique_lock<std::mutex>& lock, Line& line, Place& place,
               const TimeLimit& timeout, const char* call);

    /// Throws ValueError for a negative timeout.
    static void check(const TimeLimit& timeout);

    /// `count` items need no task_done() any more, as far as there are that many.
    void count_done(std::size_t count) noexcept;

    static void end_all(Line& line, Turn how) noexcept;

    mutable std::mutex mutex_;
    const std::size_t maxsize_; // 0: no limit
    std::size_t unfinished_ = 0;
    std::uint64_t next_number_ = 0;
    bool shut_down_ = false;
    bool dropping_ = false; // what comes back is gone, too
    Line getters_;
    Line putters_;
    Line joiners_;
};

/// The task behind a place in line; base of the awaiters. Everything but `wake` is called on the
/// loop's thread.
class TaskSleeper : public Sleeper, public muster::detail::Waiter {
public:
    TaskSleeper(const TaskSleeper&) = delete;
    TaskSleeper& operator=(const TaskSleeper&) = delete;

    void wake() noexcept final;

    bool cancel(const std::string& message) noexcept final;

    [[nodiscard]] std::string describe() const final;

    [[nodiscard]] bool open_ended() const noexcept final { return true; }

protected:
    TaskSleeper(std::shared_ptr<QueueBase> queue, Place& place, const char* what) noexcept
        : queue_(std::move(queue)), place_(&place), what_(what) {}

    ~TaskSleeper() = default;

    [[nodiscard]] QueueBase& queue() const noexcept { return *queue_; }

    /// Has the task stand in `line`; under the queue's mutex.
    void line_up(Line& line, muster::detail::PromiseBase& leaf) noexcept;

    /// Suspends the task if it stands in line, and, once in a while, if it does not; whether it did
    /// so. Not under the mutex: a cancellation that came earlier takes it.
    bool suspend(muster::detail::PromiseBase& leaf);

    /// Ends the wait, at resumption or when the frame is destroyed.
    Turn leave() noexcept;

    /// At resumption, whether the task was cancelled since its wait ended, or instead of that. Such
    /// a request is taken.
    [[nodiscard]] bool take_cancel(Turn turn) noexcept;

    /// Throws what a wait ends with that was not served.
    void check(Turn turn, bool cancelled) const;

private:
    std::shared_ptr<QueueBase> queue_;
    Place* place_;
    const char* what_;
    muster::detail::TaskBase* task_ = nullptr; // once it is suspended, or about to be
    bool in_line_ = false;                     // or has left it and not resumed yet
};

} // namespace muster::concurrent::detail
