#pragma once
// A virtual router with a session on it, for tests of its command line.

#include <muster/sim/ios.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

/// A device whose clock stands at Mon Mar 1 2021, 12:00:00 UTC.
inline muster::sim::IosProfile fixed_clock() {
    muster::sim::IosProfile profile;
    profile.now = [] { return std::chrono::system_clock::from_time_t(1614600000); };
    return profile;
}

/// A device with a session on it, already at `r1#`, pager off.
struct Router {
    explicit Router(muster::sim::IosProfile profile = fixed_clock(),
                    muster::sim::IosSessionOptions options = privileged())
        : device(std::move(profile)), session(device, std::move(options)) {}

    static muster::sim::IosSessionOptions privileged() {
        muster::sim::IosSessionOptions options;
        options.privileged = true;
        options.length = 0;
        return options;
    }

    std::string type(std::string_view text) { return session.type(text); }

    [[nodiscard]] bool running_has(std::string_view text) const {
        return device.running_config().find(text) != std::string::npos;
    }

    muster::sim::IosDevice device;
    muster::sim::IosSession session;
};

inline bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}
