#pragma once

#include "options.hpp"

#include <muster/core/coro.hpp>
#include <muster/device/device.hpp>
#include <muster/fleet/push.hpp>

#include <string>
#include <vector>

namespace config_push {

/// How a run over the devices ended.
struct RunResult {
    std::vector<muster::fleet::PushReport> reports;
    muster::Clock::duration elapsed{};
    int signal = 0; ///< SIGINT or SIGTERM when it was interrupted
};

/// Pushes with progress on standard error. The first SIGINT or SIGTERM starts no further device,
/// the second aborts.
muster::Coro<RunResult> run_push(const std::vector<muster::device::Device>& devices,
                                 std::string text, std::string source, Options options);

} // namespace config_push
