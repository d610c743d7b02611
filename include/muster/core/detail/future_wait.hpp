#pragma once

#include <muster/core/detail/task_base.hpp>

#include <type_traits>
#include <utility>

namespace muster::detail {

/// The wait of one task for one future: cancelling the wait cancels the future, as in asyncio.
class FutureWait : public Waiter, public Node {
public:
    explicit FutureWait(Ref<FutureBase> future) noexcept
        : Node(&FutureWait::on_node), future_(std::move(future)) {}

    [[nodiscard]] FutureBase& future() const noexcept { return *future_; }

    /// Throws RuntimeError for a future of another loop, and for a task that awaits itself.
    void begin(PromiseBase& leaf);

    /// After the wait: throws CancelledError if the task was cancelled meanwhile. When the future
    /// was cancelled, too, what it ended with is what the task is to see.
    void end() {
        if (task_ != nullptr && task_->take_cancel() && future_->state() != State::cancelled)
            [[unlikely]] {
            task_->throw_cancelled();
        }
    }

    bool cancel(const std::string& message) noexcept override {
        if (future_->cancel(message)) {
            return true;
        }
        if (!future_->done()) {
            task_->wake(); // a circle of tasks, in which nobody would ever end: this one leaves it
        }
        return false;
    }

    [[nodiscard]] std::string describe() const override {
        const std::string name = future_->label();
        return name.empty() ? "future" : "task '" + name + "'";
    }

private:
    static TaskBase* on_node(Node& node, NodeEvent event) noexcept {
        TaskBase* task = static_cast<FutureWait&>(node).task_;
        if (event == NodeEvent::fire) {
            task->wake();
        }
        return task;
    }

    Ref<FutureBase> future_;
    TaskBase* task_ = nullptr;
};

/// Waits for a task to the end; a cancellation stays with the waiting task until then.
class FinishWait final : public FutureWait {
public:
    using FutureWait::FutureWait;

    [[nodiscard]] bool await_ready() const noexcept { return future().done(); }

    template <std::derived_from<PromiseBase> P>
    void await_suspend(std::coroutine_handle<P> handle) {
        begin(handle.promise());
    }

    void await_resume() const noexcept {}

    bool cancel(const std::string&) noexcept override { return false; }

    [[nodiscard]] std::string describe() const override { return "clean-up"; }
};

/// Awaits a Future or Task. `Shared`: through an lvalue handle, which leaves the value where it is.
template <class T, class State, bool Shared>
class FutureAwaiter {
public:
    explicit FutureAwaiter(Ref<State> state) noexcept : wait_(state), state_(state.get()) {}

    [[nodiscard]] bool await_ready() const noexcept { return state_->done(); }

    template <std::derived_from<PromiseBase> P>
    void await_suspend(std::coroutine_handle<P> handle) {
        wait_.begin(handle.promise());
    }

    decltype(auto) await_resume() {
        wait_.end();
        return take_result<T, Shared>(*state_);
    }

private:
    FutureWait wait_;
    State* state_;
};

/// The value of a finished state, or its exception thrown. Shared: `const T&`. Otherwise moved
/// out by the last handle, else copied.
template <class T, bool Shared, class State>
std::conditional_t<Shared && !std::is_void_v<T> && !std::is_reference_v<T>,
                   std::add_lvalue_reference_t<const T>, T>
take_result(State& state) {
    if (state.state() == detail::State::pending) {
        throw InvalidStateError("Result is not set.");
    }
    if (state.state() != detail::State::value) {
        state.rethrow();
    }
    if constexpr (std::is_void_v<T>) {
        return;
    } else if constexpr (std::is_reference_v<T>) {
        return static_cast<T>(*state.slot().value());
    } else if constexpr (Shared) {
        return state.slot().value();
    } else {
        if (state.last_reference()) {
            return std::move(state.slot().value());
        }
        if constexpr (std::is_copy_constructible_v<T>) {
            return state.slot().value();
        } else {
            throw InvalidStateError("the result can only be moved, and other handles refer to it: "
                                    "await an lvalue for a reference, or take it with "
                                    "std::move(task).result()");
        }
    }
}

} // namespace muster::detail
