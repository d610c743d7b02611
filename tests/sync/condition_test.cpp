#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;

namespace {

// Keeps the lock when it was notified.
Coro<void> take_notified(Condition& condition, std::vector<int>& order, int id) {
    co_await condition.acquire();
    co_await condition.wait();
    order.push_back(id);
}

Coro<void> note_notified(Condition& condition, std::vector<int>& order, int id) {
    co_await take_notified(condition, order, id);
    condition.release();
}

Coro<void> wait_guarded(Condition& condition) {
    auto held = co_await condition.guard();
    co_await condition.wait();
}

Coro<void> notify(Condition& condition, std::size_t count) {
    auto held = co_await condition.guard();
    condition.notify(count);
}

Coro<void> consume(Condition& condition, int& items) {
    auto held = co_await condition.guard();
    co_await condition.wait_for([&] { return items != 0; });
    --items;
}

} // namespace

CO_TEST_CASE("161. waiting and notifying without the lock is a RuntimeError") {
    Condition condition;
    CHECK_THROWS_WITH_AS(condition.notify(), "cannot notify on un-acquired lock", RuntimeError);
    CHECK_THROWS_WITH_AS(condition.notify_all(), "cannot notify on un-acquired lock", RuntimeError);
    CHECK_THROWS_WITH_AS(condition.release(), "Lock is not acquired.", RuntimeError);
    const Task<> waiting = create_task(condition.wait());
    co_await turns();
    CHECK(ending(waiting) == "cannot wait on un-acquired lock");
    const Task<bool> unmet = create_task(condition.wait_for([] { return false; }));
    co_await turns();
    CHECK(ending(unmet) == "cannot wait on un-acquired lock");
}

CO_TEST_CASE("161. wait_for needs no lock when its predicate is true, and gives the value") {
    Condition condition;
    const std::optional<std::string> value =
        co_await condition.wait_for([] { return std::optional<std::string>("found"); });
    CHECK(value == "found");
    CHECK_FALSE(condition.locked());
}

CO_TEST_CASE("wait releases the lock and returns with it, one task after the other") {
    Condition condition;
    std::vector<int> order;
    for (int id = 1; id <= 3; ++id) {
        create_task(take_notified(condition, order, id));
    }
    co_await turns();
    CHECK(order.empty());
    CHECK_FALSE(condition.locked());

    co_await condition.acquire();
    condition.notify();
    co_await turns();
    CHECK(order.empty());
    CHECK(condition.locked());

    condition.release();
    co_await turns();
    CHECK(order == std::vector<int>{1});
    CHECK(condition.locked());

    condition.notify(2);
    co_await turns();
    CHECK(order == std::vector<int>{1});
    CHECK(condition.locked());

    condition.release();
    co_await turns();
    CHECK(order == std::vector<int>{1, 2});
    CHECK(condition.locked());

    condition.release();
    co_await turns();
    CHECK(order == std::vector<int>{1, 2, 3});
    CHECK(condition.locked());
}

CO_TEST_CASE("163. notify wakes as many as it says in the order they came, more wakes all") {
    Condition condition;
    std::vector<int> order;
    for (int id = 1; id <= 4; ++id) {
        create_task(note_notified(condition, order, id));
    }
    co_await turns();
    co_await notify(condition, 0);
    co_await turns();
    CHECK(order.empty());
    co_await notify(condition, 1);
    co_await turns();
    CHECK(order == std::vector<int>{1});
    co_await notify(condition, 2);
    co_await turns();
    CHECK(order == std::vector<int>{1, 2, 3});
    create_task(note_notified(condition, order, 5));
    co_await turns();
    co_await condition.acquire();
    condition.notify(1);
    condition.notify(2048);
    condition.release();
    co_await turns();
    CHECK(order == std::vector<int>{1, 2, 3, 4, 5});
    CHECK_FALSE(condition.locked());
}

CO_TEST_CASE("163. notify_all wakes all, in the order they came") {
    Condition condition;
    std::vector<int> order;
    create_task(note_notified(condition, order, 1));
    create_task(note_notified(condition, order, 2));
    co_await turns();
    co_await condition.acquire();
    condition.notify_all();
    condition.release();
    co_await turns();
    CHECK(order == std::vector<int>{1, 2});
}

CO_TEST_CASE("a notification that nobody waits for is not kept") {
    Condition condition;
    co_await notify(condition, 1);
    const Task<> task = create_task(wait_guarded(condition));
    co_await turns(3);
    CHECK(outcome(task) == "pending");
    co_await notify(condition, 1);
    co_await turns();
    CHECK(outcome(task) == "value");
}

CO_TEST_CASE("wait_for waits until its predicate is true") {
    Condition condition;
    bool ready = false;
    int calls = 0;
    const auto waiter = [&]() -> Coro<bool> {
        auto held = co_await condition.guard();
        co_return co_await condition.wait_for([&] {
            ++calls;
            return ready;
        });
    };
    const Task<bool> task = create_task(waiter);
    co_await turns();
    co_await notify(condition, 1);
    co_await turns();
    CHECK(outcome(task) == "pending");
    CHECK(calls == 2);
    ready = true;
    co_await notify(condition, 1);
    co_await turns();
    REQUIRE(outcome(task) == "value");
    CHECK(task.result());
    CHECK(calls == 3);
    CHECK_FALSE(condition.locked());
}

CO_TEST_CASE("what a predicate throws leaves wait_for with the lock held") {
    Condition condition;
    bool bad = false;
    const auto waiter = [&]() -> Coro<void> {
        auto held = co_await condition.guard();
        co_await condition.wait_for([&] {
            if (bad) {
                throw ValueError("bad");
            }
            return false;
        });
    };
    const Task<> task = create_task(waiter);
    co_await turns();
    bad = true;
    co_await notify(condition, 1);
    co_await turns();
    CHECK(ending(task) == "bad");
    CHECK_FALSE(condition.locked());
}

CO_TEST_CASE("a condition's lock may be one that others use") {
    Lock lock;
    Condition condition(lock);
    Condition other(lock);
    {
        auto held = co_await condition.guard();
        CHECK(lock.locked());
        CHECK(other.locked());
        CHECK_FALSE(other.try_acquire());
        other.notify_all();
    }
    CHECK_FALSE(lock.locked());
    {
        auto held = co_await lock.guard();
        CHECK(condition.locked());
    }
    CHECK(condition.try_acquire());
    CHECK(lock.locked());
    condition.release();
    std::vector<int> order;
    const Task<> task = create_task(note_notified(condition, order, 1));
    co_await turns();
    co_await notify(other, 1);
    co_await turns();
    CHECK(outcome(task) == "pending");
    co_await notify(condition, 1);
    co_await turns();
    CHECK(outcome(task) == "value");
}

CO_TEST_CASE("113. wait_for around a condition's wait: TimeoutError, and the lock is held again") {
    Condition condition;
    auto held = co_await condition.guard();
    bool timed_out = false;
    try {
        co_await wait_for(condition.wait(), 500ms);
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    CHECK(condition.locked());
    held.release();
    CHECK_FALSE(condition.locked());
}

CO_TEST_CASE("113. the time that a timed out wait needs for the lock is waited, too") {
    Condition condition;
    const auto waiter = [&]() -> Coro<void> {
        auto held = co_await condition.guard();
        co_await wait_for(condition.wait(), 1s);
    };
    const Task<> task = create_task(waiter);
    co_await turns();
    co_await condition.acquire();
    co_await async_sleep(5s);
    CHECK(outcome(task) == "pending");
    condition.release();
    co_await turns();
    CHECK(ending(task) == "timed out");
    CHECK_FALSE(condition.locked());
}

CO_TEST_CASE("gather takes a condition's waits") {
    Condition condition;
    const auto waiter = [&]() -> Coro<void> {
        auto held = co_await condition.guard();
        co_await condition.wait();
    };
    get_running_loop().call_later(1s, [&] {
        CHECK(condition.try_acquire());
        condition.notify_all();
        condition.release();
    });
    co_await gather(waiter(), waiter());
    CHECK_FALSE(condition.locked());
}

// The cancellation matrix.

CO_TEST_CASE("condition: cancelled before its task starts, the lock stays as it was") {
    Condition condition;
    co_await condition.acquire();
    const Task<> task = create_task(condition.wait());
    task.cancel();
    co_await turns();
    CHECK(outcome(task) == "cancelled");
    CHECK(condition.locked());
}

CO_TEST_CASE("condition: a cancellation that came before the await is thrown with the lock held") {
    Condition condition;
    bool held_again = false;
    const auto body = [&]() -> Coro<void> {
        co_await condition.acquire();
        current_task().cancel("early");
        try {
            co_await condition.wait();
        } catch (const CancelledError&) {
            held_again = condition.locked();
            condition.release();
            throw;
        }
    };
    const Task<> task = create_task(body);
    co_await turns(2);
    CHECK(ending(task) == "cancelled: early");
    CHECK(held_again);
}

CO_TEST_CASE("condition: cancelled while it waits, it takes the lock before it ends") {
    Condition condition;
    std::vector<int> order;
    const Task<> first = create_task(take_notified(condition, order, 1));
    const Task<> second = create_task(note_notified(condition, order, 2));
    co_await turns();
    first.cancel("enough");
    co_await turns();
    CHECK(ending(first) == "cancelled: enough");
    CHECK(condition.locked());
    condition.notify();
    condition.release();
    co_await turns();
    CHECK(order == std::vector<int>{2});
}

CO_TEST_CASE("165. cancelled while it takes the lock again, it is thrown after the lock is had") {
    Condition condition;
    const Task<> task = create_task(wait_guarded(condition));
    co_await turns();
    co_await condition.acquire();
    condition.notify();
    co_await turns(); // it stands in line for the lock
    task.cancel("first");
    co_await turns();
    task.cancel("latest");
    co_await turns();
    CHECK(outcome(task) == "pending");
    condition.release();
    co_await turns();
    CHECK(ending(task) == "cancelled: latest");
    CHECK_FALSE(condition.locked());
}

CO_TEST_CASE("165. cancelled in the turn in which it gets the lock again, it has the lock") {
    Condition condition;
    std::vector<int> order;
    const Task<> task = create_task(take_notified(condition, order, 1));
    co_await turns();
    co_await condition.acquire();
    condition.notify();
    co_await turns();
    condition.release();
    task.cancel();
    co_await turns();
    CHECK(outcome(task) == "cancelled");
    CHECK(order.empty());
    CHECK(condition.locked());
}

CO_TEST_CASE("condition: notified and cancelled in the same turn, the next one is notified") {
    Condition condition;
    int items = 0;
    const Task<> first = create_task(consume(condition, items));
    const Task<> second = create_task(consume(condition, items));
    co_await turns();
    {
        auto held = co_await condition.guard();
        ++items;
        condition.notify();
        first.cancel();
    }
    co_await turns(3);
    CHECK(outcome(first) == "cancelled");
    CHECK(outcome(second) == "value");
    CHECK(items == 0);
}

CO_TEST_CASE("condition: notified and cancelled while it takes the lock, the next is notified") {
    Condition condition;
    int items = 0;
    const Task<> first = create_task(consume(condition, items));
    const Task<> second = create_task(consume(condition, items));
    co_await turns();
    {
        auto held = co_await condition.guard();
        ++items;
        condition.notify();
        co_await turns();
        first.cancel();
    }
    co_await turns(3);
    CHECK(outcome(first) == "cancelled");
    CHECK(outcome(second) == "value");
    CHECK(items == 0);
}

CO_TEST_CASE("condition: one that was cancelled without a notification wakes nobody") {
    Condition condition;
    std::vector<int> order;
    const Task<> first = create_task(wait_guarded(condition));
    const Task<> second = create_task(wait_guarded(condition));
    co_await turns();
    first.cancel();
    co_await turns(3);
    CHECK(outcome(first) == "cancelled");
    CHECK(outcome(second) == "pending");
    second.cancel();
    co_await turns();
}

TEST_CASE("condition: a loop that goes away while tasks wait, are notified and want the lock") {
    Condition condition;
    std::vector<int> order;
    {
        EventLoop loop;
        loop.create_task(wait_guarded(condition));
        loop.create_task(wait_guarded(condition));
        loop.create_task(wait_guarded(condition));
        loop.run_until_complete(turns());
        CHECK(condition.try_acquire());
        condition.notify();
        loop.run_until_complete(turns()); // the first stands in line for the lock
        condition.notify();               // the second never resumes
        condition.release();
    }
    CHECK(condition.try_acquire());
    condition.release();
    const auto main = [&]() -> Coro<void> {
        const Task<> task = create_task(note_notified(condition, order, 1));
        co_await turns();
        co_await notify(condition, 1);
        co_await task;
    };
    run(main());
    CHECK(order == std::vector<int>{1});
}

CO_TEST_CASE("condition: who waits at a condition that is destroyed gets CancelledError") {
    auto condition = std::make_unique<Condition>();
    const Task<> waiting = create_task(wait_guarded(*condition));
    const Task<> cancelled = create_task(wait_guarded(*condition));
    const Task<> notified = create_task(wait_guarded(*condition));
    co_await turns();
    {
        auto held = co_await condition->guard();
        condition->notify_all();
        co_await turns(); // all stand in line for the lock
    }
    cancelled.cancel("late");
    condition.reset();
    co_await turns();
    CHECK(ending(waiting) == "cancelled: what the task waited for was destroyed: lock");
    CHECK(ending(cancelled) == "cancelled: late");
    CHECK(outcome(notified) == "cancelled");
}

CO_TEST_CASE("condition: destroyed while tasks wait to be notified, and one was cancelled") {
    auto condition = std::make_unique<Condition>();
    const Task<> waiting = create_task(wait_guarded(*condition));
    const Task<> notified = create_task(wait_guarded(*condition));
    co_await turns();
    CHECK(condition->try_acquire());
    condition->notify();
    waiting.cancel("late");
    condition.reset();
    co_await turns();
    CHECK(ending(waiting) == "cancelled: late");
    CHECK(ending(notified) == "cancelled: what the task waited for was destroyed: condition");
}

CO_TEST_CASE("condition: destroyed while a notified task stands in line for a lock of others") {
    Lock lock;
    auto condition = std::make_unique<Condition>(lock);
    const Task<> first = create_task(wait_guarded(*condition));
    const Task<> second = create_task(wait_guarded(*condition));
    co_await turns();
    co_await lock.acquire();
    condition->notify_all();
    co_await turns();
    first.cancel();
    condition.reset();
    co_await turns();
    CHECK(outcome(first) == "pending");
    lock.release();
    co_await turns(2);
    CHECK(outcome(first) == "cancelled");
    CHECK(outcome(second) == "value");
    CHECK_FALSE(lock.locked());
}

TEST_CASE("condition: tasks of two loops cannot wait at the same one, and the lock is kept") {
    Condition condition;
    EventLoop one;
    EventLoop two;
    one.create_task(wait_guarded(condition));
    one.run_until_complete(turns());
    const auto other = [&]() -> Coro<void> {
        co_await condition.acquire();
        co_await condition.wait();
    };
    CHECK_THROWS_AS(two.run_until_complete(other()), RuntimeError);
    CHECK(condition.locked());
}
