#include "core/asio.hpp"
#include "core/workloads.hpp"

#include <muster/muster.hpp>

#include <boost/asio/steady_timer.hpp>

#include <random>

namespace bench {

namespace {

constexpr std::uint64_t sleepers_in_all = 1'000'000;

/// Between half a second and one and a half.
class Delays {
public:
    std::chrono::nanoseconds next() { return std::chrono::nanoseconds(delay_(random_)); }

private:
    std::mt19937_64 random_{1};
    std::uniform_int_distribution<std::int64_t> delay_{500'000'000, 1'500'000'000};
};

muster::Coro<> sleeper(std::chrono::nanoseconds delay) { co_await muster::async_sleep(delay); }

muster::Coro<> on_muster(Meter& meter) {
    const std::uint64_t tasks = meter.count(sleepers_in_all);
    Delays delays;
    meter.start();
    co_await muster::task_group([&](muster::TaskGroup& group) -> muster::Coro<> {
        for (std::uint64_t i = 0; i < tasks; ++i) {
            group.create_task(sleeper(delays.next()));
        }
        co_return;
    });
    meter.stop(tasks);
}

asio::awaitable<void> sleeper_awaitable(std::chrono::nanoseconds delay) {
    asio::steady_timer timer(co_await asio::this_coro::executor, delay);
    co_await timer.async_wait(asio::use_awaitable);
}

void on_awaitable(Meter& meter) {
    const std::uint64_t tasks = meter.count(sleepers_in_all);
    Delays delays;
    asio::io_context context(1);
    meter.start();
    for (std::uint64_t i = 0; i < tasks; ++i) {
        asio::co_spawn(context, sleeper_awaitable(delays.next()), asio::detached);
    }
    context.run();
    meter.stop(tasks);
}

struct Sleeper {
    Sleeper(asio::io_context& context, std::chrono::nanoseconds delay) : timer(context, delay) {}

    asio::steady_timer timer;
};

void on_callbacks(Meter& meter) {
    const std::uint64_t tasks = meter.count(sleepers_in_all);
    Delays delays;
    asio::io_context context(1);
    meter.start();
    for (std::uint64_t i = 0; i < tasks; ++i) {
        auto sleeper = std::make_unique<Sleeper>(context, delays.next());
        asio::steady_timer& timer = sleeper->timer;
        timer.async_wait([sleeper = std::move(sleeper)](const boost::system::error_code&) {});
    }
    context.run();
    meter.stop(tasks);
}

} // namespace

Workload sleepers() {
    return {.name = "sleepers",
            .description = "1 million tasks that sleep 0.5 to 1.5 s, all at once",
            .unit = "task",
            .contenders = {{"muster", [](Meter& meter) { muster::run(on_muster(meter)); }},
                           {"awaitable", on_awaitable},
                           {"callbacks", on_callbacks}},
            .targets = {{.most = 0.65, .of = "awaitable"}, {.figure = Figure::bytes, .most = 475}}};
}

} // namespace bench
