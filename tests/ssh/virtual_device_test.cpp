// Against virtual devices: what a real sshd cannot be made to do.
#include "listening_sshd.hpp"
#include "temp_folder.hpp"

#include <muster/muster.hpp>
#include <muster/sim/fleet.hpp>
#include <muster/ssh/connection.hpp>
#include <muster/testing.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;

namespace {

/// One virtual device that fails in some way, and how to reach it.
struct Device {
    explicit Device(const std::string& fault = {}, sim::FleetOptions options = {})
        : fleet([&] {
              if (!fault.empty()) {
                  options.device.fault = sim::Fault::parse(fault);
              }
              options.http = false;
              options.device.starts_privileged = true;
              return options;
          }()) {
        fleet.write_known_hosts(folder.path() + "/known_hosts");
    }

    [[nodiscard]] ssh::Options options() const {
        ssh::Options options;
        options.host = fleet.host(0);
        options.port = fleet.ssh_port(0);
        options.username = "admin";
        options.password = "admin";
        options.known_hosts = {folder.path() + "/known_hosts"};
        return options;
    }

    TempFolder folder;
    sim::Fleet fleet;
};

} // namespace

TEST_CASE("a password logs in, and a wrong one is offered once only") {
    const Device device;
    run([](ssh::Options options) -> Coro<void> {
        auto connection = co_await ssh::connect(std::move(options));
        auto shell = co_await connection.open_shell();
        std::string seen;
        while (!contains(seen, "#")) {
            seen += co_await wait_for(shell.read(), 10s);
        }
        co_await shell.write("show version\n");
        while (!contains(seen, "Version")) {
            seen += co_await wait_for(shell.read(), 10s);
        }
        co_await shell.close();
        co_await connection.close();
    }(device.options()));

    auto options = device.options();
    options.password = "letmein";
    const auto error = connect_error(options);
    CHECK(error.kind() == ssh::ErrorKind::authentication);
    CHECK(error.phase() == ssh::Phase::authentication);
    CHECK(contains(error.reason(), "user 'admin' was refused; tried: password"));
    CHECK_FALSE(contains(error.what(), "letmein"));
    CHECK(device.fleet.refused_logins(0) == 1);
}

TEST_CASE(
    "a device that has a slow key exchange only is told what it offers, and served if asked to") {
    sim::FleetOptions fleet;
    fleet.device.key_exchange = "diffie-hellman-group16-sha512";
    const Device device({}, fleet);
    auto options = device.options();
    const auto error = connect_error(options);
    CHECK(error.kind() == ssh::ErrorKind::no_common_method);
    CHECK(contains(error.reason(), "the device offers diffie-hellman-group16-sha512"));
    options.algorithms = ssh::Algorithms::legacy;
    CHECK(contains(run(ssh::fetch(options, "show version")), "Version"));
}

TEST_CASE("a device that refuses every login is an authentication error with what it accepts") {
    const Device device("reject-login");
    const auto error = connect_error(device.options());
    CHECK(error.kind() == ssh::ErrorKind::authentication);
    CHECK(contains(error.reason(), "the device accepts: "));
    CHECK(contains(error.reason(), "password"));
}

TEST_CASE("a device that falls silent is given up in time, in the right phase") {
    struct Case {
        std::string fault;
        ssh::Phase phase;
        std::string said;
    };

    for (const Case& c :
         {Case{"hang-after-accept", ssh::Phase::key_exchange, "before it identified itself"},
          Case{"hang-after-banner", ssh::Phase::key_exchange, "after identifying itself as 'SSH-2"},
          Case{"hang-after-key-exchange", ssh::Phase::authentication, "timed out"}}) {
        CAPTURE(c.fault);
        const Device device(c.fault);
        auto options = device.options();
        options.timeouts.handshake = 300ms;
        options.timeouts.authenticate = 300ms;
        const auto error = connect_error(options);
        CHECK(error.kind() == ssh::ErrorKind::timeout);
        CHECK(error.phase() == c.phase);
        CHECK(contains(error.reason(), "0.3 s"));
        CHECK(contains(error.reason(), c.said));

        options = device.options();
        options.timeouts.total = 300ms;
        const auto total = connect_error(options);
        CHECK(total.kind() == ssh::ErrorKind::timeout);
        CHECK(total.phase() == c.phase);
        CHECK(contains(total.reason(), "in all"));
    }
}

TEST_CASE("a device that hangs up is reported in the phase where it did") {
    struct Case {
        std::string fault;
        ssh::Phase phase;
    };

    for (const Case& c : {Case{"close-after-accept", ssh::Phase::key_exchange},
                          Case{"reset-after-accept", ssh::Phase::key_exchange},
                          Case{"close-after-banner", ssh::Phase::key_exchange},
                          Case{"reset-after-banner", ssh::Phase::key_exchange},
                          Case{"close-after-key-exchange", ssh::Phase::authentication},
                          Case{"reset-after-key-exchange", ssh::Phase::authentication}}) {
        CAPTURE(c.fault);
        const Device device(c.fault);
        const auto error = connect_error(device.options());
        CAPTURE(std::string(error.what()));
        if (c.fault.starts_with("reset-") && error.phase() == ssh::Phase::connect) {
            // It came before this side knew that it was connected.
            CHECK(error.kind() == ssh::ErrorKind::unreachable);
            continue;
        }
        CHECK(error.kind() == ssh::ErrorKind::connection_lost);
        CHECK(error.phase() == c.phase);
    }
}

TEST_CASE("what is not an SSH server is shown") {
    const Device device("garbage-banner");
    const auto error = connect_error(device.options());
    CAPTURE(std::string(error.what()));
    CHECK(error.phase() == ssh::Phase::key_exchange);
    CHECK(contains(error.reason(), "not the greeting of an SSH server"));
    CHECK(contains(error.remedy(), "port"));
}

TEST_CASE("a device with another host key than the known one is refused") {
    const Device device("wrong-host-key");
    const auto error = connect_error(device.options());
    CHECK(error.kind() == ssh::ErrorKind::host_key_changed);
    CHECK(device.fleet.logins(0) == 0);
    CHECK(device.fleet.refused_logins(0) == 0);
}

TEST_CASE("a device without shells refuses one, and the connection goes on") {
    const Device device("no-shell");
    run([](ssh::Options options) -> Coro<void> {
        auto connection = co_await ssh::connect(std::move(options));
        bool refused = false;
        try {
            auto shell = co_await connection.open_shell();
        } catch (const ssh::Error& error) {
            refused = error.kind() == ssh::ErrorKind::request_refused;
            CHECK(error.phase() == ssh::Phase::channel);
        }
        CHECK(refused);
        CHECK_FALSE(connection.closed());
        CHECK(contains((co_await connection.run("show version")).out, "Version"));
        co_await connection.close();
    }(device.options()));
}

TEST_CASE("a device that hangs up after one command has given all its output") {
    const Device device("exec-once");
    for (int i = 0; i < 20; ++i) {
        const std::string out = run([](ssh::Options options) -> Coro<std::string> {
            auto connection = co_await ssh::connect(std::move(options));
            const auto completed = co_await connection.run("show running-config");
            co_return completed.out;
        }(device.options()));
        CHECK(contains(out, "hostname r1"));
        CHECK(contains(out, "\nend"));
    }
}

TEST_CASE("connecting can be cancelled in each phase, and leaves no session behind") {
    for (const std::string fault :
         {"hang-after-accept", "hang-after-banner", "hang-after-key-exchange"}) {
        CAPTURE(fault);
        const Device device(fault);
        run([](ssh::Options options, const sim::Fleet& fleet) -> Coro<void> {
            auto task = create_task(ssh::connect(std::move(options)));
            while (fleet.concurrent_sessions() == 0) {
                co_await async_sleep(1ms);
            }
            co_await async_sleep(20ms); // into the hang; any other moment must do as well
            CHECK_FALSE(task.done());
            task.cancel();
            bool cancelled = false;
            try {
                co_await task;
            } catch (const CancelledError&) {
                cancelled = true;
            }
            CHECK(cancelled);
            while (fleet.concurrent_sessions() != 0) {
                co_await async_sleep(1ms);
            }
        }(device.options(), device.fleet));
    }
}

TEST_CASE("connecting can be cancelled at any moment") {
    const Device device;
    run([](const ssh::Options& options, const sim::Fleet& fleet) -> Coro<void> {
        // After so many turns of the loop: from before the first step to after the last.
        int finished = 0;
        for (int turns = 0; turns < 40; ++turns) {
            auto task = create_task(ssh::connect(options));
            for (int turn = 0; turn < turns && !task.done(); ++turn) {
                co_await async_sleep(200us);
            }
            task.cancel();
            try {
                co_await task;
                ++finished;
            } catch (const CancelledError&) {
            }
        }
        CHECK(finished < 40);
        while (fleet.concurrent_sessions() != 0) {
            co_await async_sleep(1ms);
        }
    }(device.options(), device.fleet));
}

TEST_CASE("a hundred devices at once") {
    sim::FleetOptions options;
    options.devices = 100;
    const Device devices({}, options);
    run([](const Device& all) -> Coro<void> {
        std::vector<Coro<std::string>> fetches;
        for (int i = 0; i < all.fleet.size(); ++i) {
            auto each = all.options();
            each.host = all.fleet.host(i);
            each.port = all.fleet.ssh_port(i);
            fetches.push_back(ssh::fetch(std::move(each), "show running-config"));
        }
        const auto results = co_await gather(std::move(fetches));
        for (int i = 0; i < all.fleet.size(); ++i) {
            CAPTURE(i);
            CHECK(contains(results[static_cast<std::size_t>(i)], "hostname " + all.fleet.name(i)));
        }
    }(devices));
}

TEST_CASE("a virtual clock stands still while a device works, and for nothing else") {
    sim::FleetOptions options;
    options.device.latency.command = 20ms;
    const Device device({}, options);
    testing::run_virtual([](ssh::Options where) -> Coro<void> {
        const auto start = Clock::now();
        auto connection = co_await ssh::connect(std::move(where));
        const auto done = co_await connection.run("show version");
        CHECK(contains(done.out, "Version"));
        CHECK(Clock::now() == start);
        co_await async_sleep(10s);
        CHECK(Clock::now() == start + 10s);
        co_await connection.close();
    }(device.options()));
}
