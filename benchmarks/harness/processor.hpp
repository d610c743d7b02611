#pragma once

/// Which processors a process runs on.

namespace bench {

/// The process keeps to one of its processors.
void keep_to_one_cpu() noexcept;

/// Nothing else runs on this process's processor while it has something to do, if the system
/// allows that: for figures that one interruption spoils.
void run_before_others() noexcept;

/// The process leaves those it has to whoever started it, if there are others.
void go_elsewhere() noexcept;

} // namespace bench
