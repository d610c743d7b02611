#include <muster/core/detail/loop_core.hpp>
#include <muster/core/detail/task_base.hpp>
#include <muster/core/event_loop.hpp>

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace muster {
namespace detail {

namespace {

// Resumptions in one drain, after which the io_context gets a turn: enough that its cost does not
// count, few enough that sockets are served within a fraction of a millisecond.
constexpr std::uint64_t drain_budget = 2048;

constinit thread_local LoopCore* running_loop = nullptr;

// Expires with the thread.
std::weak_ptr<const void> life_of_this_thread() {
    static thread_local const std::shared_ptr<const void> life = std::make_shared<char>();
    return life;
}

} // namespace

bool LoopGate::post(UniqueFunction<void()>& work) {
    const std::lock_guard lock(mutex_);
    if (core_ == nullptr) {
        return false;
    }
    inbox_.push_back(std::move(work));
    if (inbox_.size() == 1) {
        core_->inbox_filled_.store(true, std::memory_order_release);
        core_->driver_.request_drain();
    }
    return true;
}

void LoopGate::close() noexcept {
    std::vector<UniqueFunction<void()>> dropped;
    {
        const std::lock_guard lock(mutex_);
        core_ = nullptr;
        dropped.swap(inbox_);
    }
}

LoopCore::LoopCore(EventLoop& loop, Driver& driver)
    : loop_(loop),
      driver_(driver),
      gate_(std::make_shared<LoopGate>(*this)),
      process_(::getpid()) {}

LoopCore::~LoopCore() { close(); }

LoopCore* LoopCore::current() noexcept { return running_loop; }

LoopCore::Running::Running(LoopCore& core) noexcept
    : core_(core),
      previous_(std::exchange(running_loop, &core)),
      previous_thread_(core.thread_.load(std::memory_order_relaxed)) {
    core.thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    ++core.run_depth_;
}

LoopCore::Running::~Running() {
    --core_.run_depth_;
    core_.thread_.store(previous_thread_, std::memory_order_relaxed);
    running_loop = previous_;
}

void LoopCore::check_open() const {
    if (closed_) {
        throw RuntimeError("Event loop is closed");
    }
}

void LoopCore::check_caller() const {
    if (process_ != ::getpid()) {
        throw RuntimeError(
            "this event loop was made before fork() and belongs to the parent process; "
            "make a new one in the child");
    }
    std::thread::id thread = thread_.load(std::memory_order_relaxed);
    if (thread == std::thread::id()) {
        thread = home_thread();
    }
    if (thread != std::thread::id() && thread != std::this_thread::get_id()) {
        throw RuntimeError("Non-thread-safe operation invoked on an event loop other than the "
                           "current one; from another thread use call_soon_threadsafe()");
    }
}

std::thread::id LoopCore::home_thread() const {
    const std::lock_guard lock(gate_->mutex_);
    return home_alive_.expired() ? std::thread::id() : home_;
}

bool LoopCore::claim_thread() noexcept {
    const std::thread::id self = std::this_thread::get_id();
    do {
        std::thread::id other;
        if (drainer_.compare_exchange_strong(other, self)) {
            if (home_ != self) [[unlikely]] {
                come_home();
            }
            return true;
        }
        if (other == self) {
            return false;
        }
        report_threads();
        drain_missed_ = true; // the other thread sees to it, unless it has just ended
    } while (drainer_.load() == std::thread::id());
    return false;
}

void LoopCore::release_thread() noexcept {
    drainer_ = std::thread::id();
    if (drain_missed_.exchange(false)) [[unlikely]] {
        driver_.request_drain();
    }
}

void LoopCore::come_home() noexcept {
    // A thread that has ended has left the loop to the next one.
    if (home_thread() != std::thread::id()) {
        report_threads();
    }
    const std::lock_guard lock(gate_->mutex_);
    home_ = std::this_thread::get_id();
    home_alive_ = life_of_this_thread();
}

void LoopCore::report_threads() noexcept {
    if (!threads_reported_.exchange(true)) {
        ExceptionContext context;
        context.message =
            "the io_context that this event loop is embedded in is run by several threads: tasks "
            "would run at the same time; run it on one thread, or give the loop an io_context of "
            "its own";
        report(context);
    }
}

void LoopCore::drain() noexcept {
    if (closed_ || (!driver_.can_stop() && !claim_thread())) {
        return;
    }
    if (!draining_) {
        run_turns();
    }
    if (!driver_.can_stop()) {
        release_thread();
    }
}

void LoopCore::run_turns() noexcept {
    const Running running(*this);
    draining_ = true;
    drain_requested_ = true;
    const std::uint64_t granted = std::min(drain_budget, steps_left_);
    std::uint64_t budget = granted;
    while (budget > 0) {
        if (turn_.empty()) {
            if (inbox_filled_.load(std::memory_order_acquire)) {
                accept_inbox();
            }
            if (!timers_.empty()) {
                fire_due_timers();
            }
            if (ready_.empty()) {
                break;
            }
            turn_.splice_back(ready_);
            if (exploration) [[unlikely]] {
                exploration->arrange(turn_, ready_);
            }
        }
        while (!turn_.empty() && budget > 0) {
            --budget;
            run(turn_.pop_front());
        }
        if (turn_.empty() && stopping_) {
            break;
        }
    }
    draining_ = false;
    steps_left_ -= granted - budget;
    if ((stopping_ && turn_.empty()) || steps_left_ == 0) {
        drain_requested_ = false;
        driver_.stop();
    } else if (has_ready()) {
        driver_.request_drain();
    } else {
        drain_requested_ = false;
        driver_.arm_timer(timers_.next_deadline());
    }
}

void LoopCore::run(Node& node) noexcept {
    if (debug || step_watch) [[unlikely]] {
        run_observed(node);
    } else {
        node.notify(NodeEvent::run);
    }
}

namespace {

// Where a suspended task stands; empty when it has ended.
std::string place_of(const TaskBase& task) {
    const std::vector<std::source_location> stack = task.stack();
    return stack.empty() ? std::string()
                         : std::string(stack.front().file_name()) + ":" +
                               std::to_string(stack.front().line());
}

} // namespace

void LoopCore::run_observed(Node& node) noexcept {
    const Ref<TaskBase> task(TaskBase::of(node));
    const std::string from = task ? place_of(*task) : std::string();
    if (step_watch) {
        step_watch->step_begins(task.get());
    }
    // Of the machine, not of the loop: virtual time stands still while a step runs.
    const auto start = std::chrono::steady_clock::now();
    node.notify(NodeEvent::run);
    const auto took = std::chrono::steady_clock::now() - start;
    if (step_watch) {
        step_watch->step_ends();
    }
    if (!debug || took < slow_callback_duration) {
        return;
    }
    ExceptionContext context;
    context.message =
        std::string("Executing ") + (task ? "task" : "a callback") + " took " +
        std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()) + " ms";
    if (task) {
        context.task = task->name();
        context.message += ", from " + from;
        if (const std::string to = place_of(*task); !to.empty()) {
            context.message += " to " + to;
        }
    }
    report(context);
}

void LoopCore::call_task_hook(TaskBase& task, TaskEvent event) noexcept {
    try {
        task_hook(task, event);
    } catch (...) {
        callback_failed("Exception in task hook");
    }
}

void LoopCore::resume_drain() noexcept {
    if (!draining_ && !drain_requested_ && (has_ready() || stopping_)) {
        drain_requested_ = true;
        driver_.request_drain();
    }
}

void LoopCore::request_stop() noexcept {
    stopping_ = true;
    resume_drain();
}

bool LoopCore::interrupt(const std::exception_ptr& error) noexcept {
    if (!driver_.can_stop()) {
        return false;
    }
    interrupt_ = error;
    request_stop();
    return true;
}

void LoopCore::timer_added() noexcept {
    // A drain under way arms for the earliest deadline when it ends.
    if (!draining_ && !drain_requested_) {
        driver_.arm_timer(timers_.next_deadline());
    }
}

void LoopCore::fire_due_timers() noexcept {
    if (timers_.earliest_guess() == Clock::time_point::max()) {
        return;
    }
    const Clock::time_point now = driver_.now();
    while (!exploration || ready_.empty() || !exploration->hold_timers()) {
        TimerNode* timer = timers_.pop_due(now);
        if (timer == nullptr) {
            break;
        }
        ready_.push_back(*timer);
    }
}

void LoopCore::accept_inbox() noexcept {
    inbox_filled_.store(false, std::memory_order_relaxed);
    {
        const std::lock_guard lock(gate_->mutex_);
        inbox_.swap(gate_->inbox_);
    }
    for (UniqueFunction<void()>& work : inbox_) {
        loop_.enqueue(std::move(work), {});
    }
    inbox_.clear();
}

void LoopCore::add_task(TaskBase& task) noexcept {
    static_cast<Link&>(static_cast<FutureBase&>(task)).unlink();
    tasks_.push_back(task);
    task.retain();
    if (++task_count_ == 1) {
        driver_.hold_work(true);
    }
    if (task_hook) [[unlikely]] {
        call_task_hook(task, TaskEvent::created);
    }
}

void LoopCore::remove_task(TaskBase& task) noexcept {
    FutureBase& future = task;
    static_cast<Link&>(future).unlink();
    futures_.push_back(future);
    if (--task_count_ == 0) {
        driver_.hold_work(false);
    }
    task.release();
}

void LoopCore::cancel_wait_of(TaskBase& task) noexcept {
    task.cancel_passing_ = true;
    task.cancelled_by_ = cancelling_;
    if (cancelling_ != nullptr) {
        // Before those that were queued earlier, and behind those of the same wait.
        task.next_cancelled_ = *cancel_place_;
        *cancel_place_ = &task;
        cancel_place_ = &task.next_cancelled_;
        return;
    }
    TaskBase* queued = &task;
    TaskBase* passed_on = nullptr;
    while (queued != nullptr) {
        cancelling_ = queued;
        queued = std::exchange(cancelling_->next_cancelled_, passed_on);
        passed_on = cancelling_;
        cancel_place_ = &queued;
        cancelling_->cancel_wait();
    }
    cancelling_ = nullptr;
    while (passed_on != nullptr) {
        TaskBase& done = *passed_on;
        passed_on = std::exchange(done.next_cancelled_, nullptr);
        done.cancelled_by_ = nullptr;
        done.cancel_passing_ = false;
    }
}

bool LoopCore::cancelled_twice(TaskBase& task) noexcept {
    for (const TaskBase* above = cancelling_; above != nullptr; above = above->cancelled_by_) {
        if (above == &task) {
            return false;
        }
    }
    ++task.cancel_requests_;
    return true;
}

void LoopCore::add_external(ExternalOperation& operation) noexcept {
    external_.push_back(operation);
    ++external_count_;
}

void LoopCore::remove_external(ExternalOperation& operation) noexcept {
    if (operation.linked()) {
        operation.unlink();
        --external_count_;
    }
}

void LoopCore::close() noexcept {
    if (std::exchange(closed_, true)) {
        return;
    }
    drain_requested_ = true; // what destructors make ready is dropped below, never run
    while (!external_.empty()) {
        external_.pop_front().abandon();
    }
    external_count_ = 0;
    // Only now: a thread that finds the gate closed destroys what it brings, which the loop must
    // have let go of.
    gate_->close();
    while (!tasks_.empty()) {
        auto& task = static_cast<TaskBase&>(tasks_.back());
        const Ref<TaskBase> keep(&task);
        task.destroy_frames();
        remove_task(task);
    }
    const auto drop_all = [](NodeList& nodes) {
        while (!nodes.empty()) {
            nodes.pop_front().notify(NodeEvent::drop);
        }
    };
    while (TimerNode* timer = timers_.pop_due(Clock::time_point::max())) {
        timer->notify(NodeEvent::drop);
    }
    drop_all(turn_);
    drop_all(ready_);
    while (!futures_.empty()) {
        const Ref<FutureBase> future(&futures_.pop_front());
        future->orphan();
    }
}

void LoopCore::callback_failed(const char* message) noexcept {
    ExceptionContext context;
    context.message = message;
    context.exception = std::current_exception();
    if (is_keyboard_interrupt(context.exception) && interrupt(context.exception)) {
        return;
    }
    report(context);
}

void LoopCore::report(const ExceptionContext& context) noexcept {
    loop_.call_exception_handler(context);
}

} // namespace detail

Clock::time_point Clock::now() noexcept {
    const detail::LoopCore* core = detail::LoopCore::current();
    if (core != nullptr) {
        return core->now();
    }
    return time_point(std::chrono::steady_clock::now().time_since_epoch());
}

} // namespace muster
