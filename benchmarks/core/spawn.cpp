#include "core/asio.hpp"
#include "core/workloads.hpp"

#include <muster/muster.hpp>

#include <vector>

namespace bench {

namespace {

constexpr std::size_t batch = 1000;
constexpr std::uint64_t batches = 1000;

muster::Coro<> nothing() { co_return; }

muster::Coro<> on_muster(Meter& meter) {
    const auto run = [](std::uint64_t times) -> muster::Coro<> {
        for (std::uint64_t i = 0; i < times; ++i) {
            std::vector<muster::Coro<>> tasks;
            tasks.reserve(batch);
            for (std::size_t k = 0; k < batch; ++k) {
                tasks.push_back(nothing());
            }
            co_await muster::gather(std::move(tasks));
        }
    };
    const std::uint64_t times = meter.count(batches);
    co_await run(2);
    meter.start();
    co_await run(times);
    meter.stop(times * batch);
}

asio::awaitable<void> nothing_awaitable() { co_return; }

void on_awaitable(Meter& meter) {
    asio::io_context context(1);
    const auto run = [&](std::uint64_t times) {
        for (std::uint64_t i = 0; i < times; ++i) {
            for (std::size_t k = 0; k < batch; ++k) {
                asio::co_spawn(context, nothing_awaitable(), asio::detached);
            }
            context.run();
            context.restart();
        }
    };
    const std::uint64_t times = meter.count(batches);
    run(2);
    meter.start();
    run(times);
    meter.stop(times * batch);
}

void on_callbacks(Meter& meter) {
    asio::io_context context(1);
    std::uint64_t done = 0;
    const auto run = [&](std::uint64_t times) {
        for (std::uint64_t i = 0; i < times; ++i) {
            for (std::size_t k = 0; k < batch; ++k) {
                asio::post(context, [&done] { ++done; });
            }
            context.run();
            context.restart();
        }
    };
    const std::uint64_t times = meter.count(batches);
    run(2);
    meter.start();
    run(times);
    meter.stop(times * batch);
    keep(done);
}

} // namespace

Workload spawn() {
    return {.name = "spawn",
            .description = "trivial tasks started and joined, in batches of 1,000",
            .unit = "task",
            .contenders = {{"muster", [](Meter& meter) { muster::run(on_muster(meter)); }},
                           {"awaitable", on_awaitable},
                           {"callbacks", on_callbacks}},
            .targets = {{.most = 54},
                        {.most = 0.2, .of = "awaitable"},
                        {.figure = Figure::allocations, .most = 0.01}}};
}

} // namespace bench
