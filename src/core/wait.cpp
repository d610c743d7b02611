#include <muster/core/wait.hpp>

#include <unordered_set>

namespace muster::detail {

std::vector<std::size_t> distinct(const std::vector<FutureBase*>& futures) {
    std::vector<std::size_t> result;
    std::unordered_set<FutureBase*> seen;
    for (std::size_t i = 0; i < futures.size(); ++i) {
        if (seen.insert(futures[i]).second) {
            result.push_back(i);
        }
    }
    return result;
}

ManyWait::~ManyWait() {
    if (task_ != nullptr && task_->loop() != nullptr) {
        task_->loop()->remove_timer(*this);
    }
}

void ManyWait::begin(PromiseBase& leaf, const std::vector<FutureBase*>& futures) {
    if (futures.empty()) {
        throw ValueError("wait() needs at least one task or future; the range is empty");
    }
    switch (options_.return_when) {
    case ReturnWhen::first_completed:
    case ReturnWhen::first_exception:
    case ReturnWhen::all_completed:
        break;
    default:
        throw ValueError("wait() was given a return_when that is none of ReturnWhen's values");
    }
    LoopCore& core = *leaf.task->loop();
    for (const FutureBase* future : futures) {
        if (future == nullptr) {
            throw_empty_handle();
        }
        check_same_loop(*leaf.task, *future);
    }
    items_ = std::make_unique<Item[]>(futures.size());
    pending_ = futures.size();
    if (options_.timeout.limited() && options_.timeout.value() > Clock::duration::zero()) {
        core.add_timer(*this, options_.timeout.deadline(core.now()));
    }
    task_ = leaf.task;
    for (std::size_t i = 0; i < futures.size(); ++i) {
        if (futures[i]->done()) {
            over_ |= completed(*futures[i]);
        } else {
            items_[i].wait = this;
            items_[i].future = futures[i];
            futures[i]->add_waiter(items_[i]);
        }
    }
    if (over_) {
        finish();
        task_->yield(leaf); // one turn passes even when there is nothing to wait for, as in asyncio
        return;
    }
    if (options_.timeout.limited() && options_.timeout.value() <= Clock::duration::zero()) {
        core.append(*this);
    }
    task_->suspend(leaf, *this);
}

void ManyWait::end() {
    // Asked in every case: a second request is part of the cancellation that ended the wait.
    if (task_->take_cancel() || cancelled_) {
        task_->throw_cancelled();
    }
}

bool ManyWait::cancel(const std::string&) noexcept {
    if (over_) {
        return false;
    }
    cancelled_ = true;
    over_ = true;
    finish();
    task_->wake();
    return true;
}

bool ManyWait::completed(FutureBase& future) noexcept {
    --pending_;
    switch (options_.return_when) {
    case ReturnWhen::first_completed:
        return true;
    case ReturnWhen::first_exception:
        if (future.state() == State::failed) {
            future.mark_retrieved();
            return true;
        }
        break;
    case ReturnWhen::all_completed:
        break;
    }
    return pending_ == 0;
}

void ManyWait::finish() noexcept {
    items_.reset();
    task_->loop()->remove_timer(*this);
}

TaskBase* ManyWait::on_item(Node& node, NodeEvent event) noexcept {
    auto& item = static_cast<Item&>(node);
    ManyWait& self = *item.wait;
    TaskBase* task = self.task_;
    if (event == NodeEvent::fire && self.completed(*item.future)) {
        self.over_ = true;
        self.finish(); // the item is gone
        task->wake();
    }
    return task;
}

TaskBase* ManyWait::on_timer(Node& node, NodeEvent event) noexcept {
    auto& self = static_cast<ManyWait&>(static_cast<TimerNode&>(node));
    if (event == NodeEvent::run && !self.over_) {
        self.over_ = true;
        self.finish();
        self.task_->wake();
    }
    return nullptr;
}

} // namespace muster::detail
