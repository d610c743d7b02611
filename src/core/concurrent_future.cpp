#include <muster/core/concurrent_future.hpp>
#include <muster/core/concurrent_wait.hpp>

#include <cstdio>
#include <string>

namespace muster::concurrent {

namespace {

struct ErrorHandling {
    std::mutex mutex;
    std::shared_ptr<const ErrorHandler> handler;
};

/// Never destroyed: threads may report while the process exits.
ErrorHandling& error_handling() {
    static auto& instance = *new ErrorHandling; // NOLINT(cppcoreguidelines-owning-memory)
    return instance;
}

std::string describe(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& exception) {
        return exception.what();
    } catch (const CancelledError& cancelled) {
        return "CancelledError" + (cancelled.message().empty() ? "" : ": " + cancelled.message());
    } catch (...) { // NOLINT(bugprone-empty-catch): described, not swallowed
        return "an exception that is not a std::exception";
    }
}

} // namespace

ErrorHandler set_error_handler(ErrorHandler handler) {
    auto next = handler ? std::make_shared<const ErrorHandler>(std::move(handler)) : nullptr;
    ErrorHandling& handling = error_handling();
    {
        const std::lock_guard lock(handling.mutex);
        next.swap(handling.handler);
    }
    return next != nullptr ? *next : ErrorHandler();
}

namespace detail {

void report_error(std::string_view where, const std::exception_ptr& error) noexcept {
    try {
        std::shared_ptr<const ErrorHandler> handler;
        {
            ErrorHandling& handling = error_handling();
            const std::lock_guard lock(handling.mutex);
            handler = handling.handler;
        }
        if (handler != nullptr) {
            (*handler)(where, error);
            return;
        }
        const std::string line = "muster: " + std::string(where) + ": " + describe(error) + "\n";
        std::fputs(line.c_str(), stderr);
    } catch (...) { // NOLINT(bugprone-empty-catch): a report that fails has nobody left to tell
    }
}

Deadline deadline_of(const TimeLimit& limit) noexcept {
    if (!limit.limited()) {
        return std::nullopt;
    }
    const auto now = std::chrono::steady_clock::now();
    if (limit.value() >= std::chrono::steady_clock::time_point::max() - now) {
        return std::nullopt;
    }
    return now + limit.value();
}

FutureState::~FutureState() {
    if (error_ != nullptr && !retrieved_) {
        report_error("exception of a concurrent::Future was never retrieved", error_);
    }
}

bool FutureState::done() const {
    const std::lock_guard lock(mutex_);
    return done_locked();
}

bool FutureState::running() const {
    const std::lock_guard lock(mutex_);
    return phase_ == Phase::running;
}

bool FutureState::cancelled() const {
    const std::lock_guard lock(mutex_);
    return phase_ == Phase::cancelled;
}

bool FutureState::failed() const {
    const std::lock_guard lock(mutex_);
    return phase_ == Phase::finished && error_ != nullptr;
}

bool FutureState::cancel() {
    std::vector<Callback> callbacks;
    {
        const std::lock_guard lock(mutex_);
        if (phase_ != Phase::pending) {
            return phase_ == Phase::cancelled;
        }
        callbacks = complete_locked(Phase::cancelled);
    }
    run_callbacks(StateRef<FutureState>(*this), std::move(callbacks));
    return true;
}

bool FutureState::set_running_or_notify_cancel() {
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::pending) {
        phase_ = Phase::running;
        return true;
    }
    if (phase_ == Phase::cancelled && !std::exchange(cancel_seen_, true)) {
        return false;
    }
    throw RuntimeError("set_running_or_notify_cancel() was called before for this future");
}

void FutureState::add_done_callback(Callback callback) {
    {
        const std::lock_guard lock(mutex_);
        if (!done_locked()) {
            callbacks_.push_back(std::move(callback));
            return;
        }
    }
    std::vector<Callback> now;
    now.push_back(std::move(callback));
    run_callbacks(StateRef<FutureState>(*this), std::move(now));
}

void FutureState::ignore_errors() noexcept {
    const std::lock_guard lock(mutex_);
    retrieved_ = true;
}

std::exception_ptr FutureState::exception(const Deadline& deadline) {
    std::unique_lock lock(mutex_);
    await_locked(lock, deadline);
    retrieved_ = true;
    return error_;
}

void FutureState::await_value(const Deadline& deadline, bool take) {
    std::unique_lock lock(mutex_);
    await_locked(lock, deadline);
    if (error_ != nullptr) {
        retrieved_ = true;
        std::rethrow_exception(error_);
    }
    if (taken_) {
        throw InvalidStateError("the result of this concurrent::Future was moved out by "
                                "result() on an rvalue; call result() on an lvalue to share it");
    }
    taken_ = take;
}

void FutureState::claim() {
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::cancelled) {
        throw InvalidStateError("this concurrent::Future was cancelled: it takes no result");
    }
    if (phase_ == Phase::finished) {
        throw InvalidStateError("this concurrent::Future has its result already");
    }
    phase_ = Phase::running;
}

std::vector<FutureState::Callback> FutureState::finish(StateRef<FutureState>& self) noexcept {
    FutureState& state = *self;
    std::vector<Callback> callbacks;
    bool unwanted = false;
    {
        const std::lock_guard lock(state.mutex_);
        callbacks = state.complete_locked(Phase::finished);
        if (callbacks.empty()) {
            static_cast<void>(self.detach());
            unwanted = state.references_.fetch_sub(1, std::memory_order_acq_rel) == 1;
        }
    }
    if (unwanted) {
        delete &state;
    }
    return callbacks;
}

void FutureState::release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) {
        return;
    }
    {
        // The producer gives up its share inside the mutex: let it out first.
        const std::lock_guard lock(mutex_);
    }
    delete this;
}

void FutureState::run_callbacks(StateRef<FutureState> self,
                                std::vector<Callback> callbacks) noexcept {
    for (Callback& callback : callbacks) {
        std::exception_ptr error;
        StateRef<FutureState> share;
        if (&callback == &callbacks.back()) {
            share.swap(self);
        } else {
            share = self;
        }
        try {
            callback(std::move(share));
        } catch (...) {
            error = std::current_exception();
        }
        callback = nullptr;
        if (error != nullptr) {
            report_error("exception in a done callback of a concurrent::Future", error);
        }
    }
}

void FutureState::add_waiter(WaitNode& node) {
    const std::lock_guard lock(mutex_);
    if (done_locked()) {
        node.group->completed(node);
        return;
    }
    node.linked = true;
    node.previous = nullptr;
    node.next = waiters_;
    if (waiters_ != nullptr) {
        waiters_->previous = &node;
    }
    waiters_ = &node;
}

void FutureState::remove_waiter(WaitNode& node) noexcept {
    const std::lock_guard lock(mutex_);
    if (!node.linked) {
        return;
    }
    node.linked = false;
    if (node.previous != nullptr) {
        node.previous->next = node.next;
    } else {
        waiters_ = node.next;
    }
    if (node.next != nullptr) {
        node.next->previous = node.previous;
    }
}

std::vector<FutureState::Callback> FutureState::complete_locked(Phase phase) noexcept {
    phase_ = phase;
    completed_.notify_all();
    while (waiters_ != nullptr) {
        WaitNode& node = *std::exchange(waiters_, waiters_->next);
        node.linked = false;
        node.group->completed(node);
    }
    return std::exchange(callbacks_, {});
}

void FutureState::await_locked(std::unique_lock<std::mutex>& lock, const Deadline& deadline) {
    if (!wait_until(completed_, lock, deadline, [this] { return done_locked(); })) {
        throw TimeoutError("the concurrent::Future was not done in time");
    }
    if (phase_ == Phase::cancelled) {
        throw CancelledError();
    }
}

WaitGroup::WaitGroup(const std::vector<FutureState*>& states) : nodes_(states.size()) {
    for (std::size_t i = 0; i < states.size(); ++i) {
        nodes_[i].group = this;
        nodes_[i].state = states[i];
        nodes_[i].index = i;
        states[i]->add_waiter(nodes_[i]);
    }
}

WaitGroup::~WaitGroup() {
    for (WaitNode& node : nodes_) {
        if (node.state != nullptr) {
            node.state->remove_waiter(node);
        }
    }
}

std::optional<std::size_t> WaitGroup::next(const Deadline& deadline) {
    std::unique_lock lock(mutex_);
    if (!wait_until(ready_, lock, deadline, [this] { return first_ != nullptr; })) {
        return std::nullopt;
    }
    WaitNode& node = *first_;
    first_ = node.next;
    if (first_ == nullptr) {
        last_ = nullptr;
    }
    node.state = nullptr;
    return node.index;
}

void WaitGroup::completed(WaitNode& node) noexcept {
    const std::lock_guard lock(mutex_);
    node.next = nullptr;
    if (last_ != nullptr) {
        last_->next = &node;
    } else {
        first_ = &node;
    }
    last_ = &node;
    ready_.notify_one();
}

void wait_for_states(const std::vector<FutureState*>& states, const Deadline& deadline,
                     ReturnWhen return_when) {
    WaitGroup group(states);
    for (std::size_t waited = 0; waited < states.size(); ++waited) {
        const std::optional<std::size_t> index = group.next(deadline);
        if (!index || return_when == ReturnWhen::first_completed ||
            (return_when == ReturnWhen::first_exception && states[*index]->failed())) {
            return;
        }
    }
}

void throw_unfinished(std::size_t unfinished, std::size_t total) {
    throw TimeoutError(std::to_string(unfinished) + " (of " + std::to_string(total) +
                       ") futures unfinished");
}

} // namespace detail

} // namespace muster::concurrent
