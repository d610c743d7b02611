#include "core/asio.hpp"
#include "core/workloads.hpp"

#include <muster/muster.hpp>

#include <boost/asio/experimental/channel.hpp>

#include <vector>

namespace bench {

namespace {

constexpr std::size_t tasks = 1000;
constexpr std::uint64_t acquisitions = 1000;

// Whoever holds it lets the others run, so that nearly every acquisition has to wait.
template <class S>
muster::Coro<> contend(S& semaphore, std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; ++i) {
        co_await semaphore.acquire();
        co_await muster::async_sleep(std::chrono::seconds(0));
        semaphore.release();
    }
}

template <class S>
muster::Coro<> all(S& semaphore, std::uint64_t times) {
    std::vector<muster::Coro<>> coros;
    for (std::size_t k = 0; k < tasks; ++k) {
        coros.push_back(contend(semaphore, times));
    }
    co_await muster::gather(std::move(coros));
}

template <class S>
muster::Coro<> on_muster(Meter& meter, S& semaphore) {
    const std::uint64_t times = meter.count(acquisitions);
    co_await all(semaphore, 1);
    meter.start();
    co_await all(semaphore, times);
    meter.stop(times * tasks);
}

// Asio has no semaphore: a channel with as many places is used as one.
using Permits = asio::experimental::channel<void(boost::system::error_code)>;

asio::awaitable<void> contend_awaitable(Permits& permits, std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; ++i) {
        co_await permits.async_send({}, asio::use_awaitable);
        co_await asio::post(asio::use_awaitable);
        co_await permits.async_receive(asio::use_awaitable);
    }
}

void on_channel(Meter& meter, std::size_t places) {
    const std::uint64_t times = meter.count(acquisitions);
    asio::io_context context(1);
    Permits permits(context, places);
    const auto run = [&](std::uint64_t count) {
        for (std::size_t k = 0; k < tasks; ++k) {
            asio::co_spawn(context, contend_awaitable(permits, count), asio::detached);
        }
        context.run();
        context.restart();
    };
    run(1);
    meter.start();
    run(times);
    meter.stop(times * tasks);
}

} // namespace

Workload semaphore() {
    return {.name = "semaphore",
            .description = "1,000 tasks for 10 permits; the holder yields once",
            .unit = "acquisition",
            .contenders = {{"muster",
                            [](Meter& meter) {
                                muster::Semaphore semaphore(10);
                                muster::run(on_muster(meter, semaphore));
                            }},
                           {"asio channel", [](Meter& meter) { on_channel(meter, 10); }}},
            .targets = {{.most = 44}, {.figure = Figure::allocations, .most = 0.01}}};
}

Workload lock() {
    return {.name = "lock",
            .description = "1,000 tasks for one lock; the holder yields once",
            .unit = "acquisition",
            .contenders = {{"muster",
                            [](Meter& meter) {
                                muster::Lock lock;
                                muster::run(on_muster(meter, lock));
                            }},
                           {"asio channel", [](Meter& meter) { on_channel(meter, 1); }}},
            .targets = {{.figure = Figure::allocations, .most = 0.01}}};
}

} // namespace bench
