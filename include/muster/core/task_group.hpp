#pragma once

#include <muster/core/coro.hpp>
#include <muster/core/detail/future_wait.hpp>
#include <muster/core/detail/task_base.hpp>
#include <muster/core/exception_group.hpp>
#include <muster/core/future.hpp>
#include <muster/core/task.hpp>

#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace muster {

/// How a task that TaskGroup::start() has started says that it is ready (trio.TaskStatus).
template <class V = void>
class TaskStatus {
public:
    /// The task is ready: start() gives `value` to who awaits it. Throws RuntimeError when called
    /// twice.
    template <class U = V>
        requires(!std::is_void_v<V> && std::constructible_from<V, U>)
    void started(U&& value) const {
        if (check()) {
            ready_.set_result(std::forward<U>(value));
        }
    }

    void started() const
        requires std::is_void_v<V>
    {
        if (check()) {
            ready_.set_result();
        }
    }

    /// For TaskGroup.
    explicit TaskStatus(Future<V> ready) noexcept : ready_(std::move(ready)) {}

private:
    /// Whether somebody waits for the word.
    [[nodiscard]] bool check() const {
        if (ready_.done() && !ready_.cancelled()) {
            throw RuntimeError("TaskStatus::started() was called twice");
        }
        return !ready_.done();
    }

    Future<V> ready_;
};

namespace detail {

template <class V, class R, class... Args>
std::type_identity<V> status_value(const std::function<R(TaskStatus<V>, Args...)>&);
template <class V, class R, class... Args>
std::type_identity<V> status_value(const std::function<R(const TaskStatus<V>&, Args...)>&);

/// The V of a function whose first parameter is a TaskStatus<V>.
template <class F>
using status_value_t =
    typename decltype(status_value(std::function(std::declval<std::decay_t<F>>())))::type;

} // namespace detail

/// Tasks that end together (asyncio.TaskGroup): given to the function that task_group() runs.
class TaskGroup : private detail::Waiter, private detail::Completion {
public:
    TaskGroup() = default;
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;
    ~TaskGroup();

    /// Starts a task of this group. Throws RuntimeError when the group is shutting down or has
    /// ended; the coroutine is destroyed then.
    template <class T>
    Task<T> create_task(Coro<T> coro) {
        return start_child(std::move(coro));
    }

    template <class T>
    Task<T> create_task(Coro<T> coro, TaskOptions options) {
        return start_child(std::move(coro), std::move(options));
    }

    /// The same for a function and arguments that live as long as the task.
    template <class F, class... Args>
        requires detail::CoroFunction<std::decay_t<F>&, std::unwrap_ref_decay_t<Args>...>
    auto create_task(TaskOptions options, F&& function, Args&&... args) {
        return create_task(detail::invoke_owned<std::decay_t<F>, std::decay_t<Args>...>(
                               std::forward<F>(function), std::forward<Args>(args)...),
                           std::move(options));
    }

    template <class F, class... Args>
        requires detail::CoroFunction<std::decay_t<F>&, std::unwrap_ref_decay_t<Args>...>
    auto create_task(F&& function, Args&&... args) {
        return create_task(TaskOptions{}, std::forward<F>(function), std::forward<Args>(args)...);
    }

    /// The same for an operation of this library: create_task(queue.get()).
    template <detail::TaskableOperation A>
    auto create_task(A operation, TaskOptions options = {}) {
        return create_task(detail::awaited(std::move(operation)), std::move(options));
    }

    /// Starts `function(TaskStatus<V>, args...)` as a task of this group and waits until it calls
    /// `started(value)`: gives the value, and the task runs on (trio.Nursery.start). What the task
    /// throws before that is thrown here, and does not end the group; RuntimeError when it ends
    /// without a word. Cancelled, it cancels the task and waits for it. `V` is read off the
    /// function; for a generic lambda name it: `group.start<int>(...)`. Function and arguments live
    /// as long as the task.
    template <class V, class F, class... Args>
    Coro<V> start(F function, Args... args) {
        check_open();
        auto child = std::make_unique<Child>(*this);
        const Future<V> ready = parent_->loop()->loop().template create_future<V>();
        const Task<void> task(detail::make_task(
            *parent_->loop(), Coro<void>(detail::invoke_owned<F, TaskStatus<V>, Args...>(
                                  std::move(function), TaskStatus<V>(ready), std::move(args)...))));
        child->starting = ready.state();
        adopt(std::move(child), task.state());
        std::exception_ptr error;
        try {
            co_await ready;
        } catch (...) { // thrown again below, where a co_await is possible
            error = std::current_exception();
        }
        if (error != nullptr) {
            if (!task.done()) {
                task.cancel();
                co_await detail::FinishWait(task.state());
            }
            std::rethrow_exception(error);
        }
        co_return Future<V>(ready).result();
    }

    template <class F, class... Args>
        requires(!detail::is_coro<std::decay_t<F>>)
    auto start(F function, Args... args) {
        return start<detail::status_value_t<F>, F, Args...>(std::move(function),
                                                            std::move(args)...);
    }

    /// Cancels all tasks and the body; the block then ends without an exception (asyncio 3.15).
    /// When the body was to give a value and did not, CancelledError stands in its place.
    void cancel();

private:
    template <class F>
    friend class TaskGroupAwaiter;

    struct Child : detail::Pooled, detail::Node {
        explicit Child(TaskGroup& owner) noexcept : Node(&TaskGroup::on_child), group(owner) {}

        TaskGroup& group;
        std::size_t index = 0; // in children_
        detail::Ref<detail::TaskBase> task;
        detail::Ref<detail::FutureBase> starting; // start() waits for it
    };

    template <class T, class... Options>
    Task<T> start_child(Coro<T> coro, Options... options) {
        try {
            check_open();
        } catch (...) {
            coro.close();
            throw;
        }
        auto child = std::make_unique<Child>(*this);
        Task<T> task(detail::make_task(*parent_->loop(), std::move(coro), std::move(options)...));
        adopt(std::move(child), task.state());
        return task;
    }

    static detail::TaskBase* on_child(detail::Node& node, detail::NodeEvent event) noexcept;
    void check_open() const;
    void adopt(std::unique_ptr<Child> child, detail::Ref<detail::TaskBase> task) noexcept;
    void child_done(Child& child) noexcept;
    static bool failed_to_start(Child& child) noexcept;
    void abort() noexcept;
    void drop(Child& child) noexcept;

    /// Nothing is lost silently: the other errors when a KeyboardInterrupt is thrown.
    void report_suppressed(detail::State body_state, const std::exception_ptr& body) const noexcept;

    void enter(detail::PromiseBase& parent) noexcept;
    bool cancel(const std::string& message) noexcept override;

    [[nodiscard]] std::string describe() const override { return "task group"; }

    std::coroutine_handle<> completed(detail::PromiseBase& body) noexcept override;

    /// After body and children have ended: throws what the group as a whole throws. False: the
    /// body was cancelled by cancel(), and its CancelledError goes no further.
    [[nodiscard]] bool exit(detail::State body_state, std::exception_ptr body);

    detail::PromiseBase* leaf_ = nullptr;
    detail::TaskBase* parent_ = nullptr;
    detail::State (*body_state_)(detail::PromiseBase&) noexcept = nullptr;
    std::vector<Child*> children_;
    std::vector<std::exception_ptr> errors_;
    std::exception_ptr interrupt_; // a KeyboardInterrupt outranks everything
    bool waiting_ = false;
    bool waited_ = false;
    bool aborting_ = false;
    bool parent_cancel_requested_ = false;
    bool cancelled_by_user_ = false;
    bool propagate_cancel_ = false;
    bool cancelled_at_end_ = false; // while it waited for the children
    bool finished_ = false;
};

/// Runs a function's coroutine in the current task and waits for the tasks it started; see
/// task_group().
template <class F>
class TaskGroupAwaiter {
    using Body = std::invoke_result_t<F&, TaskGroup&>;
    static_assert(detail::is_coro<Body>, "task_group() takes a function that gives a Coro");
    using T = typename Body::value_type;

public:
    explicit TaskGroupAwaiter(F&& function) : function_(std::move(function)) {}

    TaskGroupAwaiter(const TaskGroupAwaiter&) = delete;
    TaskGroupAwaiter& operator=(const TaskGroupAwaiter&) = delete;

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::PromiseBase> P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> handle) {
        detail::PromiseBase& parent = handle.promise();
        group_.enter(parent);
        group_.body_state_ = [](detail::PromiseBase& body) noexcept {
            return static_cast<detail::CoroPromise<T>&>(body).slot().state();
        };
        body_.emplace(std::invoke(function_, group_).release());
        static_cast<void>(body_->await_ready());
        return body_->begin(parent, &group_);
    }

    T await_resume() {
        detail::ResultSlot<T>& slot = body_->slot();
        const bool ended = group_.exit(
            slot.state(), slot.state() == detail::State::value ? nullptr : slot.error());
        if constexpr (std::is_void_v<T>) {
            if (!ended) {
                return;
            }
        }
        return body_->await_resume();
    }

private:
    TaskGroup group_;
    F function_;
    std::optional<detail::CoroAwaiter<T>> body_;
};

/// What task_group() gives: movable, so that gather() and wait_for() can take it. Awaited once.
template <class F>
class [[nodiscard("task_group() does nothing until it is awaited")]] TaskGroupBlock {
    static_assert(
        std::is_invocable_v<F&, TaskGroup&>,
        "task_group() takes a function that gives a Coro: it is called with a TaskGroup&");

public:
    template <class U>
    TaskGroupBlock(std::in_place_t, U&& function) : function_(std::forward<U>(function)) {}

    TaskGroupAwaiter<F> operator co_await() && { return TaskGroupAwaiter<F>(std::move(function_)); }

private:
    F function_;
};

/// Runs `function(TaskGroup&)`, which gives a Coro, in this task, then waits for all tasks the
/// group has started; its result is the function's. When a task fails, the others and the function
/// are cancelled and waited for, and ExceptionGroup is thrown with all errors in order
/// (asyncio.TaskGroup). The function is kept alive meanwhile: a capturing lambda is safe.
template <class F>
auto task_group(F&& function) {
    return TaskGroupBlock<std::decay_t<F>>(std::in_place, std::forward<F>(function));
}

} // namespace muster
