#pragma once

#include <muster/core/detail/loop_core.hpp>
#include <muster/core/detail/task_base.hpp>
#include <muster/sync/detail/wait_list.hpp>

#include <concepts>
#include <coroutine>
#include <optional>

namespace muster::detail {

/// Counts as work under way, while alive: a virtual clock stands still for it.
class PendingWork final : public ExternalOperation {
public:
    explicit PendingWork(LoopCore& core) noexcept : core_(&core) { core.add_external(*this); }

    PendingWork(const PendingWork&) = delete;
    PendingWork& operator=(const PendingWork&) = delete;

    ~PendingWork() {
        if (core_ != nullptr) {
            core_->remove_external(*this);
        }
    }

private:
    void abandon() noexcept override { core_ = nullptr; }

    LoopCore* core_;
};

/// Waits in a list of a socket until that has news.
class SocketWait : public QueuedWaiter {
public:
    SocketWait(WaitList& list, const char* what) noexcept : QueuedWaiter(list, what) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<PromiseBase> Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) {
        begin(handle.promise());
    }

    void await_resume() {
        work_.reset();
        if (waited() && leave() != Outcome::granted) {
            throw_cancelled();
        }
    }

protected:
    void begin(PromiseBase& leaf) {
        work_.emplace(*leaf.task->loop());
        wait(leaf);
    }

private:
    std::optional<PendingWork> work_;
};

/// For operations that need not wait: lets other tasks have a turn, once in a while.
class FairTurn {
public:
    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<PromiseBase> Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
        PromiseBase& leaf = handle.promise();
        if (!leaf.task->spend_ready()) [[likely]] {
            return false;
        }
        task_ = leaf.task;
        task_->yield(leaf);
        return true;
    }

    void await_resume() const {
        if (task_ != nullptr && task_->take_cancel()) {
            task_->throw_cancelled();
        }
    }

private:
    TaskBase* task_ = nullptr; // set: it has yielded
};

/// After a completion handler of Asio has woken tasks: runs them now, when the loop's own
/// io_context called it.
inline void run_woken() noexcept {
    if (LoopCore* core = LoopCore::current()) {
        core->drain_now();
    }
}

} // namespace muster::detail
