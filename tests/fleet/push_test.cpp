#include "push_support.hpp"

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <string>
#include <vector>

using namespace muster;
using namespace muster::fleet;
using namespace fleet_test;
using namespace std::chrono_literals;

TEST_CASE("A configuration is pushed to all devices, and pushed again changes nothing") {
    Pushed fleet = Pushed::faulty("", 3);
    for (const PushState state : {PushState::changed, PushState::unchanged}) {
        const std::vector<PushReport> reports = fleet.push();
        for (int i = 0; i < 3; ++i) {
            const PushReport& report = reports.at(static_cast<std::size_t>(i));
            CAPTURE(reason_of(report));
            CHECK(to_string(report.state) == to_string(state));
            CHECK(report.applied == 3);
            CHECK(report.total == 3);
            CHECK(report.line == 0);
            CHECK_FALSE(report.saved);
            CHECK_FALSE(report.failure.has_value());
            CHECK(report.endpoint ==
                  device::endpoint(fleet.devices.at(static_cast<std::size_t>(i))));
            CHECK(report.elapsed > Clock::duration::zero());
            CHECK(contains(fleet.running(i), "ntp server 10.0.0.3\n"));
            CHECK_FALSE(contains(fleet.startup(i), "ntp server"));
        }
    }
}

TEST_CASE("Without a comparison, accepted lines are taken for a change") {
    Pushed fleet = Pushed::faulty("");
    fleet.options.compare = false;
    CHECK(fleet.push_one().state == PushState::changed);
    CHECK(fleet.push_one().state == PushState::changed);
    CHECK(fleet.push_one("! nothing but a comment\n").state == PushState::unchanged);
}

TEST_CASE("A remark on an accepted line is a warning, with its line and its words") {
    Pushed fleet = Pushed::faulty("");
    const PushReport report =
        fleet.push_one("ntp server 10.0.0.1\n\nno interface GigabitEthernet0/1\n");
    CHECK(to_string(report.state) == "changed_with_warnings");
    CHECK(report.applied == 2);
    REQUIRE(report.warnings.size() == 1);
    CHECK(report.warnings.front().line == 3);
    CHECK(contains(report.warnings.front().words, "Removal of physical interfaces"));
}

TEST_CASE("What is pushed is saved where that was asked for, unchanged or not") {
    Pushed fleet = Pushed::faulty("");
    CHECK(fleet.push_one().state == PushState::changed);
    CHECK_FALSE(contains(fleet.startup(), "ntp server"));
    fleet.options.save = true;
    const PushReport report = fleet.push_one();
    CHECK(report.state == PushState::unchanged);
    CHECK(report.saved);
    CHECK(contains(fleet.startup(), "ntp server 10.0.0.3\n"));
}

TEST_CASE("A refused line ends the push to its device: nothing after it is sent, nothing saved") {
    Pushed fleet = Pushed::faulty("reject-line:10.0.0.2");
    Pushed obedient = Pushed::faulty("");
    for (Pushed* each : {&fleet, &obedient}) {
        each->options.compare = false;
    }
    fleet.options.save = true;
    const PushReport report = fleet.push_one(
        "! servers\nntp server 10.0.0.1\nntp server 10.0.0.2\nntp server 10.0.0.3\n");
    CHECK(to_string(report.state) == "failed");
    CHECK(report.applied == 1);
    CHECK(report.total == 3);
    CHECK(report.line == 3);
    CHECK(contains(report.words, "% Invalid input detected"));
    CHECK(contains(reason_of(report), "c.cfg:3 `ntp server 10.0.0.2` was refused"));
    CHECK_FALSE(report.saved);
    CHECK_FALSE(report.failure->unreachable);
    CHECK(contains(fleet.running(), "ntp server 10.0.0.1\n"));
    CHECK_FALSE(contains(fleet.running(), "ntp server 10.0.0.3\n"));
    CHECK_FALSE(contains(fleet.startup(), "ntp server"));
    // As many as for the same push without the lines after it.
    CHECK(obedient.push_one("ntp server 10.0.0.1\nntp server 10.0.0.2\n").applied == 2);
    CHECK(fleet.fleet.fleet().lines_received(0) == obedient.fleet.fleet().lines_received(0));
}

TEST_CASE("A failure on one device stops no other") {
    sim::FleetOptions many = VirtualFleet::many(4);
    many.each = [](int index, sim::DeviceSpec& spec) {
        constexpr std::array scripts = {"noise", "refuse", "reject-line:ntp", "close-after-line:2"};
        spec.fault = sim::Fault::parse(scripts.at(static_cast<std::size_t>(index)));
    };
    Pushed fleet(std::move(many));
    const std::vector<PushReport> reports = fleet.push();
    CHECK(to_string(reports[0].state) == "changed");
    CHECK(to_string(reports[1].state) == "unreachable");
    CHECK(to_string(reports[2].state) == "failed");
    CHECK(to_string(reports[3].state) == "failed");
}

TEST_CASE("A connection lost after a line: reading back tells that the line was applied") {
    for (const char* how : {"close", "reset"}) {
        for (const std::size_t last : {1U, 2U, 3U}) {
            const std::string script = std::string(how) + "-after-line:" + std::to_string(last);
            CAPTURE(script);
            Pushed fleet = Pushed::faulty(script);
            fleet.options.save = true;
            const PushReport report = fleet.push_one();
            CAPTURE(reason_of(report));
            CHECK(to_string(report.state) == "failed");
            CHECK(report.applied == last);
            CHECK(report.line == last);
            CHECK_FALSE(report.saved);
            CHECK(contains(reason_of(report), "read back over a new connection: " +
                                                  std::to_string(last) + " of 3 lines"));
            CHECK(fleet.fleet.fleet().sessions_opened(0) == 2);
            CHECK_FALSE(contains(fleet.startup(), "ntp server"));
        }
    }
}

TEST_CASE("A connection lost after a line that leaves no trace: how far it got is not known") {
    Pushed fleet = Pushed::faulty("close-after-line:2");
    const PushReport report = fleet.push_one("ntp server 10.0.0.1\nno ntp server 10.0.0.9\n");
    CHECK(to_string(report.state) == "unknown");
    CHECK(report.applied == 1);
    CHECK(contains(reason_of(report), "does not tell whether that line was applied"));
}

TEST_CASE("A connection lost, and no second one to be had: how far it got is not known") {
    Pushed fleet = Pushed::faulty("close-after-line:2+one-session");
    const PushReport report = fleet.push_one();
    CHECK(to_string(report.state) == "unknown");
    CHECK(report.applied == 1);
    CHECK(report.line == 2);
    CHECK(contains(reason_of(report), "c.cfg:2"));
    CHECK(contains(reason_of(report), "reading back failed"));
    CHECK_FALSE(report.failure->remedy.empty());
    CHECK(fleet.fleet.fleet().sessions_opened(0) == 2);
}

TEST_CASE("A device that falls silent at a line is left after the line's time, and read back") {
    Pushed fleet = Pushed::faulty("hang-after-line:2");
    fleet.options.session.timeouts.config_line = 700ms;
    const PushReport report = fleet.push_one();
    CHECK(to_string(report.state) == "failed");
    CHECK(report.failure->timed_out);
    CHECK(report.applied == 2);
    CHECK(contains(reason_of(report), "read back"));
}

TEST_CASE("A device that does not answer in time while saving: all lines applied, not saved") {
    sim::DeviceSpec spec;
    spec.latency.command = 300ms;
    Pushed fleet(VirtualFleet::one(std::move(spec)));
    fleet.options.session.timeouts.save = 50ms;
    fleet.options.save = true;
    fleet.options.compare = false;
    const PushReport report = fleet.push_one();
    CHECK(to_string(report.state) == "failed");
    CHECK(report.applied == 3);
    CHECK(report.line == 0);
    CHECK_FALSE(report.saved);
    CHECK(report.failure->timed_out);
    CHECK(contains(reason_of(report), "all lines were applied, but then"));
    CHECK(contains(reason_of(report), "not known to be saved"));
}

TEST_CASE("A device whose time is up before a session came up is unreachable") {
    Pushed fleet = Pushed::faulty("hang-after-banner");
    fleet.run.device_timeout = 300ms;
    const PushReport report = fleet.push_one();
    CHECK(to_string(report.state) == "unreachable");
    CHECK(report.failure->unreachable);
    CHECK(report.failure->timed_out);
    CHECK(contains(reason_of(report), "the device's time of 300 ms was up"));
    CHECK(report.applied == 0);
}

TEST_CASE("A device whose time is up while a line is being sent is unknown, up to that line") {
    Pushed fleet = Pushed::faulty("hang-after-line:3");
    fleet.run.device_timeout = 5s;
    const PushReport report = fleet.push_one();
    CHECK(to_string(report.state) == "unknown");
    CHECK(report.applied == 2);
    CHECK(report.line == 3);
    CHECK(report.failure->timed_out);
    CHECK(contains(reason_of(report), "2 of 3 lines applied, whether line 3"));
    CHECK_FALSE(report.failure->remedy.empty());
    CHECK(contains(fleet.running(), "ntp server 10.0.0.3\n"));
}

TEST_CASE("What refuses a login is unreachable, what refuses the enable secret has failed") {
    Pushed fleet = Pushed::faulty("", 2);
    fleet.devices[0].password = "wrong-word";
    fleet.devices[1].secret = "wrong-word";
    const std::vector<PushReport> reports = fleet.push();
    CHECK(to_string(reports[0].state) == "unreachable");
    CHECK(to_string(reports[1].state) == "failed");
    for (const PushReport& report : reports) {
        REQUIRE(report.failure.has_value());
        CHECK(report.failure->refused);
        CHECK(report.failure->phase == "authentication");
        CHECK(report.failure->unreachable == (report.state == PushState::unreachable));
        CHECK(report.applied == 0);
        CHECK_FALSE(contains(to_string(*report.failure), "wrong-word"));
    }
    CHECK_FALSE(contains(fleet.running(1), "ntp server"));
}

TEST_CASE("A device that shows no prompt is unreachable: no session came up") {
    Pushed fleet = Pushed::faulty("hang-after-authentication");
    fleet.options.session.timeouts.prompt = 500ms;
    const PushReport report = fleet.push_one();
    CHECK(to_string(report.state) == "unreachable");
    CHECK(report.failure->phase == "prompt");
}

TEST_CASE("A run that stops starts no further device and ends those at work") {
    Pushed fleet = Pushed::faulty("", 3);
    fleet.run.max_at_once = 1;
    fleet.on_phase("configure", [&] { fleet.run.control.stop_starting(); });
    const std::vector<PushReport> reports = fleet.push();
    CHECK(to_string(reports[0].state) == "changed");
    CHECK(reports[0].applied == 3);
    for (const std::size_t i : {1U, 2U}) {
        CHECK(to_string(reports[i].state) == "not_started");
        CHECK_FALSE(reports[i].failure.has_value());
        CHECK(reports[i].total == 3);
        CHECK(fleet.fleet.fleet().sessions_opened(static_cast<int>(i)) == 0);
    }
}

TEST_CASE("A run that stops sends nothing to a device that has not been sent a line") {
    Pushed fleet = Pushed::faulty("");
    fleet.on_phase("compare", [&] { fleet.run.control.stop_starting(); });
    const PushReport report = fleet.push_one();
    CHECK(to_string(report.state) == "not_started");
    CHECK_FALSE(report.failure.has_value());
    CHECK_FALSE(contains(fleet.running(), "ntp server"));
}

TEST_CASE("A run cancelled before the first line: not started") {
    for (const char* phase : {"connect", "compare", "configure"}) {
        CAPTURE(std::string(phase));
        Pushed fleet = Pushed::faulty("");
        fleet.on_phase(phase, [&] { fleet.run.control.cancel(); });
        const PushReport report = fleet.push_one();
        CHECK(to_string(report.state) == "not_started");
        CHECK(report.applied == 0);
        CHECK(reason_of(report) == "interrupted");
        CHECK_FALSE(contains(fleet.running(), "ntp server"));
    }
}

TEST_CASE("A run cancelled while a line's answer is awaited: unknown, up to that line") {
    Pushed fleet = Pushed::faulty("hang-after-line:2");
    const auto cancel_at_line = [&]() -> Coro<void> {
        while (!contains(fleet.running(), "ntp server 10.0.0.2\n")) {
            co_await async_sleep(10ms);
        }
        fleet.run.control.cancel();
    };
    const auto both = [&]() -> Coro<std::vector<PushReport>> {
        auto push =
            create_task(push_config(fleet.devices, three_lines, "c.cfg", fleet.options, fleet.run));
        co_await timeout(20s, cancel_at_line);
        co_return co_await push;
    };
    const PushReport report = run(both()).front();
    CHECK(to_string(report.state) == "unknown");
    CHECK(report.applied == 1);
    CHECK(report.line == 2);
    CHECK(contains(reason_of(report), "interrupted; 1 of 3 lines applied, whether line 2"));
}

TEST_CASE("A run cancelled while a device is read back: unknown, with what cut it off") {
    Pushed fleet = Pushed::faulty("close-after-line:2");
    fleet.on_phase("read back", [&] { fleet.run.control.cancel(); });
    const PushReport report = fleet.push_one();
    CHECK(to_string(report.state) == "unknown");
    CHECK(report.applied == 1);
    CHECK(report.line == 2);
    CHECK(contains(reason_of(report), "connection was lost"));
    CHECK(contains(reason_of(report), "reading back was cut off"));
}

TEST_CASE("A run cancelled while saving says that all lines were applied, and may not be saved") {
    Pushed fleet = Pushed::faulty("");
    fleet.options.save = true;
    fleet.on_phase("save", [&] { fleet.run.control.cancel(); });
    const PushReport report = fleet.push_one();
    CHECK(to_string(report.state) == "failed");
    CHECK(report.applied == 3);
    CHECK(report.line == 0);
    CHECK_FALSE(report.saved);
    CHECK(reason_of(report) ==
          "all lines were applied, but then: interrupted; not known to be saved");
    CHECK(contains(fleet.running(), "ntp server 10.0.0.3\n"));
}

TEST_CASE("What can't be pushed is refused before anything is sent, naming the devices") {
    Pushed fleet = Pushed::faulty("", 3);
    PushOptions saving = fleet.options;
    saving.save = true;
    check_push(fleet.devices, saving);
    fleet.devices[1].platform = "linux";
    check_push(fleet.devices, fleet.options);
    CHECK_THROWS_WITH_AS(check_push(fleet.devices, saving),
                         "the platform has no way to save its configuration: r2 (linux)",
                         ValueError);
    fleet.devices[2].transport = device::Transport::http;
    fleet.devices[0].transport = device::Transport::http;
    CHECK_THROWS_WITH_AS(
        check_push(fleet.devices, fleet.options),
        "configuration is pushed over SSH; reached otherwise: r1 (cisco_ios), r3 (cisco_ios)",
        ValueError);
    CHECK_THROWS_AS(fleet.push(), ValueError);
    CHECK(fleet.fleet.fleet().sessions_opened(1) == 0);
}

TEST_CASE("Many devices that can't be pushed to are counted") {
    std::vector<device::Device> devices(13);
    for (device::Device& device : devices) {
        device.name = "d";
        device.platform = "cisco_ios";
        device.transport = device::Transport::http;
    }
    CHECK_THROWS_WITH_AS(check_push(devices, {}), doctest::Contains("and 3 more"), ValueError);
}

TEST_CASE("A configuration that can't be sent is refused before a device is connected to") {
    Pushed fleet = Pushed::faulty("");
    CHECK_THROWS_WITH_AS(fleet.push("ntp server 10.0.0.1\nbanner motd ^C\nno end\n"),
                         doctest::Contains("c.cfg:2"), device::ConfigTextError);
    CHECK(fleet.fleet.fleet().sessions_opened(0) == 0);
}
