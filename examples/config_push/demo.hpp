#pragma once

#include "options.hpp"

namespace config_push {

/// Starts a virtual fleet, pushes a configuration to all of it, reads it back, prints the result.
/// The exit status.
int run_demo(const Options& options);

} // namespace config_push
