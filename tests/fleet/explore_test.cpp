// Runs over a fleet under many schedules, with jobs of chance, and stopped at a moment of chance.

#include "explore_test.hpp"

#include "run_support.hpp"

#include <muster/core/event_loop.hpp>
#include <muster/core/shield.hpp>
#include <muster/core/try_finally.hpp>
#include <muster/core/wait.hpp>
#include <muster/fleet/run.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using fleet_test::make_devices;
using muster::async_sleep;
using muster::CancelledError;
using muster::Clock;
using muster::Coro;
using muster::Task;
using muster::device::Device;
using muster::fleet::DeviceOutcome;
using muster::fleet::Ending;
using muster::fleet::Event;
using muster::fleet::FleetOptions;
using muster::fleet::FleetResult;
using muster::fleet::JobContext;
using muster::fleet::run_fleet;
using muster::testing_support::Dice;

namespace {

constexpr std::uint64_t seeds = 2'000;

/// What is told of a device, and what its job says of itself.
struct Seen {
    bool started = false;
    bool in_job = false;
    std::optional<Ending> ended; // the job's own word
    std::optional<Ending> finished;
};

/// A run, watched at every step.
class Watched {
public:
    Watched(Dice& dice, std::size_t devices)
        : dice_(dice),
          devices_(make_devices(std::vector<int>(devices, 1))),
          seen_(devices),
          begin_(Clock::now()) {
        options_.max_at_once = static_cast<std::size_t>(dice.between(1, 4));
        if (dice.one_in(3)) {
            options_.connects_per_second = 500;
        }
        if (dice.one_in(2)) {
            options_.device_timeout = 2 * dice.moment();
        }
        if (dice.one_in(8)) {
            throws_at_ = dice.between(1, 20);
        }
        options_.on_event = [this](const Event& event) { see(event); };
    }

    Coro<FleetResult<int>> run() {
        begun_ = true;
        const auto work = [this](const Device&, JobContext& context) {
            return job(context.index(), context);
        };
        co_return co_await run_fleet(devices_, work, options_);
    }

    /// From now on nothing is started.
    void stop() {
        stopped_ = true;
        told_ = true;
        if (dice_.one_in(2)) {
            options_.control.stop_starting();
        } else {
            options_.control.cancel();
        }
    }

    /// By cancelling who waits for the run, which it learns when it goes on.
    void stop(const Task<FleetResult<int>>& task) {
        stopped_ = true;
        cancelled_ |= task.cancel();
    }

    /// After the run, however it ended.
    void check_end() const {
        CHECK(at_work_ == 0);
        for (const Seen& device : seen_) {
            if (begun_ && !threw_) { // a listener that has thrown is told nothing any more
                REQUIRE(device.finished);
                CHECK(device.started == (*device.finished != Ending::not_started));
                CHECK((stopped_ || device.started));
            }
            CHECK((!device.in_job || device.started));
        }
    }

    void check_result(const FleetResult<int>& result) const {
        REQUIRE(result.outcomes.size() == seen_.size());
        for (std::size_t i = 0; i < seen_.size(); ++i) {
            const auto& outcome = result.outcomes[i];
            CHECK(outcome.device == devices_[i].name);
            CHECK(outcome.ending == seen_[i].finished);
            CHECK(outcome.value.has_value() == (outcome.ending == Ending::succeeded));
            CHECK(outcome.value.value_or(static_cast<int>(i)) == static_cast<int>(i));
            CHECK(outcome.failure.has_value() == (outcome.ending == Ending::failed));
            CHECK((outcome.error != nullptr) == (outcome.ending == Ending::failed));
        }
    }

    [[nodiscard]] bool cancelled() const { return cancelled_; }

    [[nodiscard]] bool threw() const { return threw_; }

private:
    void see(const Event& event) {
        Seen& device = seen_.at(event.index);
        CHECK(event.device == &devices_[event.index]);
        CHECK(event.at == Clock::now() - begin_);
        CHECK_FALSE(device.finished);
        switch (event.kind) {
        case Event::Kind::started:
            see_start(event.index);
            break;
        case Event::Kind::phase:
            CHECK(device.started);
            break;
        case Event::Kind::finished:
            see_end(device, *event.outcome);
            break;
        }
        if (--throws_at_ == 0) {
            threw_ = true;
            throw std::runtime_error("the listener's");
        }
    }

    void see_start(std::size_t index) {
        CHECK_FALSE(seen_[index].started);
        seen_[index].started = true;
        CHECK_FALSE(told_);
        if (options_.connects_per_second && last_start_) {
            CHECK(Clock::now() - *last_start_ >= 2ms);
        }
        last_start_ = Clock::now();
    }

    void see_end(Seen& device, const DeviceOutcome& outcome) {
        device.finished = outcome.ending;
        CHECK(
            (stopped_ || outcome.ending == Ending::succeeded || outcome.ending == Ending::failed));
        if (device.ended == Ending::cancelled) { // by its own deadline, or with the run
            CHECK((outcome.ending == Ending::cancelled || outcome.ending == Ending::failed));
            CHECK((outcome.ending == Ending::cancelled || options_.device_timeout.limited()));
        } else if (device.ended) {
            CHECK(outcome.ending == *device.ended);
        }
    }

    Coro<int> job(std::size_t index, JobContext& context) {
        Seen& device = seen_[index];
        CHECK(device.started);
        CHECK_FALSE(device.in_job);
        device.in_job = true;
        ++at_work_;
        CHECK(at_work_ <= options_.max_at_once);
        bool cancelled = false;
        try {
            context.enter_phase("work");
            co_await dice_.pause();
            context.enter_phase("more work");
            co_await dice_.pause();
        } catch (const CancelledError&) {
            cancelled = true;
        }
        if (cancelled && dice_.one_in(2)) {
            co_await clean_up();
        }
        --at_work_;
        if (cancelled && !dice_.one_in(4)) {
            device.ended = Ending::cancelled;
            throw CancelledError();
        }
        if (dice_.one_in(4)) {
            device.ended = Ending::failed;
            throw std::runtime_error("the job's");
        }
        device.ended = Ending::succeeded;
        co_return static_cast<int>(index);
    }

    // Cancelled again, it goes on.
    Coro<> clean_up() {
        const Task<> rest = muster::create_task([this]() -> Coro<> { co_await dice_.pause(); });
        try {
            co_await muster::shield(rest);
        } catch (const CancelledError&) {
            co_return;
        }
    }

    Dice& dice_;
    std::vector<Device> devices_;
    std::vector<Seen> seen_;
    FleetOptions options_;
    Clock::time_point begin_;
    std::optional<Clock::time_point> last_start_;
    std::size_t at_work_ = 0;
    bool begun_ = false;
    int throws_at_ = 0;
    bool stopped_ = false; // in whatever way
    bool told_ = false;    // by its control
    bool cancelled_ = false;
    bool threw_ = false;
};

} // namespace

CO_EXPLORE_TEST_CASE("whenever a run is stopped, each device ends once, and nothing is left",
                     seeds) {
    Dice dice(seed);
    Watched watched(dice, dice.below(8));
    const auto task = muster::create_task(watched.run());
    for (int left = dice.between(0, 2); left > 0; --left) {
        co_await dice.pause();
        co_await dice.pause();
        if (task.done()) {
            break;
        }
        if (dice.one_in(3)) {
            watched.stop(task);
        } else {
            watched.stop();
        }
    }
    co_await muster::wait({task});
    watched.check_end();
    if (task.cancelled()) {
        CHECK(watched.cancelled());
    } else if (task.exception() != nullptr) {
        CHECK(watched.threw());
        CHECK_THROWS_WITH_AS(task.result(), "the listener's", std::runtime_error);
    } else {
        CHECK_FALSE(watched.threw());
        CHECK_FALSE(watched.cancelled());
        watched.check_result(task.result());
    }
    co_await muster::testing_support::settle();
    co_await async_sleep(1s); // what a clean-up has left of itself
    CHECK(muster::all_tasks().size() == 1);
}

CO_EXPLORE_TEST_CASE("a run that nobody stops does all there is to do", seeds) {
    Dice dice(seed);
    Watched watched(dice, dice.below(8));
    const auto task = muster::create_task(watched.run());
    co_await muster::wait({task});
    watched.check_end();
    CHECK_FALSE(task.cancelled());
    if (!watched.threw()) {
        watched.check_result(task.result());
    } else {
        CHECK(task.exception() != nullptr);
    }
}
