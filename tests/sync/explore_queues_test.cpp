// What hands things on, under many schedules, with timeouts and cancellations of chance. Whoever
// would have to go on and does not, makes a deadlock, which is a failure, too.

#include "explore_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
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

/// What is handed on: the `number`th of `maker`.
struct Item {
    int maker;
    int number;

    friend auto operator<=>(const Item&, const Item&) = default;
};

/// What was put in and what came out.
struct Ledger {
    std::set<Item> in;
    std::vector<Item> out;

    /// That each came out once, if it ever went in, and `left` are inside.
    void check(std::size_t left) const {
        const std::set<Item> distinct(out.begin(), out.end());
        CHECK(distinct.size() == out.size());
        CHECK(std::includes(in.begin(), in.end(), distinct.begin(), distinct.end()));
        CHECK(in.size() - distinct.size() == left);
    }

    /// That each maker's came out in their order.
    void check_order() const {
        std::map<int, int> last;
        for (const Item& item : out) {
            const auto found = last.find(item.maker);
            CHECK((found == last.end() || found->second < item.number));
            last[item.maker] = item.number;
        }
    }
};

/// Nothing, or a moment: some waits are given up.
TimeLimit patience(Dice& dice) {
    return dice.one_in(3) ? TimeLimit(dice.moment()) : TimeLimit(std::nullopt);
}

/// Makers and takers at a queue of any kind; some are cancelled; what is left is taken at the end.
template <class Q>
Coro<Ledger> trade(Q& queue, Dice& dice) {
    Ledger ledger;
    const auto makes = [&](int maker) -> Coro<> {
        for (int i = 0; i < 4; ++i) {
            co_await dice.pause();
            const Item item{maker, i};
            try {
                if (dice.one_in(4)) {
                    queue.put_nowait(item);
                } else {
                    // It is in the queue before its maker's next statement.
                    co_await wait_for(queue.put(item), patience(dice));
                }
                ledger.in.insert(item);
            } catch (const TimeoutError&) {
                CHECK(queue.maxsize() > 0);
            } catch (const QueueFull&) {
                CHECK(queue.full());
            }
            CHECK((queue.maxsize() == 0 || queue.qsize() <= queue.maxsize()));
        }
    };
    const auto takes = [&](int) -> Coro<> {
        for (int i = 0; i < 4; ++i) {
            co_await dice.pause();
            try {
                if (dice.one_in(4)) {
                    ledger.out.push_back(queue.get_nowait());
                } else {
                    ledger.out.push_back(co_await wait_for(queue.get(), 2 * dice.moment()));
                }
                queue.task_done();
            } catch (const TimeoutError&) {
                continue;
            } catch (const QueueEmpty&) {
                CHECK(queue.empty());
            }
        }
    };
    const auto joins = [&]() -> Coro<> {
        co_await turns(dice.between(0, 8));
        co_await queue.join();
    };
    const Task<> joiner = create_task(joins);
    const auto both = [&](int number) { return number < 3 ? makes(number) : takes(number); };
    const Task<> struggling = create_task([&] { return struggle(dice, 6, both); });
    // Makers that are left wait for room.
    co_await async_sleep(1min);
    for (int rounds = 0; !struggling.done() || !queue.empty(); ++rounds) {
        REQUIRE(rounds < 1'000);
        co_await async_sleep(1ms);
        ledger.check(queue.qsize());
        if (!queue.empty()) {
            ledger.out.push_back(queue.get_nowait());
            queue.task_done();
        }
    }
    co_await struggling;
    ledger.check(0);
    co_await joiner;
    CHECK_THROWS_AS(queue.task_done(), ValueError);
    co_return ledger;
}

} // namespace

CO_EXPLORE_TEST_CASE("a queue loses nothing and gives nothing twice, in the order of each maker",
                     seeds) {
    Dice dice(seed);
    Queue<Item> queue(dice.between(0, 2));
    const Ledger ledger = co_await trade(queue, dice);
    ledger.check_order();
}

CO_EXPLORE_TEST_CASE("nor does a priority queue", seeds) {
    Dice dice(seed);
    PriorityQueue<Item> queue(dice.between(0, 2));
    co_await trade(queue, dice);
}

CO_EXPLORE_TEST_CASE("nor one that is last in, first out", seeds) {
    Dice dice(seed);
    LifoQueue<Item> queue(dice.between(0, 2));
    co_await trade(queue, dice);
}

CO_EXPLORE_TEST_CASE("at a queue nobody waits for what is there", seeds) {
    Dice dice(seed);
    Queue<int> queue(2);
    int putting = 0;
    int getting = 0;
    const auto puts = [&]() -> Coro<> {
        const Counted waits(putting);
        co_await queue.put(1);
    };
    const auto gets = [&]() -> Coro<> {
        const Counted waits(getting);
        co_await queue.get();
    };
    const std::size_t one_get_in = 1 + dice.below(3); // the line is of these, or of those
    std::vector<Task<>> tasks;
    for (int i = 0; i < 12; ++i) {
        for (int more = dice.between(0, 2); more > 0; --more) {
            tasks.push_back(dice.one_in(one_get_in) ? create_task(gets) : create_task(puts));
        }
        co_await turns(dice.between(0, 2));
        if (dice.one_in(3) && !queue.empty()) {
            queue.get_nowait();
        }
        if (dice.one_in(3) && !queue.full()) {
            queue.put_nowait(1);
        }
        for (int some = dice.between(0, 2); some > 0 && !tasks.empty(); --some) {
            tasks[dice.below(tasks.size())].cancel(); // often one that was woken just now
        }
        if (dice.one_in(2)) {
            co_await settle();
            CHECK((getting == 0 || queue.empty()));
            CHECK((putting == 0 || queue.full()));
        }
    }
    tasks.push_back(create_task(gets));
    queue.shutdown(true);
    co_await wait(tasks);
    CHECK(queue.empty());
    for (const Task<>& task : tasks) {
        if (!task.cancelled()) {
            static_cast<void>(task.exception()); // QueueShutDown, or nothing
        }
    }
}

CO_EXPLORE_TEST_CASE("a queue serves in the order of coming, also when get_nowait was faster",
                     seeds) {
    Dice dice(seed);
    const Clock::time_point start = Clock::now();
    Queue<int> queue(1);
    std::vector<int> asked;
    std::vector<int> served;
    const auto gets = [&](int number) -> Coro<> {
        co_await dice.pause();
        asked.push_back(number);
        co_await queue.get();
        served.push_back(number);
    };
    std::vector<Task<>> tasks;
    for (int i = 0; i < 6; ++i) {
        tasks.push_back(create_task(gets(i)));
    }
    while (served.size() < tasks.size()) {
        REQUIRE(Clock::now() < start + 1h);
        co_await async_sleep(dice.moment()); // whoever had the last one has noted it
        if (queue.empty()) {
            queue.put_nowait(0);
        }
        co_await turns(dice.between(0, 2));
        if (dice.one_in(2) && !queue.empty()) {
            queue.get_nowait();
        }
    }
    co_await wait(tasks);
    CHECK(served == asked);
}

CO_EXPLORE_TEST_CASE("join returns when everything is done, and only then", seeds) {
    Dice dice(seed);
    Queue<int> queue;
    int unfinished = 0;
    int idle_times = 1; // how often there was nothing left to do
    const auto takes = [&]() -> Coro<> {
        for (;;) {
            co_await queue.get();
            co_await dice.pause();
            queue.task_done();
            idle_times += --unfinished == 0 ? 1 : 0;
        }
    };
    std::vector<Task<>> takers;
    for (int i = 0; i < 2; ++i) {
        takers.push_back(create_task(takes));
    }
    const auto joins = [&](int) -> Coro<> {
        co_await dice.pause();
        const int before = unfinished == 0 ? idle_times - 1 : idle_times;
        co_await queue.join();
        CHECK(idle_times > before);
    };
    std::vector<Task<>> joiners;
    for (int i = 0; i < 4; ++i) {
        joiners.push_back(create_task(joins(i)));
    }
    for (int i = 0; i < 6; ++i) {
        co_await dice.pause();
        ++unfinished;
        queue.put_nowait(i);
    }
    co_await queue.join();
    CHECK(unfinished == 0);
    co_await wait(joiners);
    for (const Task<>& taker : takers) {
        taker.cancel();
    }
    co_await wait(takers);
}

CO_EXPLORE_TEST_CASE("a queue that is shut down lets everybody go, and gives what it has", seeds) {
    Dice dice(seed);
    Queue<Item> queue(dice.between(0, 3));
    Ledger ledger;
    bool shut = false;
    const auto makes = [&](int maker) -> Coro<> {
        try {
            for (int i = 0; i < 10; ++i) {
                if (dice.one_in(3)) {
                    co_await dice.pause();
                }
                co_await queue.put({maker, i});
                CHECK_FALSE(shut);
                ledger.in.insert({maker, i});
            }
        } catch (const QueueShutDown&) {
            CHECK(shut);
        }
    };
    const auto takes = [&]() -> Coro<> {
        try {
            for (;;) {
                co_await dice.pause();
                ledger.out.push_back(co_await queue.get());
            }
        } catch (const QueueShutDown&) {
            CHECK(shut);
            CHECK(queue.empty());
        }
    };
    const bool at_once = dice.one_in(2);
    const auto shuts = [&]() -> Coro<> {
        co_await turns(dice.between(0, 8));
        co_await dice.pause();
        shut = true;
        queue.shutdown(at_once);
    };
    const Task<> end = create_task(shuts);
    const auto both = [&](int number) { return number < 2 ? makes(number) : takes(); };
    co_await struggle(dice, 7, both);
    co_await end;
    if (!at_once) {
        ledger.check(queue.qsize());
    }
    ledger.check_order();
}

CO_EXPLORE_TEST_CASE("a channel hands each item to one receiver, until its ends are closed",
                     seeds) {
    Dice dice(seed);
    auto channel = make_channel<Item>(dice.below(3));
    Ledger ledger;
    bool broken = false;
    const auto sends = [&](int maker, Sender<Item> sender) -> Coro<> {
        for (int i = 0; i < 4; ++i) {
            co_await dice.pause();
            const Item item{maker, i};
            try {
                if (dice.one_in(4)) {
                    if (sender.try_send(item)) {
                        ledger.in.insert(item);
                    }
                    continue;
                }
                co_await wait_for(sender.send(item), patience(dice));
                ledger.in.insert(item);
            } catch (const TimeoutError&) {
                continue;
            } catch (const BrokenResourceError&) {
                broken = true;
                co_return;
            }
        }
    };
    const auto receives = [&](int, Receiver<Item> receiver) -> Coro<> {
        for (;;) {
            co_await dice.pause();
            if (dice.one_in(4)) {
                if (const auto item = receiver.try_receive()) {
                    ledger.out.push_back(*item);
                }
                continue;
            }
            try {
                const auto item = co_await wait_for(receiver.receive(), patience(dice));
                if (!item) {
                    CHECK(receiver.at_end());
                    co_return;
                }
                ledger.out.push_back(*item);
            } catch (const TimeoutError&) {
                if (dice.one_in(3)) {
                    co_return; // goes, and its end with it
                }
            }
        }
    };
    std::vector<Task<>> tasks;
    for (int i = 0; i < 3; ++i) {
        tasks.push_back(create_task(sends(i, channel.sender)));
        tasks.push_back(create_task(receives(i, channel.receiver)));
    }
    channel.sender.close();
    Receiver<Item> last = std::move(channel.receiver);
    const bool keeps = dice.one_in(2);
    if (!keeps) {
        last.close();
    }
    const Task<> struggling = create_task(testing_support::cancel_some(dice, tasks));
    if (keeps) {
        // Takes what the others leave; else senders might wait for ever.
        co_await async_sleep(1min);
        while (const auto item = co_await last.receive()) {
            ledger.out.push_back(*item);
        }
    }
    co_await struggling;
    ledger.check_order();
    if (keeps) {
        CHECK_FALSE(broken);
        ledger.check(0);
    } else {
        const std::set<Item> distinct(ledger.out.begin(), ledger.out.end());
        CHECK(distinct.size() == ledger.out.size());
    }
}

CO_EXPLORE_TEST_CASE("at a channel nobody waits for what is there", seeds) {
    Dice dice(seed);
    const std::size_t capacity = dice.below(3);
    auto channel = make_channel<int>(capacity);
    const auto sends = [](Sender<int> sender) -> Coro<> { co_await sender.send(1); };
    const auto receives = [](Receiver<int> receiver) -> Coro<> { co_await receiver.receive(); };
    const std::size_t one_receives_in = 1 + dice.below(3);
    std::vector<Task<>> tasks = {create_task(receives(channel.receiver))};
    std::size_t cancelled = 0;
    for (int i = 0; i < 12; ++i) {
        for (int more = dice.between(0, 2); more > 0; --more) {
            tasks.push_back(dice.one_in(one_receives_in) ? create_task(receives(channel.receiver))
                                                         : create_task(sends(channel.sender)));
        }
        co_await turns(dice.between(0, 2));
        if (dice.one_in(3)) {
            static_cast<void>(channel.receiver.try_receive());
        }
        if (dice.one_in(3)) {
            static_cast<void>(channel.sender.try_send(1));
        }
        for (int some = dice.between(0, 2); some > 0; --some) { // often one that was just woken
            cancelled += tasks[dice.below(tasks.size())].cancel() ? 1 : 0;
        }
        if (dice.one_in(2)) {
            co_await settle();
            const ChannelStatistics now = channel.sender.statistics();
            // What a cancelled receiver had and did not take is kept beyond the capacity.
            CHECK(now.size <= capacity + cancelled);
            CHECK((now.tasks_waiting_receive == 0 || now.size == 0));
            CHECK((now.tasks_waiting_send == 0 || now.size >= capacity));
            CHECK((now.tasks_waiting_send == 0 || now.tasks_waiting_receive == 0));
        }
    }
    for (const Task<>& task : tasks) {
        task.cancel();
    }
    co_await wait(tasks);
    const ChannelStatistics after = channel.sender.statistics();
    CHECK(after.open_senders == 1);
    CHECK(after.open_receivers == 1);
}

CO_EXPLORE_TEST_CASE("background tasks keep to their limits, and join waits for all", seeds) {
    Dice dice(seed);
    const auto limit = static_cast<std::size_t>(dice.between(1, 3));
    BackgroundTasks background({.limit = limit, .pending_limit = 2});
    std::size_t running = 0;
    int spawned = 0;
    int ended = 0;
    const auto work = [&]() -> Coro<> {
        ++running;
        CHECK(running <= limit);
        CHECK(background.active_count() <= limit);
        const auto rest = [&]() -> Coro<> { co_await dice.pause(); };
        const auto leave = [&]() -> Coro<> {
            --running;
            ++ended;
            co_return;
        };
        co_await try_finally(rest, leave);
    };
    std::vector<Task<>> tasks;
    const auto spawns = [&](int) -> Coro<> {
        for (int i = 0; i < 4; ++i) {
            co_await dice.pause();
            try {
                tasks.push_back(co_await background.spawn(work));
                ++spawned;
                CHECK(background.pending_count() <= 2 + limit);
                if (dice.one_in(4)) {
                    tasks[dice.below(tasks.size())].cancel();
                }
            } catch (const RuntimeError&) {
                CHECK(background.closed());
                co_return;
            }
        }
    };
    const auto closes = [&]() -> Coro<> {
        co_await turns(dice.between(0, 30));
        co_await dice.pause();
        co_await background.close();
        CHECK(running == 0);
    };
    std::optional<Task<>> closer;
    if (dice.one_in(2)) {
        closer = create_task(closes);
    }
    co_await struggle(dice, 3, spawns);
    co_await background.join();
    CHECK(background.active_count() == 0);
    CHECK(background.pending_count() == 0);
    CHECK(running == 0);
    CHECK(std::all_of(tasks.begin(), tasks.end(), [](const Task<>& task) { return task.done(); }));
    CHECK(ended <= spawned);
    if (closer) {
        co_await *closer;
    }
}

// Threads end when they like: a seed does not repeat this one exactly.
CO_EXPLORE_TEST_CASE("calls in threads keep to their limiter", 50) {
    Dice dice(seed);
    CapacityLimiter limiter(2);
    std::atomic<int> running = 0;
    std::atomic<int> most = 0;
    int got = 0;
    const auto calls = [&](int number) -> Coro<> {
        for (int i = 0; i < 2; ++i) {
            co_await turns(dice.between(0, 3));
            const auto in_thread = [&](int value) {
                most = std::max(most.load(), ++running);
                --running;
                return value;
            };
            const int value = co_await to_thread({.limiter = &limiter}, in_thread, number);
            CHECK(value == number);
            ++got;
        }
    };
    co_await struggle(dice, 4, calls);
    CHECK(got <= 8);
    CHECK(running == 0);
    CHECK(most <= 2);
    CHECK(limiter.borrowed_tokens() == 0);
}
