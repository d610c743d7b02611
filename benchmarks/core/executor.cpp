#include "core/asio.hpp"
#include "core/workloads.hpp"

#include <muster/muster.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include <vector>

namespace bench {

namespace {

constexpr std::uint64_t calls = 200'000;

muster::Coro<> caller(muster::concurrent::Executor& executor, std::uint64_t times) {
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < times; ++i) {
        sum += co_await muster::run_in_executor(executor, [i] { return i; });
    }
    keep(sum);
}

muster::Coro<> on_muster(Meter& meter, std::uint64_t at_once) {
    const std::uint64_t times = meter.count(calls) / at_once + 1;
    muster::concurrent::ThreadPoolExecutor executor(1);
    const auto all = [&](std::uint64_t count) -> muster::Coro<> {
        std::vector<muster::Coro<>> callers;
        for (std::uint64_t k = 0; k < at_once; ++k) {
            callers.push_back(caller(executor, count));
        }
        co_await muster::gather(std::move(callers));
    };
    co_await all(10);
    meter.start();
    co_await all(times);
    meter.stop(times * at_once);
}

// There and back: to a thread of the pool, and to the io_context again.
struct Hops {
    asio::io_context& context;
    asio::thread_pool& pool;
    std::uint64_t running;

    void hop(std::uint64_t left) {
        asio::post(pool, [this, left] { asio::post(context, [this, left] { came_back(left); }); });
    }

    void came_back(std::uint64_t left) {
        if (left > 1) {
            hop(left - 1);
        } else if (--running == 0) {
            context.stop();
        }
    }
};

void on_callbacks(Meter& meter, std::uint64_t at_once) {
    const std::uint64_t times = meter.count(calls) / at_once + 1;
    asio::io_context context;
    const asio::steady_timer timer(context); // waits by epoll, as every program with a socket does
    asio::thread_pool pool(1);
    const auto run = [&](std::uint64_t count) {
        context.restart(); // the last guard's end has stopped it
        const auto work = asio::make_work_guard(context);
        Hops hops{context, pool, at_once};
        for (std::uint64_t k = 0; k < at_once; ++k) {
            hops.hop(count);
        }
        context.run();
    };
    run(10);
    meter.start();
    run(times);
    meter.stop(times * at_once);
}

asio::awaitable<void> caller_awaitable(asio::thread_pool& pool, std::uint64_t times) {
    const auto home = co_await asio::this_coro::executor;
    for (std::uint64_t i = 0; i < times; ++i) {
        co_await asio::post(pool, asio::bind_executor(home, asio::use_awaitable));
    }
}

void on_awaitable(Meter& meter, std::uint64_t at_once) {
    const std::uint64_t times = meter.count(calls) / at_once + 1;
    asio::io_context context;
    const asio::steady_timer timer(context); // waits by epoll, as every program with a socket does
    asio::thread_pool pool(1);
    const auto run = [&](std::uint64_t count) {
        for (std::uint64_t k = 0; k < at_once; ++k) {
            asio::co_spawn(context, caller_awaitable(pool, count), asio::detached);
        }
        context.run();
        context.restart();
    };
    run(10);
    meter.start();
    run(times);
    meter.stop(times * at_once);
}

Workload with(std::uint64_t at_once) {
    const bool one = at_once == 1;
    return {
        .name = one ? "executor-1" : "executor-64",
        .description = one ? "calls on another thread, one at a time, on one processor"
                           : "calls on another thread, 64 under way at a time",
        .unit = "call",
        .contenders = {{"muster", [=](Meter& meter) { muster::run(on_muster(meter, at_once)); }},
                       {"post and back", [=](Meter& meter) { on_callbacks(meter, at_once); }},
                       {"awaitable", [=](Meter& meter) { on_awaitable(meter, at_once); }}},
        .targets = {one ? Target{.most = 1.0, .of = "post and back"} : Target{.most = 214},
                    {.figure = Figure::allocations, .most = 0.05}},
        .clock = Clock::wall,
        .one_cpu = one};
}

} // namespace

Workload executor_one() { return with(1); }

Workload executor_many() { return with(64); }

} // namespace bench
