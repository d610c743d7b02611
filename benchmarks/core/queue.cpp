#include "core/asio.hpp"
#include "core/workloads.hpp"

#include <muster/muster.hpp>

#include <boost/asio/experimental/channel.hpp>

namespace bench {

namespace {

constexpr std::uint64_t items = 1'000'000;

muster::Coro<> produce(muster::Queue<std::uint64_t>& queue, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
        co_await queue.put(i);
    }
}

muster::Coro<> consume(muster::Queue<std::uint64_t>& queue, std::uint64_t count) {
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        sum += co_await queue.get();
    }
    keep(sum);
}

muster::Coro<> on_muster(Meter& meter, std::size_t capacity) {
    const std::uint64_t count = meter.count(items);
    muster::Queue<std::uint64_t> queue(capacity);
    co_await muster::gather(produce(queue, 1000), consume(queue, 1000));
    meter.start();
    co_await muster::gather(produce(queue, count), consume(queue, count));
    meter.stop(count);
}

using Channel = asio::experimental::channel<void(boost::system::error_code, std::uint64_t)>;

asio::awaitable<void> produce_awaitable(Channel& channel, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
        co_await channel.async_send({}, i, asio::use_awaitable);
    }
}

asio::awaitable<void> consume_awaitable(Channel& channel, std::uint64_t count) {
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        sum += co_await channel.async_receive(asio::use_awaitable);
    }
    keep(sum);
}

void on_channel(Meter& meter, std::size_t capacity) {
    const std::uint64_t count = meter.count(items);
    asio::io_context context(1);
    Channel channel(context, capacity);
    const auto run = [&](std::uint64_t times) {
        asio::co_spawn(context, produce_awaitable(channel, times), asio::detached);
        asio::co_spawn(context, consume_awaitable(channel, times), asio::detached);
        context.run();
        context.restart();
    };
    run(1000);
    meter.start();
    run(count);
    meter.stop(count);
}

} // namespace

Workload queue(std::size_t capacity) {
    const bool one = capacity == 1;
    return {
        .name = one ? "queue-1" : "queue-64",
        .description = one ? "items through a queue of one place, from task to task"
                           : "items through a queue of 64 places, from task to task",
        .unit = "item",
        .contenders = {{"muster", [=](Meter& meter) { muster::run(on_muster(meter, capacity)); }},
                       {"asio channel", [=](Meter& meter) { on_channel(meter, capacity); }}},
        .targets = {{.most = one ? 39.0 : 19.0},
                    {.most = 0.1, .of = "asio channel"},
                    {.figure = Figure::allocations, .most = 0.01}}};
}

} // namespace bench
