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

CO_TEST_CASE("of several requests before a wait resumes, the first one's message is thrown") {
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
    CHECK(message == "first");
    CHECK(ending(task) == "cancelled: first");
    CHECK(task.cancelling() == 2);
}

CO_TEST_CASE("of several requests before a task starts, the latest one's message is thrown") {
    const auto body = []() -> Coro<> { co_return; };
    const Task<> task = create_task(body);
    task.cancel("first");
    task.cancel("second");
    co_await turns();
    CHECK(ending(task) == "cancelled: second");
}

CO_TEST_CASE("a future that was cancelled before its waiting task is what the task sees") {
    const auto future = get_running_loop().create_future<int>();
    const auto body = [&]() -> Coro<> { static_cast<void>(co_await future); };
    const Task<> task = create_task(body);
    co_await turns();
    future.cancel("the future's");
    task.cancel("the task's");
    co_await turns();
    CHECK(future.cancelled());
    CHECK(ending(task) == "cancelled: the future's");
}

CO_TEST_CASE("the message of cancel() is that of result(), exception() and the awaiting task") {
    const auto sleeps = []() -> Coro<> { co_await async_sleep(10s); };
    const Task<> task = create_task(sleeps);
    const auto awaits = [&]() -> Coro<> { co_await task; };
    const Task<> awaiting = create_task(awaits);
    co_await turns();
    task.cancel("my message");
    co_await wait({task});
    std::vector<std::string> messages;
    try {
        task.result();
    } catch (const CancelledError& cancelled) {
        messages.push_back(cancelled.message());
    }
    try {
        static_cast<void>(task.exception());
    } catch (const CancelledError& cancelled) {
        messages.push_back(cancelled.message());
    }
    CHECK(messages == std::vector<std::string>(2, "my message"));
    CHECK(ending(awaiting) == "cancelled: my message");
    CHECK(awaiting.cancelling() == 0);
}

CO_TEST_CASE("a task that cancels itself and then ends without suspending is cancelled") {
    const auto value = []() -> Coro<int> {
        current_task().cancel("at the end");
        co_return 12;
    };
    const Task<int> ended = create_task(value);
    const Task<int> eager = create_task(value(), {.eager_start = true});
    const auto fails = []() -> Coro<int> {
        current_task().cancel();
        throw ValueError("outranks it");
        co_return 0;
    };
    const Task<int> failed = create_task(fails);
    const auto changed_its_mind = []() -> Coro<int> {
        current_task().cancel();
        current_task().uncancel();
        co_return 13;
    };
    const Task<int> uncancelled = create_task(changed_its_mind);
    co_await turns();
    CHECK(ending(ended) == "cancelled: at the end");
    CHECK_FALSE(ended.cancel());
    CHECK(ending(eager) == "cancelled: at the end");
    CHECK(ending(failed) == "outranks it");
    CHECK(outcome(uncancelled) == "value");
}

CO_TEST_CASE("uncancel() after a task has ended changes nothing") {
    const auto body = []() -> Coro<> { co_await async_sleep(10s); };
    const Task<> task = create_task(body);
    co_await turns();
    task.cancel();
    co_await turns();
    task.uncancel();
    CHECK(task.cancelled());
    CHECK(task.cancelling() == 0);
}

// timeout() as users write it themselves, from cancel() and uncancel().
CO_TEST_CASE("cancel and uncancel make structured blocks: code after the block is not cancelled") {
    const auto request = [](Clock::duration sleep, Clock::duration limit) -> Coro<std::string> {
        const AnyTask me = current_task();
        bool timed_out = false;
        bool cancelled = false;
        bool finished = false;
        const TimerHandle timer = get_running_loop().call_later(limit, [&] {
            timed_out = true;
            me.cancel();
        });
        try {
            co_await async_sleep(sleep);
            finished = true;
        } catch (const CancelledError&) {
            cancelled = true;
        }
        Handle(timer).cancel();
        const bool converts = timed_out && me.uncancel() == 0 && cancelled;
        co_await async_sleep(0s);
        co_return std::string(converts ? "timed out" : "in time") + (finished ? ", finished" : "");
    };
    const Task<std::string> slow = create_task(request(10s, 100ms));
    const Task<std::string> fast = create_task(request(0s, 10s));
    co_await gather(slow, fast);
    CHECK(slow.result() == "timed out");
    CHECK(slow.cancelling() == 0);
    CHECK(fast.result() == "in time, finished");
    CHECK(fast.cancelling() == 0);
}

namespace {

// Tasks that await each other in a circle, and one that awaits the first of them.
struct Circle {
    Task<> first;
    Task<> second;
    Task<> outside;
};

Coro<> await_task(const Task<>& task) { co_await task; }

Coro<> make_circle(Circle& circle) {
    circle.first = create_task(await_task, std::ref(circle.second));
    circle.second = create_task(await_task, std::ref(circle.first));
    circle.outside = create_task(await_task, std::ref(circle.first));
    co_await turns();
}

} // namespace

CO_TEST_CASE("tasks that await each other in a circle can be cancelled") {
    Circle circle;
    co_await make_circle(circle);
    CHECK(circle.first.cancel("out"));
    co_await turns(4);
    CHECK(ending(circle.first) == "cancelled: out");
    CHECK(ending(circle.second) == "cancelled: out");
    CHECK(ending(circle.outside) == "cancelled: out");
    CHECK(circle.first.cancelling() == 1);
    CHECK(circle.outside.cancelling() == 0);
}

CO_TEST_CASE("a task that awaits a circle of tasks can be cancelled") {
    Circle circle;
    co_await make_circle(circle);
    CHECK(circle.outside.cancel("out"));
    co_await turns(4);
    CHECK(ending(circle.first) == "cancelled: out");
    CHECK(ending(circle.second) == "cancelled: out");
    CHECK(ending(circle.outside) == "cancelled: out");
}

CO_TEST_CASE("a task that closes a circle, cancelled before, leaves it") {
    Task<> first;
    const auto cancels_itself = [&](const Task<>& other) -> Coro<> {
        current_task().cancel("mine");
        co_await other;
    };
    Task<> second;
    first = create_task(await_task, std::ref(second));
    second = create_task(cancels_itself, std::ref(first));
    co_await turns(4);
    CHECK(ending(first) == "cancelled: mine");
    CHECK(ending(second) == "cancelled: mine");
}

CO_TEST_CASE("a circle through gather and a circle through a task group can be cancelled") {
    Task<> gathers;
    Task<> awaits;
    const auto gather_one = [](const Task<>& other) -> Coro<> { co_await gather(other); };
    gathers = create_task(gather_one, std::ref(awaits));
    awaits = create_task(await_task, std::ref(gathers));
    Task<> grouping;
    const auto group_one = [&]() -> Coro<> {
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(await_task, std::ref(grouping));
            co_return;
        });
    };
    grouping = create_task(group_one);
    co_await turns(3);
    CHECK(gathers.cancel());
    CHECK(grouping.cancel());
    co_await turns(5);
    CHECK(outcome(gathers) == "cancelled");
    CHECK(outcome(awaits) == "cancelled");
    CHECK(outcome(grouping) == "cancelled");
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

CO_TEST_CASE("a task that answers its cancellation with an error ends with the error") {
    const auto body = []() -> Coro<> {
        try {
            co_await async_sleep(10s);
        } catch (const CancelledError&) {
            throw ValueError("instead");
        }
    };
    const Task<> task = create_task(body);
    co_await turns();
    task.cancel();
    co_await turns();
    CHECK(ending(task) == "instead");
    CHECK_FALSE(task.cancelled());
}
