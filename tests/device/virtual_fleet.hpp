#pragma once
/// Virtual devices over real SSH and HTTP on loopback, and how to reach them.

#include <muster/core/error.hpp>
#include <muster/device/cli.hpp>
#include <muster/device/device.hpp>
#include <muster/sim/fleet.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

/// A running fleet with its known_hosts in a folder of its own.
class VirtualFleet {
public:
    explicit VirtualFleet(muster::sim::FleetOptions options)
        : fleet_(std::move(options)), folder_(make_folder()) {
        fleet_.write_known_hosts(known_hosts());
    }

    VirtualFleet(const VirtualFleet&) = delete;
    VirtualFleet& operator=(const VirtualFleet&) = delete;

    ~VirtualFleet() {
        fleet_.stop();
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    /// One device.
    static muster::sim::FleetOptions one(muster::sim::DeviceSpec spec = {}) {
        return many(1, std::move(spec));
    }

    static muster::sim::FleetOptions many(int count, muster::sim::DeviceSpec spec = {}) {
        muster::sim::FleetOptions options;
        options.devices = count;
        options.device = std::move(spec);
        options.http = false;
        return options;
    }

    [[nodiscard]] muster::sim::Fleet& fleet() noexcept { return fleet_; }

    [[nodiscard]] std::string known_hosts() const { return folder_ / "known_hosts"; }

    /// The device as an inventory would describe it.
    [[nodiscard]] muster::device::Device device(int index = 0) const {
        muster::device::Device device;
        device.name = fleet_.name(index);
        device.host = fleet_.host(index);
        device.port = fleet_.ssh_port(index);
        device.platform = "cisco_ios";
        device.username = "admin";
        device.password = "admin";
        device.secret = "secret";
        return device;
    }

    [[nodiscard]] muster::device::CliOptions options() const {
        muster::device::CliOptions options;
        options.known_hosts = {known_hosts()};
        return options;
    }

private:
    static std::filesystem::path make_folder() {
        std::string name = (std::filesystem::temp_directory_path() / "muster-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) {
            throw muster::RuntimeError("cannot make a folder for the test");
        }
        return name;
    }

    muster::sim::Fleet fleet_;
    std::filesystem::path folder_;
};
