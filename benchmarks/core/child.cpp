#include "core/asio.hpp"
#include "core/workloads.hpp"

#include <muster/muster.hpp>

namespace bench {

namespace {

constexpr std::uint64_t awaits = 10'000'000;

muster::Coro<std::uint64_t> number(std::uint64_t value) { co_return value; }

muster::Coro<> on_muster(Meter& meter) {
    const std::uint64_t times = meter.count(awaits);
    std::uint64_t sum = co_await number(1);
    meter.start();
    for (std::uint64_t i = 0; i < times; ++i) {
        sum += co_await number(i);
    }
    meter.stop(times);
    keep(sum);
}

asio::awaitable<std::uint64_t> number_awaitable(std::uint64_t value) { co_return value; }

asio::awaitable<void> on_awaitable(Meter& meter) {
    const std::uint64_t times = meter.count(awaits);
    std::uint64_t sum = co_await number_awaitable(1);
    meter.start();
    for (std::uint64_t i = 0; i < times; ++i) {
        sum += co_await number_awaitable(i);
    }
    meter.stop(times);
    keep(sum);
}

} // namespace

Workload child() {
    return {.name = "child",
            .description = "a coroutine that awaits another, 10 million times",
            .unit = "await",
            .contenders = {{"muster", [](Meter& meter) { muster::run(on_muster(meter)); }},
                           {"awaitable",
                            [](Meter& meter) {
                                asio::io_context context(1);
                                run_awaitable(context, on_awaitable(meter));
                            }}},
            .targets = {{.most = 17},
                        {.most = 0.55, .of = "awaitable"},
                        {.figure = Figure::allocations, .most = 0.01}}};
}

} // namespace bench
