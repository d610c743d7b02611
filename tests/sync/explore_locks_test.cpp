// What lets tasks through, under many schedules, with timeouts and cancellations of chance. Whoever
// would have to go on and does not, makes a deadlock, which is a failure, too.

#include "explore_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::Counted;
using testing_support::Dice;
using testing_support::settle;
using testing_support::struggle;
using testing_support::turns;

namespace {

constexpr std::uint64_t seeds = 1'000;

/// Takes a Lock or Semaphore in one of the ways there are; nothing: it did not get it in time.
template <class P>
Coro<std::optional<typename P::Guard>> take(P& wanted, Dice& dice) {
    if (dice.one_in(2)) {
        co_return co_await wanted.guard();
    }
    try {
        co_return co_await wait_for(wanted.guard(), dice.moment());
    } catch (const TimeoutError&) {
        co_return std::nullopt;
    }
}

} // namespace

CO_EXPLORE_TEST_CASE("a lock lets one task in at a time, and none waits for ever", seeds) {
    Dice dice(seed);
    Lock lock;
    std::ptrdiff_t inside = 0;
    const auto works = [&](int) -> Coro<> {
        for (int i = 0; i < 3; ++i) {
            co_await dice.pause();
            const auto held = co_await take(lock, dice);
            if (!held && !lock.try_acquire()) {
                continue;
            }
            {
                const Counted here(inside);
                CHECK(inside == 1);
                CHECK(lock.locked());
                if (held) { // else a cancellation would keep it locked
                    co_await dice.pause();
                }
                CHECK(inside == 1);
            }
            if (!held) {
                lock.release();
            }
        }
    };
    co_await struggle(dice, 5, works);
    CHECK_FALSE(lock.locked());
    CHECK(lock.try_acquire());
}

CO_EXPLORE_TEST_CASE("a lock is had in the order of asking", seeds) {
    Dice dice(seed);
    Lock lock;
    std::vector<int> asked;
    std::vector<int> had;
    const auto works = [&](int number) -> Coro<> {
        co_await dice.pause();
        asked.push_back(number);
        const auto held = co_await lock.guard();
        had.push_back(number);
        co_await dice.pause();
    };
    std::vector<Task<>> tasks;
    for (int i = 0; i < 6; ++i) {
        tasks.push_back(create_task(works(i)));
    }
    co_await wait(tasks);
    CHECK(had == asked);
}

CO_EXPLORE_TEST_CASE("a semaphore neither loses a permit nor makes one", seeds) {
    Dice dice(seed);
    const std::ptrdiff_t permits = dice.between(1, 3);
    Semaphore semaphore(permits);
    std::ptrdiff_t inside = 0;
    const auto works = [&](int) -> Coro<> {
        for (int i = 0; i < 3; ++i) {
            co_await dice.pause();
            const auto held = co_await take(semaphore, dice);
            if (!held) {
                continue;
            }
            const Counted here(inside);
            // Permits of tasks that were woken for them are in nobody's hands.
            CHECK(inside + semaphore.value() <= permits);
            co_await dice.pause();
            CHECK(inside + semaphore.value() <= permits);
        }
    };
    co_await struggle(dice, 6, works);
    CHECK(semaphore.value() == permits);
    CHECK_FALSE(semaphore.locked());
}

CO_EXPLORE_TEST_CASE(
    "who waits for a semaphore gets the permits that are released, several at once", seeds) {
    Dice dice(seed);
    Semaphore semaphore(0);
    std::ptrdiff_t got = 0;
    std::ptrdiff_t released = 0;
    std::vector<Task<>> tasks;
    for (int i = 0; i < 6; ++i) {
        tasks.push_back(create_task([&]() -> Coro<> {
            co_await dice.pause();
            co_await semaphore.acquire();
            ++got;
        }));
    }
    for (int left = 4; left > 0; --left) {
        co_await dice.pause();
        if (dice.one_in(2)) {
            tasks[dice.below(tasks.size())].cancel();
        }
        const std::ptrdiff_t count = dice.between(1, 2);
        released += count;
        semaphore.release(count);
    }
    co_await async_sleep(1h);
    const auto waiting =
        std::count_if(tasks.begin(), tasks.end(), [](const Task<>& task) { return !task.done(); });
    CHECK(got + semaphore.value() == released);
    CHECK((waiting == 0 || semaphore.value() == 0));
}

CO_EXPLORE_TEST_CASE("a bounded semaphore is released as often as it was acquired", seeds) {
    Dice dice(seed);
    BoundedSemaphore semaphore(2);
    const auto works = [&](int) -> Coro<> {
        for (int i = 0; i < 3; ++i) {
            co_await dice.pause();
            co_await semaphore.acquire();
            const auto rest = [&]() -> Coro<> { co_await dice.pause(); };
            const auto release = [&]() -> Coro<> {
                semaphore.release(); // throws when there is one too many
                co_return;
            };
            co_await try_finally(rest, release);
        }
    };
    co_await struggle(dice, 5, works);
    CHECK(semaphore.value() == 2);
    CHECK_THROWS_AS(semaphore.release(), ValueError);
}

CO_EXPLORE_TEST_CASE("all that wait go on when an event is set, and nobody else", seeds) {
    Dice dice(seed);
    Event event;
    std::set<int> waiting; // at the moment
    std::set<int> due;     // were there when it was set
    int sets = 0;
    const auto waits = [&](int number) -> Coro<> {
        for (int i = 0; i < 3; ++i) {
            co_await dice.pause();
            const int before = event.is_set() ? -1 : sets;
            waiting.insert(number);
            bool in_time = true;
            try {
                if (dice.one_in(2)) {
                    co_await event.wait();
                } else {
                    co_await wait_for(event.wait(), dice.moment());
                }
            } catch (const TimeoutError&) {
                in_time = false;
            } catch (const CancelledError&) {
                waiting.erase(number);
                due.erase(number);
                throw;
            }
            waiting.erase(number);
            due.erase(number);
            CHECK((!in_time || before < sets));
        }
    };
    const auto sets_and_clears = [&]() -> Coro<> {
        for (int i = 0; i < 5; ++i) {
            co_await dice.pause();
            ++sets;
            due = waiting;
            event.set();
            if (!dice.one_in(3)) {
                co_await turns(dice.between(0, 1));
                event.clear();
            }
            co_await settle();
            CHECK(due.empty());
        }
        ++sets;
        event.set();
    };
    const Task<> setter = create_task(sets_and_clears());
    co_await struggle(dice, 5, waits);
    co_await setter;
}

CO_EXPLORE_TEST_CASE("no notification of a condition is lost: nobody waits while there is a job",
                     seeds) {
    Dice dice(seed);
    Condition condition;
    int jobs = 0;
    int made = 0;
    int done = 0;
    std::ptrdiff_t inside = 0;
    const auto consumes = [&](int) -> Coro<> {
        for (int i = 0; i < 3; ++i) {
            co_await dice.pause();
            const auto held = co_await condition.guard();
            const auto any = [&] { return jobs > 0; };
            try {
                if (dice.one_in(3)) {
                    co_await wait_for(condition.wait_for(any), dice.moment());
                } else {
                    co_await condition.wait_for(any);
                }
            } catch (const TimeoutError&) {
                CHECK(condition.locked());
                continue;
            }
            const Counted here(inside);
            CHECK(inside == 1);
            CHECK(condition.locked());
            CHECK(jobs > 0);
            --jobs;
            ++done;
            if (dice.one_in(2)) {
                co_await dice.pause();
            }
        }
    };
    const auto produces = [&]() -> Coro<> {
        for (int i = 0; i < 6; ++i) {
            co_await dice.pause();
            const auto held = co_await condition.guard();
            const int count = dice.between(1, 2);
            jobs += count;
            made += count;
            condition.notify(static_cast<std::size_t>(count));
        }
    };
    std::vector<Task<>> tasks;
    for (int i = 0; i < 5; ++i) {
        tasks.push_back(create_task(consumes(i)));
    }
    const Task<> producer = create_task(produces());
    for (int left = dice.between(0, 4); left > 0; --left) {
        co_await dice.pause();
        tasks[dice.below(tasks.size())].cancel();
    }
    co_await producer;
    co_await async_sleep(1h);
    CHECK(done + jobs == made);
    const bool waits =
        std::any_of(tasks.begin(), tasks.end(), [](const Task<>& task) { return !task.done(); });
    CHECK((jobs == 0 || !waits));
    CHECK_FALSE(condition.locked());
}

CO_EXPLORE_TEST_CASE("notify wakes as many as it says, whoever is cancelled meanwhile", seeds) {
    Dice dice(seed);
    Lock lock;
    Condition condition(lock);
    int waiting = 0;
    int woken = 0;
    int gone = 0;
    const auto waits = [&]() -> Coro<> {
        const auto held = co_await condition.guard();
        ++waiting;
        try {
            co_await condition.wait();
        } catch (const CancelledError&) {
            ++gone;
            throw;
        }
        ++woken;
        CHECK(lock.locked());
        co_await dice.pause();
    };
    std::vector<Task<>> tasks;
    for (int i = 0; i < 6; ++i) {
        tasks.push_back(create_task(waits));
    }
    co_await settle();
    REQUIRE(waiting == 6);
    const int count = dice.between(0, 4);
    const auto notifies = [&]() -> Coro<> {
        co_await turns(dice.between(0, 3));
        const auto held = co_await lock.guard();
        condition.notify(static_cast<std::size_t>(count));
        co_await turns(dice.between(0, 2));
    };
    const Task<> notifier = create_task(notifies);
    for (int left = dice.between(0, 3); left > 0; --left) {
        co_await turns(dice.between(0, 4));
        tasks[dice.below(tasks.size())].cancel();
    }
    co_await notifier;
    co_await async_sleep(1h);
    CHECK(woken == std::min(count, waiting - gone));
    CHECK_FALSE(lock.locked());
    const auto rest = [&]() -> Coro<> {
        const auto held = co_await lock.guard();
        condition.notify_all();
    };
    co_await rest();
    co_await wait(tasks);
}

CO_EXPLORE_TEST_CASE("the rounds of a barrier are whole", seeds) {
    Dice dice(seed);
    constexpr std::size_t parties = 3;
    Barrier barrier(parties);
    std::vector<std::size_t> places;
    const auto comes = [&]() -> Coro<> {
        for (int i = 0; i < 3; ++i) {
            co_await dice.pause();
            places.push_back(co_await barrier.wait());
        }
    };
    std::vector<Task<>> tasks;
    for (std::size_t i = 0; i < 2 * parties; ++i) {
        tasks.push_back(create_task(comes));
    }
    // The last rounds may lack some: those who come a fourth time.
    const auto fills = [&]() -> Coro<> {
        for (;;) {
            co_await async_sleep(1min);
            places.push_back(co_await barrier.wait());
        }
    };
    std::vector<Task<>> others;
    for (std::size_t i = 1; i < parties; ++i) {
        others.push_back(create_task(fills));
    }
    co_await wait(tasks);
    co_await settle();
    for (std::size_t round = 0; (round + 1) * parties <= places.size(); ++round) {
        std::set<std::size_t> whole;
        for (std::size_t i = 0; i < parties; ++i) {
            whole.insert(places[round * parties + i]);
        }
        CHECK(whole == std::set<std::size_t>{0, 1, 2});
    }
    CHECK(places.size() % parties == 0);
}

CO_EXPLORE_TEST_CASE("whatever happens at a barrier, nobody waits in a full one", seeds) {
    Dice dice(seed);
    constexpr std::size_t parties = 3;
    Barrier barrier(parties);
    std::size_t waiting = 0;
    int broken = 0;
    int breaks = 0;
    const auto comes = [&](int) -> Coro<> {
        for (int i = 0; i < 4; ++i) {
            co_await dice.pause();
            ++waiting;
            try {
                const TimeLimit limit =
                    dice.one_in(3) ? TimeLimit(dice.moment()) : TimeLimit(std::nullopt);
                const std::size_t place = co_await wait_for(barrier.wait(), limit);
                CHECK(place < parties);
            } catch (const BrokenBarrierError&) {
                ++broken;
            } catch (const TimeoutError&) {
                CHECK(waiting > 0);
            } catch (const CancelledError&) {
                --waiting;
                throw;
            }
            --waiting;
        }
    };
    const auto meddles = [&]() -> Coro<> {
        for (int i = 0; i < 3; ++i) {
            co_await dice.pause();
            if (dice.one_in(2)) {
                ++breaks;
                if (dice.one_in(2)) {
                    barrier.abort();
                    co_await dice.pause();
                }
                barrier.reset();
            }
            co_await settle();
            CHECK(waiting < parties);
            CHECK(barrier.n_waiting() == waiting);
        }
    };
    std::vector<Task<>> tasks;
    for (int i = 0; i < 5; ++i) {
        tasks.push_back(create_task(comes(i)));
    }
    const Task<> meddler = create_task(meddles);
    for (int left = dice.between(0, 3); left > 0; --left) {
        co_await dice.pause();
        tasks[dice.below(tasks.size())].cancel();
    }
    co_await meddler;
    co_await async_sleep(1h);
    CHECK(waiting < parties);
    CHECK(barrier.n_waiting() == waiting);
    CHECK((broken == 0 || breaks > 0));
    barrier.abort();
    co_await wait(tasks);
    CHECK(waiting == 0);
}

CO_EXPLORE_TEST_CASE("a capacity limiter never lends more than there is", seeds) {
    Dice dice(seed);
    CapacityLimiter limiter(2);
    std::size_t most = 2; // of the totals since the clock moved last
    std::size_t waiting = 0;
    std::ptrdiff_t inside = 0;
    const auto works = [&](int) -> Coro<> {
        for (int i = 0; i < 3; ++i) {
            co_await dice.pause();
            ++waiting;
            std::optional<CapacityLimiter::Guard> held;
            try {
                if (dice.one_in(2)) {
                    held = co_await limiter.guard();
                } else {
                    held = co_await wait_for(limiter.guard(), dice.moment());
                }
            } catch (const TimeoutError&) {
                CHECK(waiting > 0);
            } catch (const CancelledError&) {
                --waiting;
                throw;
            }
            --waiting;
            if (!held) {
                continue;
            }
            const Counted here(inside);
            CHECK(limiter.borrowed_tokens() <= most);
            CHECK(limiter.borrowed_tokens() == static_cast<std::size_t>(inside));
            co_await dice.pause();
            CHECK(limiter.borrowed_tokens() == static_cast<std::size_t>(inside));
        }
    };
    std::vector<Task<>> tasks;
    for (int i = 0; i < 8; ++i) {
        tasks.push_back(create_task(works(i)));
    }
    for (int i = 0; i < 5; ++i) {
        co_await dice.pause();
        const auto total = static_cast<std::size_t>(dice.between(1, 4));
        most = std::max(most, total);
        limiter.set_total_tokens(total);
        if (dice.one_in(2)) { // often one that was woken just now
            co_await turns(dice.between(0, 1));
            tasks[dice.below(tasks.size())].cancel();
        }
        co_await settle();
        most = std::max(total, limiter.borrowed_tokens());
        CHECK((waiting == 0 || limiter.borrowed_tokens() >= total));
        CHECK(limiter.statistics().tasks_waiting == waiting);
    }
    co_await wait(tasks);
    CHECK(limiter.borrowed_tokens() == 0);
    CHECK(limiter.available_tokens() == limiter.total_tokens());
    CHECK_FALSE(limiter.locked());
}

CO_EXPLORE_TEST_CASE("a rate limiter lets through what its rate allows, and no less", seeds) {
    Dice dice(seed);
    const auto burst = static_cast<std::size_t>(dice.between(1, 3));
    RateLimiter limiter(1'000, burst); // one in a millisecond
    const Clock::time_point start = Clock::now();
    std::vector<Clock::duration> times;
    const auto takes = [&](int) -> Coro<> {
        co_await limiter.acquire();
        times.push_back(Clock::now() - start);
        co_await dice.pause();
    };
    // All come at once and some go away: the others get all that there is, without a gap.
    co_await struggle(dice, 8, takes);
    for (std::size_t i = 0; i < times.size(); ++i) {
        CHECK(times[i] / 1ms == static_cast<int>(i < burst ? 0 : i - burst + 1));
    }
    co_await async_sleep(1h);
    for (std::size_t i = 0; i < burst; ++i) {
        CHECK(limiter.try_acquire());
    }
    CHECK_FALSE(limiter.try_acquire());
}

CO_EXPLORE_TEST_CASE("in no time does a rate limiter let more through than it may", seeds) {
    Dice dice(seed);
    const auto burst = static_cast<std::size_t>(dice.between(1, 3));
    RateLimiter limiter(500, burst);
    std::vector<Clock::time_point> times;
    const auto takes = [&](int) -> Coro<> {
        for (int i = 0; i < 4; ++i) {
            co_await dice.pause();
            bool got = false;
            try {
                co_await wait_for(limiter.acquire(), 2 * dice.moment());
                got = true;
            } catch (const TimeoutError&) {
                got = limiter.try_acquire();
            }
            if (got) {
                times.push_back(Clock::now());
            }
        }
    };
    co_await struggle(dice, 4, takes);
    for (std::size_t first = 0; first < times.size(); ++first) {
        for (std::size_t last = first; last < times.size(); ++last) {
            const auto earned = static_cast<std::size_t>((times[last] - times[first]) / 2ms);
            CHECK(last - first + 1 <= burst + earned);
        }
    }
}
