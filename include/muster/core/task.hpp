#pragma once

#include <muster/core/context.hpp>
#include <muster/core/coro.hpp>
#include <muster/core/detail/future_wait.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/future.hpp>

#include <functional>
#include <optional>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace muster {

/// How create_task() makes a task.
struct TaskOptions {
    std::string name = {};    ///< default: Task-N
    bool eager_start = false; ///< run the first step at once, inside create_task
    /// The context to run in, shared; default: a copy of the creator's.
    std::optional<Context> context = {};
};

namespace detail {

/// The state of a Task<T>: the task and, when it has ended, its value.
template <class T>
class TaskState final : public WithValue<T, TaskBase> {
    using Base = WithValue<T, TaskBase>;

public:
    TaskState(LoopCore& loop, CoroPromise<T>& root, ContextRef context) noexcept
        : Base(loop, root, std::move(context)) {}

private:
    void collect(PromiseBase& root) noexcept override {
        ResultSlot<T>& ended = static_cast<CoroPromise<T>&>(root).slot();
        if (ended.state() != State::value) {
            const std::exception_ptr error = ended.error();
            this->finish_ended(ended.state(), error);
        } else if (this->cancelled_at_end()) {
            this->finish_ended(State::cancelled, nullptr);
        } else {
            this->slot().emplace(std::move(ended.value()));
            this->finish_ended(State::value, nullptr);
        }
    }
};

/// Throws RuntimeError: create_task() was given nothing.
[[noreturn]] void throw_no_coroutine();

/// A task that has not started yet. `context`: gives the one to run in.
template <class T, class F>
Ref<TaskState<T>> make_task_state(LoopCore& core, Coro<T>& coro, F context) {
    CoroPromise<T>* promise = coro.release();
    if (promise == nullptr) {
        throw_no_coroutine();
    }
    try {
        core.check_open();
        core.check_thread();
        return Ref<TaskState<T>>(new TaskState<T>(core, *promise, context()));
    } catch (...) {
        promise->self.destroy();
        throw;
    }
}

template <class T>
Ref<TaskState<T>> make_task(LoopCore& core, Coro<T> coro) {
    Ref<TaskState<T>> task = make_task_state(core, coro, snapshot_context);
    task->start(core.eager_tasks);
    return task;
}

template <class T>
Ref<TaskState<T>> make_task(LoopCore& core, Coro<T> coro, TaskOptions options) {
    Ref<TaskState<T>> task = make_task_state(core, coro, [&options] {
        return options.context ? options.context->cell() : snapshot_context();
    });
    if (!options.name.empty()) {
        task->set_name(std::move(options.name));
    }
    task->start(options.eager_start || core.eager_tasks);
    return task;
}

template <class R>
struct CoroValue;

template <class T>
struct CoroValue<Coro<T>> {
    using type = T;
};

/// What the Coro that `F(Args...)` gives returns.
template <class F, class... Args>
using coro_value_t = typename CoroValue<std::invoke_result_t<F, Args...>>::type;

/// Keeps a function and its arguments in a frame of their own for as long as the coroutine runs
/// that it makes. A capturing lambda is safe here: the coroutine refers to this copy.
template <class F, class... Args>
Coro<coro_value_t<F&, std::unwrap_ref_decay_t<Args>...>> invoke_owned(F function, Args... args) {
    co_return co_await std::invoke(function, static_cast<std::unwrap_ref_decay_t<Args>&&>(args)...);
}

/// Awaits `awaitable` in a coroutine of its own.
template <class A>
Coro<std::remove_cvref_t<await_result_t<A>>> awaited(A awaitable) {
    co_return co_await std::move(awaitable);
}

/// What create_task() makes a task of besides coroutines and functions: Queue::get(), not a Task.
template <class A>
concept TaskableOperation = Awaitable<A> && std::move_constructible<A> && !is_coro<A> &&
                            !requires(A& handle) { handle.add_done_callback([](const A&) {}); };

template <class F, class... Args>
concept CoroFunction = requires { typename CoroValue<std::invoke_result_t<F, Args...>>::type; };

} // namespace detail

/// Handle of a scheduled Coro (asyncio.Task). Copyable; the loop keeps the task alive, so that
/// dropping the handle does not end it. On the loop's thread only.
template <class T>
class Task : public detail::FutureHandle<Task<T>, T, detail::TaskState<T>> {
    using Base = detail::FutureHandle<Task, T, detail::TaskState<T>>;

public:
    using Base::Base;

    /// The number of cancellation requests that were not taken back.
    [[nodiscard]] unsigned cancelling() const { return this->checked().cancelling(); }

    /// Takes one cancellation request back; the number that is left.
    unsigned uncancel() const { return this->checked().uncancel(); }

    [[nodiscard]] std::string name() const { return this->checked().name(); }

    void set_name(std::string name) const { this->checked().set_name(std::move(name)); }

    /// Where the suspended coroutines of this task stand, innermost first; nothing while it runs.
    [[nodiscard]] std::vector<std::source_location> stack() const {
        return this->checked().stack();
    }

    /// The context it runs in.
    [[nodiscard]] Context get_context() const {
        return Context(detail::ContextRef(&this->checked().context().ensure()));
    }
};

/// Untyped handle of a task. What is asked of an empty one, bool apart, throws InvalidStateError.
class AnyTask {
public:
    AnyTask() noexcept = default;

    explicit AnyTask(detail::TaskBase* task) noexcept : state_(task) {}

    template <class T>
    AnyTask(const Task<T>& task) noexcept : state_(task.state()) {}

    /// What the task failed with, or null after success. Throws CancelledError, or
    /// InvalidStateError while pending.
    [[nodiscard]] std::exception_ptr exception() const {
        if (!done()) {
            throw InvalidStateError("Exception is not set.");
        }
        if (cancelled()) {
            checked().rethrow();
        }
        checked().mark_retrieved();
        return checked().error();
    }

    /// False for an empty handle.
    explicit operator bool() const noexcept { return static_cast<bool>(state_); }

    [[nodiscard]] bool done() const { return checked().done(); }

    [[nodiscard]] bool cancelled() const { return checked().state() == detail::State::cancelled; }

    bool cancel(const std::string& message = {}) const {
        checked().check_thread();
        return checked().cancel(message);
    }

    [[nodiscard]] unsigned cancelling() const { return checked().cancelling(); }

    unsigned uncancel() const { return checked().uncancel(); }

    [[nodiscard]] std::string name() const { return checked().name(); }

    void set_name(std::string name) const { checked().set_name(std::move(name)); }

    [[nodiscard]] std::vector<std::source_location> stack() const { return checked().stack(); }

    friend bool operator==(const AnyTask& a, const AnyTask& b) noexcept {
        return a.state_.get() == b.state_.get();
    }

    /// For combinators.
    [[nodiscard]] const detail::Ref<detail::TaskBase>& state() const noexcept { return state_; }

private:
    /// Throws InvalidStateError for an empty handle.
    [[nodiscard]] detail::TaskBase& checked() const {
        if (!state_) [[unlikely]] {
            detail::throw_empty_handle();
        }
        return *state_;
    }

    detail::Ref<detail::TaskBase> state_;
};

/// Schedules `coro` on the running loop; its first step is in the next turn. The loop keeps the
/// task alive. Throws RuntimeError where no loop runs.
template <class T>
Task<T> create_task(Coro<T> coro) {
    return get_running_loop().create_task(std::move(coro));
}

template <class T>
Task<T> create_task(Coro<T> coro, TaskOptions options) {
    return get_running_loop().create_task(std::move(coro), std::move(options));
}

/// Schedules `function(args...)`, which gives a Coro. The function and decayed copies of the
/// arguments live as long as the task: a capturing lambda is safe. std::ref shares an argument.
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

/// A Task of `awaitable`: of a coroutine or an operation of this library a new one, of a Task or
/// Future the same handle (asyncio.ensure_future).
template <class T>
Task<T> ensure_future(Coro<T> coro) {
    return create_task(std::move(coro));
}

template <detail::TaskableOperation A>
auto ensure_future(A operation) {
    return create_task(std::move(operation));
}

template <class T>
Task<T> ensure_future(Task<T> task) noexcept {
    return task;
}

template <class T>
Future<T> ensure_future(Future<T> future) noexcept {
    return future;
}

// Compilers show this line where create_task() is given something else.
template <class F, class... Args>
    requires(!Awaitable<std::decay_t<F>> &&
             !detail::CoroFunction<std::decay_t<F>&, std::unwrap_ref_decay_t<Args>...>)
void create_task(F&&, Args&&...) = delete; // it takes a Coro, or a function that gives one

/// The task that runs now; empty in plain callbacks and where no loop runs.
[[nodiscard]] AnyTask current_task() noexcept;

/// The same for `loop`; on the thread that runs it.
[[nodiscard]] AnyTask current_task(EventLoop& loop) noexcept;

/// All tasks of the running loop that are not done, oldest first.
[[nodiscard]] std::vector<AnyTask> all_tasks();

/// The same of `loop`, which need not run.
[[nodiscard]] std::vector<AnyTask> all_tasks(EventLoop& loop);

template <class Hook>
void EventLoop::set_task_hook(Hook hook) {
    core().task_hook = [hook = std::move(hook)](detail::TaskBase& task, TaskEvent event) mutable {
        hook(AnyTask(&task), event);
    };
}

template <class T>
Task<T> EventLoop::create_task(Coro<T> coro, TaskOptions options) {
    return Task<T>(detail::make_task(core(), std::move(coro), std::move(options)));
}

template <class T>
Task<T> EventLoop::create_task(Coro<T> coro) {
    return Task<T>(detail::make_task(core(), std::move(coro)));
}

template <class T>
T EventLoop::run_until_complete(Coro<T> main) {
    check_can_run(); // first: a coroutine that cannot be run is not to be started
    Task<T> task = create_task(std::move(main));
    run_until_done(*task.state());
    return std::move(task).result();
}

template <class T>
T EventLoop::run_until_complete(Task<T> task) {
    run_until_done(*task.state());
    return detail::take_result<T, false>(*task.state());
}

} // namespace muster
