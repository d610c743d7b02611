#pragma once

#include <muster/core/detail/list.hpp>
#include <muster/core/detail/loop_core.hpp>
#include <muster/core/detail/promise.hpp>
#include <muster/core/detail/task_base.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace muster::detail {

class WaitList;

/// A task's place in a WaitList. It lives in an awaiter, so that waiting allocates nothing.
class QueuedWaiter : public Waiter, public Link {
public:
    QueuedWaiter(const QueuedWaiter&) = delete;
    QueuedWaiter& operator=(const QueuedWaiter&) = delete;

    /// A waiter that stands in line leaves it; one that was granted what it waits for keeps the
    /// cancellation for its resumption, where it hands the grant on.
    bool cancel(const std::string& message) noexcept final;

    [[nodiscard]] std::string describe() const final;

protected:
    QueuedWaiter(WaitList& list, const char* what) noexcept : list_(&list), what_(what) {}

    ~QueuedWaiter();

    /// Suspends the task at the end of the line. Throws RuntimeError when tasks of another loop
    /// stand there.
    void wait(PromiseBase& leaf);

    /// Suspends the task for one turn, with its grant.
    void pass(PromiseBase& leaf);

    /// Whether the task was suspended at all.
    [[nodiscard]] bool waited() const noexcept { return phase_ != Phase::outside; }

    /// Whether the wait was granted and the task has not resumed since.
    [[nodiscard]] bool granted() const noexcept { return phase_ == Phase::granted; }

    enum class Outcome : std::uint8_t {
        granted,   ///< the task has what it waited for
        declined,  ///< it was granted, but the task was cancelled since: hand it on, then throw
        cancelled, ///< cancelled in line: throw
    };

    /// At resumption, ends the wait. Throws CancelledError when what was waited for is gone: the
    /// list must not be touched any more.
    [[nodiscard]] Outcome leave();

    [[noreturn]] void throw_cancelled() const { task_->throw_cancelled(); }

    /// In place of throwing, when what was done can't be undone: the cancellation is kept for the
    /// next suspension.
    void keep_cancelled() const noexcept { task_->latch_cancel({}); }

private:
    friend class WaitList;

    enum class Phase : std::uint8_t { outside, waiting, granted, cancelled, orphaned };

    [[noreturn]] void throw_other_loop() const;
    [[nodiscard]] Outcome leave_without_grant(bool late);

    WaitList* list_;
    TaskBase* task_ = nullptr;
    const char* what_;
    Phase phase_ = Phase::outside;
};

/// Tasks that wait for the same thing, first come, first served. One that is granted the thing
/// stays known until it resumes and takes it, so that nobody else takes it meanwhile.
class WaitList {
public:
    WaitList() noexcept = default;
    WaitList(const WaitList&) = delete;
    WaitList& operator=(const WaitList&) = delete;

    /// Tasks that still wait get a CancelledError that says so.
    ~WaitList();

    /// Whether nobody stands in line or is about to resume with a grant.
    [[nodiscard]] bool idle() const noexcept { return waiting_.empty() && granted_count_ == 0; }

    [[nodiscard]] bool has_waiting() const noexcept { return !waiting_.empty(); }

    /// How many stand in line. Counts them: for statistics.
    [[nodiscard]] std::size_t count_waiting() const noexcept {
        std::size_t count = 0;
        waiting_.for_each([&count](const QueuedWaiter&) { ++count; });
        return count;
    }

    /// The grants that were not taken yet.
    [[nodiscard]] std::size_t granted() const noexcept { return granted_count_; }

    /// The first in line; only when there is one.
    [[nodiscard]] QueuedWaiter& first() const noexcept { return waiting_.front(); }

    /// Wakes the first in line; only when there is one.
    void grant_first() noexcept { grant(waiting_.front()); }

    void grant_all() noexcept {
        while (!waiting_.empty()) {
            grant_first();
        }
    }

    /// Takes the latest grant back: its task goes on waiting, as the first in line, or leaves if
    /// it was cancelled since. Only when there is a grant.
    void revoke_last() noexcept;

    /// In debug mode throws RuntimeError when tasks of another thread's loop stand in line.
    void check_thread() const {
        if (!waiting_.empty() && waiting_.front().task_->loop()->debug) [[unlikely]] {
            waiting_.front().task_->loop()->check_thread();
        }
    }

private:
    friend class QueuedWaiter;

    void grant(QueuedWaiter& waiter) noexcept {
        waiter.unlink();
        granted_.push_back(waiter);
        ++granted_count_;
        waiter.phase_ = QueuedWaiter::Phase::granted;
        waiter.task_->wake();
    }

    void dismiss(QueuedWaiter& waiter) noexcept;
    void orphan(List<QueuedWaiter>& waiters) noexcept;

    List<QueuedWaiter> waiting_;
    List<QueuedWaiter> granted_;
    List<QueuedWaiter> leaving_; // cancelled in line, not resumed since
    std::size_t granted_count_ = 0;
};

inline QueuedWaiter::~QueuedWaiter() {
    // Granted and not resumed: the loop is going away, nobody is left to hand the grant to.
    if (phase_ == Phase::granted) [[unlikely]] {
        --list_->granted_count_;
    }
}

inline void QueuedWaiter::wait(PromiseBase& leaf) {
    TaskBase& task = *leaf.task;
    if (!list_->waiting_.empty() && list_->waiting_.front().task_->loop() != task.loop())
        [[unlikely]] {
        throw_other_loop();
    }
    task_ = &task;
    phase_ = Phase::waiting;
    list_->waiting_.push_back(*this);
    task.suspend(leaf, *this);
}

inline QueuedWaiter::Outcome QueuedWaiter::leave() {
    // Asked in every case: a request that came after the wait had been cancelled is part of it.
    const bool late = task_->take_cancel();
    if (phase_ != Phase::granted) [[unlikely]] {
        return leave_without_grant(late);
    }
    unlink();
    --list_->granted_count_;
    phase_ = Phase::outside;
    return late ? Outcome::declined : Outcome::granted;
}

} // namespace muster::detail
