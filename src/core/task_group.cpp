#include <muster/core/task_group.hpp>

namespace muster {

TaskGroup::~TaskGroup() {
    for (Child* child : children_) {
        delete child;
    }
}

void TaskGroup::check_open() const {
    if (parent_ == nullptr) {
        throw RuntimeError("TaskGroup has not been entered: task_group(fn) gives one to fn");
    }
    if (finished_ || (waiting_ && children_.empty())) {
        throw RuntimeError("TaskGroup is finished");
    }
    if (aborting_) {
        throw RuntimeError("TaskGroup is shutting down");
    }
}

void TaskGroup::adopt(std::unique_ptr<Child> child, detail::Ref<detail::TaskBase> task) noexcept {
    child->task = std::move(task);
    child->index = children_.size();
    children_.push_back(child.get());
    if (child->task->done()) {
        parent_->loop()->append(*child); // an eager task that has ended already
    } else {
        child->task->add_waiter(*child);
    }
    if (aborting_) {
        child->task->cancel({}); // its first step, an eager one, has cancelled the group
    }
    child.release(); // NOLINT(bugprone-unused-return-value): children_ has it
}

detail::TaskBase* TaskGroup::on_child(detail::Node& node, detail::NodeEvent event) noexcept {
    auto& child = static_cast<Child&>(node);
    detail::TaskBase* parent = child.group.parent_;
    if (event == detail::NodeEvent::fire) {
        // Looked at a turn later, so that children which fail in the same turn all count.
        parent->loop()->append(node);
    } else if (event == detail::NodeEvent::run) {
        child.group.child_done(child);
    }
    return parent;
}

void TaskGroup::child_done(Child& child) noexcept {
    const detail::Ref<detail::TaskBase> task = child.task;
    const bool told = failed_to_start(child);
    drop(child);
    if (waiting_ && children_.empty()) {
        parent_->wake();
    }
    if (told || task->state() != detail::State::failed) {
        return;
    }
    task->mark_retrieved();
    errors_.push_back(task->error());
    if (interrupt_ == nullptr && detail::is_keyboard_interrupt(task->error())) {
        interrupt_ = task->error();
    }
    if (!aborting_ && !parent_cancel_requested_) {
        abort();
        parent_cancel_requested_ = true;
        parent_->cancel({});
    }
}

bool TaskGroup::failed_to_start(Child& child) noexcept {
    if (!child.starting || child.starting->done()) {
        return false;
    }
    detail::FutureBase& starting = *child.starting;
    switch (child.task->state()) {
    case detail::State::failed:
        child.task->mark_retrieved();
        starting.finish_error(child.task->error());
        break;
    case detail::State::cancelled:
        starting.cancel({});
        break;
    default:
        starting.finish_error(std::make_exception_ptr(RuntimeError(
            "the task '" + child.task->name() +
            "' has ended without calling started(): TaskGroup::start() waits for that")));
    }
    return true;
}

void TaskGroup::drop(Child& child) noexcept {
    children_[child.index] = children_.back();
    children_[child.index]->index = child.index;
    children_.pop_back();
    delete &child;
}

void TaskGroup::abort() noexcept {
    aborting_ = true;
    for (Child* child : children_) {
        child->task->cancel({});
    }
}

void TaskGroup::cancel() {
    if (parent_ == nullptr || finished_ || cancelled_by_user_) {
        return;
    }
    cancelled_by_user_ = true;
    if (!aborting_) {
        abort();
    }
    if (!parent_cancel_requested_ && !waiting_) {
        parent_cancel_requested_ = true;
        parent_->cancel({});
    }
}

void TaskGroup::enter(detail::PromiseBase& parent) noexcept {
    leaf_ = &parent;
    parent_ = parent.task;
}

std::coroutine_handle<> TaskGroup::completed(detail::PromiseBase& body) noexcept {
    const detail::State state = body_state_(body);
    propagate_cancel_ = state == detail::State::cancelled;
    if (state != detail::State::value && !aborting_) {
        abort();
    }
    if (children_.empty()) {
        return parent_->transfer(leaf_->self);
    }
    waiting_ = true;
    waited_ = true;
    parent_->suspend(*leaf_, *this);
    return std::noop_coroutine();
}

bool TaskGroup::cancel(const std::string&) noexcept {
    if (children_.empty()) {
        return false; // the wait is over; the task is about to go on
    }
    cancelled_at_end_ = true;
    if (!aborting_) {
        propagate_cancel_ = true;
        abort();
    }
    return true;
}

void TaskGroup::report_suppressed(detail::State body_state,
                                  const std::exception_ptr& body) const noexcept {
    const auto report = [this](const std::exception_ptr& error) {
        if (error != interrupt_) {
            ExceptionContext context;
            context.message =
                "An error in a TaskGroup was not thrown, because KeyboardInterrupt is";
            context.exception = error;
            context.task = parent_->name();
            parent_->loop()->report(context);
        }
    };
    for (const std::exception_ptr& error : errors_) {
        report(error);
    }
    if (body_state == detail::State::failed) {
        report(body);
    }
}

bool TaskGroup::exit(detail::State body_state, std::exception_ptr body) {
    finished_ = true;
    // A cancellation that came after the last child had ended.
    if (waited_ && parent_->take_cancel()) {
        cancelled_at_end_ = true;
        propagate_cancel_ |= !aborting_;
    }
    if (interrupt_ == nullptr && body_state == detail::State::failed &&
        detail::is_keyboard_interrupt(body)) {
        interrupt_ = body;
    }
    if (interrupt_ != nullptr) {
        report_suppressed(body_state, body);
        std::rethrow_exception(interrupt_);
    }
    if (parent_cancel_requested_ && parent_->uncancel() == 0) {
        propagate_cancel_ = false;
    } else if (parent_cancel_requested_ || cancelled_by_user_) {
        propagate_cancel_ |= cancelled_at_end_; // a request that is not the group's own
    }
    if (body_state == detail::State::failed) {
        errors_.push_back(std::move(body));
    }
    if (propagate_cancel_ && errors_.empty()) {
        if (body_state == detail::State::cancelled) {
            return true; // the body's own CancelledError goes on
        }
        parent_->throw_cancelled();
    }
    if (!errors_.empty()) {
        if (parent_->cancelling() > 0) {
            // Cancelled from outside too: the errors outrank it, but the request is kept.
            parent_->uncancel();
            parent_->cancel({});
        }
        throw ExceptionGroup("unhandled errors in a TaskGroup", std::move(errors_));
    }
    return body_state == detail::State::value;
}

} // namespace muster
