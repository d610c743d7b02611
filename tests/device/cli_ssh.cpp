#include "virtual_fleet.hpp"

#include <muster/device/cli.hpp>
#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>

using namespace muster;
using namespace muster::device;
using namespace std::chrono_literals;

namespace {

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

sim::FleetOptions with_fault(std::string_view script) {
    sim::DeviceSpec spec;
    spec.fault = sim::Fault::parse(script);
    return VirtualFleet::one(std::move(spec));
}

/// Opens a session and runs `body` with it.
Coro<void> session(Device device, CliOptions options, std::function<Coro<void>(Cli&)> body) {
    Cli cli = co_await Cli::open(std::move(device), std::move(options));
    co_await body(cli);
    co_await cli.close();
}

Coro<void> nothing(Cli&) { co_return; }

/// How opening a session fails; `body` runs if it does not.
Failure failure_of(Device device, CliOptions options,
                   const std::function<Coro<void>(Cli&)>& body = nothing) {
    const auto start = std::chrono::steady_clock::now();
    try {
        run(session(std::move(device), std::move(options), body));
    } catch (const DeviceError& error) {
        // Whatever happens, it happens in time.
        CHECK(std::chrono::steady_clock::now() - start < 20s);
        CHECK(error.device() == "r1");
        CHECK_FALSE(error.host().empty());
        CHECK_FALSE(contains(error.what(), "admin-secret"));
        return error.failure();
    }
    FAIL("it succeeded");
    return {};
}

constexpr const char* three_lines =
    "ntp server 10.0.0.1\nntp server 10.0.0.2\nntp server 10.0.0.3\n";

} // namespace

TEST_CASE(
    "a virtual router is configured, read back from a new session, and saved, over real SSH") {
    VirtualFleet fleet(VirtualFleet::one());
    run(session(fleet.device(), fleet.options(), [](Cli& cli) -> Coro<void> {
        CHECK(cli.hostname() == "r1");
        CHECK(cli.mode() == Mode::exec);
        const ConfigResult result = co_await cli.send_config(
            "hostname amsterdam-core-router-01\n"
            "ntp server 10.0.0.1\n"
            "banner motd ^C\nKeep out!\nr1(config)#\n^C\n"
            "interface GigabitEthernet0/1\n description uplink?\n no shutdown\n");
        CHECK(result.applied == 6);
        CHECK(result.warnings.empty());
        CHECK(cli.hostname() == "amsterdam-core-router-01");
        CHECK(contains(co_await cli.save(), "[OK]"));
    }));
    run(session(fleet.device(), fleet.options(), [](Cli& cli) -> Coro<void> {
        CHECK(cli.hostname() == "amsterdam-core-router-01");
        co_await cli.enable();
        const std::string config = co_await cli.send_command("show running-config");
        CHECK(contains(config, "\nhostname amsterdam-core-router-01\n"));
        CHECK(contains(config, "\nntp server 10.0.0.1\n"));
        CHECK(contains(config, "\nKeep out!\n"));
        CHECK(contains(config, "\n description uplink?\n"));
        CHECK_FALSE(contains(config, "--More--"));
        CHECK_FALSE(contains(config, "amsterdam-core-router-01#"));
    }));
    CHECK(contains(fleet.fleet().startup_config(0), "ntp server 10.0.0.1"));
}

TEST_CASE("slow bytes and log messages after every prompt disturb nothing") {
    for (const char* script : {"noise", "drip:1ms", "noise+drip:1ms"}) {
        CAPTURE(std::string(script));
        VirtualFleet fleet(with_fault(script));
        run(session(fleet.device(), fleet.options(), [](Cli& cli) -> Coro<void> {
            const ConfigResult result = co_await cli.send_config(three_lines);
            CHECK(result.applied == 3);
            const std::string version = co_await cli.send_command("show version");
            CHECK(contains(version, "Software"));
            CHECK_FALSE(contains(version, "r1#"));
        }));
        CHECK(contains(fleet.fleet().running_config(0), "ntp server 10.0.0.3"));
    }
}

TEST_CASE("a wrong password is a refused authentication") {
    VirtualFleet fleet(VirtualFleet::one());
    Device device = fleet.device();
    device.password = "admin-secret";
    const Failure failure = failure_of(device, fleet.options());
    CHECK(failure.phase == Phase::authentication);
    CHECK(failure.refused);
    CHECK_FALSE(failure.timed_out);
    CHECK_FALSE(failure.remedy.empty());
    CHECK(fleet.fleet().refused_logins(0) == 1);
}

TEST_CASE("an unknown and a changed host key are refused, and say what to do") {
    SUBCASE("unknown") {
        VirtualFleet fleet(VirtualFleet::one());
        CliOptions options = fleet.options();
        options.known_hosts = {fleet.known_hosts() + "-missing"};
        const Failure failure = failure_of(fleet.device(), options);
        CHECK(failure.phase == Phase::host_key);
        CHECK_FALSE(failure.remedy.empty());
    }
    SUBCASE("changed") {
        VirtualFleet fleet(with_fault("wrong-host-key"));
        const Failure failure = failure_of(fleet.device(), fleet.options());
        CHECK(failure.phase == Phase::host_key);
        CHECK(contains(failure.reason, "SHA256:"));
        CHECK_FALSE(failure.remedy.empty());
    }
}

TEST_CASE("a closed port is reported as such") {
    VirtualFleet fleet(with_fault("refuse"));
    const Failure failure = failure_of(fleet.device(), fleet.options());
    CHECK(failure.phase == Phase::connect);
    CHECK(contains(failure.reason, "refused"));
    CHECK_FALSE(failure.remedy.empty());
}

TEST_CASE("a device that falls silent is given up in time, whatever it was at") {
    struct Row {
        const char* script;
        Phase phase;
    };

    for (const Row& row : {Row{"hang-after-accept", Phase::key_exchange},
                           Row{"hang-after-banner", Phase::key_exchange},
                           Row{"hang-after-key-exchange", Phase::authentication},
                           Row{"hang-after-authentication", Phase::prompt}}) {
        CAPTURE(std::string(row.script));
        VirtualFleet fleet(with_fault(row.script));
        CliOptions options = fleet.options();
        options.timeouts.connect = 700ms;
        options.timeouts.authenticate = 700ms;
        options.timeouts.prompt = 700ms;
        const Failure failure = failure_of(fleet.device(), options);
        CHECK(failure.phase == row.phase);
        CHECK(failure.timed_out);
        CHECK_FALSE(failure.remedy.empty());
    }
}

TEST_CASE("what is no SSH server is told from one that is silent") {
    VirtualFleet fleet(with_fault("garbage-banner"));
    const Failure failure = failure_of(fleet.device(), fleet.options());
    CHECK(failure.phase == Phase::key_exchange);
    CHECK_FALSE(failure.timed_out);
}

TEST_CASE("a device without shells says so") {
    VirtualFleet fleet(with_fault("no-shell"));
    const Failure failure = failure_of(fleet.device(), fleet.options());
    CHECK(failure.phase == Phase::prompt);
    CHECK_FALSE(failure.timed_out);
}

TEST_CASE("a rejected line stops the push: the lines before it are applied, nothing is saved") {
    VirtualFleet fleet(with_fault("reject-line:10.0.0.2"));
    std::optional<ConfigRejected> rejected;
    run(session(fleet.device(), fleet.options(), [&](Cli& cli) -> Coro<void> {
        try {
            co_await cli.send_config(three_lines);
        } catch (const ConfigRejected& error) {
            rejected = error;
        }
        CHECK(cli.mode() == Mode::privileged);
    }));
    REQUIRE(rejected.has_value());
    CHECK(rejected->file_line() == 2);
    CHECK(rejected->lines_applied() == 1);
    CHECK(contains(rejected->words(), "% Invalid input detected"));
    const std::string config = fleet.fleet().running_config(0);
    CHECK(contains(config, "ntp server 10.0.0.1"));
    CHECK_FALSE(contains(config, "ntp server 10.0.0.3"));
    CHECK_FALSE(contains(fleet.fleet().startup_config(0), "ntp server 10.0.0.1"));
}

TEST_CASE("a device that drops the connection mid-push: how far it got is known") {
    for (const char* script : {"close-after-line:2", "reset-after-line:2"}) {
        CAPTURE(std::string(script));
        VirtualFleet fleet(with_fault(script));
        std::optional<ConfigError> lost;
        run(session(fleet.device(), fleet.options(), [&](Cli& cli) -> Coro<void> {
            try {
                co_await cli.send_config(three_lines);
            } catch (const ConfigError& error) {
                lost = error;
            }
            CHECK(cli.closed());
        }));
        REQUIRE(lost.has_value());
        CHECK(lost->phase() == Phase::command);
        CHECK(lost->file_line() == 2);
        CHECK(lost->lines_applied() == 1);
        CHECK(lost->progress().line_unknown);
        CHECK_FALSE(lost->remedy().empty());
    }
}

TEST_CASE("a device that hangs mid-push runs into the line's deadline") {
    VirtualFleet fleet(with_fault("hang-after-line:2"));
    CliOptions options = fleet.options();
    options.timeouts.config_line = 700ms;
    std::optional<ConfigError> late;
    run(session(fleet.device(), options, [&](Cli& cli) -> Coro<void> {
        try {
            co_await cli.send_config(three_lines);
        } catch (const ConfigError& error) {
            late = error;
        }
    }));
    REQUIRE(late.has_value());
    CHECK(late->failure().timed_out);
    CHECK(late->lines_applied() == 1);
}

TEST_CASE("a wrong enable secret is sent once") {
    VirtualFleet fleet(VirtualFleet::one());
    Device device = fleet.device();
    device.secret = "admin-secret";
    const Failure failure = failure_of(device, fleet.options(), [](Cli& cli) -> Coro<void> {
        co_await cli.send_config(three_lines);
    });
    CHECK(failure.phase == Phase::authentication);
    CHECK(failure.refused);
    CHECK(failure.reason == "the device refused the enable secret");
    // width, length, enable, the secret.
    CHECK(fleet.fleet().lines_received(0) == 4);
    CHECK_FALSE(contains(fleet.fleet().running_config(0), "ntp server"));
}

TEST_CASE("a fault on one device of many holds nobody up") {
    sim::FleetOptions options = VirtualFleet::many(20);
    options.each = [](int index, sim::DeviceSpec& spec) {
        if (index == 3) {
            spec.fault = sim::Fault::parse("hang-after-banner");
        } else if (index == 4) {
            spec.fault = sim::Fault::parse("close-after-line:2");
        }
    };
    VirtualFleet fleet(std::move(options));
    const auto main = [&]() -> Coro<int> {
        std::vector<Coro<void>> all;
        CliOptions cli_options = fleet.options();
        cli_options.timeouts.connect = 1500ms;
        for (int i = 0; i < fleet.fleet().size(); ++i) {
            all.push_back(session(fleet.device(i), cli_options, [](Cli& cli) -> Coro<void> {
                co_await cli.send_config(three_lines);
            }));
        }
        auto outcomes = co_await gather(return_exceptions, std::move(all));
        int well = 0;
        for (const auto& outcome : outcomes) {
            well += outcome.has_value() ? 1 : 0;
        }
        co_return well;
    };
    CHECK(run(main()) == 18);
    for (int i = 0; i < fleet.fleet().size(); ++i) {
        CAPTURE(i);
        CHECK(contains(fleet.fleet().running_config(i), "ntp server 10.0.0.3") ==
              (i != 3 && i != 4));
    }
}
