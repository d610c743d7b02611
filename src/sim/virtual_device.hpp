#pragma once
// A device of the fleet: its state, where it listens, what it has counted.

#include <muster/sim/fleet.hpp>
#include <muster/sim/ios.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <random>
#include <string>
#include <utility>

namespace muster::sim {

struct VirtualDevice {
    VirtualDevice(DeviceSpec what, IosProfile profile)
        : spec(std::move(what)), ios(std::move(profile)) {}

    const DeviceSpec spec;
    std::string host;
    std::uint16_t ssh_port = 0;
    std::uint16_t http_port = 0;
    std::uint16_t https_port = 0;

    mutable std::mutex mutex; ///< guards `ios`: the server's thread writes, observers read
    IosDevice ios;

    std::atomic<std::uint64_t> sessions{0};
    std::atomic<std::uint64_t> logins{0};
    std::atomic<std::uint64_t> refused_logins{0};
    std::atomic<std::uint64_t> lines{0};
    std::atomic<std::uint64_t> requests{0};
};

/// Draws the delays; used on the server's thread only.
class Delays {
public:
    explicit Delays(unsigned seed) : random_(seed) {}

    std::chrono::milliseconds draw(std::chrono::milliseconds base, const Latency& latency) {
        std::uniform_int_distribution<long long> extra(0, latency.jitter.count());
        return base + std::chrono::milliseconds(extra(random_));
    }

private:
    std::minstd_rand random_;
};

} // namespace muster::sim
