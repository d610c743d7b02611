#pragma once
/// Tests that many schedules have to pass, with what chance has to offer besides: see
/// CO_EXPLORE_TEST_CASE.

#include "coro_test.hpp"
#include "failures.hpp"

#include <muster/core/coro.hpp>
#include <muster/core/sleep.hpp>
#include <muster/core/task.hpp>
#include <muster/core/wait.hpp>
#include <muster/testing.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

/// A test case whose body is a coroutine that gets a `seed`, and is run with the seeds from 1 to
/// `seeds`, see testing::explore. The first false check ends it:
///
///     CO_EXPLORE_TEST_CASE("nobody waits for ever", 1'000) {
///         Dice dice(seed);
///         ...
///     }
#define CO_EXPLORE_TEST_CASE(name, seeds)                                                          \
    MUSTER_CO_EXPLORE_TEST_CASE(DOCTEST_ANONYMOUS(co_explore_test_case_), name, seeds)
#define MUSTER_CO_EXPLORE_TEST_CASE(function, name, seeds)                                         \
    static ::muster::Coro<void> function(std::uint64_t seed);                                      \
    TEST_CASE(name) { ::muster::testing_support::explore_checks(function, seeds); }                \
    static ::muster::Coro<void> function(std::uint64_t seed)

namespace muster::testing_support {

/// Runs `test(seed)` with one seed after the other until a check in it is false, which shows its
/// seed.
inline void explore_checks(Coro<> (*test)(std::uint64_t), std::uint64_t seeds) {
    const auto named = [test](std::uint64_t seed) -> Coro<> {
        INFO("MUSTER_SEED=" << seed);
        co_await test(seed);
    };
    const unsigned before = failed_checks();
    testing::explore(named, seeds, [before] { return failed_checks() != before; });
}

/// Counts up while alive.
template <class N>
class Counted {
public:
    explicit Counted(N& count) : count_(count) { ++count_; }

    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

    ~Counted() { --count_; }

private:
    N& count_;
};

/// Chance, the same for each seed.
class Dice {
public:
    explicit Dice(std::uint64_t seed) : random_(seed) {}

    /// From 0 to `bound` - 1, each as likely.
    std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }

    /// From `least` to `most`.
    int between(int least, int most) {
        return least + static_cast<int>(below(static_cast<std::size_t>(most - least) + 1));
    }

    bool one_in(std::size_t count) { return below(count) == 0; }

    /// A length of time that is often that of another: deadlines are to meet.
    Clock::duration moment() { return std::chrono::milliseconds(between(1, 4)); }

    /// No time at all, a few turns, or a moment.
    Coro<> pause() {
        switch (below(4)) {
        case 0:
            co_await turns(between(1, 3));
            break;
        case 1:
            co_await async_sleep(moment());
            break;
        default:
            break;
        }
    }

private:
    std::mt19937_64 random_;
};

/// Waits until nothing is ready any more: only then can time pass.
inline Coro<> settle() { co_await async_sleep(std::chrono::nanoseconds(1)); }

/// Cancels some of `tasks` at moments of chance, then waits for all. When one of them never ends,
/// the loop says "deadlock".
inline Coro<> cancel_some(Dice& dice, std::vector<Task<>> tasks) {
    for (int left = dice.between(0, static_cast<int>(tasks.size())); left > 0; --left) {
        co_await dice.pause();
        tasks[dice.below(tasks.size())].cancel();
    }
    co_await wait(tasks);
    for (const Task<>& task : tasks) {
        if (!task.cancelled()) {
            task.result(); // throws what it ended with
        }
    }
}

/// Starts `worker(number)` `count` times, cancels some, and waits for all.
template <class F>
Coro<> struggle(Dice& dice, int count, F worker) {
    std::vector<Task<>> tasks;
    for (int i = 0; i < count; ++i) {
        tasks.push_back(create_task(worker(i)));
    }
    co_await cancel_some(dice, std::move(tasks));
}

} // namespace muster::testing_support
