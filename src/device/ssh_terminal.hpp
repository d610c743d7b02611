#pragma once

#include <muster/core/coro.hpp>
#include <muster/device/cli.hpp>
#include <muster/ssh/error.hpp>

#include <memory>

namespace muster::device {

/// How to reach the device over SSH.
[[nodiscard]] ssh::Options ssh_options(const Device& device, const PhaseTimeouts& limits,
                                       const CliOptions& options);

/// The same failure in this room's terms.
[[nodiscard]] DeviceError to_device_error(const Device& device, const ssh::Error& error);

/// Connects, logs in and opens a shell. Throws DeviceError.
Coro<std::unique_ptr<Terminal>> open_ssh_terminal(const Device& device, const Platform& platform,
                                                  const CliOptions& options);

} // namespace muster::device
