#pragma once
/// What SSH sessions cost. One file for each kind.

#include "harness/bench.hpp"
#include "ssh/load.hpp"

#include <cstddef>

namespace bench {

/// CPU time of the client, `at_once` sessions at any time.
Workload session_cost(Login login, std::size_t at_once);

/// Time by the clock, from one thread.
Workload session_storm();

/// The longest step of the loop meanwhile; `slow`: half of the devices have a slow key exchange.
Workload longest_step(bool slow);

/// Connects by the clock, with a slow key exchange, on all processors and on one.
Workload scaling();

/// So many sessions opened and held: time by the clock, and memory.
Workload held_sessions(std::size_t sessions);

} // namespace bench
