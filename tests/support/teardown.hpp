#pragma once
/// Ends a loop after every single step of a scenario, and looks at what is left.

#include <muster/core/coro.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/task.hpp>
#include <muster/testing.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>

namespace muster::testing_support {

/// Counts what a scenario has alive, on all threads, and notices when its code runs once its loop
/// is gone.
class Probes {
public:
    /// Held in a frame, an argument, a capture or a result.
    class Probe {
    public:
        explicit Probe(Probes& probes) noexcept : probes_(&probes) { ++probes_->alive_; }

        Probe(const Probe& other) noexcept : Probe(*other.probes_) {}

        Probe& operator=(const Probe& other) noexcept = default; // of the same Probes

        ~Probe() { --probes_->alive_; }

        /// Called where the scenario's code runs.
        void ran() const noexcept {
            if (probes_->loop_gone_) {
                ++probes_->ran_late_;
            }
        }

    private:
        Probes* probes_;
    };

    Probes() = default;
    Probes(const Probes&) = delete;
    Probes& operator=(const Probes&) = delete;

    [[nodiscard]] Probe probe() noexcept { return Probe(*this); }

    [[nodiscard]] int alive() const noexcept { return alive_; }

    /// From now on only destructors may run on the loop's thread.
    void loop_goes() noexcept { loop_gone_ = true; }

    [[nodiscard]] int ran_late() const noexcept { return ran_late_; }

private:
    std::atomic<int> alive_ = 0;
    std::atomic<int> ran_late_ = 0;
    std::atomic<bool> loop_gone_ = false;
};

using Probe = Probes::Probe;

/// A coroutine that ends by itself on a virtual loop, without an exception, and keeps all it needs
/// in its own frames. Each of its coroutines, functions and values holds a probe.
struct Scenario {
    std::string name;
    Coro<> (*run)(Probe);
};

namespace teardown {

// A scenario that needs more steps than this does not end.
constexpr std::uint64_t most_steps = 10'000;

/// Gives the loop `steps`; whether `main` has ended with them.
inline bool run_steps(EventLoop& loop, const Task<>& main, std::uint64_t steps) {
    loop.core().stop_after(steps);
    if (!main.done()) {
        const CallbackId id = main.add_done_callback([&loop](const Task<>&) { loop.stop(); });
        loop.run_forever();
        main.remove_done_callback(id);
    }
    return main.done();
}

/// Runs `scenario` for a number of steps on a loop of its own, then cancels it and lets it have
/// `steps_after_cancel`, if that is given, then destroys the loop. Whether it had ended by then.
inline bool run_once(const Scenario& scenario, std::uint64_t steps,
                     std::optional<std::uint64_t> steps_after_cancel = std::nullopt) {
    const auto outer = [](Coro<> (*run)(Probe), Probe probe) -> Coro<> {
        co_await run(probe);
        probe.ran();
    };
    Probes probes;
    bool ended = false;
    try {
        auto loop = testing::make_virtual_loop();
        loop->set_exception_handler([](EventLoop&, const ExceptionContext& context) {
            // A failure that nobody came to see is reported, rightly. Nothing else is.
            CHECK_MESSAGE(context.message.ends_with("was never retrieved"), context.message);
        });
        const Task<> main = loop->create_task(outer(scenario.run, probes.probe()));
        ended = run_steps(*loop, main, steps);
        if (!ended && steps_after_cancel) {
            main.cancel();
            ended = run_steps(*loop, main, *steps_after_cancel);
        }
        probes.loop_goes();
        loop.reset();
        if (!main.cancelled()) {
            main.result(); // throws what the scenario has thrown
        }
    } catch (const std::exception& error) {
        FAIL_CHECK("the scenario throws: " << error.what());
        ended = true;
    }
    CHECK_MESSAGE(probes.alive() == 0, "something was not destroyed");
    CHECK_MESSAGE(probes.ran_late() == 0, "something ran after the loop had gone");
    return ended;
}

} // namespace teardown

/// Runs `scenario` again and again: destroys the loop after 0, 1, 2, ... steps, until the scenario
/// has ended by itself; then cancels it after each of these steps, and destroys the loop after 0,
/// 1, 2, ... more, until it has ended. A step is one entry of the ready list: the resumption of a
/// task, or a callback.
inline void end_after_every_step(const Scenario& scenario) {
    CAPTURE(scenario.name);
    std::uint64_t steps = 0;
    for (bool ended = false; !ended; ++steps) {
        CAPTURE(steps);
        REQUIRE(steps < teardown::most_steps);
        ended = teardown::run_once(scenario, steps);
    }
    for (std::uint64_t before = 0; before < steps; ++before) {
        CAPTURE(before);
        std::uint64_t after = 0;
        for (bool ended = false; !ended; ++after) {
            CAPTURE(after);
            REQUIRE(after < teardown::most_steps);
            ended = teardown::run_once(scenario, before, after);
        }
    }
}

} // namespace muster::testing_support
