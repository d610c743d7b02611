#include "core/asio.hpp"
#include "core/workloads.hpp"

#include <muster/muster.hpp>

#include <vector>

namespace bench {

namespace {

constexpr std::size_t tasks = 1000;
constexpr std::uint64_t yields = 1000;

muster::Coro<> yielder(std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; ++i) {
        co_await muster::async_sleep(std::chrono::seconds(0));
    }
}

muster::Coro<> all(std::uint64_t times) {
    std::vector<muster::Coro<>> coros;
    for (std::size_t k = 0; k < tasks; ++k) {
        coros.push_back(yielder(times));
    }
    co_await muster::gather(std::move(coros));
}

muster::Coro<> on_muster(Meter& meter) {
    const std::uint64_t times = meter.count(yields);
    co_await all(2);
    meter.start();
    co_await all(times);
    meter.stop(times * tasks);
}

muster::Coro<> on_muster_observed(Meter& meter) {
    // Far longer than any step: what is measured is the watch, not its reports.
    muster::get_running_loop().set_watchdog(std::chrono::minutes(10));
    co_await on_muster(meter);
}

asio::awaitable<void> yielder_awaitable(std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; ++i) {
        co_await asio::post(asio::use_awaitable);
    }
}

void on_awaitable(Meter& meter) {
    asio::io_context context(1);
    const auto run = [&](std::uint64_t times) {
        for (std::size_t k = 0; k < tasks; ++k) {
            asio::co_spawn(context, yielder_awaitable(times), asio::detached);
        }
        context.run();
        context.restart();
    };
    const std::uint64_t times = meter.count(yields);
    run(2);
    meter.start();
    run(times);
    meter.stop(times * tasks);
}

struct Callback {
    asio::io_context* context;
    std::uint64_t left;

    void operator()() {
        if (--left > 0) {
            asio::post(*context, *this);
        }
    }
};

void on_callbacks(Meter& meter) {
    asio::io_context context(1);
    const auto run = [&](std::uint64_t times) {
        for (std::size_t k = 0; k < tasks; ++k) {
            asio::post(context, Callback{&context, times});
        }
        context.run();
        context.restart();
    };
    const std::uint64_t times = meter.count(yields);
    run(2);
    meter.start();
    run(times);
    meter.stop(times * tasks);
}

} // namespace

Workload yield() {
    return {.name = "yield",
            .description = "1,000 tasks that let each other run, 1,000 times each",
            .unit = "yield",
            .contenders = {{"muster", [](Meter& meter) { muster::run(on_muster(meter)); }},
                           {"awaitable", on_awaitable},
                           {"callbacks", on_callbacks},
                           {"muster, debug mode",
                            [](Meter& meter) { muster::run(on_muster(meter), {.debug = true}); }},
                           {"muster, watchdog",
                            [](Meter& meter) { muster::run(on_muster_observed(meter)); }}},
            .targets = {{.most = 16},
                        {.most = 0.5, .of = "callbacks"},
                        {.figure = Figure::allocations, .most = 0.01}}};
}

} // namespace bench
