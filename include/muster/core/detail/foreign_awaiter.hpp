#pragma once

#include <muster/core/detail/promise.hpp>
#include <muster/core/detail/task_base.hpp>
#include <muster/core/detail/thread_hop.hpp>

#include <concepts>
#include <coroutine>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace muster::detail {

/// An awaiter of another library: it takes any coroutine, where muster's take only muster's.
template <class A>
concept Foreign =
    requires(A& awaiter, std::coroutine_handle<> handle) { awaiter.await_suspend(handle); };

/// Waits until another library resumes, on whatever thread, the coroutine that it is given.
class ForeignWait : public Waiter {
public:
    ForeignWait() = default;
    ForeignWait(const ForeignWait&) = delete;
    ForeignWait& operator=(const ForeignWait&) = delete;

    bool cancel(const std::string&) noexcept override { return false; } // the other can't be asked

    [[nodiscard]] std::string describe() const override { return "foreign awaitable"; }

protected:
    ~ForeignWait();

    /// A coroutine to stand in for the one that awaits: when it is resumed, the task is made ready.
    /// Throws CancelledError when a cancellation has come before: nothing has begun then.
    std::coroutine_handle<> prepare(PromiseBase& leaf);

    /// The stand-in was taken, and will be resumed.
    void suspend(PromiseBase& leaf) noexcept { leaf.task->suspend(leaf, *this); }

    /// The stand-in was not taken: there is nothing to wait for.
    void withdraw() noexcept;

    /// Throws RuntimeError when the stand-in was destroyed instead of being resumed.
    void end() const;

private:
    class Hop;
    class StandIn;

    std::shared_ptr<Hop> hop_;
    std::coroutine_handle<> stand_in_; // until it was taken
};

template <class A>
class ForeignAwaiter final : public ForeignWait {
public:
    explicit ForeignAwaiter(A&& awaiter) : awaiter_(std::forward<A>(awaiter)) {}

    bool await_ready() { return static_cast<bool>(awaiter_.await_ready()); }

    template <std::derived_from<PromiseBase> P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> handle) {
        const std::coroutine_handle<> stand_in = prepare(handle.promise());
        using Answer = decltype(awaiter_.await_suspend(stand_in));
        std::coroutine_handle<> next = std::noop_coroutine();
        try {
            if constexpr (std::is_void_v<Answer>) {
                awaiter_.await_suspend(stand_in);
            } else if constexpr (std::is_same_v<Answer, bool>) {
                if (!awaiter_.await_suspend(stand_in)) {
                    withdraw();
                    return handle.promise().task->transfer(handle);
                }
            } else {
                next = awaiter_.await_suspend(stand_in);
                if (next == stand_in) {
                    withdraw();
                    return handle.promise().task->transfer(handle);
                }
            }
        } catch (...) {
            withdraw();
            throw;
        }
        suspend(handle.promise());
        return next;
    }

    decltype(auto) await_resume() {
        end();
        return awaiter_.await_resume();
    }

private:
    A awaiter_;
};

} // namespace muster::detail
