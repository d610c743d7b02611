#pragma once
/// For tests of programs that use muster.

#include <muster/core/event_loop.hpp>
#include <muster/core/run.hpp>
#include <muster/core/task.hpp>

#include <memory>
#include <utility>

namespace muster::testing {

/// A loop whose clock stands still while anything is ready, and jumps to the next timer when all
/// tasks wait: an hour of sleeping passes at once, and always the same way. While a thread or a
/// socket works for a task, the clock waits for it. If nothing is left that could wake a task,
/// running it throws RuntimeError ("deadlock").
[[nodiscard]] std::unique_ptr<EventLoop> make_virtual_loop();

/// Runs `main` to its end on a virtual loop; its result. What it leaves behind is cancelled and
/// waited for, as by run().
template <class T>
T run_virtual(Coro<T> main) {
    const std::unique_ptr<EventLoop> loop = make_virtual_loop();
    Task<T> task = loop->create_task(std::move(main));
    loop->run_until_complete(task);
    loop->run_until_complete(loop->shutdown());
    return std::move(task).result();
}

} // namespace muster::testing
