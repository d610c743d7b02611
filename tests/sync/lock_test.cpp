#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;

namespace {

Coro<void> take(Lock& lock, std::vector<int>& order, int id) {
    co_await lock.acquire();
    order.push_back(id);
}

} // namespace

CO_TEST_CASE("a free lock is taken without a turn of the loop") {
    Lock lock;
    bool other_ran = false;
    const auto other = [&]() -> Coro<void> {
        other_ran = true;
        co_return;
    };
    create_task(other);
    co_await lock.acquire();
    CHECK(lock.locked());
    CHECK_FALSE(other_ran);
    lock.release();
    CHECK_FALSE(lock.locked());
    co_await turns(); // before its locals go
}

CO_TEST_CASE("153. waiters get the lock first come, first served, one per release") {
    Lock lock;
    std::vector<int> order;
    co_await lock.acquire();
    for (int id = 1; id <= 3; ++id) {
        create_task(take(lock, order, id));
    }
    co_await turns(2);
    CHECK(order.empty());
    for (int id = 1; id <= 3; ++id) {
        lock.release();
        CHECK_FALSE(lock.locked()); // the woken task has not resumed
        co_await turns();
        CHECK(lock.locked());
        CHECK(order.size() == static_cast<std::size_t>(id));
    }
    CHECK(order == std::vector<int>{1, 2, 3});
    co_await turns(3);
    CHECK(order.size() == 3);
    lock.release();
}

CO_TEST_CASE("155. releasing a lock that is not locked throws RuntimeError") {
    Lock lock;
    CHECK_THROWS_AS(lock.release(), RuntimeError);
    co_await lock.acquire();
    lock.release();
    CHECK_THROWS_AS(lock.release(), RuntimeError);
}

CO_TEST_CASE("157. a waiter that was chosen and then cancelled hands the lock on") {
    Lock lock;
    std::vector<int> order;
    co_await lock.acquire();
    const Task<> first = create_task(take(lock, order, 1));
    const Task<> second = create_task(take(lock, order, 2));
    co_await turns();
    lock.release();
    first.cancel();
    co_await turns(2);
    CHECK(outcome(first) == "cancelled");
    CHECK(outcome(second) == "value");
    CHECK(order == std::vector<int>{2});
    CHECK(lock.locked());
}

CO_TEST_CASE("157. a waiter cancelled in the turn of the release is passed over") {
    Lock lock;
    const Future<> blocker = get_running_loop().create_future<void>();
    const auto holder = [&]() -> Coro<void> {
        auto held = co_await lock.guard();
        co_await blocker;
    };
    const auto waiter = [&]() -> Coro<void> { auto held = co_await lock.guard(); };
    const Task<> first = create_task(holder);
    const Task<> second = create_task(waiter);
    const Task<> third = create_task(waiter);
    co_await turns();
    blocker.set_result();
    second.cancel();
    co_await turns();
    CHECK(outcome(first) == "value");
    CHECK(outcome(second) == "cancelled");
    CHECK_FALSE(lock.locked());
    co_await third;
    CHECK_FALSE(lock.locked());
}

CO_TEST_CASE("157. a waiter cancelled, then a release: one task gets the lock, not two") {
    Lock lock;
    std::vector<int> order;
    co_await lock.acquire();
    const Task<> first = create_task(take(lock, order, 1));
    const Task<> second = create_task(take(lock, order, 2));
    const Task<> third = create_task(take(lock, order, 3));
    co_await turns();
    const auto trigger = [&] {
        first.cancel();
        lock.release();
    };
    get_running_loop().call_soon(trigger);
    co_await turns(3);
    CHECK(outcome(first) == "cancelled");
    CHECK(outcome(second) == "value");
    CHECK(outcome(third) == "pending");
    CHECK(order == std::vector<int>{2});
}

CO_TEST_CASE("a released lock belongs to the task that was woken, not to one that comes faster") {
    Lock lock;
    std::vector<int> order;
    co_await lock.acquire();
    create_task(take(lock, order, 1));
    co_await turns();
    lock.release();
    CHECK_FALSE(lock.locked());
    CHECK_FALSE(lock.try_acquire());
    const Task<> later = create_task(take(lock, order, 2));
    co_await turns(2);
    CHECK(order == std::vector<int>{1});
    lock.release();
    co_await later;
    CHECK(order == std::vector<int>{1, 2});
}

CO_TEST_CASE("a task that releases and acquires again goes behind those that wait") {
    Lock lock;
    std::vector<int> order;
    const auto worker = [&](int id) -> Coro<void> {
        for (int round = 0; round < 3; ++round) {
            auto held = co_await lock.guard();
            order.push_back(id);
            co_await turns();
        }
    };
    co_await gather(create_task(worker, 1), create_task(worker, 2), create_task(worker, 3));
    CHECK(order == std::vector<int>{1, 2, 3, 1, 2, 3, 1, 2, 3});
}

CO_TEST_CASE("a guard releases at the end of its scope, and when an exception leaves it") {
    Lock lock;
    {
        auto held = co_await lock.guard();
        CHECK(lock.locked());
        CHECK(static_cast<bool>(held));
    }
    CHECK_FALSE(lock.locked());
    try {
        auto held = co_await lock.guard();
        throw ValueError("bad");
    } catch (const ValueError&) {
        CHECK_FALSE(lock.locked());
    }
}

CO_TEST_CASE("a guard moves, and only the last owner releases") {
    Lock lock;
    Lock::Guard outer;
    {
        auto held = co_await lock.guard();
        outer = std::move(held);
        CHECK_FALSE(static_cast<bool>(held));
    }
    CHECK(lock.locked());
    Lock::Guard last(std::move(outer));
    last.release();
    CHECK_FALSE(lock.locked());
    last.release();
    Lock other;
    last = co_await other.guard();
    last = co_await lock.guard();
    CHECK_FALSE(other.locked());
    CHECK(lock.locked());
}

TEST_CASE("a guard outlives its lock and its loop") {
    Lock::Guard guard;
    {
        auto lock = std::make_unique<Lock>();
        const auto main = [&]() -> Coro<void> { guard = co_await lock->guard(); };
        run(main());
        CHECK(lock->locked());
        Lock::Guard moved = std::move(guard);
        guard = std::move(moved);
    }
    CHECK_FALSE(static_cast<bool>(guard));
    Lock lock;
    const auto main = [&]() -> Coro<void> { guard = co_await lock.guard(); };
    run(main());
    guard.release();
    CHECK_FALSE(lock.locked());
}

CO_TEST_CASE("wait_for and gather take an acquire") {
    Lock lock;
    co_await lock.acquire();
    bool timed_out = false;
    try {
        co_await wait_for(lock.acquire(), 1s);
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    CHECK(lock.locked());
    lock.release();
    auto held = co_await wait_for(lock.guard(), 1s);
    CHECK(lock.locked());
}

// The cancellation matrix.

CO_TEST_CASE("lock: cancelled before its task starts, it is never asked for") {
    Lock lock;
    std::vector<int> order;
    const Task<> task = create_task(take(lock, order, 1));
    task.cancel();
    co_await turns();
    CHECK(outcome(task) == "cancelled");
    CHECK_FALSE(lock.locked());
}

CO_TEST_CASE("lock: a cancellation that came before the await is thrown there if it must wait") {
    Lock lock;
    std::vector<int> order;
    const auto body = [&]() -> Coro<void> {
        current_task().cancel();
        co_await take(lock, order, 1);
        order.push_back(-1);
        co_await lock.acquire();
        order.push_back(2);
    };
    const Task<> task = create_task(body);
    co_await turns();
    // The free lock was taken; the second acquire had to wait, and threw.
    CHECK(outcome(task) == "pending");
    co_await turns();
    CHECK(outcome(task) == "cancelled");
    CHECK(order == std::vector<int>{1, -1});
    lock.release();
    CHECK(lock.try_acquire());
}

CO_TEST_CASE("lock: cancelled while it waits, it leaves the line") {
    Lock lock;
    std::vector<int> order;
    co_await lock.acquire();
    const Task<> first = create_task(take(lock, order, 1));
    const Task<> second = create_task(take(lock, order, 2));
    co_await turns();
    first.cancel();
    lock.release();
    co_await turns(2);
    CHECK(outcome(first) == "cancelled");
    CHECK(order == std::vector<int>{2});
}

CO_TEST_CASE("lock: the only waiter, chosen and cancelled in the same turn, leaves it free") {
    Lock lock;
    std::vector<int> order;
    co_await lock.acquire();
    const Task<> task = create_task(take(lock, order, 1));
    co_await turns();
    lock.release();
    task.cancel();
    co_await turns();
    CHECK(outcome(task) == "cancelled");
    CHECK_FALSE(lock.locked());
    CHECK(lock.try_acquire());
}

CO_TEST_CASE("lock: chosen, cancelled, and uncancelled before it resumes, it has the lock") {
    Lock lock;
    std::vector<int> order;
    co_await lock.acquire();
    const Task<> task = create_task(take(lock, order, 1));
    co_await turns();
    lock.release();
    task.cancel();
    task.uncancel();
    co_await turns();
    CHECK(outcome(task) == "value");
    CHECK(lock.locked());
}

CO_TEST_CASE("lock: two cancellations before it resumes are thrown once") {
    Lock lock;
    co_await lock.acquire();
    bool slept = false;
    const auto body = [&]() -> Coro<void> {
        try {
            co_await lock.acquire();
        } catch (const CancelledError&) {
            lock.release(); // held by the test
        }
        co_await async_sleep(1s);
        slept = true;
    };
    const Task<> task = create_task(body);
    co_await turns();
    task.cancel();
    task.cancel();
    co_await async_sleep(2s);
    CHECK(slept);
    CHECK(task.cancelling() == 2);
}

TEST_CASE("lock: a loop that goes away while tasks hold it, wait and are chosen leaves it free") {
    Lock lock;
    {
        EventLoop loop;
        const auto holder = [&]() -> Coro<void> {
            auto held = co_await lock.guard();
            co_await async_sleep(1h);
        };
        const auto once = []() -> Coro<void> { co_await async_sleep(0s); };
        loop.create_task(holder());
        loop.create_task(holder());
        loop.create_task(holder());
        loop.run_until_complete(once());
        CHECK(lock.locked());
        lock.release(); // the second is chosen, and never resumes
    }
    CHECK_FALSE(lock.locked());
    CHECK(lock.try_acquire());
}

TEST_CASE("lock: destroyed before the tasks that wait for it, in a loop that goes away") {
    EventLoop loop;
    std::optional<Lock> lock(std::in_place);
    const auto waiter = [&]() -> Coro<void> { co_await lock->acquire(); };
    const auto owner = [&]() -> Coro<void> {
        Lock own;
        const auto inner = [&]() -> Coro<void> { co_await own.acquire(); };
        co_await inner();
        create_task(inner);
        co_await async_sleep(1h);
    };
    const auto once = []() -> Coro<void> { co_await turns(3); };
    loop.create_task(owner());
    CHECK(lock->try_acquire());
    loop.create_task(waiter());
    loop.run_until_complete(once());
    lock.reset();
    loop.close();
    CHECK(loop.is_closed());
}

CO_TEST_CASE("lock: who waits for a lock that is destroyed gets CancelledError") {
    std::optional<Lock> lock(std::in_place);
    std::vector<int> order;
    CHECK(lock->try_acquire());
    const Task<> task = create_task(take(*lock, order, 1));
    co_await turns();
    lock.reset();
    co_await turns();
    CHECK(ending(task) == "cancelled: what the task waited for was destroyed: lock");
}

TEST_CASE("lock: tasks of two loops cannot wait for the same one") {
    Lock lock;
    CHECK(lock.try_acquire());
    EventLoop one;
    EventLoop two;
    std::vector<int> order;
    one.create_task(take(lock, order, 1));
    const auto once = []() -> Coro<void> { co_await turns(1); };
    one.run_until_complete(once());
    CHECK_THROWS_AS(two.run_until_complete(take(lock, order, 2)), RuntimeError);
}

TEST_CASE("lock: in debug mode releasing it from another thread throws") {
    Lock lock;
    const auto main = [&]() -> Coro<std::string> {
        co_await lock.acquire();
        std::vector<int> order;
        const Task<> task = create_task(take(lock, order, 1));
        co_await turns();
        std::string text;
        try {
            co_await to_thread([&] { lock.release(); });
        } catch (const RuntimeError& error) {
            text = error.what();
        }
        lock.release();
        co_await task;
        co_return text;
    };
    CHECK(run(main(), {.debug = true}).find("call_soon_threadsafe") != std::string::npos);
}
