// The devices of the SSH benchmarks: a virtual fleet in a process of its own, on another processor
// than the one that started it. Ends with its standard input.

#include "harness/processor.hpp"

#include <muster/sim/fleet.hpp>

#include <CLI/CLI.hpp>

#include <unistd.h>

#include <exception>
#include <iostream>
#include <string>

namespace {

/// 4 KB of running configuration, with what is there anyway.
std::vector<std::string> some_routes() {
    constexpr int count = 71;
    std::vector<std::string> lines;
    lines.reserve(count);
    for (int i = 0; i < count; ++i) {
        lines.push_back("ip route 10.100." + std::to_string(100 + i) +
                        ".0 255.255.255.0 192.0.2.1");
    }
    return lines;
}

} // namespace

int main(int argc, char** argv) {
    muster::sim::FleetOptions options;
    options.http = false;
    options.device.starts_privileged = true;
    options.device.config = some_routes();
    std::string known_hosts;
    std::string authorized_key;
    int slow = 0;
    CLI::App app("The devices of the SSH benchmarks.");
    app.add_option("--devices", options.devices);
    app.add_option("--slow", slow,
                   "So many of them have nothing but diffie-hellman-group16-sha512");
    app.add_option("--known-hosts", known_hosts, "Where their host keys are written");
    app.add_option("--authorized-key", authorized_key);
    CLI11_PARSE(app, argc, argv);
    if (!authorized_key.empty()) {
        options.authorized_keys = {authorized_key};
    }
    options.each = [&](int index, muster::sim::DeviceSpec& spec) {
        // Evenly spread: a client goes through the devices in order.
        const bool is_slow = (index + 1) * slow / options.devices > index * slow / options.devices;
        spec.key_exchange = is_slow ? "diffie-hellman-group16-sha512" : "";
    };
    try {
        bench::go_elsewhere();
        const muster::sim::Fleet fleet(std::move(options));
        fleet.write_known_hosts(known_hosts);
        std::cout << "ready" << std::endl;
        char byte = 0;
        while (::read(STDIN_FILENO, &byte, 1) > 0) {
        }
    } catch (const std::exception& error) {
        std::cerr << "bench-ssh-fleet: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
