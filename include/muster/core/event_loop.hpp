#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/context.hpp>
#include <muster/core/coro.hpp>
#include <muster/core/detail/loop_core.hpp>
#include <muster/core/function.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>

namespace boost::asio {
class io_context;
}

namespace muster {

template <class T = void>
class Task;
template <class T = void>
class Future;
struct TaskOptions;

namespace concurrent {
class Executor;
class ThreadPoolExecutor;
} // namespace concurrent

/// What went wrong where nobody could be thrown at (the context dict of asyncio's
/// call_exception_handler).
struct ExceptionContext {
    std::string message = {};
    std::exception_ptr exception = {};
    std::string task = {}; ///< the task's name, when one is concerned
};

/// A step that blocks the loop, as its watchdog sees it.
struct BlockedStep {
    std::string task;           ///< the task's name; empty for a callback
    std::source_location where; ///< the co_await that the step went on from, for a task
    Clock::duration blocked{};  ///< how long it has taken by now
};

/// Writes a report to standard error (loop.default_exception_handler).
void default_exception_handler(const ExceptionContext& context) noexcept;

namespace detail {

/// A callback on its way to the ready list. Counted: by the loop while queued, and by its Handle.
class CallbackNode : public Pooled, public TimerNode {
public:
    /// Runs `callback` in `context`; null: in the thread's own.
    CallbackNode(LoopCore& core, UniqueFunction<void()> callback, ContextRef context) noexcept
        : TimerNode(&CallbackNode::on_node),
          core_(&core),
          callback_(std::move(callback)),
          context_(std::move(context)) {}

    void retain() noexcept { ++references_; }

    void release() noexcept {
        if (--references_ == 0) {
            delete this;
        }
    }

    void cancel() noexcept;

    [[nodiscard]] bool cancelled() const noexcept { return cancelled_; }

private:
    static TaskBase* on_node(Node& node, NodeEvent event) noexcept;

    unsigned references_ = 0;
    bool cancelled_ = false;
    bool queued_ = true;
    LoopCore* core_;
    UniqueFunction<void()> callback_;
    ContextRef context_;
};

} // namespace detail

/// A scheduled callback (asyncio.Handle). Dropping the handle leaves the callback scheduled.
class Handle {
public:
    Handle() noexcept = default;

    explicit Handle(detail::CallbackNode& node) noexcept : node_(&node) {}

    /// The callback will not run. Harmless when it has run or was cancelled before.
    void cancel() noexcept {
        if (node_) {
            node_->cancel();
        }
    }

    [[nodiscard]] bool cancelled() const noexcept { return node_ && node_->cancelled(); }

protected:
    detail::Ref<detail::CallbackNode> node_;
};

/// A callback scheduled for a point in time (asyncio.TimerHandle).
class TimerHandle : public Handle {
public:
    using Handle::Handle;

    /// When it is due.
    [[nodiscard]] Clock::time_point when() const noexcept { return node_->when(); }
};

/// How a loop behaves on a host's io_context.
struct EmbedOptions {
    /// The io_context has work while a task lives, so that the host's run() does not strand it.
    bool keep_alive = true;
};

/// The event loop: runs tasks and callbacks on one thread (asyncio's loop). All members are for
/// the thread that runs it, except `call_soon_threadsafe` and `stop`.
class EventLoop {
public:
    /// A loop with an io_context of its own.
    EventLoop();

    /// A loop embedded in a host's io_context, which the host runs and the loop never stops: run_*
    /// and stop() throw RuntimeError. If the io_context goes first, the loop closes.
    explicit EventLoop(boost::asio::io_context& host, EmbedOptions options = {});

    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    /// Closes the loop: see `close`. Then waits for the functions that the default executor runs.
    ~EventLoop();

    // --- running ---

    /// Runs until `main` is done; its result. Throws RuntimeError when a loop runs on this thread
    /// already, or when the loop was stopped first; then `main` stays pending. ValueError for a
    /// task or future of another loop.
    template <class T>
    T run_until_complete(Coro<T> main);
    template <class T>
    T run_until_complete(Task<T> task);
    template <class T>
    T run_until_complete(Future<T> future);

    /// Runs until stop().
    void run_forever();

    /// Ends run_forever() after the present turn. From any thread.
    void stop();

    [[nodiscard]] bool is_running() const noexcept;
    [[nodiscard]] bool is_closed() const noexcept;

    /// Destroys what is unfinished: waiting coroutines from the newest task to the oldest, each
    /// from its innermost frame outwards; destructors run, nothing is resumed. Then shuts the
    /// default executor down without waiting. Idempotent. Throws RuntimeError while running.
    void close();

    /// Cancels all other tasks and waits until they are done: what an embedding host awaits before
    /// it goes.
    Coro<void> shutdown();

    // --- callbacks ---

    /// Runs `callback` in the next turn, in the order of the calls.
    Handle call_soon(UniqueFunction<void()> callback);

    template <class F, class... Args>
        requires(sizeof...(Args) > 0)
    Handle call_soon(F callback, Args... args) {
        return call_soon(bind(std::move(callback), std::move(args)...));
    }

    /// The same from any thread, in its context; wakes the loop. Throws RuntimeError when the loop
    /// is closed.
    void call_soon_threadsafe(UniqueFunction<void()> callback);

    template <class F, class... Args>
        requires(sizeof...(Args) > 0)
    void call_soon_threadsafe(F callback, Args... args) {
        call_soon_threadsafe(bind(std::move(callback), std::move(args)...));
    }

    /// Runs `callback` after `delay`, never early; equal deadlines in the order they were set.
    template <class Rep, class Period, class F, class... Args>
    TimerHandle call_later(std::chrono::duration<Rep, Period> delay, F callback, Args... args) {
        return call_at(detail::deadline_after(time(), detail::to_duration(delay)),
                       std::move(callback), std::move(args)...);
    }

    template <class F, class... Args>
    TimerHandle call_at(Clock::time_point when, F callback, Args... args) {
        if constexpr (sizeof...(Args) == 0) {
            return schedule_at(when, UniqueFunction<void()>(std::move(callback)));
        } else {
            return schedule_at(when, bind(std::move(callback), std::move(args)...));
        }
    }

    /// The loop's clock.
    [[nodiscard]] Clock::time_point time() const noexcept { return core_->now(); }

    // --- tasks and futures ---

    /// Schedules `coro`; its first step is in the next turn.
    template <class T>
    Task<T> create_task(Coro<T> coro, TaskOptions options);
    template <class T>
    Task<T> create_task(Coro<T> coro);

    template <class T = void>
    [[nodiscard]] Future<T> create_future();

    /// Tasks begin their first step inside create_task (asyncio.eager_task_factory).
    void set_eager_tasks(bool eager) noexcept { core_->eager_tasks = eager; }

    // --- executors ---

    /// Runs `function(args...)` on a thread of the default executor; see run_in_executor().
    template <class F, class... Args>
        requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
    auto run_in_executor(F&& function, Args&&... args);

    /// The same on a thread of `executor`.
    template <class F, class... Args>
        requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
    auto run_in_executor(concurrent::Executor& executor, F&& function, Args&&... args);

    /// What run_in_executor uses; by default a ThreadPoolExecutor made when first needed.
    void set_default_executor(std::shared_ptr<concurrent::Executor> executor);
    [[nodiscard]] concurrent::Executor& default_executor();

    /// Waits until the default executor's threads have ended, for at most `limit`; after that it
    /// reports a warning and leaves them. From its start on the loop has no default executor:
    /// using it throws RuntimeError.
    Coro<void> shutdown_default_executor(TimeLimit limit = std::nullopt);

    // --- signals ---

    /// Runs `callback` in the loop's thread when the process gets `signal`; in place of the
    /// callback that was there. Throws ValueError when there is no such signal, RuntimeError when
    /// it cannot be caught.
    void add_signal_handler(int signal, UniqueFunction<void()> callback);

    template <class F, class... Args>
        requires(sizeof...(Args) > 0)
    void add_signal_handler(int signal, F callback, Args... args) {
        add_signal_handler(signal, bind(std::move(callback), std::move(args)...));
    }

    /// Restores the default disposition. False when there was no handler; ValueError when there is
    /// no such signal.
    bool remove_signal_handler(int signal);

    // --- errors and debugging ---

    using ExceptionHandler = std::function<void(EventLoop&, const ExceptionContext&)>;

    /// What is told of exceptions that reach nobody; null restores the default, which writes to
    /// standard error.
    void set_exception_handler(ExceptionHandler handler);

    /// Null when the default is in use.
    [[nodiscard]] const ExceptionHandler& get_exception_handler() const noexcept;

    void call_exception_handler(const ExceptionContext& context) noexcept;

    /// In debug mode calls from a wrong thread throw, slow steps are reported, and so are
    /// coroutines that are thrown away before they were awaited. Default: whether MUSTER_DEBUG is
    /// set.
    void set_debug(bool debug) noexcept { core_->set_debug(debug); }

    [[nodiscard]] bool get_debug() const noexcept { return core_->debug; }

    /// In debug mode, a step of a task or a callback that takes this long is reported.
    void set_slow_callback_duration(Clock::duration duration) noexcept {
        core_->slow_callback_duration = duration;
    }

    [[nodiscard]] Clock::duration slow_callback_duration() const noexcept {
        return core_->slow_callback_duration;
    }

    /// Has `handler` called, on a thread of its own, while a step of a task or a callback blocks
    /// the loop, once the step has taken `limit`, and once for each such step. An empty handler
    /// writes to standard error. std::nullopt ends the watch. Costs a clock read and a lock for
    /// each step.
    void set_watchdog(TimeLimit limit, std::function<void(const BlockedStep&)> handler = {});

    /// How busy the loop is. Costs a look at each entry of the ready list.
    [[nodiscard]] LoopMetrics metrics() const;

    /// Whether the time that each step of a task or a callback takes is counted in
    /// `LoopMetrics::step_times`, from now on. Costs two clock reads for each step; nothing when it
    /// is off, which is the default.
    void set_step_times(bool on);

    /// Has a deadlock reported: once in a run, when the loop has had nothing to do for `after`,
    /// tasks wait, and nothing is left that could wake one: no deadline, no I/O, no thread, no
    /// signal handler. The exception handler gets a message with the tree of tasks, and the loop
    /// waits on. Default: 1 s; std::nullopt: never. Throws ValueError when negative.
    ///
    /// A thread of the program's own that merely knows the loop, for call_soon_threadsafe() or
    /// stop(), could still wake a task. So nothing is reported while there are such threads, unless
    /// in debug mode. Nothing is reported of an embedded loop: the io_context is the host's.
    void set_deadlock_notice(TimeLimit after);

    /// Writes the tree of tasks (print_task_tree) to standard error whenever the process gets
    /// `signal`: for a look into a program that seems to hang.
    void dump_tasks_on(int signal);

    /// Has `hook(const AnyTask&, TaskEvent)` called for each task that is created and that is done;
    /// null: no more.
    template <class Hook>
    void set_task_hook(Hook hook);

    void set_task_hook(std::nullptr_t) noexcept { core_->task_hook = nullptr; }

    // --- for Asio interop (muster/asio.hpp) and combinators ---

    [[nodiscard]] boost::asio::io_context& io_context() noexcept;

    [[nodiscard]] detail::LoopCore& core() noexcept { return *core_; }

private:
    friend class Runner;
    friend class detail::LoopCore;
    friend struct VirtualLoop;
    class Impl;

    explicit EventLoop(std::unique_ptr<Impl> impl);

    template <class F, class... Args>
    static UniqueFunction<void()> bind(F callback, Args... args) {
        return [callback = std::move(callback), ... args = std::move(args)]() mutable {
            std::invoke(callback, args...);
        };
    }

    void check_can_run() const;
    detail::CallbackNode& enqueue(UniqueFunction<void()> callback, detail::ContextRef context);
    TimerHandle schedule_at(Clock::time_point when, UniqueFunction<void()> callback);

    /// Tells one handler of a signal from the next.
    using SignalCallback = std::shared_ptr<UniqueFunction<void()>>;

    /// Whether tasks may wait for what a signal's handler does.
    enum class SignalUse { of_tasks, of_nobody };

    SignalCallback install_signal_handler(int signal, UniqueFunction<void()> callback,
                                          SignalUse use);
    bool has_signal_handler(int signal, const SignalCallback& callback) const noexcept;

    void run_until_done(detail::FutureBase& main);

    std::unique_ptr<Impl> impl_;
    detail::LoopCore* core_;
};

/// The loop that runs on this thread. Throws RuntimeError where none runs.
[[nodiscard]] EventLoop& get_running_loop();

/// The same (asyncio.get_event_loop, which since Python 3.14 makes none either).
[[nodiscard]] inline EventLoop& get_event_loop() { return get_running_loop(); }

/// A loop that does not run yet (asyncio.new_event_loop).
[[nodiscard]] inline std::unique_ptr<EventLoop> new_event_loop() {
    return std::make_unique<EventLoop>();
}

} // namespace muster
