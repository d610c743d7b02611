// virtual-fleet: a fleet of virtual network devices on loopback, until Ctrl-C.

#include <muster/core/error.hpp>
#include <muster/sim/fleet.hpp>

#include <CLI/CLI.hpp>

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <exception>
#include <iostream>
#include <map>
#include <string>
#include <vector>

namespace {

using muster::sim::Fault;
using muster::sim::Fleet;
using muster::sim::FleetOptions;

struct Arguments {
    FleetOptions fleet;
    std::string inventory;
    std::string known_hosts;
    std::string ca_file;
    std::string host_key;
    std::string password = "admin";
    std::string secret = "secret";
    std::string latency = "0";
    std::string connect_latency = "0";
    std::string jitter = "0";
    std::vector<std::string> faults;
    bool by_port = false;
    bool quiet = false;
};

void declare(CLI::App& app, Arguments& arguments) {
    auto& fleet = arguments.fleet;
    app.add_option("-n,--devices", fleet.devices, "How many devices")->check(CLI::PositiveNumber);
    app.add_option("--prefix", fleet.name_prefix, "Names are PREFIX1, PREFIX2, ...");
    app.add_option("-i,--inventory", arguments.inventory,
                   "Write a netmiko device list (YAML) to this file");
    app.add_option("-k,--known-hosts", arguments.known_hosts,
                   "Write the devices' host keys to this file");
    app.add_option("-p,--port", fleet.ssh_port, "SSH port; 0 takes a free one");
    app.add_option("--http-port", fleet.http_port, "HTTP port; 0 takes a free one");
    app.add_option("--https-port", fleet.https_port, "HTTPS port; 0 takes a free one");
    app.add_flag("!--no-http", fleet.http, "No REST API");
    app.add_flag("--https", fleet.https, "A REST API over TLS too");
    app.add_option("--ca-file", arguments.ca_file,
                   "Write the certificate which signs the HTTPS certificates to this file");
    app.add_flag("--by-port", arguments.by_port,
                 "All devices on 127.0.0.1, a port each, instead of an address each");
    app.add_option("--username", fleet.device.username, "The devices' user");
    app.add_option("--password", arguments.password,
                   "... and password; these devices hold nothing worth protecting");
    app.add_option("--enable-secret", arguments.secret, "Asked for by enable");
    app.add_flag("--privileged", fleet.device.starts_privileged, "Users start in enable mode");
    app.add_option("--key-exchange", fleet.device.key_exchange,
                   "The SSH key exchange methods offered, such as diffie-hellman-group16-sha512");
    app.add_option("--host-key", arguments.host_key,
                   "Keep the host key in this file, so that known_hosts stays true");
    app.add_option("--latency", arguments.latency, "Before each answer, such as 100ms or 1.5s");
    app.add_option("--connect-latency", arguments.connect_latency, "Before the SSH version line");
    app.add_option("--jitter", arguments.jitter, "At most this is added to each delay, at random");
    app.add_option("--seed", fleet.seed, "Of the jitter");
    app.add_option("--fault", arguments.faults,
                   "NAME=FAULT, such as r7=hang-after-banner or r8=close-after-line:3+noise; "
                   "NAME may be * for all devices");
    app.add_flag("-q,--quiet", arguments.quiet, "Print nothing but errors");
    app.set_version_flag("--version", "virtual-fleet " MUSTER_VERSION);
}

// The faults by device name; throws ValueError.
std::map<std::string, Fault> read_faults(const std::vector<std::string>& texts) {
    std::map<std::string, Fault> faults;
    for (const auto& text : texts) {
        const auto equals = text.find('=');
        if (equals == std::string::npos || equals == 0) {
            throw muster::ValueError("--fault " + text +
                                     ": write NAME=FAULT, for example r7=hang-after-banner");
        }
        faults[text.substr(0, equals)] = Fault::parse(text.substr(equals + 1));
    }
    return faults;
}

FleetOptions fleet_options(Arguments& arguments) {
    auto options = arguments.fleet;
    options.device.password = arguments.password;
    options.device.enable_secret = arguments.secret;
    options.device.latency.command = muster::sim::parse_duration(arguments.latency);
    options.device.latency.connect = muster::sim::parse_duration(arguments.connect_latency);
    options.device.latency.jitter = muster::sim::parse_duration(arguments.jitter);
    options.host_key_file = arguments.host_key;
    if (arguments.by_port) {
        options.addressing = muster::sim::Addressing::by_port;
    }
    auto faults = read_faults(arguments.faults);
    for (const auto& [name, fault] : faults) {
        const auto number = name.starts_with(options.name_prefix)
                                ? name.substr(options.name_prefix.size())
                                : std::string();
        const bool numeric = !number.empty() && number.size() < 9 &&
                             number.find_first_not_of("0123456789") == std::string::npos;
        if (name != "*" &&
            (!numeric || std::stoi(number) < 1 || std::stoi(number) > options.devices)) {
            throw muster::ValueError("--fault " + name + ": there is no such device; they are " +
                                     options.name_prefix + "1 to " + options.name_prefix +
                                     std::to_string(options.devices));
        }
    }
    options.each = [faults = std::move(faults)](int, muster::sim::DeviceSpec& spec) {
        for (const auto& name : {std::string("*"), spec.hostname}) {
            if (const auto found = faults.find(name); found != faults.end()) {
                spec.fault = found->second;
            }
        }
    };
    return options;
}

void describe(const Fleet& fleet, const Arguments& arguments) {
    const int last = fleet.size() - 1;
    const auto place = [&](auto port) {
        std::string text = fleet.host(0) + ":" + std::to_string((fleet.*port)(0));
        if (last > 0) {
            text += " to " + fleet.host(last) + ":" + std::to_string((fleet.*port)(last));
        }
        return text;
    };
    std::cout << fleet.size() << (last > 0 ? " devices, " : " device, ") << fleet.name(0)
              << (last > 0 ? " to " + fleet.name(last) : "") << "\n"
              << "  ssh    " << place(&Fleet::ssh_port) << "  (key " << fleet.host_key_fingerprint()
              << ")\n";
    if (fleet.http_port() != 0) {
        std::cout << "  http   " << place(&Fleet::http_port) << "\n";
    }
    if (fleet.https_port() != 0) {
        std::cout << "  https  " << place(&Fleet::https_port) << "\n";
    }
    if (!arguments.inventory.empty()) {
        std::cout << "  inventory in " << arguments.inventory << "\n";
    }
    if (!arguments.known_hosts.empty()) {
        std::cout << "  host keys in " << arguments.known_hosts << "\n";
    }
    std::cout << "Ctrl-C ends it." << std::endl;
}

sigset_t ending_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    return signals;
}

int serve(Arguments& arguments) {
    FleetOptions options;
    try {
        options = fleet_options(arguments);
    } catch (const muster::ValueError& error) {
        std::cerr << "virtual-fleet: " << error.what() << "\n";
        return 2;
    }
    // Blocked before the fleet's thread starts, which inherits that: they wait for sigwait.
    const auto signals = ending_signals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    Fleet fleet(std::move(options));
    if (!arguments.inventory.empty()) {
        fleet.write_inventory(arguments.inventory);
    }
    if (!arguments.known_hosts.empty()) {
        fleet.write_known_hosts(arguments.known_hosts);
    }
    if (!arguments.ca_file.empty()) {
        fleet.write_ca_certificate(arguments.ca_file);
    }
    if (!arguments.quiet) {
        describe(fleet, arguments);
    }
    int signal = 0;
    sigwait(&signals, &signal);
    fleet.stop();
    if (!arguments.quiet) {
        std::cout << "Ended; at most " << fleet.concurrent_sessions_peak()
                  << " SSH sessions at once.\n";
    }
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    CLI::App app("A fleet of virtual network devices behind real SSH and HTTP on loopback.",
                 "virtual-fleet");
    declare(app, arguments);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    try {
        return serve(arguments);
    } catch (const std::exception& error) {
        std::cerr << "virtual-fleet: " << error.what() << "\n";
        return 1;
    }
}
