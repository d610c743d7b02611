#include <muster/core/sleep.hpp>

namespace muster::detail {

void SleepAwaiter::begin(PromiseBase& leaf) {
    LoopCore& core = *task_->loop();
    const Clock::time_point now = core.now();
    if (absolute_ && when() <= now) {
        yield(leaf);
        return;
    }
    core.add_timer(*this, absolute_ ? when() : deadline_after(now, when().time_since_epoch()));
    task_->suspend(leaf, *this);
}

bool SleepAwaiter::cancel(const std::string&) noexcept {
    if (fired_) {
        return false;
    }
    fired_ = true;
    cancelled_ = true;
    task_->loop()->remove_timer(*this);
    task_->wake();
    return true;
}

TaskBase* SleepAwaiter::on_node(Node& node, NodeEvent event) noexcept {
    auto& self = static_cast<SleepAwaiter&>(node);
    if (event == NodeEvent::run) {
        self.fired_ = true;
        self.task_->wake();
    }
    return nullptr;
}

} // namespace muster::detail
