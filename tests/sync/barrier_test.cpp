#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;

namespace {

constexpr std::size_t parties = 5;

// Runs `body` in as many tasks and waits for them.
template <class F>
Coro<void> together(std::size_t count, const F& body) {
    std::vector<Task<>> tasks;
    for (std::size_t i = 0; i < count; ++i) {
        tasks.push_back(create_task(body));
    }
    co_await gather(tasks);
}

// Whether the wait ended well, not with BrokenBarrierError.
Coro<bool> passes(Barrier& barrier) {
    try {
        static_cast<void>(co_await barrier.wait());
    } catch (const BrokenBarrierError&) {
        co_return false;
    }
    co_return true;
}

std::vector<Task<std::size_t>> arrive(Barrier& barrier, int count) {
    std::vector<Task<std::size_t>> tasks;
    for (int i = 0; i < count; ++i) {
        tasks.push_back(create_task(barrier.wait()));
    }
    return tasks;
}

} // namespace

CO_TEST_CASE("167. a barrier for less than one is a ValueError") {
    CHECK_THROWS_WITH_AS(Barrier(0), "parties must be >= 1", ValueError);
    CHECK_THROWS_AS(Barrier(-4), ValueError);
    const Barrier barrier(5);
    CHECK(barrier.parties() == 5);
    CHECK(barrier.n_waiting() == 0);
    CHECK_FALSE(barrier.broken());
    co_return;
}

CO_TEST_CASE("167. all go on when the last one comes, each with the place at which it came") {
    Barrier barrier(3);
    std::vector<std::size_t> places;
    const auto come = [&]() -> Coro<void> { places.push_back(co_await barrier.wait()); };
    create_task(come);
    co_await turns();
    CHECK(barrier.n_waiting() == 1);
    create_task(come);
    co_await turns();
    CHECK(barrier.n_waiting() == 2);
    CHECK(places.empty());
    create_task(come);
    co_await turns();
    // The last one does not wait; the others follow in the order they came.
    CHECK(places == std::vector<std::size_t>{2});
    CHECK(barrier.n_waiting() == 0);
    co_await turns();
    CHECK(places == std::vector<std::size_t>{2, 0, 1});
    CHECK_FALSE(barrier.broken());
}

CO_TEST_CASE("167. a barrier starts over: all pass it again and again, with all places") {
    Barrier barrier(parties);
    constexpr int rounds = 3;
    std::vector<std::vector<std::size_t>> places(rounds);
    const auto come = [&]() -> Coro<void> {
        for (std::vector<std::size_t>& round : places) {
            round.push_back(co_await barrier.wait());
        }
    };
    co_await together(parties, come);
    for (std::vector<std::size_t>& round : places) {
        std::ranges::sort(round);
        CHECK(round == std::vector<std::size_t>{0, 1, 2, 3, 4});
    }
    CHECK(barrier.n_waiting() == 0);
}

CO_TEST_CASE("a barrier for one stops nobody") {
    Barrier barrier(1);
    bool other_ran = false;
    const auto other = [&]() -> Coro<void> {
        other_ran = true;
        co_return;
    };
    create_task(other);
    const std::size_t first = co_await barrier.wait();
    const std::size_t second = co_await barrier.wait();
    CHECK(first == 0);
    CHECK(second == 0);
    CHECK_FALSE(other_ran);
    co_await turns();
}

CO_TEST_CASE("who comes while the round before leaves waits for the next round") {
    Barrier barrier(2);
    std::vector<int> order;
    const auto come = [&](int id) -> Coro<void> {
        static_cast<void>(co_await barrier.wait());
        order.push_back(id);
    };
    create_task(come, 1);
    co_await turns();
    create_task(come, 2);
    const Task<> third = create_task(come, 3);
    co_await turns();
    CHECK(order == std::vector<int>{2});
    CHECK(barrier.n_waiting() == 0); // the third stands before the door
    co_await turns();
    CHECK(order == std::vector<int>{2, 1});
    co_await turns();
    CHECK(barrier.n_waiting() == 1);
    CHECK(outcome(third) == "pending");
    create_task(come, 4);
    co_await turns(2);
    CHECK(order == std::vector<int>{2, 1, 4, 3});
}

CO_TEST_CASE("tasks that come back at once and tasks that come later fill the same round") {
    constexpr int back_at_once = 2;
    Barrier barrier(parties);
    Barrier others(static_cast<std::ptrdiff_t>(parties) - back_at_once);
    int returning = back_at_once;
    int passed_others = 0;
    const auto body = [&]() -> Coro<void> {
        static_cast<void>(co_await barrier.wait());
        if (returning > 0) {
            --returning;
        } else {
            static_cast<void>(co_await others.wait());
            ++passed_others;
        }
        static_cast<void>(co_await barrier.wait());
    };
    co_await together(parties, body);
    CHECK(passed_others == 3);
}

CO_TEST_CASE("more than a barrier's parties before its door come in, in rounds") {
    Barrier barrier(2);
    std::vector<int> order;
    const auto come = [&](int id) -> Coro<void> {
        static_cast<void>(co_await barrier.wait());
        order.push_back(id);
    };
    create_task(come, 1);
    for (int id = 2; id <= 8; ++id) {
        create_task(come, id);
    }
    co_await turns(10);
    CHECK(order.size() == 8);
    std::ranges::sort(order);
    CHECK(order == std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8});
}

CO_TEST_CASE("reset of a barrier that nobody waits at changes nothing") {
    Barrier barrier(1);
    barrier.reset();
    CHECK_FALSE(barrier.broken());
    CHECK(barrier.n_waiting() == 0);
    const std::size_t place = co_await barrier.wait();
    CHECK(place == 0);
}

CO_TEST_CASE("reset: who waits gets BrokenBarrierError, and the barrier starts over") {
    Barrier barrier(3);
    const std::vector<Task<std::size_t>> waiting = arrive(barrier, 2);
    co_await turns();
    barrier.reset();
    CHECK_FALSE(barrier.broken());
    CHECK(barrier.n_waiting() == 0);
    co_await turns();
    for (const Task<std::size_t>& task : waiting) {
        CHECK(outcome(task) == "Abort or reset of barrier");
    }
    const std::vector<Task<std::size_t>> again = arrive(barrier, 3);
    co_await gather(again);
    CHECK(barrier.n_waiting() == 0);
}

CO_TEST_CASE("reset while tasks go on: those that have not gone on get BrokenBarrierError") {
    Barrier barrier(parties);
    int gone_on = 0;
    std::vector<bool> passed;
    const auto body = [&]() -> Coro<void> {
        const bool result = co_await passes(barrier);
        passed.push_back(result);
        if (result && ++gone_on == 3) {
            barrier.reset();
        }
    };
    co_await together(parties, body);
    CHECK(passed == std::vector<bool>{true, true, true, false, false});
    CHECK_FALSE(barrier.broken());
    const std::vector<Task<std::size_t>> again = arrive(barrier, static_cast<int>(parties));
    co_await gather(again);
}

CO_TEST_CASE("reset while tasks go on spares those that wait for the next round") {
    Barrier barrier(parties);
    int gone_on = 0;
    int failed_at_first = 0;
    int failed_later = 0;
    const auto body = [&]() -> Coro<void> {
        if (!co_await passes(barrier)) {
            ++failed_at_first;
        } else if (++gone_on == 3) {
            barrier.reset();
        }
        if (!co_await passes(barrier)) {
            ++failed_later;
        }
    };
    co_await together(parties, body);
    CHECK(failed_at_first == 2);
    CHECK(failed_later == 0);
    CHECK(barrier.n_waiting() == 0);
}

CO_TEST_CASE("reset by the last task that goes on disturbs nobody") {
    Barrier barrier(parties);
    std::size_t gone_on = 0;
    int failed = 0;
    const auto body = [&]() -> Coro<void> {
        static_cast<void>(co_await barrier.wait());
        if (++gone_on == parties) {
            barrier.reset();
        }
        for (int round = 0; round < 2; ++round) {
            if (!co_await passes(barrier)) {
                ++failed;
            }
        }
    };
    co_await together(parties, body);
    CHECK(failed == 0);
}

CO_TEST_CASE("tasks that a reset threw out wait again, with one more") {
    Barrier barrier(parties);
    int thrown_out = 0;
    int passed = 0;
    const auto body = [&]() -> Coro<void> {
        if (!co_await passes(barrier)) {
            ++thrown_out;
        }
        static_cast<void>(co_await barrier.wait());
        ++passed;
    };
    std::vector<Task<>> tasks;
    for (std::size_t i = 1; i < parties; ++i) {
        tasks.push_back(create_task(body));
    }
    co_await turns();
    barrier.reset();
    const Task<std::size_t> last = create_task(barrier.wait());
    co_await gather(tasks);
    CHECK(thrown_out == 4);
    CHECK(passed == 4);
    CHECK(outcome(last) == "value");
}

CO_TEST_CASE("169. abort: who waits and who comes gets BrokenBarrierError until the reset") {
    Barrier barrier(3);
    const std::vector<Task<std::size_t>> waiting = arrive(barrier, 2);
    co_await turns();
    barrier.abort();
    CHECK(barrier.broken());
    CHECK(barrier.n_waiting() == 0);
    co_await turns();
    for (const Task<std::size_t>& task : waiting) {
        CHECK(outcome(task) == "Abort or reset of barrier");
    }
    const Task<std::size_t> later = create_task(barrier.wait());
    co_await turns();
    CHECK(outcome(later) == "Barrier aborted");
    CHECK(barrier.broken());
    barrier.reset();
    CHECK_FALSE(barrier.broken());
    co_await gather(arrive(barrier, 3));
    CHECK(barrier.n_waiting() == 0);
}

CO_TEST_CASE("169. abort of a barrier that nobody waits at breaks it") {
    Barrier barrier(1);
    barrier.abort();
    CHECK(barrier.broken());
    CHECK(barrier.n_waiting() == 0);
    const bool passed = co_await passes(barrier);
    CHECK_FALSE(passed);
}

CO_TEST_CASE("169. abort while tasks go on breaks it for the rest, and for those at the door") {
    Barrier barrier(parties);
    int gone_on = 0;
    int broken_inside = 0;
    int broken_at_the_door = 0;
    const auto body = [&]() -> Coro<void> {
        if (!co_await passes(barrier)) {
            ++broken_inside;
        } else if (++gone_on == 3) {
            barrier.abort();
        } else if (!co_await passes(barrier)) {
            ++broken_at_the_door;
        }
    };
    co_await together(parties, body);
    CHECK(broken_inside == 2);
    CHECK(broken_at_the_door == 2);
    CHECK(barrier.broken());
}

CO_TEST_CASE("169. one task that fails aborts the barrier for the others") {
    Barrier barrier(parties);
    int passed_twice = 0;
    int broken = 0;
    const auto body = [&]() -> Coro<void> {
        try {
            const std::size_t place = co_await barrier.wait();
            if (place == parties / 2) {
                throw ValueError("bad");
            }
            static_cast<void>(co_await barrier.wait());
            ++passed_twice;
        } catch (const BrokenBarrierError&) {
            ++broken;
        } catch (const ValueError&) {
            barrier.abort();
        }
    };
    co_await together(parties, body);
    CHECK(passed_twice == 0);
    CHECK(broken == 4);
    CHECK(barrier.broken());
}

CO_TEST_CASE("169. a barrier is mended once all have left it") {
    Barrier barrier(parties);
    Barrier meeting(parties);
    int broken = 0;
    int passed = 0;
    const auto body = [&]() -> Coro<void> {
        try {
            if (co_await barrier.wait() == parties / 2) {
                throw ValueError("bad");
            }
            static_cast<void>(co_await barrier.wait());
        } catch (const BrokenBarrierError&) {
            ++broken;
        } catch (const ValueError&) {
            barrier.abort();
        }
        if (co_await meeting.wait() == parties / 2) {
            barrier.reset();
        }
        static_cast<void>(co_await meeting.wait());
        static_cast<void>(co_await barrier.wait());
        ++passed;
    };
    co_await together(parties, body);
    CHECK(broken == 4);
    CHECK(passed == 5);
    CHECK_FALSE(barrier.broken());
}

CO_TEST_CASE("169. aborted and reset in the same turn, those that waited still get the error") {
    Barrier barrier(2);
    const std::vector<Task<std::size_t>> waiting = arrive(barrier, 1);
    co_await turns();
    barrier.abort();
    barrier.reset();
    const std::vector<Task<std::size_t>> next = arrive(barrier, 2);
    co_await turns(4);
    CHECK(outcome(waiting[0]) == "Abort or reset of barrier");
    CHECK(outcome(next[0]) == "value");
    CHECK(outcome(next[1]) == "value");
}

CO_TEST_CASE("wait_for and gather take a barrier's wait") {
    Barrier barrier(2);
    bool timed_out = false;
    try {
        static_cast<void>(co_await wait_for(barrier.wait(), 1s));
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    CHECK(barrier.n_waiting() == 0);
    const auto places = co_await gather(barrier.wait(), barrier.wait());
    CHECK(std::get<0>(places) == 0);
    CHECK(std::get<1>(places) == 1);
}

// The cancellation matrix.

CO_TEST_CASE("barrier: cancelled before its task starts, it has not come") {
    Barrier barrier(2);
    const std::vector<Task<std::size_t>> tasks = arrive(barrier, 1);
    tasks[0].cancel();
    co_await turns();
    CHECK(outcome(tasks[0]) == "cancelled");
    CHECK(barrier.n_waiting() == 0);
}

CO_TEST_CASE("barrier: a cancellation that came before the await is thrown there if it must wait") {
    Barrier barrier(2);
    const auto body = [&]() -> Coro<void> {
        current_task().cancel();
        static_cast<void>(co_await barrier.wait());
    };
    const Task<> task = create_task(body);
    co_await turns(2);
    CHECK(outcome(task) == "cancelled");
    CHECK(barrier.n_waiting() == 0);
    co_await gather(arrive(barrier, 2));
}

CO_TEST_CASE("barrier: cancelled while it waits, it leaves without breaking the barrier") {
    Barrier barrier(3);
    std::vector<Task<std::size_t>> tasks = arrive(barrier, 2);
    co_await turns();
    CHECK(barrier.n_waiting() == 2);
    tasks[0].cancel();
    co_await turns();
    CHECK(outcome(tasks[0]) == "cancelled");
    CHECK(barrier.n_waiting() == 1);
    const std::vector<Task<std::size_t>> others = arrive(barrier, 2);
    co_await gather(others);
    CHECK(outcome(tasks[1]) == "value");
    CHECK_FALSE(barrier.broken());
}

CO_TEST_CASE("barrier: cancelled in the turn in which all have come, the others go on") {
    Barrier barrier(3);
    const std::vector<Task<std::size_t>> tasks = arrive(barrier, 2);
    co_await turns();
    const std::size_t place = co_await barrier.wait();
    CHECK(place == 2);
    tasks[0].cancel();
    co_await turns();
    CHECK(outcome(tasks[0]) == "cancelled");
    CHECK(outcome(tasks[1]) == "value");
    co_await gather(arrive(barrier, 3));
}

CO_TEST_CASE("barrier: the last that is to leave is cancelled, and the next round begins") {
    Barrier barrier(2);
    const std::vector<Task<std::size_t>> tasks = arrive(barrier, 1);
    co_await turns();
    static_cast<void>(co_await barrier.wait());
    tasks[0].cancel();
    const std::vector<Task<std::size_t>> next = arrive(barrier, 2);
    co_await gather(next);
    CHECK(outcome(tasks[0]) == "cancelled");
}

CO_TEST_CASE("barrier: cancelled before its door, and in the turn in which the door opens") {
    Barrier barrier(2);
    const std::vector<Task<std::size_t>> first = arrive(barrier, 1);
    co_await turns();
    const std::vector<Task<std::size_t>> rest = arrive(barrier, 3);
    const auto cancel = [&] { rest[2].cancel(); };
    get_running_loop().call_soon(cancel); // after it has come to the door
    co_await turns();
    CHECK(outcome(first[0]) == "pending");
    get_running_loop().call_soon([&] { rest[1].cancel(); }); // after the first has gone on
    co_await turns(3);
    CHECK(outcome(first[0]) == "value");
    CHECK(outcome(rest[0]) == "value");
    CHECK(outcome(rest[1]) == "cancelled");
    CHECK(outcome(rest[2]) == "cancelled");
    CHECK(barrier.n_waiting() == 0);
    co_await gather(arrive(barrier, 2));
}

TEST_CASE("barrier: a loop that goes away while tasks wait, go on and stand before the door") {
    Barrier barrier(2);
    Barrier draining(2);
    {
        EventLoop loop;
        loop.create_task(barrier.wait());
        loop.create_task(draining.wait());
        loop.run_until_complete(turns());
        loop.create_task(draining.wait());
        loop.create_task(draining.wait());
        loop.run_until_complete(turns(1));
    }
    CHECK(barrier.n_waiting() == 0);
    CHECK(draining.n_waiting() == 0);
    const auto main = [&]() -> Coro<void> {
        co_await gather(arrive(barrier, 2));
        co_await gather(arrive(draining, 2));
    };
    run(main());
    CHECK_FALSE(barrier.broken());
}

TEST_CASE("barrier: a loop that goes away between the last arrival and the others' going on") {
    Barrier barrier(2);
    {
        EventLoop loop;
        loop.create_task(barrier.wait());
        loop.run_until_complete(turns());
        loop.run_until_complete(barrier.wait());
    }
    const auto main = [&]() -> Coro<void> { co_await gather(arrive(barrier, 2)); };
    run(main());
    CHECK(barrier.n_waiting() == 0);
}

CO_TEST_CASE("barrier: who waits at a barrier that is destroyed gets CancelledError") {
    auto barrier = std::make_unique<Barrier>(3);
    const std::vector<Task<std::size_t>> tasks = arrive(*barrier, 2);
    co_await turns();
    tasks[1].cancel("late");
    barrier.reset();
    co_await turns();
    CHECK(ending(tasks[0]) == "cancelled: what the task waited for was destroyed: barrier");
    CHECK(ending(tasks[1]) == "cancelled: late");
}
