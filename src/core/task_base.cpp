#include <muster/core/detail/task_base.hpp>

namespace muster::detail {

TaskBase::TaskBase(LoopCore& loop, PromiseBase& root, ContextRef context) noexcept
    : FutureBase(loop),
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
        return false;
    }
    ++cancel_requests_;
    cancel_message_ = message.empty() ? nullptr : std::make_unique<std::string>(message);
    loop()->cancel_wait_of(*this);
    return true;
}

void TaskBase::cancel_wait() noexcept {
    static const std::string none;
    if (waiter_ == nullptr || !waiter_->cancel(cancel_message_ ? *cancel_message_ : none)) {
        must_cancel_ = true;
    }
}

void TaskBase::start(bool eager) {
    loop()->add_task(*this);
    if (eager) {
        const LoopCore::Running running(*loop());
        step();
    } else {
        loop()->accept_posted();
        wake();
    }
}

void TaskBase::deliver_cancel() noexcept {
    static const std::string none;
    if (waiter_->cancel(cancel_message_ ? *cancel_message_ : none)) {
        must_cancel_ = false;
    }
}

void TaskBase::latch_cancel(const std::string& message) noexcept {
    must_cancel_ = true;
    if (!message.empty()) {
        cancel_message_ = std::make_unique<std::string>(message);
    }
}

void TaskBase::throw_cancelled() const {
    throw cancel_message_ ? CancelledError(*cancel_message_) : CancelledError();
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

TaskBase* TaskBase::on_node(Node& node, NodeEvent event) noexcept {
    if (event == NodeEvent::run) {
        static_cast<TaskBase&>(node).step();
    }
    return nullptr;
}

void TaskBase::step() noexcept {
    LoopCore& core = *loop();
    TaskBase* const outer = std::exchange(core.current_task, this);
    waiter_ = nullptr;
    ready_left_ = max_ready;
    if (!started_) [[unlikely]] {
        if (must_cancel_) {
            // As in asyncio: no statement of the body runs.
            destroy_frames();
            core.current_task = outer;
            finish_ended(State::cancelled, nullptr);
            return;
        }
        started_ = true;
    }
    next_ = std::exchange(leaf_, nullptr)->self;
    do {
        hops_ = max_hops;
        std::exchange(next_, nullptr).resume();
    } while (next_);
    core.current_task = outer;
    if (root_ended_) {
        collect();
    }
}

void TaskBase::finish_ended(State state, const std::exception_ptr& error) noexcept {
    // The frame goes before anyone is told, and here rather than in its own final suspension,
    // where some compilers can't have it destroyed.
    if (root_) {
        std::exchange(root_, nullptr).destroy();
    }
    const Ref<TaskBase> keep(this);
    loop()->remove_task(*this);
    switch (state) {
    case State::cancelled:
        finish_cancelled(error, cancel_message_ ? *cancel_message_ : std::string());
        break;
    case State::failed:
        if (is_keyboard_interrupt(error) && loop()->interrupt(error)) {
            mark_retrieved();
        }
        finish_error(error);
        break;
    default:
        finish_value();
    }
    if (keep->loop()->task_hook) [[unlikely]] {
        keep->loop()->call_task_hook(*this, TaskEvent::done);
    }
}

} // namespace muster::detail
