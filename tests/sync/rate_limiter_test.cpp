#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <memory>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;

namespace {

using Times = std::vector<Clock::duration>;

// When each token came, counted from the making of this.
struct Log {
    Clock::time_point start = Clock::now();
    std::vector<std::pair<int, Clock::duration>> entries;

    [[nodiscard]] Times times() const {
        Times result;
        for (const auto& entry : entries) {
            result.push_back(entry.second);
        }
        return result;
    }
};

Coro<void> take(RateLimiter& limiter, Log& log, int id) {
    co_await limiter.acquire();
    log.entries.emplace_back(id, Clock::now() - log.start);
}

std::size_t timers() { return get_running_loop().core().timer_count(); }

} // namespace

TEST_CASE("a rate limiter's rate and burst must be positive") {
    CHECK_THROWS_AS(RateLimiter(0), ValueError);
    CHECK_THROWS_AS(RateLimiter(-1), ValueError);
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_AS(RateLimiter(nan, 1), ValueError);
    CHECK_THROWS_AS(RateLimiter(1, 0), ValueError);
    RateLimiter limiter(2.5, 3);
    CHECK(limiter.rate() == 2.5);
    CHECK(limiter.burst() == 3);
    CHECK_THROWS_AS(limiter.set_rate(0), ValueError);
    CHECK(limiter.rate() == 2.5);
}

CO_TEST_CASE("a rate limiter lets one through every interval, the first at once") {
    RateLimiter limiter(10);
    Log log;
    for (int i = 0; i < 4; ++i) {
        co_await take(limiter, log, i);
    }
    CHECK(log.times() == Times{0ms, 100ms, 200ms, 300ms});
    CHECK(timers() == 0);
}

CO_TEST_CASE("a rate is kept over a thousand tokens") {
    RateLimiter limiter(1'000);
    Log log;
    for (int i = 0; i <= 1'000; ++i) {
        co_await limiter.acquire();
    }
    CHECK(Clock::now() - log.start == 1s);
}

CO_TEST_CASE("a bucket that had time to fill lets a burst through, and no more") {
    RateLimiter limiter(10, 3);
    Log log;
    for (int i = 0; i < 5; ++i) {
        co_await take(limiter, log, i);
    }
    CHECK(log.times() == Times{0ms, 0ms, 0ms, 100ms, 200ms});
    co_await async_sleep(1h);
    Log later;
    for (int i = 0; i < 4; ++i) {
        co_await take(limiter, later, i);
    }
    CHECK(later.times() == Times{0ms, 0ms, 0ms, 100ms});
    co_await async_sleep(150ms); // one token and a half
    Log last;
    for (int i = 0; i < 3; ++i) {
        co_await take(limiter, last, i);
    }
    CHECK(last.times() == Times{0ms, 50ms, 150ms});
}

CO_TEST_CASE("an infinite rate is no limit, and takes no turn") {
    RateLimiter limiter(std::numeric_limits<double>::infinity());
    bool other_ran = false;
    get_running_loop().call_soon([&] { other_ran = true; });
    for (int i = 0; i < 1'000; ++i) {
        co_await limiter.acquire();
    }
    CHECK_FALSE(other_ran);
    co_await turns();
}

CO_TEST_CASE("rates and bursts beyond all bounds are no surprise") {
    RateLimiter slow(1e-12, 3);
    RateLimiter huge(1, std::numeric_limits<std::size_t>::max());
    RateLimiter both(1e-300, std::numeric_limits<std::size_t>::max());
    for (int i = 0; i < 3; ++i) {
        CHECK(slow.try_acquire());
        CHECK(huge.try_acquire());
        CHECK(both.try_acquire());
    }
    CHECK_FALSE(slow.try_acquire());
    slow.set_rate(1);
    co_return;
}

CO_TEST_CASE("tasks that wait get their tokens in the order they came") {
    RateLimiter limiter(10);
    Log log;
    std::vector<Task<>> tasks;
    for (int id = 0; id < 4; ++id) {
        tasks.push_back(create_task(take(limiter, log, id)));
    }
    co_await turns();
    CHECK(timers() == 1);
    co_await gather(tasks);
    using Entries = std::vector<std::pair<int, Clock::duration>>;
    CHECK(log.entries == Entries{{0, 0ms}, {1, 100ms}, {2, 200ms}, {3, 300ms}});
    CHECK(timers() == 0);
}

CO_TEST_CASE("try_acquire takes what is there, never from those that wait") {
    RateLimiter limiter(10, 2);
    CHECK(limiter.try_acquire());
    CHECK(limiter.try_acquire());
    CHECK_FALSE(limiter.try_acquire());
    CHECK(timers() == 0);
    Log log;
    const Task<> task = create_task(take(limiter, log, 1));
    co_await async_sleep(50ms);
    CHECK_FALSE(limiter.try_acquire());
    co_await task;
    CHECK(log.times() == Times{100ms});
    CHECK_FALSE(limiter.try_acquire());
    co_await async_sleep(100ms);
    CHECK(limiter.try_acquire());
}

CO_TEST_CASE("a token that has just come is not for one that did not wait") {
    RateLimiter limiter(10);
    Log log;
    CHECK(limiter.try_acquire());
    bool taken = true;
    // Set before the limiter's timer, so that it fires right before it.
    get_running_loop().call_later(100ms, [&] { taken = limiter.try_acquire(); });
    co_await take(limiter, log, 1);
    CHECK_FALSE(taken);
    CHECK(log.times() == Times{100ms});
}

CO_TEST_CASE("a faster rate reaches tasks that wait, a slower one too") {
    RateLimiter limiter(1);
    Log log;
    std::vector<Task<>> tasks;
    for (int id = 0; id < 4; ++id) {
        tasks.push_back(create_task(take(limiter, log, id)));
    }
    co_await async_sleep(500ms); // half a token is there
    limiter.set_rate(10);
    co_await tasks[2];
    CHECK(log.times() == Times{0ms, 550ms, 650ms});
    limiter.set_rate(2);
    co_await tasks[3];
    CHECK(log.times() == Times{0ms, 550ms, 650ms, 1150ms});
    CHECK(timers() == 0);
}

CO_TEST_CASE("a rate that becomes infinite lets everybody through") {
    RateLimiter limiter(0.001);
    Log log;
    std::vector<Task<>> tasks;
    for (int id = 0; id < 3; ++id) {
        tasks.push_back(create_task(take(limiter, log, id)));
    }
    co_await async_sleep(1s);
    limiter.set_rate(std::numeric_limits<double>::infinity());
    CHECK(timers() == 0);
    co_await gather(tasks);
    CHECK(log.times() == Times{0s, 1s, 1s});
}

CO_TEST_CASE("wait_for and gather take a rate limiter's acquire") {
    RateLimiter limiter(1);
    co_await limiter.acquire();
    bool timed_out = false;
    try {
        co_await wait_for(limiter.acquire(), 200ms);
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    CHECK(timers() == 0);
    const Clock::time_point start = Clock::now();
    co_await gather(limiter.acquire(), limiter.acquire());
    CHECK(Clock::now() - start == 1800ms);
}

// The cancellation matrix.

CO_TEST_CASE("rate limiter: cancelled before its task starts, no token is taken") {
    RateLimiter limiter(1);
    Log log;
    const Task<> task = create_task(take(limiter, log, 1));
    task.cancel();
    co_await turns();
    CHECK(outcome(task) == "cancelled");
    CHECK(limiter.try_acquire());
}

CO_TEST_CASE("rate limiter: a cancellation before the await is thrown there if it must wait") {
    RateLimiter limiter(1);
    bool reached = false;
    const auto body = [&]() -> Coro<void> {
        current_task().cancel();
        co_await limiter.acquire();
        reached = true;
        co_await limiter.acquire();
    };
    const Task<> task = create_task(body);
    co_await turns(2);
    CHECK(reached);
    CHECK(outcome(task) == "cancelled");
    CHECK(timers() == 0);
    co_await async_sleep(1s);
    CHECK(limiter.try_acquire());
}

CO_TEST_CASE("rate limiter: cancelled while it waits, the next has its token") {
    RateLimiter limiter(10);
    Log log;
    co_await limiter.acquire();
    const Task<> first = create_task(take(limiter, log, 1));
    const Task<> second = create_task(take(limiter, log, 2));
    const Task<> third = create_task(take(limiter, log, 3));
    co_await async_sleep(50ms);
    first.cancel();
    co_await turns();
    CHECK(outcome(first) == "cancelled");
    CHECK(timers() == 1);
    co_await third;
    CHECK(log.times() == Times{100ms, 200ms});
}

CO_TEST_CASE("rate limiter: the only one, cancelled while it waits, leaves no timer") {
    RateLimiter limiter(10);
    Log log;
    co_await limiter.acquire();
    const Task<> task = create_task(take(limiter, log, 1));
    co_await turns();
    CHECK(timers() == 1);
    task.cancel();
    co_await turns();
    CHECK(outcome(task) == "cancelled");
    CHECK(timers() == 0);
    // One that comes in the turn of the cancellation has a timer.
    const Task<> second = create_task(take(limiter, log, 2));
    co_await turns();
    second.cancel();
    co_await take(limiter, log, 3);
    CHECK(log.times() == Times{100ms});
}

CO_TEST_CASE("rate limiter: let through and cancelled in the same turn, the next goes at once") {
    RateLimiter limiter(10);
    Log log;
    co_await limiter.acquire();
    const Task<> first = create_task(take(limiter, log, 1));
    const Task<> second = create_task(take(limiter, log, 2));
    const Task<> third = create_task(take(limiter, log, 3));
    co_await turns();
    // Set after the limiter's timer, so that it fires right behind it.
    get_running_loop().call_later(100ms, [&] { first.cancel(); });
    co_await third;
    CHECK(outcome(first) == "cancelled");
    CHECK(log.times() == Times{100ms, 200ms});
}

CO_TEST_CASE("rate limiter: the only one, let through and cancelled, leaves its token") {
    RateLimiter limiter(10);
    Log log;
    co_await limiter.acquire();
    const Task<> first = create_task(take(limiter, log, 1));
    co_await turns();
    get_running_loop().call_later(100ms, [&] { first.cancel(); });
    co_await async_sleep(100ms);
    co_await turns(2);
    CHECK(outcome(first) == "cancelled");
    CHECK(limiter.try_acquire());
    CHECK(timers() == 0);
}

TEST_CASE("rate limiter: a loop that goes away while tasks wait and are let through") {
    RateLimiter limiter(1e-6);
    {
        EventLoop loop;
        const auto worker = [&]() -> Coro<void> { co_await limiter.acquire(); };
        loop.create_task(worker());
        loop.create_task(worker());
        loop.create_task(worker());
        loop.run_until_complete(turns());
        CHECK(loop.core().timer_count() == 1);
        limiter.set_rate(std::numeric_limits<double>::infinity()); // they never resume
        limiter.set_rate(1e-6);
        loop.create_task(worker()); // has the token that is there
        loop.create_task(worker());
        loop.run_until_complete(turns(1));
        CHECK(loop.core().timer_count() == 1);
    }
    limiter.set_rate(1e9);
    const auto main = [&]() -> Coro<void> { co_await limiter.acquire(); };
    run(main());
    CHECK(limiter.rate() == 1e9);
}

TEST_CASE("rate limiter: destroyed before its loop, with its timer set") {
    EventLoop loop;
    auto limiter = std::make_unique<RateLimiter>(1e-6);
    const auto worker = [&]() -> Coro<void> { co_await limiter->acquire(); };
    loop.create_task(worker());
    loop.create_task(worker());
    loop.run_until_complete(turns());
    limiter.reset();
    CHECK(loop.core().timer_count() == 0);
    loop.close();
}

CO_TEST_CASE("rate limiter: who waits at one that is destroyed gets CancelledError") {
    auto limiter = std::make_unique<RateLimiter>(1);
    Log log;
    CHECK(limiter->try_acquire());
    const Task<> task = create_task(take(*limiter, log, 1));
    co_await turns();
    limiter.reset();
    co_await turns();
    CHECK(ending(task) == "cancelled: what the task waited for was destroyed: rate limiter");
}
