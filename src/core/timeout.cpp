#include <muster/core/timeout.hpp>

namespace muster {

Timeout::~Timeout() {
    if (task_ != nullptr && task_->loop() != nullptr) {
        task_->loop()->remove_timer(*this);
    }
}

void Timeout::enter(detail::TaskBase& task) {
    task_ = &task;
    // A request that has not been delivered yet will be in the block, as those that come meanwhile.
    cancelling_ = task.cancelling();
    if (cancelling_ > 0 && task.cancel_undelivered()) {
        --cancelling_;
    }
    state_ = State::entered;
    const bool relative = delay_ && delay_->limited();
    if (!relative && !deadline_) {
        return;
    }
    const Clock::time_point now = task.loop()->now();
    if (relative) {
        deadline_ = delay_->deadline(now);
    }
    schedule(now);
}

void Timeout::schedule(Clock::time_point now) {
    detail::LoopCore& core = *task_->loop();
    if (deadline_ && *deadline_ > now) {
        core.add_timer(*this, *deadline_);
        return;
    }
    core.remove_timer(*this);
    if (deadline_) {
        core.append(*this); // so that it comes before the block's first suspension is over
    }
}

void Timeout::reschedule(std::optional<Clock::time_point> when) {
    switch (state_) {
    case State::created:
        throw RuntimeError("Timeout has not been entered");
    case State::entered:
        break;
    case State::expiring:
        throw RuntimeError("Cannot change state of expiring Timeout");
    case State::expired:
        throw RuntimeError("Cannot change state of expired Timeout");
    case State::exited:
        throw RuntimeError("Cannot change state of finished Timeout");
    }
    deadline_ = when;
    schedule(task_->loop()->now());
}

bool Timeout::exit(bool cancelled) noexcept {
    task_->loop()->remove_timer(*this);
    if (state_ == State::expiring) {
        state_ = State::expired;
        return task_->uncancel() <= cancelling_ && cancelled;
    }
    state_ = State::exited;
    return false;
}

detail::TaskBase* Timeout::on_node(detail::Node& node, detail::NodeEvent event) noexcept {
    auto& self = static_cast<Timeout&>(node);
    if (event == detail::NodeEvent::run && self.state_ == State::entered) {
        self.state_ = State::expiring;
        self.task_->cancel({});
    }
    return nullptr;
}

} // namespace muster
