#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;

namespace {

// Keeps its token: its task, not the caller's, is the borrower.
Coro<void> take(CapacityLimiter& limiter, std::vector<int>& order, int id) {
    co_await limiter.acquire();
    order.push_back(id);
}

Coro<void> hold(CapacityLimiter& limiter, Event& end) {
    auto held = co_await limiter.guard();
    co_await end.wait();
}

} // namespace

CO_TEST_CASE("a capacity limiter lends its tokens and counts them") {
    CapacityLimiter limiter(2);
    CHECK(limiter.total_tokens() == 2);
    CHECK(limiter.available_tokens() == 2);
    co_await limiter.acquire();
    CHECK(limiter.borrowed_tokens() == 1);
    CHECK(limiter.available_tokens() == 1);
    CHECK_FALSE(limiter.locked());
    const int other = 0;
    co_await limiter.acquire_on_behalf_of(&other);
    CHECK(limiter.borrowed_tokens() == 2);
    CHECK(limiter.available_tokens() == 0);
    CHECK(limiter.locked());
    limiter.release();
    limiter.release_on_behalf_of(&other);
    CHECK(limiter.borrowed_tokens() == 0);
}

CO_TEST_CASE("a borrower has one token at most, and releases none that it hasn't") {
    const char* const twice =
        "this borrower is already holding one of this CapacityLimiter's tokens";
    const char* const none = "this borrower isn't holding any of this CapacityLimiter's tokens";
    CapacityLimiter limiter(3);
    const int other = 0;
    CHECK_THROWS_WITH_AS(limiter.release(), none, RuntimeError);
    CHECK_THROWS_WITH_AS(limiter.release_on_behalf_of(&other), none, RuntimeError);
    co_await limiter.acquire();
    CHECK_THROWS_WITH_AS(static_cast<void>(limiter.try_acquire()), twice, RuntimeError);
    bool refused = false;
    try {
        co_await limiter.acquire();
    } catch (const RuntimeError&) {
        refused = true;
    }
    CHECK(refused);
    CHECK(limiter.try_acquire_on_behalf_of(&other));
    CHECK_THROWS_WITH_AS(static_cast<void>(limiter.try_acquire_on_behalf_of(&other)), twice,
                         RuntimeError);
    CHECK(limiter.borrowed_tokens() == 2);
    limiter.release();
    CHECK(limiter.try_acquire());
}

TEST_CASE("where no task runs a borrower must be named") {
    CapacityLimiter limiter(1);
    const int borrower = 0;
    CHECK_THROWS_AS(static_cast<void>(limiter.try_acquire()), RuntimeError);
    CHECK_THROWS_AS(limiter.release(), RuntimeError);
    CHECK(limiter.try_acquire_on_behalf_of(&borrower));
    limiter.release_on_behalf_of(&borrower);
    CHECK(limiter.borrowed_tokens() == 0);
}

CO_TEST_CASE("a capacity limiter bounds how many run at once") {
    CapacityLimiter limiter(3);
    int running = 0;
    int most = 0;
    const auto worker = [&]() -> Coro<void> {
        auto held = co_await limiter.guard();
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
    CHECK(limiter.borrowed_tokens() == 0);
}

CO_TEST_CASE("tokens go to those that wait in the order they came, nobody overtakes") {
    CapacityLimiter limiter(1);
    std::vector<int> order;
    co_await limiter.acquire();
    create_task(take(limiter, order, 1));
    create_task(take(limiter, order, 2));
    co_await turns();
    limiter.release();
    CHECK(limiter.borrowed_tokens() == 0);
    CHECK(limiter.locked()); // the token is on its way
    CHECK_FALSE(limiter.try_acquire());
    co_await turns();
    CHECK(order == std::vector<int>{1});
    CHECK(limiter.borrowed_tokens() == 1);
}

CO_TEST_CASE("more tokens wake those that wait, fewer take none away") {
    CapacityLimiter limiter(1);
    std::vector<int> order;
    Event end;
    const Task<> holder = create_task(hold(limiter, end));
    for (int id = 1; id <= 3; ++id) {
        create_task(take(limiter, order, id));
    }
    co_await turns();
    CHECK(order.empty());
    limiter.set_total_tokens(3);
    co_await turns();
    CHECK(order == std::vector<int>{1, 2});
    limiter.set_total_tokens(0);
    CHECK(limiter.borrowed_tokens() == 3);
    CHECK(limiter.available_tokens() == 0);
    end.set();
    co_await holder;
    co_await turns();
    CHECK(order == std::vector<int>{1, 2});
    CHECK(limiter.borrowed_tokens() == 2);
    limiter.set_total_tokens(CapacityLimiter::unlimited);
    co_await turns();
    CHECK(order == std::vector<int>{1, 2, 3});
    CHECK(limiter.available_tokens() == CapacityLimiter::unlimited - 3);
}

CO_TEST_CASE("fewer tokens while one is on its way to a task leave it that") {
    CapacityLimiter limiter(1);
    std::vector<int> order;
    co_await limiter.acquire();
    create_task(take(limiter, order, 1));
    create_task(take(limiter, order, 2));
    co_await turns();
    limiter.release();
    limiter.set_total_tokens(0);
    co_await turns(2);
    CHECK(order == std::vector<int>{1});
    limiter.set_total_tokens(1);
    co_await turns();
    CHECK(order == std::vector<int>{1});
}

CO_TEST_CASE("a capacity limiter's statistics") {
    CapacityLimiter limiter(1);
    std::vector<int> order;
    co_await limiter.acquire();
    create_task(take(limiter, order, 1));
    create_task(take(limiter, order, 2));
    co_await turns();
    const CapacityLimiterStatistics statistics = limiter.statistics();
    CHECK(statistics.borrowed_tokens == 1);
    CHECK(statistics.total_tokens == 1);
    CHECK(statistics.tasks_waiting == 2);
}

CO_TEST_CASE("a guard gives its borrower's token back, in whatever task it ends") {
    CapacityLimiter limiter(2);
    CapacityLimiter::Guard kept;
    const auto worker = [&]() -> Coro<void> { kept = co_await limiter.guard(); };
    co_await create_task(worker);
    CHECK(limiter.borrowed_tokens() == 1);
    const int other = 0;
    {
        auto held = co_await limiter.guard_on_behalf_of(&other);
        CHECK(limiter.borrowed_tokens() == 2);
    }
    CHECK(limiter.borrowed_tokens() == 1);
    kept.release();
    CHECK(limiter.borrowed_tokens() == 0);
    CHECK_FALSE(static_cast<bool>(kept));
}

CO_TEST_CASE("a guard whose token was released by hand, or whose limiter is gone, does nothing") {
    auto limiter = std::make_unique<CapacityLimiter>(1);
    auto held = co_await limiter->guard();
    limiter->release();
    CHECK_FALSE(static_cast<bool>(held));
    held = co_await limiter->guard();
    CHECK(limiter->borrowed_tokens() == 1);
    limiter.reset();
    CHECK_FALSE(static_cast<bool>(held));
}

CO_TEST_CASE("a task that ended with its token is not mistaken for one that came later") {
    CapacityLimiter limiter(100);
    std::vector<int> order;
    for (int id = 0; id < 50; ++id) {
        co_await create_task(take(limiter, order, id)); // the memory is used again
    }
    CHECK(limiter.borrowed_tokens() == 50);
}

CO_TEST_CASE("a borrower that two tasks wait for gets one token, the other is refused") {
    CapacityLimiter limiter(1);
    const int borrower = 0;
    const auto worker = [&]() -> Coro<void> { co_await limiter.acquire_on_behalf_of(&borrower); };
    co_await limiter.acquire();
    const Task<> first = create_task(worker);
    const Task<> second = create_task(worker);
    const Task<> third = create_task(limiter.acquire());
    co_await turns();
    limiter.set_total_tokens(3);
    limiter.release();
    co_await turns(2);
    CHECK(outcome(first) == "value");
    CHECK(outcome(second) ==
          "this borrower is already holding one of this CapacityLimiter's tokens");
    CHECK(outcome(third) == "value");
    CHECK(limiter.borrowed_tokens() == 2);
}

CO_TEST_CASE("a token refused to its borrower goes to the next in line") {
    CapacityLimiter limiter(1);
    const int borrower = 0;
    std::vector<int> order;
    const auto worker = [&]() -> Coro<void> { co_await limiter.acquire_on_behalf_of(&borrower); };
    co_await limiter.acquire();
    const Task<> first = create_task(worker);
    const Task<> second = create_task(worker);
    create_task(take(limiter, order, 3));
    co_await turns();
    limiter.release();
    co_await turns();
    CHECK(outcome(first) == "value");
    limiter.set_total_tokens(2);
    co_await turns(2);
    CHECK(outcome(second) != "pending");
    CHECK(order == std::vector<int>{3});
}

CO_TEST_CASE("wait_for and gather take a limiter's acquire") {
    CapacityLimiter limiter(1);
    const int borrower = 0;
    CHECK(limiter.try_acquire_on_behalf_of(&borrower));
    bool timed_out = false;
    try {
        co_await wait_for(limiter.acquire(), 1s);
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    limiter.release_on_behalf_of(&borrower);
    limiter.set_total_tokens(2);
    // The borrowers are the tasks that gather() makes.
    co_await gather(limiter.acquire(), limiter.acquire());
    CHECK(limiter.borrowed_tokens() == 2);
}

// The cancellation matrix.

CO_TEST_CASE("capacity limiter: cancelled before its task starts") {
    CapacityLimiter limiter(1);
    std::vector<int> order;
    const Task<> task = create_task(take(limiter, order, 1));
    task.cancel();
    co_await turns();
    CHECK(outcome(task) == "cancelled");
    CHECK(limiter.borrowed_tokens() == 0);
}

CO_TEST_CASE("capacity limiter: a cancellation before the await is thrown there if it must wait") {
    CapacityLimiter limiter(1);
    const int borrower = 0;
    bool reached = false;
    const auto body = [&]() -> Coro<void> {
        current_task().cancel();
        co_await limiter.acquire_on_behalf_of(&borrower);
        reached = true;
        co_await limiter.acquire();
    };
    const Task<> task = create_task(body);
    co_await turns(2);
    CHECK(reached);
    CHECK(outcome(task) == "cancelled");
    CHECK(limiter.borrowed_tokens() == 1);
}

CO_TEST_CASE("capacity limiter: cancelled while it waits") {
    CapacityLimiter limiter(1);
    std::vector<int> order;
    co_await limiter.acquire();
    const Task<> first = create_task(take(limiter, order, 1));
    const Task<> second = create_task(take(limiter, order, 2));
    co_await turns();
    first.cancel();
    limiter.release();
    co_await turns();
    CHECK(outcome(first) == "cancelled");
    CHECK(outcome(second) == "value");
}

CO_TEST_CASE("capacity limiter: woken and cancelled in the same turn, the next has the token") {
    CapacityLimiter limiter(1);
    std::vector<int> order;
    co_await limiter.acquire();
    const Task<> first = create_task(take(limiter, order, 1));
    const Task<> second = create_task(take(limiter, order, 2));
    co_await turns();
    limiter.release();
    first.cancel();
    co_await turns(2);
    CHECK(outcome(first) == "cancelled");
    CHECK(outcome(second) == "value");
    CHECK(limiter.borrowed_tokens() == 1);
}

CO_TEST_CASE("capacity limiter: the only one, woken and cancelled, leaves the token free") {
    CapacityLimiter limiter(1);
    std::vector<int> order;
    co_await limiter.acquire();
    const Task<> task = create_task(take(limiter, order, 1));
    co_await turns();
    limiter.release();
    task.cancel();
    co_await turns();
    CHECK(outcome(task) == "cancelled");
    CHECK_FALSE(limiter.locked());
    CHECK(limiter.borrowed_tokens() == 0);
}

TEST_CASE("capacity limiter: a loop that goes away while tasks hold tokens, wait and are woken") {
    CapacityLimiter limiter(1);
    Event end;
    {
        EventLoop loop;
        loop.create_task(hold(limiter, end));
        loop.create_task(hold(limiter, end));
        loop.create_task(hold(limiter, end));
        loop.run_until_complete(turns());
        CHECK(limiter.borrowed_tokens() == 1);
        limiter.set_total_tokens(2); // the second is woken, and never resumes
    }
    CHECK(limiter.borrowed_tokens() == 0);
    CHECK_FALSE(limiter.locked());
    CHECK(limiter.statistics().tasks_waiting == 0);
}

CO_TEST_CASE("capacity limiter: who waits at one that is destroyed gets CancelledError") {
    auto limiter = std::make_unique<CapacityLimiter>(0);
    std::vector<int> order;
    const Task<> task = create_task(take(*limiter, order, 1));
    co_await turns();
    limiter.reset();
    co_await turns();
    CHECK(ending(task) == "cancelled: what the task waited for was destroyed: capacity limiter");
}
