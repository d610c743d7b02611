#include "platform_of.hpp"

#include <muster/device/error.hpp>

#include <string>
#include <string_view>

namespace muster::device {

const Platform& platform_of(const Device& device) {
    const Platform* platform = find_platform(device.platform);
    if (platform == nullptr) {
        std::string names;
        for (const std::string_view name : platform_names()) {
            names += (names.empty() ? "" : ", ") + std::string(name);
        }
        throw DeviceError({.device = device.name,
                           .host = endpoint(device),
                           .phase = Phase::connect,
                           .reason = "nothing is known of the platform `" + device.platform + "`",
                           .remedy = "use one of: " + names});
    }
    return *platform;
}

} // namespace muster::device
