#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <latch>
#include <limits>
#include <memory>
#include <thread>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::turns;

TEST_CASE("a histogram of nothing is all zeros") {
    const DurationHistogram histogram;
    CHECK(histogram.count() == 0);
    CHECK(histogram.sum() == 0s);
    CHECK(histogram.max() == 0s);
    CHECK(histogram.percentile(0) == 0s);
    CHECK(histogram.percentile(100) == 0s);
    CHECK(histogram.count_below(1h) == 0);
}

TEST_CASE("a histogram's percentiles are at most a quarter too long, and never too short") {
    for (std::int64_t exact = 1; exact < std::int64_t{1} << 40; exact += 1 + exact / 7) {
        DurationHistogram histogram;
        histogram.record(Clock::duration(exact));
        histogram.record(Clock::duration::max() / 2); // or the longest would be the exact one
        const Clock::duration told = histogram.percentile(50);
        CHECK(told > Clock::duration(exact));
        CHECK(told <= Clock::duration(exact + 1 + exact / 4));
    }
}

TEST_CASE("a histogram's percentiles count from the shortest, and end at the longest") {
    DurationHistogram histogram;
    for (int i = 1; i <= 1'000; ++i) {
        histogram.record(i <= 999 ? 1us : 1s);
    }
    CHECK(histogram.count() == 1'000);
    CHECK(histogram.sum() == 999us + 1s);
    CHECK(histogram.max() == 1s);
    CHECK(histogram.percentile(0) < 2us);
    CHECK(histogram.percentile(99.9) < 2us);
    CHECK(histogram.percentile(99.91) == 1s);
    CHECK(histogram.percentile(100) == 1s);
    CHECK_THROWS_AS(static_cast<void>(histogram.percentile(-1)), ValueError);
    CHECK_THROWS_AS(static_cast<void>(histogram.percentile(101)), ValueError);
    CHECK_THROWS_AS(
        static_cast<void>(histogram.percentile(std::numeric_limits<double>::quiet_NaN())),
        ValueError);
}

TEST_CASE("a histogram counts what is below a power of two exactly, and any length at all") {
    DurationHistogram histogram;
    histogram.record(-5ns); // as zero
    histogram.record(1023ns);
    histogram.record(1024ns);
    histogram.record(5h);
    CHECK(histogram.sum() == 5h + 2047ns);
    CHECK(histogram.count_below(1ns) == 1);
    CHECK(histogram.count_below(1024ns) == 2);
    CHECK(histogram.count_below(2048ns) == 3);
    CHECK(histogram.count_below(1h) == 3);
    CHECK(histogram.count_below(5h) == 3);
    CHECK(histogram.count_below(6h) == 4);
    CHECK(histogram.percentile(100) == 5h);
}

CO_TEST_CASE("a loop's metrics count tasks, what is ready, and timers") {
    const LoopMetrics before = get_running_loop().metrics();
    CHECK(before.tasks == 1); // this one
    CHECK(before.ready == 0);
    CHECK(before.timers == 0);
    CHECK(before.external == 0);
    CHECK(before.inbox == 0);
    const Task<> sleeps = create_task([]() -> Coro<> { co_await async_sleep(1h); });
    get_running_loop().call_soon([] {});
    const LoopMetrics created = get_running_loop().metrics();
    CHECK(created.tasks == 2);
    CHECK(created.tasks_created == before.tasks_created + 1);
    CHECK(created.ready == 2);
    CHECK(created.timers == 0);
    co_await turns();
    const LoopMetrics sleeping = get_running_loop().metrics();
    CHECK(sleeping.ready == 0);
    CHECK(sleeping.timers == 1);
    CHECK(sleeping.turns == created.turns + 1);
    co_await sleeps;
    const LoopMetrics after = get_running_loop().metrics();
    CHECK(after.tasks == 1);
    CHECK(after.tasks_created == created.tasks_created);
    CHECK(after.timers == 0);
}

CO_TEST_CASE("a loop's metrics count steps, up to when it last looked for I/O") {
    const auto steps = [] { return get_running_loop().metrics().steps; };
    co_await async_sleep(1s);
    const std::uint64_t before = steps();
    co_await turns(10);
    CHECK(steps() == before); // no I/O since
    co_await async_sleep(1s);
    CHECK(steps() - before >= 11);
    CHECK(steps() - before <= 13); // and the timers' own
}

TEST_CASE("a loop's metrics count the calls of other threads before it has let them in") {
    EventLoop loop;
    std::thread([&] {
        loop.call_soon_threadsafe([] {});
        loop.call_soon_threadsafe([&] { loop.stop(); });
    }).join();
    CHECK(loop.metrics().inbox == 2);
    loop.run_forever();
    CHECK(loop.metrics().inbox == 0);
    loop.close();
    CHECK(loop.metrics().tasks == 0);
}

TEST_CASE("a loop's metrics count the jobs of the default executor, and never make one") {
    EventLoop loop;
    CHECK(loop.metrics().executor.threads == 0);
    loop.set_default_executor(std::make_shared<concurrent::ThreadPoolExecutor>(1));
    const auto main = [&]() -> Coro<> {
        std::latch running(1);
        std::latch go(1);
        const auto blocks = [&] {
            running.count_down();
            go.wait();
        };
        auto first = run_in_executor(blocks);
        auto second = run_in_executor([] {});
        running.wait();
        const LoopMetrics busy = loop.metrics();
        CHECK(busy.executor.queued == 1);
        CHECK(busy.executor.running == 1);
        CHECK(busy.executor.threads == 1);
        CHECK(busy.external == 2);
        go.count_down();
        co_await gather(first, second);
        const LoopMetrics idle = loop.metrics();
        CHECK(idle.executor.queued == 0);
        CHECK(idle.executor.threads == 1);
        CHECK(idle.external == 0);
        co_await loop.shutdown_default_executor();
        CHECK(loop.metrics().executor.threads == 0);
    };
    loop.run_until_complete(main());
}

TEST_CASE("a thread pool counts its threads until they have ended") {
    concurrent::ThreadPoolExecutor pool(2);
    CHECK(pool.metrics().threads == 0);
    pool.submit([] {}).result();
    CHECK(pool.metrics().threads == 1);
    CHECK(pool.metrics().running == 0); // counted before the future is done
    pool.shutdown();
    CHECK(pool.metrics().threads == 0);
    CHECK(pool.metrics().running == 0);
}

TEST_CASE("an executor of one's own has no metrics unless it tells") {
    class Immediate final : public concurrent::Executor {
    public:
        void execute(UniqueFunction<void()> work) override { work(); }

        void shutdown(bool, bool) override {}
    };

    EventLoop loop;
    loop.set_default_executor(std::make_shared<Immediate>());
    CHECK(loop.metrics().executor.threads == 0);
}

TEST_CASE("step times are counted while they are switched on, from then on") {
    EventLoop loop;
    const auto steps = [&](int count) {
        const auto main = [count]() -> Coro<> { co_await turns(count); };
        loop.run_until_complete(main());
    };
    steps(10);
    CHECK(loop.metrics().step_times.count() == 0);
    loop.set_step_times(true);
    steps(10);
    const DurationHistogram times = loop.metrics().step_times;
    CHECK(times.count() == 12); // the first and the last, and what stops the loop
    CHECK(times.max() > 0s);
    CHECK(times.sum() >= times.max());
    CHECK(times.percentile(50) <= times.max());
    loop.set_step_times(true); // begins anew
    CHECK(loop.metrics().step_times.count() == 0);
    loop.set_step_times(false);
    steps(10);
    CHECK(loop.metrics().step_times.count() == 0);
}

TEST_CASE("a step can switch the step times off, and one that blocks is seen in them") {
    EventLoop loop;
    loop.set_step_times(true);
    const auto main = [&]() -> Coro<> {
        const auto until = std::chrono::steady_clock::now() + 2ms;
        while (std::chrono::steady_clock::now() < until) {
        }
        co_await turns();
        CHECK(loop.metrics().step_times.max() >= 2ms);
        CHECK(loop.metrics().step_times.percentile(100) >= 2ms);
        loop.set_step_times(false);
    };
    loop.run_until_complete(main());
    CHECK(loop.metrics().step_times.count() == 0);
}

TEST_CASE("debug mode, the watchdog and the step times are observed independently") {
    EventLoop loop;
    loop.set_watchdog(1h);
    loop.set_step_times(true);
    loop.set_debug(true);
    loop.set_watchdog(std::nullopt);
    loop.set_debug(false);
    const auto main = []() -> Coro<> { co_await turns(); };
    loop.run_until_complete(main());
    CHECK(loop.metrics().step_times.count() > 0);
    loop.set_step_times(false);
    loop.run_until_complete(main());
    CHECK(loop.metrics().step_times.count() == 0);
}
