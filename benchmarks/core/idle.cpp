#include "core/workloads.hpp"

#include <muster/muster.hpp>

namespace bench {

namespace {

constexpr std::uint64_t seconds = 5;

// Tasks that wait: for an event, which nobody sets, and for the clock.
muster::Coro<> on_muster(Meter& meter) {
    const auto time = std::chrono::milliseconds(meter.count(seconds * 1000));
    muster::Event never;
    const auto waiting = muster::create_task(
        [](muster::Event& event) -> muster::Coro<> { co_await event.wait(); }, std::ref(never));
    co_await muster::async_sleep(std::chrono::milliseconds(1));
    meter.start();
    co_await muster::async_sleep(time);
    meter.stop(1);
    waiting.cancel();
}

} // namespace

Workload idle() {
    return {.name = "idle",
            .description = "a loop whose tasks all wait, for 5 s",
            .unit = "wait of 5 s",
            .contenders = {{"muster", [](Meter& meter) { muster::run(on_muster(meter)); }}},
            .targets = {{.most = 1e6}, {.figure = Figure::allocations, .most = 0}}};
}

} // namespace bench
