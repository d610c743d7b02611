#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;

namespace {

Coro<int> after(Clock::duration delay, int value) {
    co_await async_sleep(delay);
    co_return value;
}

Coro<int> fail_after(Clock::duration delay) {
    co_await async_sleep(delay);
    throw ValueError("failed");
}

} // namespace

CO_TEST_CASE("89. wait() of nothing and a return_when that is none throw ValueError") {
    const std::vector<Task<int>> none;
    const auto wait_for_none = [&]() -> Coro<> { static_cast<void>(co_await wait(none)); };
    const Task<> empty = create_task(wait_for_none);
    const Task<int> one = create_task(after(1s, 1));
    const auto wait_wrongly = [&]() -> Coro<> {
        static_cast<void>(co_await wait({one}, {.return_when = static_cast<ReturnWhen>(7)}));
    };
    const Task<> wrong = create_task(wait_wrongly);
    co_await turns(2);
    CHECK_THROWS_AS(empty.result(), ValueError);
    CHECK_THROWS_AS(wrong.result(), ValueError);
    co_await one;
}

CO_TEST_CASE("wait() for all gives everything as done, in the order given, duplicates once") {
    const Task<int> a = create_task(after(2s, 1));
    const Task<int> b = create_task(after(1s, 2));
    const auto [done, pending] = co_await wait(std::vector{a, b, a});
    CHECK(done == std::vector{a, b});
    CHECK(pending.empty());
    CHECK(Clock::now() >= Clock::time_point(2s));
}

CO_TEST_CASE("91. first_completed: what finished in the same turn is done, too") {
    const Task<int> a = create_task(after(1s, 1));
    const Task<int> b = create_task(after(1s, 2));
    const Task<int> c = create_task(after(2s, 3));
    const auto [done, pending] =
        co_await wait({a, b, c}, {.return_when = ReturnWhen::first_completed});
    CHECK(done == std::vector{a, b});
    CHECK(pending == std::vector{c});
    co_await c;
}

CO_TEST_CASE("wait() until the first exception: a cancelled task is none") {
    const Task<int> failing = create_task(fail_after(2s));
    const Task<int> cancelled = create_task(after(1h, 1));
    const Task<int> slow = create_task(after(3s, 2));
    cancelled.cancel();
    const auto first =
        co_await wait({cancelled, failing, slow}, {.return_when = ReturnWhen::first_exception});
    CHECK(first.done == std::vector{cancelled, failing});
    CHECK(first.pending == std::vector{slow});
    const auto all = co_await wait({slow}, {.return_when = ReturnWhen::first_exception});
    CHECK(all.done == std::vector{slow});
}

CO_TEST_CASE("93. a timeout of wait() is no error and cancels nothing") {
    const Task<int> fast = create_task(after(1s, 1));
    const Task<int> slow = create_task(after(1h, 2));
    const auto start = Clock::now();
    const auto [done, pending] = co_await wait({fast, slow}, {.timeout = 10s});
    CHECK(Clock::now() - start == 10s);
    CHECK(done == std::vector{fast});
    CHECK(pending == std::vector{slow});
    CHECK(slow.cancelling() == 0);
    co_await slow;
    CHECK(slow.result() == 2);
}

CO_TEST_CASE("wait() with a timeout of zero tells what is done, after one turn") {
    const Task<int> fast = create_task(after(0s, 1));
    const Task<int> slow = create_task(after(1h, 2));
    co_await fast;
    const auto start = Clock::now();
    const auto [done, pending] = co_await wait({fast, slow}, {.timeout = 0s});
    CHECK(Clock::now() == start);
    CHECK(done.size() == 1);
    CHECK(pending.size() == 1);
}

CO_TEST_CASE("wait() takes futures, and tasks of several types as AnyTask") {
    const Future<int> future = get_running_loop().create_future<int>();
    get_running_loop().call_later(1s, [future] { future.set_result(5); });
    const auto futures = co_await wait({future});
    CHECK(futures.done.front().result() == 5);
    const auto text = []() -> Coro<std::string> { co_return "text"; };
    const std::vector<AnyTask> mixed{create_task(after(1s, 1)), create_task(text)};
    const auto tasks = co_await wait(mixed);
    CHECK(tasks.done.size() == 2);
}

CO_TEST_CASE("wait(): cancelled while it waits, the tasks run on") {
    const Task<int> slow = create_task(after(1h, 2));
    const auto body = [&]() -> Coro<> { static_cast<void>(co_await wait({slow})); };
    const Task<> waiting = create_task(body);
    co_await turns(2);
    CHECK(waiting.cancel("enough"));
    co_await turns();
    CHECK(ending(waiting) == "cancelled: enough");
    CHECK_FALSE(slow.done());
    CHECK(slow.cancelling() == 0);
}

CO_TEST_CASE("wait(): a cancellation before it, and one in the turn of completion, win") {
    const Future<> future = get_running_loop().create_future();
    bool went_on = false;
    const auto body = [&]() -> Coro<> {
        static_cast<void>(co_await wait({future}));
        went_on = true;
    };
    const Task<> late = create_task(body);
    co_await turns(2);
    future.set_result();
    late.cancel();
    co_await turns();
    CHECK(outcome(late) == "cancelled");
    const auto self_cancelling = [&]() -> Coro<> {
        current_task().cancel();
        static_cast<void>(co_await wait({future}));
        went_on = true;
    };
    const Task<> latched = create_task(self_cancelling);
    co_await turns(3);
    CHECK(outcome(latched) == "cancelled");
    CHECK_FALSE(went_on);
}

TEST_CASE("wait() for a future of another loop throws RuntimeError") {
    EventLoop other;
    const Future<> future = other.create_future();
    const auto body = [&]() -> Coro<> { static_cast<void>(co_await wait({future})); };
    CHECK_THROWS_AS(testing::run_virtual(body()), RuntimeError);
}

CO_TEST_CASE(
    "wait() for the first exception ends when all are done without one, and at one that is") {
    const std::vector<Task<int>> fine{create_task(after(1s, 1)), create_task(after(2s, 2))};
    const auto all = co_await wait(fine, {.return_when = ReturnWhen::first_exception});
    CHECK(all.done.size() == 2);
    const Task<int> failed = create_task(fail_after(0s));
    co_await turns(2);
    REQUIRE(failed.done());
    const Task<int> slow = create_task(after(1h, 3));
    const auto before = get_running_loop().time();
    const auto [done, pending] =
        co_await wait({failed, slow}, {.return_when = ReturnWhen::first_exception});
    CHECK(get_running_loop().time() == before);
    CHECK(done == std::vector<Task<int>>{failed});
    CHECK(pending == std::vector<Task<int>>{slow});
}

CO_TEST_CASE("wait() for tasks that are done takes a turn, in which it can be cancelled") {
    const Task<int> ended = create_task(after(0s, 1));
    co_await turns(2);
    bool went_on = false;
    const auto body = [&]() -> Coro<> {
        static_cast<void>(co_await wait({ended}));
        went_on = true;
    };
    const Task<> task = create_task(body);
    co_await turns();
    CHECK(outcome(task) == "pending");
    task.cancel("now");
    co_await turns();
    CHECK(ending(task) == "cancelled: now");
    CHECK_FALSE(went_on);
}

CO_TEST_CASE("the callbacks of tasks run all the same when wait() waits for them") {
    std::vector<std::string> order;
    const Task<int> task = create_task(after(1s, 1));
    task.add_done_callback([&](const auto&) { order.emplace_back("callback"); });
    static_cast<void>(co_await wait({task}));
    order.emplace_back("wait");
    CHECK(order == std::vector<std::string>{"callback", "wait"});
}

CO_TEST_CASE("wait() takes tasks of several types as they are") {
    const auto nothing = []() -> Coro<> { co_return; };
    const Task<> stop = create_task(nothing);
    const Task<int> poll = create_task(after(1h, 1));
    const auto [done, pending] =
        co_await wait({poll, stop}, {.return_when = ReturnWhen::first_completed});
    CHECK(done == std::vector<AnyTask>{stop});
    CHECK(pending == std::vector<AnyTask>{poll});
}
