#pragma once
/// What the event loop itself costs. One file for each, named as the function is.

#include "harness/bench.hpp"

namespace bench {

Workload spawn();
Workload yield();
Workload child();
Workload sleepers();
Workload timeout_ready();
Workload timeout_yield();
Workload queue(std::size_t capacity);
Workload semaphore();
Workload lock();
Workload executor_one();
Workload executor_many();
Workload idle();

} // namespace bench
