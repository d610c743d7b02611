#include <muster/core/detail/task_base.hpp>

namespace muster::detail {

TaskBase::TaskBase(LoopCore& loop, PromiseBase& root, ContextRef context) noexcept
    : FutureBase(loop, FutureBase::Task()),
      Node(&TaskBase::on_node),
      context_(std::move(context)),
      root_(root.self),
      leaf_(&root),
      number_(++loop.tasks_created) {
    root.task = this;
    root.owner = &root_;
}

TaskBase::~TaskBase() {
    if (root_) {
        root_.destroy();
    }
}

bool TaskBase::cancel(const std::string& message) noexcept {
    if (done()) {
        mark_retrieved(); // as in asyncio: who cancels it does not mind what it ended with
        return false;
    }
    if (cancel_passing_) {
        return loop()->cancelled_twice(*this);
    }
    ++cancel_requests_;
    // What a wait was cancelled with first is what it throws.
    if (!wait_cancelled_) {
        set_cancel_message(message);
    }
    loop()->cancel_wait_of(*this);
    return true;
}

void TaskBase::cancel_wait() noexcept {
    static const std::string none;
    const std::string* message = cancel_message();
    if (waiter_ != nullptr && waiter_->cancel(message != nullptr ? *message : none)) {
        must_cancel_ = false;
        wait_cancelled_ = true;
    } else {
        must_cancel_ = true;
        cancelled_now_ = leaf_ == nullptr;
    }
}

void TaskBase::latch_cancel(const std::string& message) noexcept {
    must_cancel_ = true;
    if (!message.empty()) {
        set_cancel_message(message);
    }
}

std::string TaskBase::name() const { return name_ ? *name_ : "Task-" + std::to_string(number_); }

std::vector<std::source_location> TaskBase::stack() const {
    std::vector<std::source_location> result;
    for (const PromiseBase* frame = leaf_; frame != nullptr; frame = frame->parent) {
        result.push_back(frame->where);
    }
    return result;
}

void TaskBase::destroy_frames() noexcept {
    waiter_ = nullptr; // in a frame: the destructors below may cancel this task
    for (PromiseBase* frame = leaf_; frame != nullptr;) {
        PromiseBase* parent = frame->parent;
        const std::coroutine_handle<> handle = frame->self;
        // Whoever owns this frame lies in the parent's, which goes next: it must not go twice.
        if (frame->owner != nullptr) {
            *frame->owner = nullptr;
        }
        handle.destroy();
        frame = parent;
    }
    leaf_ = nullptr;
    waiter_ = nullptr; // it lay in a frame: a destructor further up may still cancel this task
}

void TaskBase::cancelled_before_start() noexcept {
    // As in asyncio: no statement of the body runs.
    LoopCore& core = *loop();
    TaskBase* const outer = std::exchange(core.current_task, this);
    waiter_ = nullptr;
    destroy_frames();
    core.current_task = outer;
    finish_ended(State::cancelled, nullptr);
}

inline void TaskBase::step() noexcept {
    if (!started_) [[unlikely]] {
        if (must_cancel_) {
            cancelled_before_start();
            return;
        }
        started_ = true;
    }
    LoopCore& core = *loop();
    TaskBase* const outer = std::exchange(core.current_task, this);
    waiter_ = nullptr;
    cancelled_now_ = false;
    wait_cancelled_ = false;
    ready_left_ = max_ready;
    std::coroutine_handle<> next = std::exchange(leaf_, nullptr)->self;
    for (;;) {
        hops_ = max_hops;
        next.resume();
        if (!next_) [[likely]] {
            break;
        }
        next = std::exchange(next_, nullptr);
    }
    core.current_task = outer;
    if (root_ended_) {
        collect(*std::exchange(leaf_, nullptr));
    }
}

void TaskBase::start(bool eager) {
    loop()->add_task(*this);
    // As in asyncio, an eager task starts with its loop if that does not run.
    if (eager && loop()->running()) {
        step();
    } else {
        loop()->accept_posted();
        wake();
    }
}

TaskBase* TaskBase::on_node(Node& node, NodeEvent event) noexcept {
    if (event == NodeEvent::run) {
        static_cast<TaskBase&>(node).step();
    }
    return nullptr;
}

void TaskBase::finish_ended(State state, const std::exception_ptr& error) noexcept {
    // The frame goes before anyone is told, and here rather than in its own final suspension,
    // where some compilers can't have it destroyed.
    if (root_) {
        std::exchange(root_, nullptr).destroy();
    }
    LoopCore& core = *loop();
    core.remove_task(*this);
    switch (state) {
    case State::cancelled:
        finish_cancelled(error);
        break;
    case State::failed:
        if (is_keyboard_interrupt(error) && core.interrupt(error)) {
            mark_retrieved();
        }
        finish_error(error);
        break;
    default:
        finish_value();
    }
    if (core.task_hook) [[unlikely]] {
        core.call_task_hook(*this, TaskEvent::done);
    }
    core.let_go(*this);
}

} // namespace muster::detail
