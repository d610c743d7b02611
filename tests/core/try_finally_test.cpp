#include "coro_test.hpp"
#include "loop_reports.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::LoopReports;
using testing_support::outcome;
using testing_support::turns;

namespace {

Coro<> slow_cleanup(std::vector<std::string>& log) {
    co_await async_sleep(1s);
    log.emplace_back("cleaned up");
}

} // namespace

CO_TEST_CASE("the clean-up runs after a value, which is given then") {
    std::vector<std::string> log;
    const auto value = co_await try_finally(
        []() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(3); },
        [&] { return slow_cleanup(log); });
    CHECK(*value == 3);
    CHECK(log.size() == 1);
}

CO_TEST_CASE("the clean-up runs after an error, which is thrown then") {
    std::vector<std::string> log;
    std::string error;
    try {
        co_await try_finally(
            []() -> Coro<> {
                co_await async_sleep(1s);
                throw ValueError("body");
            },
            [&] { return slow_cleanup(log); });
    } catch (const ValueError& failure) {
        error = failure.what();
    }
    CHECK(error == "body");
    CHECK(log.size() == 1);
}

CO_TEST_CASE("the clean-up runs after a cancellation, and no second one disturbs it") {
    std::vector<std::string> log;
    const auto body = [&]() -> Coro<> {
        co_await try_finally([]() -> Coro<> { co_await async_sleep(1h); },
                             [&] { return slow_cleanup(log); });
    };
    const Task<> task = create_task(body);
    co_await turns(2);
    task.cancel("first");
    co_await turns(3);
    CHECK_FALSE(task.done());
    task.cancel("second");
    co_await async_sleep(2s);
    CHECK(outcome(task) == "cancelled");
    CHECK(log.size() == 1);
    CHECK(task.cancelling() == 2);
}

CO_TEST_CASE("a cancellation during the clean-up comes at the next suspension after it") {
    std::vector<std::string> log;
    const auto body = [&]() -> Coro<> {
        co_await try_finally([]() -> Coro<> { co_return; }, [&] { return slow_cleanup(log); });
        log.emplace_back("after");
        co_await async_sleep(1s);
        log.emplace_back("never");
    };
    const Task<> task = create_task(body);
    co_await turns(3);
    task.cancel();
    co_await async_sleep(3s);
    CHECK(outcome(task) == "cancelled");
    CHECK(log == std::vector<std::string>{"cleaned up", "after"});
}

CO_TEST_CASE("the clean-up has a deadline of its own") {
    const auto start = Clock::now();
    bool timed_out = false;
    try {
        co_await try_finally([]() -> Coro<> { co_return; },
                             []() -> Coro<> { co_await async_sleep(1h); }, {.timeout = 5s});
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    CHECK(Clock::now() - start == 5s);
}

CO_TEST_CASE("when both fail, the body's error is thrown, and the clean-up's reported") {
    LoopReports reports(get_running_loop());
    std::string error;
    try {
        co_await try_finally(
            []() -> Coro<> {
                throw ValueError("body");
                co_return;
            },
            []() -> Coro<> {
                throw ValueError("clean-up");
                co_return;
            });
    } catch (const ValueError& failure) {
        error = failure.what();
    }
    CHECK(error == "body");
    CHECK(reports.texts().size() == 1);
    CHECK(reports.texts().front().find("clean-up") != std::string::npos);
}

CO_TEST_CASE("try_finally: cancelled before its task starts, neither function is called") {
    int called = 0;
    const auto count = [&]() -> Coro<> {
        ++called;
        co_return;
    };
    const auto body = [&]() -> Coro<> { co_await try_finally(count, count); };
    const Task<> task = create_task(body);
    task.cancel();
    co_await turns(2);
    CHECK(called == 0);
}

CO_TEST_CASE("the clean-up sees and sets the context variables of the task") {
    const ContextVar<int> number("number", 0);
    co_await try_finally(
        [&]() -> Coro<> {
            number.set(1);
            co_return;
        },
        [&]() -> Coro<> {
            CHECK(number.get() == 1);
            number.set(2);
            co_return;
        });
    CHECK(number.get() == 2);
}
