#include <muster/core/detail/loop_core.hpp>
#include <muster/core/detail/task_base.hpp>
#include <muster/core/event_loop.hpp>

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <utility>

namespace muster {
namespace detail {

namespace {

// Resumptions in one drain, after which the io_context gets a turn: enough that its cost does not
// count, few enough that sockets are served within a fraction of a millisecond.
constexpr std::uint64_t drain_budget = 2048;

constinit thread_local LoopCore* running_loop = nullptr;

constinit std::mutex open_loops; // guards newest_ and the two pointers of each loop

// Expires with the thread.
std::weak_ptr<const void> life_of_this_thread() {
    static thread_local const std::shared_ptr<const void> life = std::make_shared<char>();
    return life;
}

/// A function that another thread has posted. Not from the pool: it is made on one thread and freed
/// on another, whose pool would fill up with what it never uses.
class PostedCall final : public PostedNode {
public:
    explicit PostedCall(UniqueFunction<void()> function) noexcept
        : PostedNode(&PostedCall::on_node), function_(std::move(function)) {}

    [[nodiscard]] UniqueFunction<void()> take() noexcept { return std::move(function_); }

private:
    static TaskBase* on_node(Node& node, NodeEvent event) noexcept {
        const std::unique_ptr<PostedCall> self(&static_cast<PostedCall&>(node));
        if (event == NodeEvent::run) {
            const ContextScope scope{ContextRef()};
            try {
                self->function_();
            } catch (...) {
                LoopCore::current()->callback_failed("Exception in callback");
            }
        }
        return nullptr;
    }

    UniqueFunction<void()> function_;
};

} // namespace

bool LoopGate::post(PostedNode& node) noexcept {
    const std::lock_guard lock(mutex_);
    if (core_ == nullptr) {
        return false;
    }
    std::atomic<PostedNode*>& latest = core_->posted_;
    node.posted_before_ = latest.load(std::memory_order_relaxed);
    while (!latest.compare_exchange_weak(node.posted_before_, &node)) {
    }
    // A loop that runs looks here before it sleeps.
    LoopCore::Wake asleep = LoopCore::Wake::asleep;
    if (core_->wake_.compare_exchange_strong(asleep, LoopCore::Wake::called)) {
        core_->driver_.request_drain();
    }
    return true;
}

bool LoopGate::post(UniqueFunction<void()>& work) {
    auto call = std::make_unique<PostedCall>(std::move(work));
    if (!post(*call)) {
        work = call->take();
        return false;
    }
    static_cast<void>(call.release()); // the loop deletes it
    return true;
}

void LoopGate::close() noexcept {
    const std::lock_guard lock(mutex_);
    core_ = nullptr;
}

constinit LoopCore* LoopCore::newest_ = nullptr;

LoopCore::LoopCore(EventLoop& loop, Driver& driver)
    : loop_(loop), driver_(driver), gate_(std::make_shared<LoopGate>(*this)), process_(::getpid()) {
    enlist();
}

LoopCore::~LoopCore() { close(); }

void LoopCore::enlist() noexcept {
    const std::lock_guard lock(open_loops);
    older_ = newest_;
    if (older_ != nullptr) {
        older_->newer_ = this;
    }
    newest_ = this;
}

void LoopCore::delist() noexcept {
    const std::lock_guard lock(open_loops);
    (newer_ != nullptr ? newer_->older_ : newest_) = older_;
    if (older_ != nullptr) {
        older_->newer_ = newer_;
    }
}

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

void LoopCore::throw_closed() { throw RuntimeError("Event loop is closed"); }

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
    wake_.store(Wake::awake, std::memory_order_relaxed);
    draining_ = true;
    drain_requested_ = true;
    const std::uint64_t granted = std::min(drain_budget, steps_left_);
    std::uint64_t budget = granted;
    while (budget > 0) {
        if (turn_.empty()) {
            accept_posted();
            if (!timers_.empty()) {
                fire_due_timers();
            }
            if (ready_.empty()) {
                break;
            }
            ++turns_run_;
            turn_.splice_back(ready_);
            if (exploration) [[unlikely]] {
                exploration->arrange(turn_, ready_);
            }
        }
        do {
            --budget;
            run(turn_.pop_front());
        } while (!turn_.empty() && budget > 0);
        if (stopping_ && turn_.empty()) [[unlikely]] {
            break;
        }
    }
    draining_ = false;
    steps_left_ -= granted - budget;
    steps_run_ += granted - budget;
    if ((stopping_ && turn_.empty()) || steps_left_ == 0) {
        drain_requested_ = false;
        static_cast<void>(fall_asleep()); // resume_drain() looks for what is there
        driver_.stop();
    } else if (has_ready() || !fall_asleep()) {
        driver_.request_drain();
    } else {
        drain_requested_ = false;
        driver_.arm_timer(timers_.next_deadline());
    }
}

void LoopCore::run(Node& node) noexcept {
    if (observed_) [[unlikely]] {
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

[[gnu::noinline]] void LoopCore::run_observed(Node& node) noexcept {
    const Ref<TaskBase> task(TaskBase::of(node));
    const std::string from = debug && task ? place_of(*task) : std::string();
    if (step_watch_) {
        step_watch_->step_begins(task.get());
    }
    // Of the machine, not of the loop: virtual time stands still while a step runs.
    const auto start = std::chrono::steady_clock::now();
    node.notify(NodeEvent::run);
    const auto took = std::chrono::steady_clock::now() - start;
    if (step_watch_) {
        step_watch_->step_ends();
    }
    if (step_times_) {
        step_times_->record(took);
    }
    if (!debug) {
        return;
    }
    if (task) {
        note_wait(*task);
    }
    if (took < slow_callback_duration) {
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

void LoopCore::set_debug(bool on) noexcept {
    debug = on;
    waits_.clear();
    update_observed();
}

void LoopCore::set_step_watch(std::unique_ptr<StepWatch> watch) noexcept {
    step_watch_ = std::move(watch);
    update_observed();
}

void LoopCore::set_step_times(bool on) {
    step_times_ = on ? std::make_unique<DurationHistogram>() : nullptr;
    update_observed();
}

void LoopCore::update_observed() noexcept {
    observed_ = debug || step_watch_ != nullptr || step_times_ != nullptr;
}

void LoopCore::note_wait(const TaskBase& task) {
    if (task.done()) {
        waits_.erase(task.number_);
    } else {
        waits_[task.number_] = now();
    }
}

std::optional<Clock::time_point> LoopCore::waits_since(const TaskBase& task) const {
    const auto found = waits_.find(task.number_);
    return found == waits_.end() ? std::nullopt : std::optional(found->second);
}

LoopMetrics LoopCore::metrics() const {
    LoopMetrics metrics;
    metrics.tasks = task_count_;
    metrics.tasks_created = tasks_created;
    const auto count = [&](const Node&) { ++metrics.ready; };
    turn_.for_each(count);
    ready_.for_each(count);
    for (const PostedNode* node = posted_; node != nullptr; node = node->posted_before_) {
        ++metrics.inbox;
    }
    metrics.timers = timers_.size();
    metrics.external = external_count_;
    metrics.turns = turns_run_;
    metrics.steps = steps_run_;
    if (step_times_) {
        metrics.step_times = *step_times_;
    }
    return metrics;
}

void LoopCore::call_task_hook(TaskBase& task, TaskEvent event) noexcept {
    try {
        task_hook(task, event);
    } catch (...) {
        callback_failed("Exception in task hook");
    }
}

void LoopCore::resume_drain() noexcept {
    if (draining_ || drain_requested_) {
        return;
    }
    if (has_ready() || posted_ != nullptr || stopping_) {
        drain_requested_ = true;
        driver_.request_drain();
    } else {
        driver_.arm_timer(timers_.next_deadline()); // set in the drain that stopped the loop
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

// Not inlined: run_turns() is the hottest of loops, and needs its registers.
[[gnu::noinline]] void LoopCore::fire_due_timers() noexcept {
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

[[gnu::noinline]] void LoopCore::accept_inbox() noexcept {
    for (PostedNode* node = take_posted(); node != nullptr;) {
        PostedNode* next = std::exchange(node->posted_before_, nullptr);
        append(*node);
        node = next;
    }
}

/// Everything that was posted, in a list from the first to the latest.
PostedNode* LoopCore::take_posted() noexcept {
    PostedNode* latest = posted_.exchange(nullptr, std::memory_order_acquire);
    PostedNode* first = nullptr;
    while (latest != nullptr) {
        PostedNode* node = std::exchange(latest, latest->posted_before_);
        node->posted_before_ = first;
        first = node;
    }
    return first;
}

/// From here on who posts wakes the loop. False when somebody has posted before that.
bool LoopCore::fall_asleep() noexcept {
    wake_ = Wake::asleep;
    return posted_ == nullptr;
}

void LoopCore::add_task(TaskBase& task) noexcept {
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
    static_cast<Link&>(static_cast<FutureBase&>(task)).unlink();
    if (--task_count_ == 0) {
        driver_.hold_work(false);
    }
}

void LoopCore::let_go(TaskBase& task) noexcept {
    if (!task.last_reference()) {
        futures_.push_back(task);
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

bool LoopCore::nothing_to_come() noexcept {
    return task_count_ > 0 && external_count_ == 0 && !has_ready() &&
           timers_.next_deadline() == Clock::time_point::max();
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
    for (PostedNode* node = take_posted(); node != nullptr;) {
        PostedNode* next = node->posted_before_;
        node->notify(NodeEvent::drop);
        node = next;
    }
    while (!tasks_.empty()) {
        auto& task = static_cast<TaskBase&>(tasks_.back());
        const Ref<TaskBase> keep(&task);
        task.destroy_frames();
        remove_task(task);
        let_go(task);
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
    delist();
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
