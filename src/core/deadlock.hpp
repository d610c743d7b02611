#pragma once

#include <muster/core/detail/loop_core.hpp>

#include <cstddef>
#include <iosfwd>
#include <string>
#include <string_view>

namespace muster::detail {

/// The tree of tasks, ended after `most_tasks`.
void print_task_tree(std::ostream& out, std::size_t most_tasks);

/// Says of the running loop that every task waits in vain, then `remark`, then which waits for what
/// and where.
[[nodiscard]] std::string deadlock_text(std::string_view remark = {});

/// Whether a task of the loop waits for what may take for ever, or is another thread's to end.
[[nodiscard]] bool waits_open_ended(const LoopCore& core);

/// Whether the process has, or may have, threads that are not the library's own: one of them may
/// know the loop.
[[nodiscard]] bool has_unknown_threads(const LoopCore& core);

} // namespace muster::detail
