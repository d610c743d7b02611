#pragma once

#include <muster/device/device.hpp>
#include <muster/device/platform.hpp>

namespace muster::device {

/// The device's platform. Throws DeviceError, which lists those there are, when it is unknown.
[[nodiscard]] const Platform& platform_of(const Device& device);

} // namespace muster::device
