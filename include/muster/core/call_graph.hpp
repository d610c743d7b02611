#pragma once

#include <muster/core/task.hpp>

#include <cstddef>
#include <iosfwd>
#include <limits>
#include <source_location>
#include <string>
#include <vector>

namespace muster {

/// Who waits for whom (asyncio.FutureCallGraph): a task, where it stands, and the tasks that await
/// it, each with those that await them.
struct FutureCallGraph {
    AnyTask task;                                 ///< empty for a plain Future
    std::vector<std::source_location> call_stack; ///< its coroutines, innermost first
    std::vector<FutureCallGraph> awaited_by;
};

/// How much of it to look at.
struct CallGraphOptions {
    std::size_t depth = std::numeric_limits<std::size_t>::max(); ///< of `awaited_by`
    std::size_t limit = std::numeric_limits<std::size_t>::max(); ///< of each `call_stack`
};

namespace detail {

[[nodiscard]] FutureCallGraph capture_call_graph(FutureBase& future, CallGraphOptions options);

} // namespace detail

/// The graph of a task of the running loop (asyncio.capture_call_graph). It goes through await,
/// gather, wait, as_completed, shield, timeouts and task groups. The task that runs now has no call
/// stack: it stands where the caller is. Empty for an empty handle: outside of tasks.
[[nodiscard]] FutureCallGraph capture_call_graph(const AnyTask& task = current_task(),
                                                 CallGraphOptions options = {});

/// The same for a future, which has no call stack.
template <class T>
[[nodiscard]] FutureCallGraph capture_call_graph(const Future<T>& future,
                                                 CallGraphOptions options = {}) {
    return detail::capture_call_graph(*future.state(), options);
}

/// A graph as indented text, a line for each coroutine (asyncio.format_call_graph).
[[nodiscard]] std::string format_call_graph(const FutureCallGraph& graph);
[[nodiscard]] std::string format_call_graph(const AnyTask& task = current_task(),
                                            CallGraphOptions options = {});

/// The same, to `out` (asyncio.print_call_graph).
void print_call_graph(const AnyTask& task, std::ostream& out, CallGraphOptions options = {});

/// All unfinished tasks of the running loop as a tree: below each task those that it waits for,
/// with name, what is waited for, and await stack (asyncio's `pstree`).
void print_task_tree(std::ostream& out);

/// Tells that `waiter` waits for `future`, for a combinator of one's own that waits by callbacks
/// (asyncio.future_add_to_awaited_by). Undone by the next one, or when the future is done.
void future_add_to_awaited_by(const AnyTask& future, const AnyTask& waiter);
void future_discard_from_awaited_by(const AnyTask& future, const AnyTask& waiter) noexcept;

} // namespace muster
