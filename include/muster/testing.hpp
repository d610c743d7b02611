#pragma once
/// For tests of programs that use muster.

#include <muster/core/event_loop.hpp>
#include <muster/core/run.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace muster::testing {

/// How a virtual loop runs.
struct VirtualOptions {
    /// Of the order in which tasks run; nothing: the order in which they became ready.
    std::optional<std::uint64_t> seed = {};
};

/// A loop whose clock stands still while anything is ready, and jumps to the next timer when all
/// tasks wait: an hour of sleeping passes at once, and always the same way. While a thread, a
/// socket or a child process works for a task, the clock waits for it: no timeout ends such a wait,
/// and a thread that itself waits for the clock (for a task that sleeps) waits for ever. If nothing
/// is left that could wake a task, running it throws RuntimeError ("deadlock"); what waits for a
/// concurrent::Queue is woken by threads of to_thread() and run_in_executor() only.
///
/// With a seed, every await may take longer than it has to. The seed draws
/// - which of the tasks that are ready runs next, a new one's first step included, and how many
///   turns one of them is kept waiting while others run;
/// - how many turns lie between deadlines that have come at the same time.
///
/// What muster promises it keeps: callbacks run in the order they were scheduled in, deadlines in
/// the order of their times, and of being set if these are equal; locks, semaphores and queues
/// serve in the order of coming; no deadline passes while a task is ready, and a task that is ready
/// runs in the end. The same seed gives the same run each time and everywhere, as long as the
/// program depends on nothing outside: no thread, no socket, no child, no chance of its own.
[[nodiscard]] std::unique_ptr<EventLoop> make_virtual_loop(VirtualOptions options = {});

/// Runs `main` to its end on a virtual loop; its result. What it leaves behind is cancelled and
/// waited for, as by run().
template <class T>
T run_virtual(Coro<T> main, VirtualOptions options = {}) {
    Runner runner({.handle_sigint = false}, make_virtual_loop(options));
    return runner.run(std::move(main));
}

namespace detail {

/// The seeds that explore() tries: `count` of them, from `first` on.
struct Seeds {
    std::uint64_t first;
    std::uint64_t count;
};

/// From 1 to `count`, or only the one that MUSTER_SEED names. Throws ValueError when it names none.
[[nodiscard]] Seeds seeds_to_explore(std::uint64_t count);

/// Writes to standard error with which seed a test fails.
void report_seed(std::uint64_t seed) noexcept;

} // namespace detail

/// Runs `test()` or `test(seed)`, which gives a Coro, with the seeds from 1 to `seeds`, one after
/// the other, each on a virtual loop of its own, until it fails. Then the seed is written to
/// standard error, and what was thrown, a deadlock among it, is thrown on. A test fails without an
/// exception when `failed()`, asked after each run, says so: a test framework may know of a check
/// that was false.
///
/// With the environment variable MUSTER_SEED=17, explore() runs seed 17 alone: a failure again, as
/// it was. Throws ValueError when that is no number. What a test draws itself should come from
/// `seed`, too.
template <class F>
    requires std::invocable<F&> || std::invocable<F&, std::uint64_t>
void explore(F&& test, std::uint64_t seeds, const std::function<bool()>& failed = {}) {
    const auto [first, count] = detail::seeds_to_explore(seeds);
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t seed = first + i;
        try {
            if constexpr (std::invocable<F&, std::uint64_t>) {
                static_cast<void>(run_virtual(std::invoke(test, seed), {.seed = seed}));
            } else {
                static_cast<void>(run_virtual(std::invoke(test), {.seed = seed}));
            }
        } catch (...) {
            detail::report_seed(seed);
            throw;
        }
        if (failed && failed()) {
            detail::report_seed(seed);
            return;
        }
    }
}

} // namespace muster::testing
