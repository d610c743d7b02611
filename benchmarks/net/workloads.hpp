#pragma once
/// What networking costs. One file for each, named as the function is.

#include "harness/bench.hpp"

#include <cstddef>

namespace bench {

Workload echo(std::size_t connections);
Workload echo_deadline();

} // namespace bench
