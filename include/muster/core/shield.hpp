#pragma once

#include <muster/core/detail/future_wait.hpp>
#include <muster/core/detail/task_base.hpp>
#include <muster/core/task.hpp>

#include <concepts>
#include <coroutine>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace muster {

namespace detail {

/// Told of what a shielded task ends with after nobody waits for it any more.
class ShieldedOutcome final : public Pooled, public Node {
public:
    explicit ShieldedOutcome(FutureBase& future) noexcept
        : Node(&ShieldedOutcome::on_node), future_(future) {}

private:
    static TaskBase* on_node(Node& node, NodeEvent event) noexcept;

    FutureBase& future_; // in whose list this lies
};

/// The wait for a future that goes on when the wait is cancelled.
class ShieldWait : public Waiter, public Node {
public:
    explicit ShieldWait(Ref<FutureBase> future) noexcept
        : Node(&ShieldWait::on_node), future_(std::move(future)) {}

    ShieldWait(const ShieldWait&) = delete;
    ShieldWait& operator=(const ShieldWait&) = delete;

    void begin(PromiseBase& leaf);

    /// After the wait: throws CancelledError if the task was cancelled.
    void end();

    bool cancel(const std::string& message) noexcept override;

    [[nodiscard]] std::string describe() const override { return "shield"; }

private:
    static TaskBase* on_node(Node& node, NodeEvent event) noexcept;

    Ref<FutureBase> future_;
    TaskBase* task_ = nullptr;
    std::unique_ptr<ShieldedOutcome> outcome_; // made before: cancelling allocates nothing
    bool cancelled_ = false;
};

template <class T, class State, bool Shared>
class ShieldAwaiter final : public ShieldWait {
public:
    explicit ShieldAwaiter(Ref<State> state) noexcept : ShieldWait(state), state_(state.get()) {}

    [[nodiscard]] bool await_ready() const noexcept { return state_->done(); }

    template <std::derived_from<PromiseBase> P>
    void await_suspend(std::coroutine_handle<P> handle) {
        begin(handle.promise());
    }

    decltype(auto) await_resume() {
        end();
        return take_result<T, Shared>(*state_);
    }

private:
    State* state_;
};

/// What shield() gives: movable, so that gather() and wait_for() can take it. Awaited once.
template <class T, class State, bool Shared>
class [[nodiscard("shield() does nothing until it is awaited")]] Shield {
public:
    explicit Shield(Ref<State> state) noexcept : state_(std::move(state)) {}

    ShieldAwaiter<T, State, Shared> operator co_await() && noexcept {
        return ShieldAwaiter<T, State, Shared>(std::move(state_));
    }

private:
    Ref<State> state_;
};

template <class H>
inline constexpr bool is_handle = false;
template <class T>
inline constexpr bool is_handle<Task<T>> = true;
template <class T>
inline constexpr bool is_handle<Future<T>> = true;

template <bool Shared, class Handle>
auto make_shield(const Handle& handle) {
    static_cast<void>(handle.done()); // throws for an empty handle
    using Inner = std::remove_cvref_t<decltype(*handle.state())>;
    return Shield<typename Handle::value_type, Inner, Shared>(handle.state());
}

} // namespace detail

/// Waits for `task`, a Task or Future, without passing a cancellation on to it: who waits gets
/// CancelledError at once, and the task runs on (asyncio.shield). If it fails then, the loop's
/// exception handler is told. The result is that of awaiting the handle itself: a const reference
/// for an lvalue, the value for an rvalue.
///
/// A Coro is not taken: it would run on without the locals that it may refer to. Give a task, or a
/// function with its arguments.
template <class A>
    requires(!detail::CoroFunction<std::decay_t<A>&>)
auto shield(A&& task) {
    static_assert(detail::is_handle<std::remove_cvref_t<A>>,
                  "shield() takes a Task or Future, or a function and its arguments: a Coro would "
                  "outlive what it refers to, so write shield(fn, args...), or make it a task");
    return detail::make_shield<std::is_lvalue_reference_v<A>>(task);
}

/// Starts `function(args...)` as a task, which owns the function and decayed copies of the
/// arguments, and waits for it as above.
template <class F, class... Args>
    requires detail::CoroFunction<std::decay_t<F>&, std::unwrap_ref_decay_t<Args>...>
auto shield(F&& function, Args&&... args) {
    return detail::make_shield<false>(
        create_task(std::forward<F>(function), std::forward<Args>(args)...));
}

} // namespace muster
