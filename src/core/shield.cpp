#include <muster/core/event_loop.hpp>
#include <muster/core/shield.hpp>

namespace muster::detail {

TaskBase* ShieldedOutcome::on_node(Node& node, NodeEvent event) noexcept {
    if (event == NodeEvent::who) {
        return nullptr;
    }
    const std::unique_ptr<ShieldedOutcome> self(static_cast<ShieldedOutcome*>(&node));
    if (event == NodeEvent::fire && self->future_.state() == State::failed &&
        !self->future_.retrieved()) {
        self->future_.mark_retrieved();
        ExceptionContext context;
        context.message = "exception in shielded future";
        context.exception = self->future_.error();
        context.task = self->future_.label();
        self->future_.loop()->report(context);
    }
    return nullptr;
}

void ShieldWait::begin(PromiseBase& leaf) {
    check_same_loop(*leaf.task, *future_);
    outcome_ = std::make_unique<ShieldedOutcome>(*future_);
    task_ = leaf.task;
    future_->add_waiter(*this);
    task_->suspend(leaf, *this);
}

void ShieldWait::end() {
    // Asked in every case: a second request is part of the cancellation that ended the wait.
    if (task_ != nullptr && (task_->take_cancel() || cancelled_)) {
        task_->throw_cancelled();
    }
}

bool ShieldWait::cancel(const std::string&) noexcept {
    if (future_->done() || cancelled_) {
        return false;
    }
    cancelled_ = true;
    Node::unlink();
    future_->add_waiter(*outcome_.release());
    task_->wake();
    return true;
}

TaskBase* ShieldWait::on_node(Node& node, NodeEvent event) noexcept {
    TaskBase* task = static_cast<ShieldWait&>(node).task_;
    if (event == NodeEvent::fire) {
        task->wake();
    }
    return task;
}

} // namespace muster::detail
