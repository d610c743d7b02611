#pragma once
/// For tests of programs that use muster.

#include <muster/core/event_loop.hpp>
#include <muster/core/run.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace muster::testing {

/// How a virtual loop runs.
struct VirtualOptions {
    std::optional<std::uint64_t> seed =
        {}; ///< of the order of tasks; nothing: as they became ready
};

/// A loop whose clock stands still while anything is ready, and jumps to the next timer when all
/// tasks wait: an hour of sleeping passes at once, and always the same way. While a thread, a
/// socket or a child process works for a task, the clock waits for it: no timeout ends such a wait,
/// and a thread that itself waits for the clock (for a task that sleeps) waits for ever. If nothing
/// is left that could wake a task, running it throws RuntimeError ("deadlock"); what waits for a
/// concurrent::Queue is woken by threads of to_thread() and run_in_executor() only.
///
/// With a seed, the tasks that are ready in a turn run in an order drawn by it: one that a program
/// must not rely on. The same seed gives the same order, so that a race it shows can be replayed.
[[nodiscard]] std::unique_ptr<EventLoop> make_virtual_loop(VirtualOptions options = {});

/// Runs `main` to its end on a virtual loop; its result. What it leaves behind is cancelled and
/// waited for, as by run().
template <class T>
T run_virtual(Coro<T> main, VirtualOptions options = {}) {
    Runner runner({.handle_sigint = false}, make_virtual_loop(options));
    return runner.run(std::move(main));
}

namespace detail {

/// Writes to standard error which seed an exception came with.
void report_seed(std::uint64_t seed) noexcept;

} // namespace detail

/// Runs `test()`, which gives a Coro, with the seeds from 1 to `seeds`, one after the other. What
/// it throws is thrown on, after the seed was written to standard error: run_virtual with that seed
/// shows it again.
template <class F>
void explore(F&& test, std::uint64_t seeds) {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        try {
            static_cast<void>(run_virtual(std::invoke(test), {.seed = seed}));
        } catch (...) {
            detail::report_seed(seed);
            throw;
        }
    }
}

} // namespace muster::testing
