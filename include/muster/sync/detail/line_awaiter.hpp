#pragma once

#include <muster/sync/detail/wait_list.hpp>

#include <concepts>
#include <coroutine>

namespace muster::detail {

/// Stands in a line until woken. What it is woken for belongs to nobody: a task that is cancelled
/// has nothing to hand on.
class LineAwaiter : public QueuedWaiter {
public:
    LineAwaiter(WaitList& list, const char* what) noexcept : QueuedWaiter(list, what) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<PromiseBase> Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) {
        wait(handle.promise());
    }

    void await_resume() {
        if (waited() && leave() != Outcome::granted) {
            throw_cancelled();
        }
    }
};

} // namespace muster::detail
