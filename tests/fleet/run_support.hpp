#pragma once
/// Helpers for tests of runs.

#include <muster/fleet/run.hpp>
#include <muster/testing.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace fleet_test {

/// d0, d1, ...; the port is the number of seconds that the device takes.
inline std::vector<muster::device::Device> make_devices(const std::vector<int>& seconds) {
    std::vector<muster::device::Device> devices;
    for (std::size_t i = 0; i < seconds.size(); ++i) {
        muster::device::Device device;
        device.name = "d" + std::to_string(i);
        device.host = "192.0.2.1";
        device.port = static_cast<std::uint16_t>(seconds[i]);
        devices.push_back(std::move(device));
    }
    return devices;
}

/// Runs on a virtual clock, so that hours pass at once. The result may be one that can only be
/// moved.
template <class T>
T run_virtual(muster::Coro<T> main) {
    if constexpr (std::is_void_v<T>) {
        muster::testing::run_virtual(std::move(main));
    } else {
        std::optional<T> result;
        const auto store = [&]() -> muster::Coro<void> {
            result.emplace(co_await std::move(main));
        };
        muster::testing::run_virtual(store());
        if (!result) {
            throw std::logic_error("the coroutine gave nothing");
        }
        return std::move(*result);
    }
}

/// Why a device failed; throws if it did not.
inline const muster::fleet::FailureReport& failure_of(const muster::fleet::DeviceOutcome& outcome) {
    if (!outcome.failure) {
        throw std::logic_error(outcome.device + " has not failed");
    }
    return *outcome.failure;
}

/// "started", the phase, or how it ended.
inline std::string name_of(const muster::fleet::Event& event) {
    switch (event.kind) {
    case muster::fleet::Event::Kind::started:
        return "started";
    case muster::fleet::Event::Kind::phase:
        return std::string(event.phase);
    case muster::fleet::Event::Kind::finished:
        return std::string(to_string(event.outcome->ending));
    }
    return "?";
}

/// Writes down every event: second, device, what.
struct Log {
    std::vector<std::string> lines;

    [[nodiscard]] std::function<void(const muster::fleet::Event&)> listener() {
        return [this](const muster::fleet::Event& event) {
            const auto second = std::chrono::duration_cast<std::chrono::seconds>(event.at).count();
            lines.push_back(std::to_string(second) + " " + event.device->name + " " +
                            name_of(event));
        };
    }
};

} // namespace fleet_test
