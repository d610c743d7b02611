#include <muster/core/detail/remote_call.hpp>

namespace muster::detail {

using concurrent::detail::JobPtr;

RemoteCall::RemoteCall(LoopCore& core)
    : PostedNode(&RemoteCall::on_node), core_(&core), gate_(core.gate()) {}

JobPtr RemoteCall::begin() noexcept {
    core_->add_external(*this);
    return JobPtr(this);
}

void RemoteCall::run() noexcept {
    if (leave_pending(Phase::running)) {
        call();
    } else {
        drop_function();
    }
}

JobPtr RemoteCall::publish(JobPtr self) noexcept {
    if (phase_.load(std::memory_order_relaxed) == Phase::running) {
        send_back(std::move(self));
    }
    return nullptr;
}

void RemoteCall::fail(JobPtr self, std::exception_ptr error) noexcept {
    drop_function();
    if (leave_pending(Phase::running)) {
        keep_error(std::move(error));
        send_back(std::move(self));
    }
}

void RemoteCall::dispose() noexcept {
    drop_function();
    if (leave_pending(Phase::running)) {
        send_back(JobPtr(this)); // with no outcome: its executor has dropped it
    } else {
        release();
    }
}

bool RemoteCall::leave_pending(Phase next) noexcept {
    Phase expected = Phase::pending;
    return phase_.compare_exchange_strong(expected, next, std::memory_order_acq_rel);
}

/// Nobody waits on a loop that is closed: the call ends here then.
void RemoteCall::send_back(JobPtr self) noexcept {
    const std::shared_ptr<LoopGate> gate = gate_; // the loop may free the call at once
    if (gate->post(*this)) {
        static_cast<void>(self.release());
    }
}

TaskBase* RemoteCall::on_node(Node& node, NodeEvent event) noexcept {
    auto& self = static_cast<RemoteCall&>(node);
    if (self.in_loop_) {
        if (event == NodeEvent::run) {
            self.deliver();
        }
        self.leave_loop();
    }
    self.release();
    return nullptr;
}

void RemoteCall::future_cancelled() noexcept {
    if (leave_pending(Phase::cancelled)) {
        leave_loop();
    }
}

void RemoteCall::abandon() noexcept { leave_loop(); }

void RemoteCall::leave_loop() noexcept {
    in_loop_ = false;
    core_->remove_external(*this);
    let_future_go();
    release();
}

void RemoteCall::release() noexcept {
    if (shares_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        delete this;
    }
}

void deliver_error(PlainFuture& future, const std::exception_ptr& error) noexcept {
    try {
        std::rethrow_exception(error);
    } catch (const CancelledError& cancelled) {
        future.cancel(cancelled.message());
    } catch (...) {
        future.finish_error(error);
    }
}

} // namespace muster::detail
