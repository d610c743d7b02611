#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;

CO_TEST_CASE(
    "57. a task cancelled before its first step runs no statement and frees its arguments") {
    const auto argument = std::make_shared<int>(1);
    bool ran = false;
    const auto body = [&ran](std::shared_ptr<int>) -> Coro<> {
        ran = true;
        co_return;
    };
    const Task<> task = create_task(body(argument));
    CHECK(task.cancel("too late"));
    CHECK_FALSE(task.done());
    co_await turns();
    CHECK(ending(task) == "cancelled: too late");
    CHECK_FALSE(ran);
    CHECK(argument.use_count() == 1);
}

CO_TEST_CASE("59. cancelling a task that is done is refused and counts nothing") {
    const auto body = []() -> Coro<> { co_return; };
    const Task<> task = create_task(body);
    co_await task;
    CHECK_FALSE(task.cancel());
    CHECK(task.cancelling() == 0);
    CHECK_FALSE(task.cancelled());
}

CO_TEST_CASE("61. cancelling the awaited future ends the waiting task as cancelled, uncounted") {
    const auto future = get_running_loop().create_future<int>();
    const auto body = [&]() -> Coro<int> { co_return co_await future; };
    const Task<int> task = create_task(body);
    co_await turns();
    future.cancel("inner");
    co_await turns();
    CHECK(ending(task) == "cancelled: inner");
    CHECK(task.cancelling() == 0);
}

CO_TEST_CASE("63. cancelling a task that awaits a child cancels the child, which ends first") {
    std::vector<std::string> order;
    const auto leaf = [&]() -> Coro<> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            order.emplace_back("child");
            throw;
        }
    };
    Task<> child;
    const auto parent = [&]() -> Coro<> {
        child = create_task(leaf);
        try {
            co_await child;
        } catch (const CancelledError&) {
            order.emplace_back("parent");
            CHECK(child.cancelled());
            throw;
        }
    };
    const Task<> task = create_task(parent);
    co_await turns(2);
    CHECK(task.cancel("stop"));
    co_await turns(3);
    CHECK(order == std::vector<std::string>{"child", "parent"});
    CHECK(ending(task) == "cancelled: stop");
    CHECK(child.cancelled());
    CHECK(task.cancelling() == 1);
}

CO_TEST_CASE(
    "65. a task that catches its cancellation goes on, and later awaits are not cancelled") {
    const auto body = []() -> Coro<int> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            static_cast<void>(current_task().uncancel());
        }
        co_await async_sleep(1s);
        co_return 5;
    };
    const Task<int> task = create_task(body);
    co_await turns();
    task.cancel();
    const int value = co_await task;
    CHECK(value == 5);
}

CO_TEST_CASE("67. a task that cancels itself is interrupted at its very next suspension") {
    const Clock::time_point start = Clock::now();
    bool after_ready_await = false;
    const auto ready = []() -> Coro<> { co_return; };
    const auto body = [&]() -> Coro<> {
        current_task().cancel();
        co_await ready(); // does not suspend
        after_ready_await = true;
        co_await async_sleep(100s);
    };
    const Task<> task = create_task(body);
    co_await turns(2);
    CHECK(after_ready_await);
    CHECK(outcome(task) == "cancelled");
    CHECK(Clock::now() == start);
}

CO_TEST_CASE("67. even a sleep of zero is such a suspension") {
    const auto body = []() -> Coro<> {
        current_task().cancel();
        co_await async_sleep(0s);
    };
    const Task<> task = create_task(body);
    co_await turns(2);
    CHECK(outcome(task) == "cancelled");
}

CO_TEST_CASE("69. a self-cancelled task that awaits a child cancels it and what it waits on") {
    const auto future = get_running_loop().create_future<int>();
    const auto leaf = [&]() -> Coro<int> { co_return co_await future; };
    const Task<int> child = create_task(leaf);
    co_await turns();
    const auto body = [&]() -> Coro<> {
        current_task().cancel();
        static_cast<void>(co_await child);
    };
    const Task<> task = create_task(body);
    co_await turns(4);
    CHECK(outcome(task) == "cancelled");
    CHECK(outcome(child) == "cancelled");
    CHECK(future.cancelled());
}

CO_TEST_CASE("71. an undelivered cancellation is withdrawn by uncancel()") {
    const auto future = get_running_loop().create_future<int>();
    const auto body = [&]() -> Coro<int> { co_return co_await future; };
    const Task<int> task = create_task(body);
    co_await turns();
    future.set_result(42);
    task.cancel();
    CHECK(task.uncancel() == 0);
    co_await turns();
    REQUIRE(outcome(task) == "value");
    CHECK(task.result() == 42);
}

CO_TEST_CASE("71. one that cancelled the pending future already is only uncounted") {
    const auto future = get_running_loop().create_future<int>();
    const auto body = [&]() -> Coro<int> { co_return co_await future; };
    const Task<int> task = create_task(body);
    co_await turns();
    task.cancel();
    CHECK(task.uncancel() == 0);
    co_await turns();
    CHECK(outcome(task) == "cancelled");
}

CO_TEST_CASE("73. uncancel() counts down to zero and no further, catching does not count") {
    const auto body = []() -> Coro<> {
        const AnyTask me = current_task();
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            CHECK(me.cancelling() == 1);
        }
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            CHECK(me.cancelling() == 2);
        }
        CHECK(me.uncancel() == 1);
        CHECK(me.uncancel() == 0);
        CHECK(me.uncancel() == 0);
        CHECK(me.cancelling() == 0);
    };
    const Task<> task = create_task(body);
    co_await turns();
    task.cancel();
    co_await turns();
    task.cancel();
    co_await turns();
    CHECK(outcome(task) == "value");
}

CO_TEST_CASE("75. a handler of std::exception does not swallow a cancellation") {
    static_assert(!std::is_base_of_v<std::exception, CancelledError>);
    bool swallowed = false;
    const auto body = [&]() -> Coro<> {
        try {
            co_await async_sleep(1h);
        } catch (const std::exception&) {
            swallowed = true;
        }
    };
    const Task<> task = create_task(body);
    co_await turns();
    task.cancel();
    co_await turns();
    CHECK(outcome(task) == "cancelled");
    CHECK_FALSE(swallowed);
}

CO_TEST_CASE(
    "a cancellation that came with a result of the same turn beats it, and keeps it readable") {
    const auto inner = []() -> Coro<int> { co_return 5; };
    const Task<int> child = create_task(inner);
    const auto body = [&]() -> Coro<int> { co_return co_await child; };
    const Task<int> task = create_task(body); // starts after the child, and finds it done
    const Task<int> other = create_task(body);
    co_await turns();
    CHECK(outcome(task) == "value");
    CHECK(outcome(other) == "value");
    const auto future = get_running_loop().create_future<int>();
    const auto waits = [&]() -> Coro<int> { co_return co_await future; };
    const Task<int> waiting = create_task(waits);
    co_await turns();
    future.set_result(1);
    waiting.cancel("now");
    co_await turns();
    CHECK(ending(waiting) == "cancelled: now");
    CHECK(future.result() == 1);
}

CO_TEST_CASE("a task that answers its cancellation with a value ends with the value") {
    const auto body = []() -> Coro<int> {
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        co_return cancelled ? 1 : 0;
    };
    const Task<int> task = create_task(body);
    co_await turns();
    task.cancel();
    co_await turns();
    REQUIRE(outcome(task) == "value");
    CHECK(task.result() == 1);
    CHECK(task.cancelling() == 1);
}

CO_TEST_CASE("a task that throws CancelledError of its own accord is cancelled") {
    const auto body = []() -> Coro<> {
        throw CancelledError("mine");
        co_return;
    };
    const Task<> task = create_task(body);
    co_await turns();
    CHECK(task.cancelled());
    CHECK(ending(task) == "cancelled: mine");
}

CO_TEST_CASE("the message of the latest request is the one that is thrown") {
    std::string message;
    const auto body = [&]() -> Coro<> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError& cancelled) {
            message = cancelled.message();
            throw;
        }
    };
    const Task<> task = create_task(body);
    co_await turns();
    task.cancel("first");
    task.cancel("second");
    co_await turns();
    CHECK(message == "second");
}

CO_TEST_CASE("a parent's second cancellation reaches a child that took no notice of the first") {
    int asked = 0;
    const auto stubborn = [&]() -> Coro<> {
        while (asked < 2) {
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                ++asked;
            }
        }
    };
    const auto parent = [&]() -> Coro<> { co_await create_task(stubborn); };
    const Task<> task = create_task(parent);
    co_await turns(2);
    task.cancel();
    co_await turns(2);
    CHECK(outcome(task) == "pending");
    task.cancel();
    co_await turns(3);
    CHECK(asked == 2);
    CHECK(outcome(task) == "value"); // the child ended with a value
}
