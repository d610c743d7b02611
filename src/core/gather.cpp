#include <muster/core/gather.hpp>

#include <algorithm>

namespace muster::detail {

struct GatherNode {
    // A success is counted at once. A failure waits for its turn in the ready list, as asyncio's
    // callbacks do, so that children which end in the same turn keep their own outcome.
    static TaskBase* on_node(Node& node, NodeEvent event) noexcept {
        auto& child = static_cast<GatherChild&>(node);
        GatherWait& wait = *child.gather;
        if (event == NodeEvent::fire) {
            if (child.future->state() == State::value || wait.keep_exceptions_) {
                wait.settle(child);
            } else {
                child.future->mark_retrieved();
                wait.task_->loop()->append(child);
            }
        } else if (event == NodeEvent::run) {
            if (wait.failed_ == nullptr) {
                wait.failed_ = &child;
                for (GatherChild& other : wait.children_) {
                    if (other.owned && !other.future->done()) {
                        other.future->cancel({});
                    }
                }
            }
            wait.settle(child);
        }
        return wait.task_;
    }

    static void attach(GatherChild& child, GatherWait& wait) noexcept {
        child.set_function(&GatherNode::on_node);
        child.gather = &wait;
        if (child.future->done()) {
            child.notify(NodeEvent::fire);
        } else {
            child.future->add_waiter(child);
        }
    }
};

bool GatherWait::begin(PromiseBase& leaf, std::span<GatherChild> children) {
    for (const GatherChild& child : children) {
        if (child.future == nullptr) {
            throw_empty_handle();
        }
        check_same_loop(*leaf.task, *child.future);
    }
    children_ = children;
    task_ = leaf.task;
    pending_ = children.size();
    owned_pending_ = static_cast<std::size_t>(std::count_if(
        children.begin(), children.end(), [](const GatherChild& child) { return child.owned; }));
    for (GatherChild& child : children) {
        GatherNode::attach(child, *this);
    }
    if (complete()) {
        return false;
    }
    suspended_ = true;
    task_->suspend(leaf, *this);
    return true;
}

void GatherWait::end() {
    const bool late = (suspended_ && task_->take_cancel()) || cancelled_after_failure_;
    if (!late && failed_ == nullptr && !cancel_requested_) {
        return;
    }
    for (const GatherChild& child : children_) {
        child.future->mark_retrieved(); // what fails later, too
    }
    if (failed_ != nullptr && (!late || failed_->future->state() == State::cancelled)) {
        failed_->future->rethrow();
    }
    task_->throw_cancelled();
}

bool GatherWait::cancel(const std::string& message) noexcept {
    if (complete()) {
        return false;
    }
    // A failure that was there before cannot be what the children make of this request, so it must
    // not stand in its place; and tasks of others are not waited for any more after one.
    const bool failed =
        !keep_exceptions_ && std::any_of(children_.begin(), children_.end(), [](const auto& child) {
            return child.future->state() == State::failed;
        });
    bool taken = false;
    for (GatherChild& child : children_) {
        if (child.owned || failed_ == nullptr) {
            taken |= child.future->cancel(message);
        }
    }
    cancel_requested_ |= taken;
    cancelled_after_failure_ |= taken && failed;
    return taken;
}

void GatherWait::abandon(std::span<GatherChild> children) noexcept {
    for (GatherChild& child : children) {
        if (child.future != nullptr && child.owned) {
            child.future->cancel({});
        }
    }
}

void GatherWait::settle(GatherChild& child) noexcept {
    --pending_;
    if (child.owned) {
        --owned_pending_;
    }
    if (suspended_ && complete()) {
        task_->wake();
    }
}

} // namespace muster::detail
