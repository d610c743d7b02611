// Debug mode: what is reported, and what is refused, only there.

#include "coro_test.hpp"
#include "loop_reports.hpp"
#include "stderr_capture.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::LoopReports;
using testing_support::StderrCapture;
using testing_support::turns;

namespace {

bool says(const std::string& text, const std::string& words) {
    return text.find(words) != std::string::npos;
}

// MUSTER_DEBUG with this value, or without one.
class Environment {
public:
    explicit Environment(const char* value) {
        if (const char* present = std::getenv("MUSTER_DEBUG")) {
            previous_ = present;
        }
        set(value);
    }

    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

    ~Environment() { set(previous_ ? previous_->c_str() : nullptr); }

private:
    static void set(const char* value) {
        if (value != nullptr) {
            ::setenv("MUSTER_DEBUG", value, 1);
        } else {
            ::unsetenv("MUSTER_DEBUG");
        }
    }

    std::optional<std::string> previous_;
};

Coro<int> number() { co_return 1; }

} // namespace

TEST_CASE("MUSTER_DEBUG is the default of a loop's debug mode, RunOptions outranks it") {
    const auto main = []() -> Coro<bool> { co_return get_running_loop().get_debug(); };
    for (const char* on : {"1", "yes"}) {
        const Environment environment(on);
        CHECK(EventLoop().get_debug());
        CHECK(run(main()));
        CHECK_FALSE(run(main(), {.debug = false}));
    }
    for (const char* off : {static_cast<const char*>(nullptr), "", "0"}) {
        const Environment environment(off);
        CHECK_FALSE(EventLoop().get_debug());
        CHECK_FALSE(run(main()));
        CHECK(run(main(), {.debug = true}));
    }
}

TEST_CASE("a step of a task that takes long is reported with its name, from where to where") {
    EventLoop loop;
    loop.set_debug(true);
    loop.set_slow_callback_duration(0s);
    CHECK(loop.slow_callback_duration() == 0s);
    std::vector<ExceptionContext> reports;
    loop.set_exception_handler(
        [&](EventLoop&, const ExceptionContext& context) { reports.push_back(context); });
    const auto body = []() -> Coro<> { co_await async_sleep(0s); };
    loop.run_until_complete(loop.create_task(body(), {.name = "worker"}));
    std::vector<ExceptionContext> steps;
    for (const ExceptionContext& report : reports) {
        if (report.task == "worker") {
            steps.push_back(report);
        }
    }
    REQUIRE(steps.size() == 2);
    CHECK(says(steps[0].message, "Executing task took 0 ms, from "));
    CHECK(says(steps[0].message, " to "));
    CHECK(says(steps[0].message, "debug_test.cpp:"));
    CHECK_FALSE(says(steps[1].message, " to ")); // it has ended
    CHECK(says(steps[1].message, "debug_test.cpp:"));
}

TEST_CASE("a callback that takes long is reported; a quick one is not, and nothing without debug") {
    for (const bool debug : {true, false}) {
        for (const Clock::duration limit : {Clock::duration(0), Clock::duration(1h)}) {
            EventLoop loop;
            const LoopReports reports(loop);
            loop.set_debug(debug);
            loop.set_slow_callback_duration(limit);
            loop.call_soon([] {});
            loop.call_soon([&] { loop.stop(); });
            loop.run_forever();
            const bool expected = debug && limit == Clock::duration(0);
            REQUIRE(reports.texts().size() == (expected ? 2 : 0));
            if (expected) {
                CHECK(says(reports.texts()[0], "Executing a callback took 0 ms"));
            }
        }
    }
}

TEST_CASE("a coroutine that is thrown away before it was awaited is reported") {
    EventLoop loop;
    loop.set_debug(true);
    const LoopReports reports(loop);
    const auto main = []() -> Coro<> {
        {
            const Coro<int> forgotten = number();
        }
        co_return;
    };
    loop.run_until_complete(main());
    REQUIRE(reports.texts().size() == 1);
    CHECK(says(reports.texts()[0], "number"));
    CHECK(says(reports.texts()[0], "was never awaited"));
    CHECK(says(reports.texts()[0], "debug_test.cpp:"));
}

TEST_CASE("one that is closed, moved on or refused is not, and none is without debug mode") {
    EventLoop loop;
    const LoopReports reports(loop);
    const auto forgets = []() -> Coro<> {
        {
            const Coro<int> forgotten = number();
        }
        co_return;
    };
    loop.run_until_complete(forgets());
    loop.set_debug(true);
    const auto main = []() -> Coro<> {
        number().close();
        Coro<int> moved = number();
        Coro<int> target = std::move(moved);
        const int value = co_await std::move(target);
        CHECK(value == 1);
        bool timed_out = false;
        try {
            static_cast<void>(co_await wait_for(number(), 0s));
        } catch (const TimeoutError&) {
            timed_out = true;
        }
        CHECK(timed_out);
        TaskGroup group;
        CHECK_THROWS_AS(group.create_task(number()), RuntimeError);
        const Task<int> cancelled = create_task(number());
        cancelled.cancel();
        co_await turns();
    };
    loop.run_until_complete(main());
    loop.close();
    CHECK_THROWS_AS(loop.create_task(number()), RuntimeError);
    CHECK(reports.texts().empty());
}

TEST_CASE("where no loop runs, never-awaited reports go to standard error if MUSTER_DEBUG is set") {
    for (const char* value : {"1", "0"}) {
        const Environment environment(value);
        StderrCapture captured;
        {
            const Coro<int> forgotten = number();
        }
        CHECK(says(captured.text(), "was never awaited") == (std::string(value) == "1"));
    }
}

TEST_CASE("31. tasks and futures touched by a wrong thread throw in debug mode, and only there") {
    EventLoop loop;
    loop.set_debug(true);
    const Future<int> future = loop.create_future<int>();
    const auto waits = [&]() -> Coro<> { static_cast<void>(co_await future); };
    const Task<> task = loop.create_task(waits());
    const std::vector<std::function<void()>> calls = {
        [&] { loop.call_soon([] {}); },
        [&] { loop.call_later(1h, [] {}); },
        [&] { loop.call_at(loop.time(), [] {}); },
        [&] { loop.create_task(number()); },
        [&] { static_cast<void>(loop.create_future<int>()); },
        [&] { static_cast<void>(loop.run_in_executor([] {})); },
        [&] { future.set_result(1); },
        [&] { future.set_exception(ValueError("no")); },
        [&] { future.cancel(); },
        [&] { future.add_done_callback([](const Future<int>&) {}); },
        [&] { task.cancel(); },
    };
    int refused = 0;
    const auto call_all = [&] {
        for (const auto& call : calls) {
            try {
                call();
            } catch (const RuntimeError& error) {
                refused += says(error.what(), "call_soon_threadsafe()") ? 1 : 0;
            }
        }
    };
    const auto main = [&]() -> Coro<> {
        std::thread bare(call_all);
        bare.join();
        std::thread with_a_loop([&] { // which is not the one that is called
            EventLoop other;
            other.call_soon([&] {
                call_all();
                other.stop();
            });
            other.run_forever();
        });
        with_a_loop.join();
        loop.call_soon([] {}); // here it is right
        co_return;
    };
    loop.run_until_complete(main());
    CHECK(refused == 2 * static_cast<int>(calls.size()));
    CHECK_FALSE(future.done());
    // Nobody runs the loop now: whoever has it may use it.
    std::thread owner([&] { loop.call_soon([&] { future.set_result(2); }); });
    owner.join();
    loop.run_until_complete(task);
}

TEST_CASE("in debug mode a loop says that it belongs to the parent of a forked process") {
    for (const bool debug : {true, false}) {
        CAPTURE(debug);
        EventLoop loop;
        loop.set_debug(debug);
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            int refused = 0;
            for (const std::function<void()>& call : std::vector<std::function<void()>>{
                     [&] { loop.call_soon([] {}); },
                     [&] { loop.create_task(number()); },
                     [&] {
                         loop.stop();
                         loop.run_forever();
                     },
                 }) {
                try {
                    call();
                } catch (const RuntimeError& error) {
                    refused += says(error.what(), "fork()") ? 1 : 0;
                }
            }
            ::_exit(refused);
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == (debug ? 3 : 0));
    }
}
