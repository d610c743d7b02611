#include "coro_test.hpp"
#include "stderr_capture.hpp"

#include <muster/muster.hpp>
#include <muster/testing.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::turns;

TEST_CASE("run_virtual gives what main returns, and throws what it throws") {
    const auto works = []() -> Coro<int> {
        co_await async_sleep(1000h);
        co_return 3;
    };
    const auto fails = []() -> Coro<> {
        co_await async_sleep(1000h);
        throw ValueError("late");
    };
    CHECK(testing::run_virtual(works()) == 3);
    CHECK_THROWS_AS(testing::run_virtual(fails()), ValueError);
}

TEST_CASE("virtual time moves only when everything waits, straight to the next deadline") {
    const auto main = []() -> Coro<> {
        const Clock::time_point start = Clock::now();
        for (int i = 0; i < 1'000; ++i) {
            co_await turns();
        }
        CHECK(Clock::now() == start);
        std::vector<Clock::duration> seen;
        const auto sleeper = [&](Clock::duration delay) -> Coro<> {
            co_await async_sleep(delay);
            seen.push_back(Clock::now() - start);
        };
        co_await gather(sleeper(3s), sleeper(1s), sleeper(2s));
        CHECK(seen == std::vector<Clock::duration>{1s, 2s, 3s});
    };
    testing::run_virtual(main());
}

TEST_CASE("two virtual runs see the same times") {
    const auto main = []() -> Coro<Clock::time_point> {
        co_await async_sleep(5s);
        co_return Clock::now();
    };
    CHECK(testing::run_virtual(main()) == testing::run_virtual(main()));
}

TEST_CASE("when nothing is left that could wake a task, run_virtual says so") {
    Event event;
    const auto main = [&]() -> Coro<> { co_await event.wait(); };
    std::string text;
    try {
        testing::run_virtual(main());
    } catch (const RuntimeError& error) {
        text = error.what();
    }
    CHECK(text.find("deadlock") != std::string::npos);
}

TEST_CASE("what main leaves is cancelled and waited for") {
    std::vector<std::string> notes;
    const auto leftover = [&]() -> Coro<> {
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        co_await async_sleep(1h);
        notes.emplace_back("cleaned");
    };
    const auto main = [&]() -> Coro<> {
        create_task(leftover);
        co_await turns();
    };
    testing::run_virtual(main());
    CHECK(notes == std::vector<std::string>{"cleaned"});
}

TEST_CASE("a virtual loop is an ordinary loop otherwise") {
    const std::unique_ptr<EventLoop> loop = testing::make_virtual_loop();
    std::vector<int> order;
    loop->call_later(2h, [&] {
        order.push_back(2);
        loop->stop();
    });
    loop->call_later(1h, [&] { order.push_back(1); });
    loop->run_forever();
    CHECK(order == std::vector<int>{1, 2});
}

TEST_CASE("a seed draws the order of the tasks of a turn, the same each time") {
    const auto order_with = [](testing::VirtualOptions options) {
        const auto main = []() -> Coro<std::string> {
            std::string order;
            const auto note = [&order](char letter) -> Coro<> {
                order += letter;
                co_await turns();
                order += letter;
            };
            std::vector<Coro<>> all;
            for (const char letter : {'a', 'b', 'c', 'd', 'e', 'f'}) {
                all.push_back(note(letter));
            }
            co_await gather(std::move(all));
            co_return order;
        };
        return testing::run_virtual(main(), options);
    };
    CHECK(order_with({}) == "abcdefabcdef");
    const std::string drawn = order_with({.seed = 7});
    CHECK(drawn != "abcdefabcdef");
    CHECK(order_with({.seed = 7}) == drawn);
    CHECK(order_with({.seed = 8}) != drawn);
}

TEST_CASE("explore finds a race, and says with which seed") {
    testing_support::StderrCapture capture;
    // Two tasks that each read, wait for a turn and write: right only in some orders.
    const auto races = []() -> Coro<> {
        std::vector<std::string> log;
        const auto first = [&]() -> Coro<> {
            log.emplace_back("ready");
            co_return;
        };
        const auto second = [&]() -> Coro<> {
            if (log.empty()) {
                throw ValueError("second came first");
            }
            co_return;
        };
        co_await gather(first(), second());
    };
    CHECK_THROWS_WITH_AS(testing::explore(races, 50), "second came first", ValueError);
    const std::string text = capture.text();
    const std::string start = "explore(): thrown with seed ";
    REQUIRE(text.rfind(start, 0) == 0);
    const std::uint64_t seed = std::stoull(text.substr(start.size()));
    CHECK_THROWS_AS(testing::run_virtual(races(), {.seed = seed}), ValueError);
}
