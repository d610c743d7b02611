#include "coro_test.hpp"
#include "stderr_capture.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <latch>
#include <string>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::StderrCapture;
using testing_support::turns;

TEST_CASE("the watchdog names the task, and where it went on from, while the step still blocks") {
    const auto main = []() -> Coro<> {
        std::latch told(1);
        BlockedStep seen;
        get_running_loop().set_watchdog(5ms, [&](const BlockedStep& step) {
            seen = step;
            told.count_down();
        });
        const auto blocks = [&]() -> Coro<> {
            co_await turns();
            told.wait(); // blocks the loop until the watchdog has seen it
        };
        co_await create_task(TaskOptions{.name = "blocker"}, blocks);
        get_running_loop().set_watchdog(std::nullopt);
        CHECK(seen.task == "blocker");
        CHECK(seen.blocked >= 5ms);
        CHECK(std::string(seen.where.file_name()).find("coro_test.hpp") != std::string::npos);
    };
    run(main());
}

TEST_CASE("the watchdog sees callbacks, tells of each step once, and survives its handler") {
    const auto main = []() -> Coro<> {
        std::atomic<int> reports = 0;
        const StderrCapture quiet;
        get_running_loop().set_watchdog(1ms, [&](const BlockedStep& step) {
            CHECK(step.task.empty());
            ++reports;
            reports.notify_all();
            throw ValueError("in the handler");
        });
        for (int expected = 0; expected < 2; ++expected) {
            get_running_loop().call_soon([&, expected] { reports.wait(expected); });
            co_await turns(2);
        }
        get_running_loop().set_watchdog(std::nullopt);
        CHECK(reports == 2);
    };
    run(main());
}

TEST_CASE("set_watchdog refuses a limit that nothing could keep") {
    EventLoop loop;
    CHECK_THROWS_AS(loop.set_watchdog(0s), ValueError);
}

TEST_CASE("dump_tasks_on writes the tree of tasks when the signal comes") {
    StderrCapture capture;
    const auto main = []() -> Coro<> {
        get_running_loop().dump_tasks_on(SIGUSR1);
        const Future<> seen = get_running_loop().create_future();
        // Handlers of a loop run in the order of the signals.
        get_running_loop().add_signal_handler(SIGUSR2, [seen] { seen.set_result(); });
        const auto waits = []() -> Coro<> { co_await async_sleep(1h); };
        const Task<> sleeper = create_task(TaskOptions{.name = "sleeper"}, waits);
        co_await turns();
        std::raise(SIGUSR1);
        std::raise(SIGUSR2);
        co_await seen;
        co_await turns();
        sleeper.cancel();
    };
    run(main());
    const std::string text = capture.text();
    CHECK(text.find("sleeper waits for: sleep") != std::string::npos);
}
