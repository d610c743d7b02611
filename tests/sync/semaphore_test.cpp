#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;

namespace {

Coro<void> take(Semaphore& semaphore, std::vector<int>& order, int id) {
    co_await semaphore.acquire();
    order.push_back(id);
}

} // namespace

CO_TEST_CASE("a semaphore counts its permits") {
    CHECK_THROWS_AS(Semaphore(-1), ValueError);
    Semaphore semaphore(2);
    CHECK(semaphore.value() == 2);
    co_await semaphore.acquire();
    CHECK(semaphore.try_acquire());
    CHECK(semaphore.value() == 0);
    CHECK(semaphore.locked());
    CHECK_FALSE(semaphore.try_acquire());
    semaphore.release();
    CHECK(semaphore.value() == 1);
    CHECK_FALSE(semaphore.locked());
    semaphore.release();
    semaphore.release();
    CHECK(semaphore.value() == 3);
}

CO_TEST_CASE("a bounded semaphore is not released more often than acquired") {
    BoundedSemaphore semaphore(2);
    CHECK_THROWS_AS(semaphore.release(), ValueError);
    co_await semaphore.acquire();
    semaphore.release();
    CHECK_THROWS_AS(semaphore.release(), ValueError);
    {
        auto held = co_await semaphore.guard();
        CHECK(semaphore.value() == 1);
    }
    CHECK(semaphore.value() == 2);
    CHECK_THROWS_AS(BoundedSemaphore(-1), ValueError);
}

CO_TEST_CASE("release gives several permits back at once, and wakes as many") {
    Semaphore semaphore(0);
    CHECK(semaphore.locked());
    std::vector<int> order;
    for (int id = 1; id <= 3; ++id) {
        create_task(take(semaphore, order, id));
    }
    co_await turns();
    semaphore.release(2);
    CHECK(semaphore.value() == 0);
    co_await turns();
    CHECK(order == std::vector<int>{1, 2});
    semaphore.release(5);
    CHECK(semaphore.value() == 4);
    co_await turns();
    CHECK(order == std::vector<int>{1, 2, 3});
    CHECK_THROWS_AS(semaphore.release(0), ValueError);
    CHECK_THROWS_AS(semaphore.release(-1), ValueError);
    CHECK(semaphore.value() == 4);
}

CO_TEST_CASE("a bounded semaphore takes all of several permits back or none") {
    BoundedSemaphore semaphore(3);
    co_await semaphore.acquire();
    co_await semaphore.acquire();
    CHECK_THROWS_AS(semaphore.release(3), ValueError);
    CHECK_THROWS_AS(semaphore.release(0), ValueError);
    CHECK(semaphore.value() == 1);
    semaphore.release(2);
    CHECK(semaphore.value() == 3);
}

CO_TEST_CASE("a semaphore bounds how many run at once") {
    Semaphore semaphore(3);
    int running = 0;
    int most = 0;
    const auto worker = [&]() -> Coro<void> {
        auto held = co_await semaphore.guard();
        most = std::max(most, ++running);
        co_await async_sleep(1s);
        --running;
    };
    const Clock::time_point start = Clock::now();
    std::vector<Task<>> tasks;
    for (int i = 0; i < 10; ++i) {
        tasks.push_back(create_task(worker));
    }
    co_await gather(tasks);
    CHECK(most == 3);
    CHECK(Clock::now() - start == 4s);
    CHECK(semaphore.value() == 3);
}

CO_TEST_CASE("171. a task that releases and acquires again goes behind those that wait") {
    Semaphore semaphore(0);
    std::vector<int> order;
    const auto again = [&](int first, int second) -> Coro<void> {
        co_await take(semaphore, order, first);
        semaphore.release();
        co_await take(semaphore, order, second);
        semaphore.release();
    };
    const Task<> one = create_task(again, 1, 3);
    const Task<> two = create_task(again, 2, 4);
    co_await turns();
    semaphore.release();
    co_await gather(one, two);
    CHECK(order == std::vector<int>{1, 2, 3, 4});
}

CO_TEST_CASE("171. tasks that hold a permit for a while take turns") {
    Semaphore semaphore(1);
    std::vector<int> order;
    const auto twice = [&](int id) -> Coro<void> {
        for (int round = 0; round < 2; ++round) {
            co_await take(semaphore, order, id);
            co_await async_sleep(10ms);
            semaphore.release();
        }
    };
    co_await gather(create_task(twice, 1), create_task(twice, 2), create_task(twice, 3));
    CHECK(order == std::vector<int>{1, 2, 3, 1, 2, 3});
}

CO_TEST_CASE("171. more permits than waiters: who comes in the same turn goes behind the waiters") {
    Semaphore semaphore(1);
    std::vector<int> order;
    const auto again = [&](int first, int second) -> Coro<void> {
        co_await take(semaphore, order, first);
        semaphore.release();
        co_await take(semaphore, order, second);
    };
    const Task<> one = create_task(take(semaphore, order, 1));
    const Task<> two = create_task(again, 2, 4);
    const Task<> three = create_task(take(semaphore, order, 3));
    co_await turns();
    CHECK(order == std::vector<int>{1});
    semaphore.release();
    semaphore.release();
    co_await gather(one, two, three);
    CHECK(order == std::vector<int>{1, 2, 3, 4});
}

CO_TEST_CASE("171. one that gets its permit wakes all that stood behind it with permits left") {
    Semaphore semaphore(0);
    std::vector<int> order;
    const auto first = [&]() -> Coro<void> {
        co_await take(semaphore, order, 1);
        CHECK(semaphore.value() == 0); // the others have been woken
        const auto last = [&order]() -> Coro<void> {
            order.push_back(4);
            co_return;
        };
        create_task(last);
    };
    const auto second = [&]() -> Coro<void> {
        semaphore.release();
        semaphore.release();
        semaphore.release();
        CHECK(semaphore.value() == 2);
        CHECK(semaphore.locked()); // the first has not resumed
        co_await take(semaphore, order, 2);
    };
    create_task(first);
    create_task(second);
    create_task(take(semaphore, order, 3));
    co_await turns();
    CHECK(semaphore.value() == 2);
    co_await turns(3);
    CHECK(order == std::vector<int>{1, 2, 3, 4});
}

CO_TEST_CASE("173. a waiter that left a turn before the releases does not count") {
    Semaphore semaphore(0);
    std::vector<int> order;
    std::vector<Task<>> tasks;
    for (int id = 1; id <= 3; ++id) {
        tasks.push_back(create_task(take(semaphore, order, id)));
    }
    co_await turns();
    tasks[0].cancel();
    co_await turns();
    semaphore.release();
    semaphore.release();
    co_await turns();
    CHECK(order == std::vector<int>{2, 3});
    CHECK(semaphore.value() == 0);
}

CO_TEST_CASE("173. waiters that were cancelled do not use up a release") {
    Semaphore semaphore(0);
    std::vector<int> order;
    std::vector<Task<>> tasks;
    for (int id = 1; id <= 4; ++id) {
        tasks.push_back(create_task(take(semaphore, order, id)));
    }
    co_await turns();
    tasks[0].cancel();
    tasks[1].cancel();
    semaphore.release();
    co_await turns(3);
    CHECK(order == std::vector<int>{3});
    CHECK(outcome(tasks[3]) == "pending");
}

CO_TEST_CASE("175. a waiter cancelled in the turn it was woken in gives its permit back") {
    Semaphore semaphore(1);
    std::vector<int> order;
    co_await semaphore.acquire();
    const Task<> first = create_task(take(semaphore, order, 1));
    const Task<> second = create_task(take(semaphore, order, 2));
    co_await turns();
    semaphore.release();
    first.cancel();
    co_await turns(2);
    CHECK(outcome(first) == "cancelled");
    CHECK(outcome(second) == "value");
    semaphore.release();
    CHECK(semaphore.value() == 1);
    co_await semaphore.acquire();
    CHECK(semaphore.value() == 0);
}

CO_TEST_CASE("175. the holder cancels the one that waits, then releases: the permit is free") {
    Semaphore semaphore(1);
    bool reached = false;
    Task<> second;
    const auto holder = [&]() -> Coro<void> {
        auto held = co_await semaphore.guard();
        co_await turns();
        second.cancel();
    };
    const auto waiter = [&]() -> Coro<void> {
        auto held = co_await semaphore.guard();
        reached = true;
    };
    const Task<> first = create_task(holder);
    second = create_task(waiter);
    co_await turns(3);
    CHECK(outcome(first) == "value");
    CHECK(outcome(second) == "cancelled");
    CHECK_FALSE(reached);
    co_await wait_for(semaphore.acquire(), 1s);
}

CO_TEST_CASE("175. the first of two cancelled in the turn it was woken in, the permit is kept on") {
    Semaphore semaphore(0);
    std::vector<int> order;
    const Task<> first = create_task(take(semaphore, order, 1));
    const Task<> second = create_task(take(semaphore, order, 2));
    const Task<> third = create_task(take(semaphore, order, 3));
    co_await turns();
    semaphore.release();
    first.cancel();
    semaphore.release();
    second.cancel();
    co_await turns(2);
    CHECK(outcome(first) == "cancelled");
    CHECK(outcome(second) == "cancelled");
    CHECK(outcome(third) == "value");
    CHECK(semaphore.value() == 1);
    CHECK_FALSE(semaphore.locked());
}

CO_TEST_CASE("several releases at once wake as many") {
    Semaphore semaphore(0);
    std::vector<int> order;
    for (int id = 1; id <= 3; ++id) {
        create_task(take(semaphore, order, id));
    }
    co_await turns();
    semaphore.release();
    semaphore.release();
    CHECK(semaphore.value() == 0); // the permits are on their way
    CHECK(semaphore.locked());
    co_await turns();
    CHECK(order == std::vector<int>{1, 2});
}

CO_TEST_CASE("who comes while a permit is on its way stands in line, and is woken in turn") {
    Semaphore semaphore(0);
    std::vector<int> order;
    create_task(take(semaphore, order, 1));
    co_await turns();
    semaphore.release();
    semaphore.release();
    CHECK(semaphore.value() == 1);
    CHECK(semaphore.locked()); // one permit is left, but the first task has not resumed
    CHECK_FALSE(semaphore.try_acquire());
    co_await take(semaphore, order, 2);
    CHECK(order == std::vector<int>{1, 2});
}

CO_TEST_CASE("semaphore: cancelled before its task starts") {
    Semaphore semaphore(1);
    std::vector<int> order;
    const Task<> task = create_task(take(semaphore, order, 1));
    task.cancel();
    co_await turns();
    CHECK(outcome(task) == "cancelled");
    CHECK(semaphore.value() == 1);
}

CO_TEST_CASE("semaphore: a cancellation before the await is thrown there if it must wait") {
    Semaphore semaphore(1);
    const auto body = [&]() -> Coro<void> {
        current_task().cancel();
        co_await semaphore.acquire();
        co_await semaphore.acquire();
    };
    const Task<> task = create_task(body);
    co_await turns(2);
    CHECK(outcome(task) == "cancelled");
    CHECK(semaphore.value() == 0);
}

CO_TEST_CASE("semaphore: cancelled while it waits") {
    Semaphore semaphore(0);
    std::vector<int> order;
    const Task<> task = create_task(take(semaphore, order, 1));
    co_await turns();
    task.cancel();
    semaphore.release();
    co_await turns();
    CHECK(outcome(task) == "cancelled");
    CHECK(semaphore.value() == 1);
}

CO_TEST_CASE("semaphore: the only waiter, woken and cancelled in the same turn") {
    Semaphore semaphore(0);
    std::vector<int> order;
    const Task<> task = create_task(take(semaphore, order, 1));
    co_await turns();
    semaphore.release();
    task.cancel();
    CHECK(semaphore.value() == 0);
    co_await turns();
    CHECK(outcome(task) == "cancelled");
    CHECK(semaphore.value() == 1);
    CHECK_FALSE(semaphore.locked());
}

TEST_CASE("semaphore: a loop that goes away loses no permit") {
    Semaphore semaphore(1);
    {
        EventLoop loop;
        const auto holder = [&]() -> Coro<void> {
            auto held = co_await semaphore.guard();
            co_await async_sleep(1h);
        };
        loop.create_task(holder());
        loop.create_task(holder());
        loop.create_task(holder());
        loop.run_until_complete(turns());
        CHECK(semaphore.value() == 0);
        semaphore.release(); // the second is woken, and never resumes
    }
    CHECK(semaphore.value() == 2);
    CHECK_FALSE(semaphore.locked());
}

CO_TEST_CASE("semaphore: who waits for a semaphore that is destroyed gets CancelledError") {
    std::optional<Semaphore> semaphore(std::in_place, 0);
    std::vector<int> order;
    const Task<> task = create_task(take(*semaphore, order, 1));
    co_await turns();
    semaphore->release();
    semaphore.reset();
    co_await turns();
    CHECK(ending(task) == "cancelled: what the task waited for was destroyed: semaphore");
}
