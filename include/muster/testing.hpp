#pragma once
/// For tests of programs that use muster.

#include <muster/core/event_loop.hpp>
#include <muster/core/run.hpp>

#include <memory>
#include <utility>

namespace muster::testing {

/// A loop whose clock stands still while anything is ready, and jumps to the next timer when all
/// tasks wait: an hour of sleeping passes at once, and always the same way. While a thread, a
/// socket or a child process works for a task, the clock waits for it: no timeout ends such a wait,
/// and a thread that itself waits for the clock (for a task that sleeps) waits for ever. If nothing
/// is left that could wake a task, running it throws RuntimeError ("deadlock"); what waits for a
/// concurrent::Queue is woken by threads of to_thread() and run_in_executor() only.
[[nodiscard]] std::unique_ptr<EventLoop> make_virtual_loop();

/// Runs `main` to its end on a virtual loop; its result. What it leaves behind is cancelled and
/// waited for, as by run().
template <class T>
T run_virtual(Coro<T> main) {
    Runner runner({.handle_sigint = false}, make_virtual_loop());
    return runner.run(std::move(main));
}

} // namespace muster::testing
