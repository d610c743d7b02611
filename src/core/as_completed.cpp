#include <muster/core/as_completed.hpp>

namespace muster::detail {

Completions::Completions(const std::vector<FutureBase*>& futures, TimeLimit timeout)
    : TimerNode(&Completions::on_timer),
      items_(std::make_unique<Item[]>(futures.size())),
      total_(futures.size()) {
    LoopCore& core = get_running_loop().core();
    for (const FutureBase* future : futures) {
        if (future == nullptr) {
            throw_empty_handle();
        }
        if (!future->done() && future->loop() != &core) {
            throw RuntimeError("as_completed() was given a task or future of another event loop");
        }
    }
    completed_.reserve(total_);
    for (std::size_t i = 0; i < total_; ++i) {
        if (futures[i]->done()) {
            completed_.push_back(i);
        } else {
            items_[i].completions = this;
            futures[i]->add_waiter(items_[i]);
        }
    }
    if (timeout.limited() && completed_.size() < total_) {
        core.add_timer(*this, timeout.deadline(core.now()));
        core_ = &core;
    }
}

Completions::~Completions() { stop_timer(); }

void Completions::stop_timer() noexcept {
    if (core_ != nullptr) {
        std::exchange(core_, nullptr)->remove_timer(*this);
    }
}

void Completions::completed(std::size_t position) noexcept {
    completed_.push_back(position);
    if (completed_.size() == total_) {
        stop_timer();
    }
    wake_waits();
}

void Completions::wake_waits() noexcept {
    while (!waits_.empty() && available()) {
        ++woken_;
        waits_.pop_front().task_->wake();
    }
}

TaskBase* Completions::on_item(Node& node, NodeEvent event) noexcept {
    auto& item = static_cast<Item&>(node);
    Completions& self = *item.completions;
    if (event == NodeEvent::fire) {
        self.completed(static_cast<std::size_t>(&item - self.items_.get()));
    }
    return self.waits_.empty() ? nullptr : self.waits_.front().task_;
}

TaskBase* Completions::on_timer(Node& node, NodeEvent event) noexcept {
    auto& self = static_cast<Completions&>(static_cast<TimerNode&>(node));
    self.core_ = nullptr; // it ran, or its loop goes away
    if (event == NodeEvent::run) {
        self.timed_out_ = true;
        for (std::size_t i = 0; i < self.total_; ++i) {
            self.items_[i].unlink();
        }
        self.wake_waits();
    }
    return nullptr;
}

void Completions::Wait::begin(PromiseBase& leaf) {
    task_ = leaf.task;
    completions_->waits_.push_back(*this);
    task_->suspend(leaf, *this);
}

std::size_t Completions::Wait::end() {
    Completions& all = *completions_;
    if (task_ != nullptr) {
        const bool late = task_->take_cancel();
        if (late || cancelled_) {
            if (!cancelled_) {
                --all.woken_; // what it was woken for is the next one's
                all.wake_waits();
            }
            task_->throw_cancelled();
        }
        --all.woken_;
    }
    if (all.given_ == all.completed_.size()) {
        throw TimeoutError();
    }
    return all.completed_[all.given_++];
}

bool Completions::Wait::cancel(const std::string&) noexcept {
    if (!linked()) {
        return false;
    }
    unlink();
    cancelled_ = true;
    task_->wake();
    return true;
}

} // namespace muster::detail
