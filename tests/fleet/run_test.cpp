#include "run_support.hpp"

#include <muster/core/gather.hpp>
#include <muster/core/sleep.hpp>
#include <muster/device/error.hpp>
#include <muster/fleet/progress.hpp>
#include <muster/fleet/run.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

using namespace std::chrono_literals;
using fleet_test::failure_of;
using fleet_test::Log;
using fleet_test::make_devices;
using fleet_test::run_virtual;
using muster::async_sleep;
using muster::CancelledError;
using muster::Coro;
using muster::device::Device;
using muster::fleet::Ending;
using muster::fleet::Event;
using muster::fleet::FleetOptions;
using muster::fleet::FleetResult;
using muster::fleet::JobContext;
using muster::fleet::run_fleet;

namespace {

// Sleeps for the device's `seconds`, then gives its name.
Coro<std::string> sleep_and_name(const Device& device) {
    co_await async_sleep(std::chrono::seconds(device.port));
    co_return device.name;
}

} // namespace

TEST_CASE("outcomes stand in the inventory's order, whoever ends first") {
    const auto devices = make_devices({3, 1, 2});
    const auto result = run_virtual(run_fleet(devices, sleep_and_name));
    REQUIRE(result.outcomes.size() == 3);
    CHECK(result.all_succeeded());
    CHECK(result.elapsed == 3s);
    for (std::size_t i = 0; i < devices.size(); ++i) {
        CAPTURE(i);
        CHECK(result.outcomes[i].device == devices[i].name);
        CHECK(result.outcomes[i].endpoint == muster::device::endpoint(devices[i]));
        CHECK(result.outcomes[i].value == devices[i].name);
        CHECK(result.outcomes[i].elapsed == std::chrono::seconds(devices[i].port));
    }
}

TEST_CASE("events stream as things happen") {
    const auto devices = make_devices({3, 1, 2});
    Log log;
    FleetOptions options;
    options.max_at_once = 2;
    options.on_event = log.listener();
    const auto job = [](const Device& device, JobContext& context) -> Coro<std::string> {
        context.enter_phase("nap");
        co_return co_await sleep_and_name(device);
    };
    (void)run_virtual(run_fleet(devices, job, options));
    CHECK(log.lines == std::vector<std::string>{"0 d0 started", "0 d0 nap", "0 d1 started",
                                                "0 d1 nap", "1 d1 succeeded", "1 d2 started",
                                                "1 d2 nap", "3 d0 succeeded", "3 d2 succeeded"});
}

TEST_CASE("a finished event carries the job's result") {
    const auto devices = make_devices({1, 1});
    std::vector<std::string> values;
    FleetOptions options;
    options.on_event = [&](const Event& event) {
        if (event.kind == Event::Kind::finished) {
            values.push_back(*event.outcome_as<std::string>().value);
        }
    };
    (void)run_virtual(run_fleet(devices, sleep_and_name, options));
    CHECK(values == std::vector<std::string>{"d0", "d1"});
}

TEST_CASE("no more than max_at_once devices are at work, and as many as that") {
    const auto devices = make_devices(std::vector<int>(50, 1));
    std::size_t running = 0;
    std::size_t most = 0;
    const auto job = [&](const Device&) -> Coro<void> {
        most = std::max(most, ++running);
        co_await async_sleep(1s);
        --running;
    };
    FleetOptions options;
    options.max_at_once = 7;
    const auto result = run_virtual(run_fleet(devices, job, options));
    CHECK(most == 7);
    CHECK(running == 0);
    CHECK(result.all_succeeded());
    CHECK(result.elapsed == 8s); // ceil(50 / 7) rounds
}

TEST_CASE("a device that waits costs no task") {
    const auto devices = make_devices(std::vector<int>(1000, 1));
    std::size_t most = 0;
    const auto job = [&](const Device&) -> Coro<void> {
        most = std::max(most, muster::all_tasks().size());
        co_await async_sleep(1s);
    };
    FleetOptions options;
    options.max_at_once = 10;
    CHECK(run_virtual(run_fleet(devices, job, options)).all_succeeded());
    CHECK(most <= 12);
}

TEST_CASE("a device that fails stops no other, and says in which phase and why") {
    const auto devices = make_devices({1, 1, 1, 1});
    const auto job = [](const Device& device, JobContext& context) -> Coro<int> {
        context.enter_phase("check");
        co_await async_sleep(1s);
        if (device.name == "d1") {
            throw std::runtime_error("no such interface");
        }
        if (device.name == "d2") {
            muster::device::Failure failure;
            failure.device = device.name;
            failure.phase = muster::device::Phase::authentication;
            failure.reason = "wrong password";
            failure.refused = true;
            throw muster::device::DeviceError(failure);
        }
        co_return 7;
    };
    const auto result = run_virtual(run_fleet(devices, job));
    CHECK(result.count(Ending::succeeded) == 2);
    CHECK(result.count(Ending::failed) == 2);
    CHECK(result.outcomes[3].value == 7);
    const auto& first = result.outcomes[1];
    CHECK(failure_of(first).phase == "check");
    CHECK(failure_of(first).reason == "no such interface");
    CHECK_FALSE(first.value.has_value());
    CHECK_THROWS_AS(std::rethrow_exception(first.error), std::runtime_error);
    const auto& second = result.outcomes[2];
    CHECK(failure_of(second).phase == "authentication");
    CHECK(failure_of(second).refused);
    CHECK(failure_of(second).unreachable);
}

TEST_CASE("a device's time is limited, its job is cancelled and waited for") {
    const auto devices = make_devices({1, 60, 2});
    bool cleaned = false;
    const auto job = [&](const Device& device, JobContext& context) -> Coro<std::string> {
        context.enter_phase("command");
        try {
            co_return co_await sleep_and_name(device);
        } catch (const CancelledError&) {
            cleaned = true;
            throw;
        }
    };
    FleetOptions options;
    options.device_timeout = 5s;
    const auto result = run_virtual(run_fleet(devices, job, options));
    CHECK(cleaned);
    CHECK(result.count(Ending::succeeded) == 2);
    CHECK(result.elapsed == 5s);
    const auto& hung = result.outcomes[1];
    CHECK(hung.ending == Ending::failed);
    CHECK(failure_of(hung).timed_out);
    CHECK(to_string(failure_of(hung)) == "command: the device's time of 5000 ms was up");
}

TEST_CASE("a deadline of the job's own keeps its words") {
    const auto devices = make_devices({1});
    const auto job = [](const Device&) -> Coro<void> {
        co_await async_sleep(1s);
        throw muster::TimeoutError("no prompt within 1 s");
    };
    FleetOptions options;
    options.device_timeout = 5s;
    const auto result = run_virtual(run_fleet(devices, job, options));
    CHECK(failure_of(result.outcomes[0]).timed_out);
    CHECK(failure_of(result.outcomes[0]).reason == "no prompt within 1 s");
}

TEST_CASE("stop_starting: those at work end, the rest is not started") {
    const auto devices = make_devices({2, 3, 2, 2});
    Log log;
    FleetOptions options;
    options.max_at_once = 2;
    options.on_event = log.listener();
    const auto main = [&]() -> Coro<FleetResult<std::string>> {
        muster::get_running_loop().call_later(1s, [&] { options.control.stop_starting(); });
        co_return co_await run_fleet(devices, sleep_and_name, options);
    };
    const auto result = run_virtual(main());
    CHECK(result.count(Ending::succeeded) == 2);
    CHECK(result.count(Ending::not_started) == 2);
    CHECK(result.outcomes[2].ending == Ending::not_started);
    CHECK(result.elapsed == 3s);
    CHECK(log.lines == std::vector<std::string>{"0 d0 started", "0 d1 started", "2 d0 succeeded",
                                                "3 d1 succeeded", "3 d2 not started",
                                                "3 d3 not started"});
    CHECK(options.control.stopping());
    CHECK_FALSE(options.control.cancelled());
}

TEST_CASE("a job sees that the run is stopping") {
    const auto devices = make_devices({2});
    FleetOptions options;
    const auto job = [&](const Device&, JobContext& context) -> Coro<std::pair<bool, bool>> {
        const bool before = context.stopping();
        options.control.stop_starting();
        co_return std::pair(before, context.stopping());
    };
    const auto result = run_virtual(run_fleet(devices, job, options));
    CHECK(result.outcomes[0].value == std::pair(false, true));
}

TEST_CASE("cancel: those at work are cancelled and waited for, and there is a result") {
    const auto devices = make_devices({1, 9, 9, 9});
    Log log;
    std::vector<std::string> cleaned;
    FleetOptions options;
    options.max_at_once = 2;
    options.on_event = log.listener();
    const auto job = [&](const Device& device) -> Coro<std::string> {
        bool cancelled = false;
        try {
            co_return co_await sleep_and_name(device);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        if (cancelled) {
            co_await async_sleep(1s);
            cleaned.push_back(device.name);
            throw CancelledError();
        }
        co_return "";
    };
    const auto main = [&]() -> Coro<FleetResult<std::string>> {
        muster::get_running_loop().call_later(2s, [&] { options.control.cancel(); });
        co_return co_await run_fleet(devices, job, options);
    };
    const auto result = run_virtual(main());
    std::sort(cleaned.begin(), cleaned.end());
    CHECK(cleaned == std::vector<std::string>{"d1", "d2"});
    CHECK(result.count(Ending::succeeded) == 1);
    CHECK(result.count(Ending::cancelled) == 2);
    CHECK(result.count(Ending::not_started) == 1);
    CHECK(result.elapsed == 3s);
    std::sort(log.lines.begin(), log.lines.end());
    CHECK(log.lines == std::vector<std::string>{"0 d0 started", "0 d1 started", "1 d0 succeeded",
                                                "1 d2 started", "3 d1 cancelled", "3 d2 cancelled",
                                                "3 d3 not started"});
}

TEST_CASE("a device whose task was cancelled before its first step was not started") {
    const auto devices = make_devices({9, 9, 9});
    Log log;
    FleetOptions options;
    options.max_at_once = 2;
    options.on_event = log.listener();
    const auto job = [&](const Device& device) -> Coro<std::string> {
        options.control.cancel();
        co_return co_await sleep_and_name(device);
    };
    const auto result = run_virtual(run_fleet(devices, job, options));
    CHECK(result.count(Ending::cancelled) == 1);
    CHECK(result.count(Ending::not_started) == 2);
    CHECK(log.lines == std::vector<std::string>{"0 d0 started", "0 d0 cancelled",
                                                "0 d1 not started", "0 d2 not started"});
}

TEST_CASE("a device whose task has not begun when the run is stopped is not started") {
    const auto devices = make_devices({1, 1, 1});
    Log log;
    FleetOptions options;
    options.max_at_once = 2;
    options.on_event = log.listener();
    const auto job = [&](const Device& device) -> Coro<std::string> {
        options.control.stop_starting();
        co_return co_await sleep_and_name(device);
    };
    const auto result = run_virtual(run_fleet(devices, job, options));
    CHECK(result.count(Ending::succeeded) == 1);
    CHECK(log.lines == std::vector<std::string>{"0 d0 started", "1 d0 succeeded",
                                                "1 d1 not started", "1 d2 not started"});
}

TEST_CASE("a job that ends well in spite of the cancellation has succeeded") {
    const auto devices = make_devices({9});
    FleetOptions options;
    const auto job = [&](const Device& device) -> Coro<std::string> {
        try {
            co_return co_await sleep_and_name(device);
        } catch (const CancelledError&) {
            co_return "rolled back";
        }
    };
    const auto main = [&]() -> Coro<FleetResult<std::string>> {
        muster::get_running_loop().call_later(1s, [&] { options.control.cancel(); });
        co_return co_await run_fleet(devices, job, options);
    };
    const auto result = run_virtual(main());
    CHECK(result.outcomes[0].ending == Ending::succeeded);
    CHECK(result.outcomes[0].value == "rolled back");
}

TEST_CASE("cancelling the waiting task cancels all jobs, tells of each device, and is thrown") {
    const auto devices = make_devices({1, 9, 9});
    Log log;
    FleetOptions options;
    options.max_at_once = 1;
    options.on_event = log.listener();
    const auto main = [&]() -> Coro<bool> {
        auto task = muster::create_task(run_fleet(devices, sleep_and_name, options));
        co_await async_sleep(2s);
        task.cancel();
        try {
            (void)co_await task;
        } catch (const CancelledError&) {
            co_return true;
        }
        co_return false;
    };
    CHECK(run_virtual(main()));
    CHECK(log.lines == std::vector<std::string>{"0 d0 started", "1 d0 succeeded", "1 d1 started",
                                                "2 d1 cancelled", "2 d2 not started"});
}

TEST_CASE("a control that was used before the run lets nothing start") {
    const auto devices = make_devices({1, 1});
    for (const bool cancel : {false, true}) {
        CAPTURE(cancel);
        FleetOptions options;
        if (cancel) {
            options.control.cancel();
        } else {
            options.control.stop_starting();
        }
        const auto result = run_virtual(run_fleet(devices, sleep_and_name, options));
        CHECK(result.count(Ending::not_started) == 2);
    }
}

TEST_CASE("one control stops two runs at once") {
    const auto devices = make_devices({2, 2});
    FleetOptions options;
    options.connects_per_second = 0.001;
    const auto main = [&]() -> Coro<bool> {
        muster::get_running_loop().call_later(3s, [&] { options.control.stop_starting(); });
        auto both = co_await muster::gather(run_fleet(devices, sleep_and_name, options),
                                            run_fleet(devices, sleep_and_name, options));
        const auto& first = std::get<0>(both);
        const auto& second = std::get<1>(both);
        co_return first.count(Ending::not_started) == 1 && first.elapsed == 3s &&
            second.count(Ending::not_started) == 1 && second.elapsed == 3s;
    };
    CHECK(run_virtual(main()));
}

TEST_CASE("Ctrl-C inside of a job is no failure of its device") {
    const auto devices = make_devices({0, 9});
    Log log;
    FleetOptions options;
    options.on_event = log.listener();
    const auto job = [](const Device& device) -> Coro<std::string> {
        if (device.name == "d0") {
            throw muster::KeyboardInterrupt();
        }
        co_return co_await sleep_and_name(device);
    };
    CHECK_THROWS_AS((void)run_virtual(run_fleet(devices, job, options)), muster::KeyboardInterrupt);
    CHECK(log.lines ==
          std::vector<std::string>{"0 d0 started", "0 d0 cancelled", "0 d1 not started"});
}

TEST_CASE("connects_per_second spreads the starts evenly") {
    const auto devices = make_devices({0, 5, 0, 0});
    Log log;
    FleetOptions options;
    options.connects_per_second = 0.5;
    options.on_event = log.listener();
    const auto result = run_virtual(run_fleet(devices, sleep_and_name, options));
    CHECK(result.elapsed == 7s);
    CHECK(log.lines == std::vector<std::string>{"0 d0 started", "0 d0 succeeded", "2 d1 started",
                                                "4 d2 started", "4 d2 succeeded", "6 d3 started",
                                                "6 d3 succeeded", "7 d1 succeeded"});
}

TEST_CASE("a run that waits for its rate stops at once") {
    const auto devices = make_devices({1, 1});
    FleetOptions options;
    options.connects_per_second = 0.001;
    const auto main = [&]() -> Coro<FleetResult<std::string>> {
        muster::get_running_loop().call_later(3s, [&] { options.control.stop_starting(); });
        co_return co_await run_fleet(devices, sleep_and_name, options);
    };
    const auto result = run_virtual(main());
    CHECK(result.count(Ending::not_started) == 1);
    CHECK(result.elapsed == 3s);
}

TEST_CASE("what a listener throws ends the run and is thrown") {
    const auto devices = make_devices({1, 9, 9, 9});
    for (const char* when : {"started", "succeeded", "cancelled", "not started"}) {
        CAPTURE(std::string(when));
        bool cancelled = false;
        const auto job = [&](const Device& device) -> Coro<std::string> {
            try {
                co_return co_await sleep_and_name(device);
            } catch (const CancelledError&) {
                cancelled = true;
                throw;
            }
        };
        FleetOptions options;
        options.max_at_once = 2;
        const auto main = [&]() -> Coro<void> {
            options.on_event = [&](const Event& event) {
                if (fleet_test::name_of(event) == when) {
                    throw std::runtime_error("disk full");
                }
            };
            muster::get_running_loop().call_later(2s, [&] { options.control.cancel(); });
            co_await run_fleet(devices, job, options);
        };
        CHECK_THROWS_WITH_AS(run_virtual(main()), "disk full", std::runtime_error);
        CHECK((cancelled || std::string(when) == "started"));
    }
}

TEST_CASE("the listener may stop or cancel the run") {
    const auto devices = make_devices({1, 9, 1});
    FleetOptions options;
    options.max_at_once = 2;
    options.on_event = [control = options.control](const Event& event) mutable {
        if (event.kind == Event::Kind::finished) {
            control.cancel();
        }
    };
    const auto result = run_virtual(run_fleet(devices, sleep_and_name, options));
    CHECK(result.outcomes[0].ending == Ending::succeeded);
    CHECK(result.outcomes[1].ending == Ending::cancelled);
    CHECK(result.outcomes[2].ending == Ending::not_started);
    CHECK(result.elapsed == 1s);
}

TEST_CASE("eager tasks change nothing") {
    const auto devices = make_devices({2, 1, 0, 1});
    FleetOptions options;
    options.max_at_once = 2;
    const auto main = [&]() -> Coro<FleetResult<std::string>> {
        muster::get_running_loop().set_eager_tasks(true);
        co_return co_await run_fleet(devices, sleep_and_name, options);
    };
    CHECK(run_virtual(main()).all_succeeded());

    SUBCASE("a job that cancels the run from its first step") {
        const auto job = [&](const Device& device) -> Coro<std::string> {
            if (device.name == "d1") {
                options.control.cancel();
            }
            co_return co_await sleep_and_name(device);
        };
        const auto cancelling = [&]() -> Coro<FleetResult<std::string>> {
            muster::get_running_loop().set_eager_tasks(true);
            auto cancelled = co_await run_fleet(devices, job, options);
            // The cancellation stays inside of the run.
            co_await async_sleep(1s);
            co_return cancelled;
        };
        const auto result = run_virtual(cancelling());
        CHECK(result.count(Ending::cancelled) == 2);
        CHECK(result.count(Ending::not_started) == 2);
    }
}

TEST_CASE("jobs that give nothing, and jobs that give what can only be moved") {
    const auto devices = make_devices({0});
    const auto nothing = [](const Device&) -> Coro<void> { co_return; };
    CHECK(run_virtual(run_fleet(devices, nothing)).outcomes[0].value == std::monostate());
    const auto owner = [](const Device& device) -> Coro<std::unique_ptr<std::string>> {
        co_return std::make_unique<std::string>(device.name);
    };
    const auto owned = run_virtual(run_fleet(devices, owner));
    const auto& value = owned.outcomes[0].value;
    CHECK((value && **value == "d0"));
}

TEST_CASE("a run over no devices ends at once") {
    const std::vector<Device> none;
    const auto result = run_virtual(run_fleet(none, sleep_and_name));
    CHECK(result.outcomes.empty());
    CHECK(result.all_succeeded());
}

TEST_CASE("options that make no sense are refused before anything is done") {
    const auto devices = make_devices({0});
    FleetOptions options;
    options.max_at_once = 0;
    CHECK_THROWS_WITH_AS((void)run_virtual(run_fleet(devices, sleep_and_name, options)),
                         "max_at_once must be at least 1", muster::ValueError);
    options.max_at_once = 1;
    options.connects_per_second = 0;
    CHECK_THROWS_WITH_AS((void)run_virtual(run_fleet(devices, sleep_and_name, options)),
                         "connects_per_second must be a positive number", muster::ValueError);
}

TEST_CASE("ten thousand devices, each counted once") {
    const auto devices = make_devices(std::vector<int>(10'000, 1));
    muster::fleet::Progress progress(devices.size());
    FleetOptions options;
    options.max_at_once = 500;
    options.on_event = [&](const Event& event) { progress.observe(event); };
    const auto result = run_virtual(run_fleet(devices, sleep_and_name, options));
    CHECK(result.all_succeeded());
    CHECK(result.elapsed == 20s);
    CHECK(progress.done() == 10'000);
    CHECK(progress.running() == 0);
}

template <class D>
concept Runnable = requires(D&& devices) { run_fleet(std::forward<D>(devices), sleep_and_name); };
static_assert(Runnable<const std::vector<Device>&>);
static_assert(Runnable<const muster::fleet::Inventory&>);
static_assert(!Runnable<std::vector<Device>>, "the devices would be gone before the run begins");
static_assert(!Runnable<muster::fleet::Inventory>);
