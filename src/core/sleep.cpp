#include <muster/core/sleep.hpp>

namespace muster::detail {

void SleepAwaiter::begin(PromiseBase& leaf) {
    TaskBase& task = *leaf.task;
    LoopCore& core = *task.loop();
    task_ = &task;
    if (absolute_ ? until_ <= core.now() : delay_ <= Clock::duration::zero()) {
        fired_ = true;
        task.yield(leaf);
        return;
    }
    core.add_timer(*this, absolute_ ? until_ : deadline_after(core.now(), delay_));
    task.suspend(leaf, *this);
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
