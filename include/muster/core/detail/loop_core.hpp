#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/detail/future_base.hpp>
#include <muster/core/detail/list.hpp>
#include <muster/core/detail/timer_queue.hpp>
#include <muster/core/function.hpp>
#include <muster/core/metrics.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace muster {

class EventLoop;
struct ExceptionContext;

/// What a task hook is told of.
enum class TaskEvent : std::uint8_t {
    created,
    done, ///< with a value, an error or cancelled
};

namespace detail {

class TaskBase;
class LoopCore;

/// Whether MUSTER_DEBUG is set in the environment.
[[nodiscard]] bool debug_by_default() noexcept;

/// What another thread gives to a loop.
class PostedNode : public Node {
public:
    using Node::Node;

private:
    friend class LoopGate;
    friend class LoopCore;

    PostedNode* posted_before_ = nullptr;
};

/// The thread-safe way to a loop that may be gone: what other threads hold on to.
class LoopGate {
public:
    explicit LoopGate(LoopCore& core) : core_(&core) {}

    /// Has `node` run by the loop's thread, which is woken. False when the loop is closed.
    bool post(PostedNode& node) noexcept;

    /// The same for a function; what it throws goes to the loop's exception handler. `work` is left
    /// as it is when the loop is closed.
    bool post(UniqueFunction<void()>& work);

    /// From now on `post` refuses; on the loop's thread.
    void close() noexcept;

    /// The loop, or null once it is closed; on the loop's thread.
    [[nodiscard]] LoopCore* core() const noexcept { return core_; }

private:
    friend class LoopCore;

    // Held while the loop is woken, too, so that it is not gone meanwhile. A loop that runs does
    // not need it: it would often meet the thread here that has just woken it.
    std::mutex mutex_;
    LoopCore* core_;
};

/// An operation of another thread or of Asio that will come back to the loop. It is in the loop's
/// list while it is under way, so that a closing loop can tell it that nobody waits any more.
class ExternalOperation : public Link {
public:
    /// The loop is closing: forget everything that belongs to it.
    virtual void abandon() noexcept = 0;

protected:
    ~ExternalOperation() = default;
};

/// Is told of each step that a loop runs, while it runs it.
class StepWatch {
public:
    virtual ~StepWatch() = default;
    /// `task`: whose step it is; null for a callback.
    virtual void step_begins(const TaskBase* task) noexcept = 0;
    virtual void step_ends() noexcept = 0;
};

/// For tests: other orders in which what is ready might run.
class Exploration {
public:
    virtual ~Exploration() = default;
    /// Puts the entries of a turn in another order. Those that are to run in a later turn go to
    /// the end of `later`; one stays at least.
    virtual void arrange(NodeList& turn, NodeList& later) noexcept = 0;
    /// Whether timers that are due wait for a later turn. Asked when something else is ready.
    virtual bool hold_timers() noexcept = 0;
};

/// What drives a loop: an io_context of its own, a host's, or virtual time.
class Driver {
public:
    virtual ~Driver() = default;
    /// Calls `LoopCore::drain` soon on the loop's thread; from any thread.
    virtual void request_drain() noexcept = 0;
    /// Calls `LoopCore::drain` at `deadline`; the far end of time: there is no deadline.
    virtual void arm_timer(Clock::time_point deadline) noexcept = 0;
    virtual Clock::time_point now() const noexcept = 0;
    /// Tells whether tasks exist, so that a host's io_context does not run out of work.
    virtual void hold_work(bool hold) noexcept = 0;
    /// Makes `run` return.
    virtual void stop() noexcept = 0;
    /// Whether somebody has called `run`.
    [[nodiscard]] virtual bool can_stop() const noexcept = 0;
};

/// The engine of an EventLoop: ready list, timers, tasks. It knows nothing of Asio.
class LoopCore {
public:
    LoopCore(EventLoop& loop, Driver& driver);
    LoopCore(const LoopCore&) = delete;
    LoopCore& operator=(const LoopCore&) = delete;
    ~LoopCore();

    [[nodiscard]] EventLoop& loop() const noexcept { return loop_; }

    [[nodiscard]] Clock::time_point now() const noexcept { return driver_.now(); }

    /// Puts `node` at the end of the ready list.
    void append(Node& node) noexcept {
        ready_.push_back(node);
        if (!drain_requested_) {
            drain_requested_ = true;
            driver_.request_drain();
        }
    }

    void add_timer(TimerNode& timer, Clock::time_point when) {
        timers_.add(timer, when);
        timer_added();
    }

    void remove_timer(TimerNode& timer) noexcept { timers_.remove(timer); }

    [[nodiscard]] std::size_t timer_count() const noexcept { return timers_.size(); }

    [[nodiscard]] Clock::time_point next_deadline() noexcept { return timers_.next_deadline(); }

    [[nodiscard]] bool has_ready() const noexcept { return !ready_.empty() || !turn_.empty(); }

    /// Runs turns until nothing is ready or the budget is used up. A turn runs what was ready when
    /// it began. Called by the driver.
    void drain() noexcept;

    /// An I/O completion has made something ready: runs it now unless a drain is under way.
    void drain_now() noexcept { drain(); }

    /// What follows may make something ready, and drain_now() comes after it: the driver need not
    /// be asked.
    void expect_drain() noexcept { drain_requested_ = true; }

    /// Lets in what other threads have posted up to now, so that it comes before what is scheduled
    /// next.
    void accept_posted() noexcept {
        if (posted_.load(std::memory_order_acquire) != nullptr) [[unlikely]] {
            accept_inbox();
        }
    }

    /// Asks the driver for a drain when there is something to run.
    void resume_drain() noexcept;

    /// Stops at the end of the present turn.
    void request_stop() noexcept;

    void clear_stop() noexcept { stopping_ = false; }

    /// A task or callback has thrown KeyboardInterrupt: the loop stops, and who runs it gets the
    /// exception. False for a loop that nobody can stop.
    bool interrupt(const std::exception_ptr& error) noexcept;

    [[nodiscard]] std::exception_ptr take_interrupt() noexcept {
        return std::exchange(interrupt_, nullptr);
    }

    /// For tests of what a loop leaves behind: stops after `steps` more entries of the ready list,
    /// in the midst of a turn.
    void stop_after(std::uint64_t steps) noexcept { steps_left_ = steps; }

    /// A future or finished task learns when the loop goes.
    void add_future(FutureBase& future) noexcept { futures_.push_back(future); }

    /// The loop owns a task from here on.
    void add_task(TaskBase& task) noexcept;

    /// A task ends: it is no longer among the unfinished ones.
    void remove_task(TaskBase& task) noexcept;

    /// It has ended: the loop gives it up.
    void let_go(TaskBase& task) noexcept;

    /// Unfinished tasks, oldest first.
    [[nodiscard]] const List<FutureBase>& tasks() const noexcept { return tasks_; }

    /// Has what `task` waits on cancelled. The tasks that this cancels in turn, those of a gather,
    /// a group, an await, are queued and follow in the order that calls would give: however deep
    /// tasks wait for each other, no stack is needed.
    void cancel_wait_of(TaskBase& task) noexcept;

    /// A task to which a cancellation is being passed on is cancelled again meanwhile, because
    /// several wait for it; that is counted. False when it is among those that the cancellation
    /// came from: tasks wait for each other in a circle.
    [[nodiscard]] bool cancelled_twice(TaskBase& task) noexcept;

    void add_external(ExternalOperation& operation) noexcept;
    void remove_external(ExternalOperation& operation) noexcept;

    [[nodiscard]] std::size_t external_count() const noexcept { return external_count_; }

    /// Whether tasks wait, and neither something ready, a deadline nor an operation under way would
    /// wake one. What else is in the io_context still could, and other threads.
    [[nodiscard]] bool nothing_to_come() noexcept;

    /// When a task's present wait began, for one that has had a step in debug mode.
    [[nodiscard]] std::optional<Clock::time_point> waits_since(const TaskBase& task) const;

    [[nodiscard]] const std::shared_ptr<LoopGate>& gate() const noexcept { return gate_; }

    /// Destroys tasks, newest first, and everything queued. Idempotent.
    void close() noexcept;

    [[nodiscard]] bool closed() const noexcept { return closed_; }

    /// Throws RuntimeError when the loop is closed.
    void check_open() const {
        if (closed_) [[unlikely]] {
            throw_closed();
        }
    }

    /// In debug mode throws RuntimeError on a thread that is not the loop's, and in a process that
    /// was forked from the loop's.
    void check_thread() const {
        if (debug) [[unlikely]] {
            check_caller();
        }
    }

    /// Marks this thread as the one that runs the loop, while alive.
    class Running {
    public:
        explicit Running(LoopCore& core) noexcept;
        Running(const Running&) = delete;
        Running& operator=(const Running&) = delete;
        ~Running();

    private:
        LoopCore& core_;
        LoopCore* previous_;
        std::thread::id previous_thread_;
    };

    [[nodiscard]] bool running() const noexcept { return run_depth_ > 0; }

    /// The loop that runs on this thread, or null.
    static LoopCore* current() noexcept;

    void report(const ExceptionContext& context) noexcept;

    void set_debug(bool on) noexcept;

    /// Null: nobody watches any more.
    void set_step_watch(std::unique_ptr<StepWatch> watch) noexcept;

    [[nodiscard]] bool watched() const noexcept { return step_watch_ != nullptr; }

    void set_step_times(bool on);

    /// All but the executor, which the core knows nothing of.
    [[nodiscard]] LoopMetrics metrics() const;

    /// In a catch handler: deals with what a callback has thrown.
    void callback_failed(const char* message) noexcept;

    TaskBase* current_task = nullptr;
    std::uint64_t tasks_created = 0;
    bool debug = false; // set_debug() changes it
    bool eager_tasks = false;
    Clock::duration slow_callback_duration = std::chrono::milliseconds(100);
    UniqueFunction<void(TaskBase&, TaskEvent)> task_hook;
    std::unique_ptr<Exploration> exploration;

private:
    friend class LoopGate;
    friend class TaskBase;

    [[noreturn]] static void throw_closed();
    void enlist() noexcept;
    void delist() noexcept;
    void check_caller() const;
    [[nodiscard]] std::thread::id home_thread() const;
    [[nodiscard]] bool claim_thread() noexcept;
    void release_thread() noexcept;
    void come_home() noexcept;
    void report_threads() noexcept;
    void run_turns() noexcept;
    void fire_due_timers() noexcept;
    void accept_inbox() noexcept;
    PostedNode* take_posted() noexcept;
    bool fall_asleep() noexcept;
    void run(Node& node) noexcept;
    void run_observed(Node& node) noexcept;
    void update_observed() noexcept;
    void note_wait(const TaskBase& task);
    void call_task_hook(TaskBase& task, TaskEvent event) noexcept;
    void timer_added() noexcept;

    // The open loops of the process, for debuggers: a core dump has neither a thread to ask nor
    // functions to call. Under a mutex of their own.
    static LoopCore* newest_;
    LoopCore* older_ = nullptr;
    LoopCore* newer_ = nullptr;

    EventLoop& loop_;
    Driver& driver_;
    NodeList ready_; // runs in the next turn
    NodeList turn_;  // what is left of the present turn
    TimerQueue timers_;
    List<FutureBase> tasks_;   // unfinished ones, oldest first
    List<FutureBase> futures_; // the others that somebody still holds
    List<ExternalOperation> external_;
    TaskBase* cancelling_ = nullptr;    // whose wait is being cancelled
    TaskBase** cancel_place_ = nullptr; // where those that this cancels are queued
    std::size_t task_count_ = 0;
    std::size_t external_count_ = 0;
    std::shared_ptr<LoopGate> gate_;
    std::atomic<PostedNode*> posted_ = nullptr; // by other threads, the latest first

    /// Whether who posts has to wake the loop.
    enum class Wake : std::uint8_t { asleep, called, awake };

    std::atomic<Wake> wake_ = Wake::asleep;
    std::exception_ptr interrupt_;
    bool observed_ = false; // each step is: debug mode, step_watch_, step_times_
    bool drain_requested_ = false;
    bool draining_ = false;
    bool stopping_ = false;
    bool closed_ = false;
    int run_depth_ = 0;
    const int process_; // that made it
    std::uint64_t steps_left_ = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t turns_run_ = 0;
    std::uint64_t steps_run_ = 0; // up to the present drain
    std::unique_ptr<StepWatch> step_watch_;
    std::unique_ptr<DurationHistogram> step_times_;
    std::unordered_map<std::uint64_t, Clock::time_point> waits_; // of tasks' numbers, in debug mode
    std::atomic<std::thread::id> thread_; // that runs it now; read by wrong threads, too

    // Of a loop in a host's io_context, which should be run by one thread, and may not be.
    std::atomic<std::thread::id> drainer_; // in the midst of a drain
    std::atomic<bool> drain_missed_ = false;
    std::atomic<bool> threads_reported_ = false;
    std::thread::id home_; // that ran it last; changes under the gate's mutex
    std::weak_ptr<const void> home_alive_;
};

} // namespace detail
} // namespace muster
