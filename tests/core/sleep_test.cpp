#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <limits>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::outcome;
using testing_support::turns;

CO_TEST_CASE("53. a sleep of zero or less takes exactly one turn") {
    int turn = 0;
    const auto count = [&]() -> Coro<> {
        for (;;) {
            ++turn;
            co_await turns();
        }
    };
    const Task<> counter = create_task(count);
    co_await async_sleep(0s);
    CHECK(turn == 1);
    co_await async_sleep(-5s);
    CHECK(turn == 2);
    co_await async_sleep_until(Clock::now() - 1h);
    CHECK(turn == 3);
    counter.cancel();
    co_await turns();
}

CO_TEST_CASE("53. a sleep of NaN throws ValueError") {
    using Seconds = std::chrono::duration<double>;
    CHECK_THROWS_AS(
        static_cast<void>(async_sleep(Seconds(std::numeric_limits<double>::quiet_NaN()))),
        ValueError);
    const Clock::time_point start = Clock::now();
    co_await async_sleep(Seconds(0.5));
    CHECK(Clock::now() - start == 500ms);
}

CO_TEST_CASE("a sleep lasts as long as it says, and duration::max() for ever") {
    const Clock::time_point start = Clock::now();
    co_await async_sleep(90min);
    CHECK(Clock::now() - start == 90min);
    co_await async_sleep_until(start + 2h);
    CHECK(Clock::now() - start == 2h);
    const auto forever = []() -> Coro<> { co_await async_sleep(std::chrono::hours::max()); };
    const Task<> task = create_task(forever);
    co_await async_sleep(24h * 365);
    CHECK_FALSE(task.done());
    task.cancel();
    co_await turns();
}

CO_TEST_CASE(
    "sleepers wake in the order of their deadlines, equal ones in the order of the calls") {
    std::vector<int> order;
    const auto sleeper = [&](std::chrono::seconds delay, int id) -> Coro<> {
        co_await async_sleep(delay);
        order.push_back(id);
    };
    create_task(sleeper, 3s, 5);
    create_task(sleeper, 1s, 1);
    create_task(sleeper, 2s, 3);
    create_task(sleeper, 1s, 2);
    create_task(sleeper, 2s, 4);
    co_await async_sleep(4s);
    CHECK(order == std::vector<int>{1, 2, 3, 4, 5});
}

CO_TEST_CASE("gather and wait_for take sleeps") {
    const Clock::time_point start = Clock::now();
    co_await gather(async_sleep(1s), async_sleep(3s), async_sleep(2s));
    CHECK(Clock::now() - start == 3s);
    bool timed_out = false;
    try {
        co_await wait_for(async_sleep(1h), 1s);
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    CHECK(Clock::now() - start == 4s);
}

CO_TEST_CASE(
    "sleep: cancelled before its task starts, before the await, asleep, and when it is due") {
    const auto sleeper = [](bool cancel_first) -> Coro<> {
        if (cancel_first) {
            current_task().cancel();
        }
        co_await async_sleep(1s);
    };
    const Clock::time_point start = Clock::now();
    const Task<> unstarted = create_task(sleeper, false);
    unstarted.cancel();
    const Task<> latched = create_task(sleeper, true);
    const Task<> asleep = create_task(sleeper, false);
    const Task<> due = create_task(sleeper, false);
    get_running_loop().call_later(1s, [due] { due.cancel(); }); // set before the sleep is
    co_await turns(2);
    asleep.cancel();
    co_await turns();
    CHECK(Clock::now() == start);
    CHECK(outcome(unstarted) == "cancelled");
    CHECK(outcome(latched) == "cancelled");
    CHECK(outcome(asleep) == "cancelled");
    co_await async_sleep(2s);
    CHECK(outcome(due) == "cancelled");
}

CO_TEST_CASE("two cancellations before a sleeper resumes are thrown once") {
    bool slept = false;
    const auto body = [&]() -> Coro<> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            slept = false;
        }
        co_await async_sleep(1s);
        slept = true;
    };
    const Task<> task = create_task(body);
    co_await turns();
    task.cancel();
    task.cancel();
    co_await async_sleep(2s);
    CHECK(slept);
    CHECK(task.cancelling() == 2);
}

CO_TEST_CASE("a sleep cancelled in the turn it is due in is cancelled") {
    bool woke = false;
    const auto sleeper = [&]() -> Coro<> {
        co_await async_sleep(1s);
        woke = true;
    };
    const Task<> task = create_task(sleeper);
    co_await turns();
    get_running_loop().call_later(1s, [task] { task.cancel(); }); // due after the sleep
    co_await async_sleep(2s);
    CHECK(outcome(task) == "cancelled");
    CHECK_FALSE(woke);
}
