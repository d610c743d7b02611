#include "core/asio.hpp"
#include "core/workloads.hpp"

#include <muster/muster.hpp>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>

namespace bench {

namespace {

constexpr std::uint64_t operations = 1'000'000;
constexpr std::chrono::seconds limit{10};

muster::Coro<> work(bool yields) {
    if (yields) {
        co_await muster::async_sleep(std::chrono::seconds(0));
    }
}

muster::Coro<> on_muster(Meter& meter, bool yields) {
    const std::uint64_t times = meter.count(operations);
    const auto operation = [yields] { return work(yields); };
    co_await muster::timeout(limit, operation);
    meter.start();
    for (std::uint64_t i = 0; i < times; ++i) {
        co_await muster::timeout(limit, operation);
    }
    meter.stop(times);
}

asio::awaitable<void> work_awaitable(bool yields) {
    if (yields) {
        co_await asio::post(asio::use_awaitable);
    }
}

asio::awaitable<void> on_awaitable(Meter& meter, bool yields) {
    using namespace asio::experimental::awaitable_operators;
    // It is slow: a tenth of the work gives the same figure.
    const std::uint64_t times = meter.count(operations / 10);
    const auto executor = co_await asio::this_coro::executor;
    meter.start();
    for (std::uint64_t i = 0; i < times; ++i) {
        asio::steady_timer timer(executor, limit);
        co_await (work_awaitable(yields) || timer.async_wait(asio::use_awaitable));
    }
    meter.stop(times);
}

Workload with(std::string_view name, std::string_view description, bool yields, double most) {
    return {.name = name,
            .description = description,
            .unit = "timeout",
            .contenders = {{"muster", [=](Meter& meter) { muster::run(on_muster(meter, yields)); }},
                           {"awaitable || timer",
                            [=](Meter& meter) {
                                asio::io_context context(1);
                                run_awaitable(context, on_awaitable(meter, yields));
                            }}},
            .targets = {{.most = most},
                        {.most = 0.06, .of = "awaitable || timer"},
                        {.figure = Figure::allocations, .most = 0.01}}};
}

} // namespace

Workload timeout_ready() {
    return with("timeout-ready", "a deadline around an operation that is done at once", false, 57);
}

Workload timeout_yield() {
    return with("timeout-yield", "a deadline around an operation that yields once", true, 150);
}

} // namespace bench
