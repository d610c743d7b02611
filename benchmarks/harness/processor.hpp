#pragma once

/// Which processors a process runs on.

namespace bench {

/// The process keeps to one of its processors.
void keep_to_one_cpu() noexcept;

/// The process leaves those it has to whoever started it, if there are others.
void go_elsewhere() noexcept;

} // namespace bench
