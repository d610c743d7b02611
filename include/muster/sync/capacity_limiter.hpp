#pragma once

#include <muster/core/detail/future_base.hpp>
#include <muster/core/detail/task_base.hpp>
#include <muster/sync/detail/acquire.hpp>
#include <muster/sync/detail/wait_list.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <limits>
#include <type_traits>
#include <unordered_map>

namespace muster {

class CapacityLimiter;

namespace detail {

/// A token that is out, and who has it.
class Loan {
public:
    /// `task`: the borrower, if it is one. It is kept, so that its address stands for nobody else.
    Loan(CapacityLimiter& limiter, const void* borrower, TaskBase* task) noexcept
        : limiter_(limiter), borrower_(borrower), task_(task) {}

    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;

    [[nodiscard]] Guard<Loan> guard() noexcept { return Guard<Loan>(*this); }

private:
    friend Guard<Loan>;

    void release_held() noexcept;

    CapacityLimiter& limiter_;
    const void* borrower_;
    Ref<TaskBase> task_;
    List<Guard<Loan>> guards_;
};

/// Waits for a token. `Guarded`: gives a guard.
template <bool Guarded>
class BorrowAwaiter final : public QueuedWaiter {
public:
    /// Borrower null: the task that awaits.
    BorrowAwaiter(CapacityLimiter& limiter, const void* borrower) noexcept;

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<PromiseBase> Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle);

    std::conditional_t<Guarded, Guard<Loan>, void> await_resume();

private:
    CapacityLimiter& limiter_;
    const void* borrower_;
    TaskBase* task_ = nullptr; // when it is the borrower
};

/// What acquire() and its kin give: movable, so that wait_for() and gather() can take it. Awaited
/// once.
template <bool Guarded>
class [[nodiscard("nothing is acquired until this is awaited")]] Borrow {
public:
    Borrow(CapacityLimiter& limiter, const void* borrower) noexcept
        : limiter_(&limiter), borrower_(borrower) {}

    BorrowAwaiter<Guarded> operator co_await() && noexcept { return {*limiter_, borrower_}; }

private:
    CapacityLimiter* limiter_;
    const void* borrower_;
};

} // namespace detail

/// What CapacityLimiter::statistics() tells.
struct CapacityLimiterStatistics {
    std::size_t borrowed_tokens; ///< tokens that are out
    std::size_t total_tokens;    ///< how many there are in all
    std::size_t tasks_waiting;   ///< tasks that stand in line for one
};

/// Lets a number of borrowers through at a time, in the order they came (anyio.CapacityLimiter). A
/// Semaphore whose size can be changed, and that knows who holds its tokens: a borrower, by default
/// the task, has one at most. Not for threads.
class CapacityLimiter {
public:
    using Guard = detail::Guard<detail::Loan>;

    /// As `total_tokens`: no limit.
    static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

    explicit CapacityLimiter(std::size_t total_tokens) noexcept : total_tokens_(total_tokens) {}

    CapacityLimiter(const CapacityLimiter&) = delete;
    CapacityLimiter& operator=(const CapacityLimiter&) = delete;

    /// Awaiting it takes a token for the task that awaits; at once when one is left and nobody
    /// waits. Throws RuntimeError when the task has one already. A task that is cancelled meanwhile
    /// has none.
    detail::Borrow<false> acquire() noexcept { return {*this, nullptr}; }

    /// The same for another borrower than the task: the address of any object, which must live
    /// until the token is released.
    detail::Borrow<false> acquire_on_behalf_of(const void* borrower) noexcept {
        return {*this, borrower};
    }

    /// As acquire(); `auto held = co_await limiter.guard();` releases it at the end of the scope.
    detail::Borrow<true> guard() noexcept { return {*this, nullptr}; }

    /// As acquire_on_behalf_of(), with a guard.
    detail::Borrow<true> guard_on_behalf_of(const void* borrower) noexcept {
        return {*this, borrower};
    }

    /// Takes a token for the task that runs if that needs no waiting (acquire_nowait in anyio).
    /// Throws RuntimeError when the task has one already, and where no task runs.
    [[nodiscard]] bool try_acquire();

    /// The same for another borrower.
    [[nodiscard]] bool try_acquire_on_behalf_of(const void* borrower);

    /// Gives back the token of the task that runs. Throws RuntimeError when it has none.
    void release();

    /// Gives back the token of another borrower. Throws RuntimeError when it has none.
    void release_on_behalf_of(const void* borrower);

    /// Whether acquire() would wait.
    [[nodiscard]] bool locked() const noexcept { return waiters_.has_waiting() || !has_free(); }

    [[nodiscard]] std::size_t total_tokens() const noexcept { return total_tokens_; }

    /// Changes how many there are. More wake those that wait; fewer take no token away, but none is
    /// handed out until enough have come back.
    void set_total_tokens(std::size_t total_tokens);

    /// The tokens that are out.
    [[nodiscard]] std::size_t borrowed_tokens() const noexcept { return loans_.size(); }

    /// The tokens that are left; 0 also while more are out than there are.
    [[nodiscard]] std::size_t available_tokens() const noexcept {
        return total_tokens_ > loans_.size() ? total_tokens_ - loans_.size() : 0;
    }

    [[nodiscard]] CapacityLimiterStatistics statistics() const noexcept;

private:
    friend class detail::Loan;
    template <bool>
    friend class detail::BorrowAwaiter;

    // A token that a waiting task was woken for is its own until it resumes.
    [[nodiscard]] bool has_free() const noexcept {
        return loans_.size() < total_tokens_ && waiters_.granted() < total_tokens_ - loans_.size();
    }

    void check_new(const void* borrower) const;
    detail::Loan& lend(const void* borrower, detail::TaskBase* task);
    void give_back(const void* borrower) noexcept;
    void wake() noexcept;

    std::size_t total_tokens_;
    std::unordered_map<const void*, detail::Loan> loans_;
    detail::WaitList waiters_;
};

namespace detail {

inline void Loan::release_held() noexcept { limiter_.give_back(borrower_); }

template <bool Guarded>
BorrowAwaiter<Guarded>::BorrowAwaiter(CapacityLimiter& limiter, const void* borrower) noexcept
    : QueuedWaiter(limiter.waiters_, "capacity limiter"), limiter_(limiter), borrower_(borrower) {}

template <bool Guarded>
template <std::derived_from<PromiseBase> Promise>
bool BorrowAwaiter<Guarded>::await_suspend(std::coroutine_handle<Promise> handle) {
    PromiseBase& leaf = handle.promise();
    if (borrower_ == nullptr) {
        task_ = leaf.task;
        borrower_ = task_;
    }
    limiter_.check_new(borrower_);
    if (!limiter_.locked()) {
        return false;
    }
    wait(leaf);
    return true;
}

template <bool Guarded>
std::conditional_t<Guarded, Guard<Loan>, void> BorrowAwaiter<Guarded>::await_resume() {
    if (waited()) {
        const Outcome outcome = leave();
        if (outcome == Outcome::declined) {
            limiter_.wake();
        }
        if (outcome != Outcome::granted) {
            throw_cancelled();
        }
    }
    Loan& loan = limiter_.lend(borrower_, task_);
    if constexpr (Guarded) {
        return loan.guard();
    } else {
        static_cast<void>(loan);
    }
}

} // namespace detail
} // namespace muster
