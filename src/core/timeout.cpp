#include <muster/core/timeout.hpp>

namespace muster {

Timeout::~Timeout() {
    if (task_ != nullptr && task_->loop() != nullptr) {
        task_->loop()->remove_timer(*this);
    }
}

void Timeout::enter(detail::TaskBase& task) {
    task_ = &task;
    cancelling_ = task.cancelling();
    state_ = State::entered;
    if (delay_ && delay_->limited()) {
        deadline_ = delay_->deadline(task.loop()->now());
    }
    schedule();
}

void Timeout::schedule() {
    if (deadline_) {
        task_->loop()->add_timer(*this, *deadline_);
    } else {
        task_->loop()->remove_timer(*this);
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
    schedule();
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

void Timeout::on_node(detail::Node& node, detail::NodeEvent event) noexcept {
    auto& self = static_cast<Timeout&>(node);
    if (event == detail::NodeEvent::run && self.state_ == State::entered) {
        self.state_ = State::expiring;
        self.task_->cancel({});
    }
}

} // namespace muster
