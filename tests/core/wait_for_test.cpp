#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::outcome;
using testing_support::turns;

namespace {

Coro<int> after(std::chrono::milliseconds delay, int value) {
    co_await async_sleep(delay);
    co_return value;
}

} // namespace

CO_TEST_CASE("wait_for gives the value that came in time, or throws TimeoutError") {
    const int value = co_await wait_for(after(1s, 5), 2s);
    CHECK(value == 5);
    const int unlimited = co_await wait_for(after(1h, 6), std::nullopt);
    CHECK(unlimited == 6);
    const Task<int> task = create_task(after(1h, 7));
    bool timed_out = false;
    try {
        static_cast<void>(co_await wait_for(task, 1s));
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    CHECK(task.cancelled());
}

CO_TEST_CASE("wait_for throws what the awaited thing throws") {
    const auto fails = []() -> Coro<int> {
        co_await async_sleep(1s);
        throw ValueError("bad");
    };
    std::string text;
    try {
        static_cast<void>(co_await wait_for(fails(), 2s));
    } catch (const ValueError& error) {
        text = error.what();
    }
    CHECK(text == "bad");
}

CO_TEST_CASE("103. wait_for waits for what takes its time to be cancelled") {
    const Clock::time_point start = Clock::now();
    bool left = false;
    const auto stubborn = [&]() -> Coro<> {
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        co_await async_sleep(200ms);
        left = true;
        throw CancelledError();
    };
    bool timed_out = false;
    try {
        co_await wait_for(create_task(stubborn), 100ms);
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    CHECK(left);
    CHECK(Clock::now() - start == 300ms);
}

CO_TEST_CASE("105. a limit that is not positive never starts a coroutine") {
    const auto argument = std::make_shared<int>(1);
    bool ran = false;
    const auto body = [&](std::shared_ptr<int>) -> Coro<int> {
        ran = true;
        co_return 1;
    };
    int timed_out = 0;
    for (const auto limit : {0s, -1s}) {
        try {
            static_cast<void>(co_await wait_for(body(argument), limit));
        } catch (const TimeoutError&) {
            ++timed_out;
        }
    }
    CHECK(timed_out == 2);
    CHECK_FALSE(ran);
    CHECK(argument.use_count() == 1);
}

CO_TEST_CASE("105. with such a limit, what is done is given, and what is not is cancelled") {
    const Task<int> done = create_task(after(0s, 4));
    co_await done;
    const int value = co_await wait_for(done, 0s);
    CHECK(value == 4);
    const Task<int> running = create_task(after(1h, 5));
    co_await turns();
    bool timed_out = false;
    try {
        static_cast<void>(co_await wait_for(running, 0s));
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    CHECK(running.cancelled());
}

CO_TEST_CASE("107. what answers the timeout with a value gives that value") {
    const auto answers = []() -> Coro<int> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            co_return 42;
        }
        co_return 0;
    };
    const int from_task = co_await wait_for(create_task(answers), 1s);
    CHECK(from_task == 42);
    const int from_coro = co_await wait_for(answers(), 1s);
    CHECK(from_coro == 42);
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE("109. cancelling a task in wait_for cancels what it waits for, with a limit or none") {
    for (const TimeLimit limit : {TimeLimit(1h), TimeLimit(std::nullopt)}) {
        const Task<int> inner = create_task(after(1h, 1));
        const auto body = [&]() -> Coro<int> { co_return co_await wait_for(inner, limit); };
        const Task<int> task = create_task(body);
        co_await turns(2);
        task.cancel();
        co_await turns(3);
        CHECK(outcome(task) == "cancelled");
        CHECK(outcome(inner) == "cancelled");
    }
}

CO_TEST_CASE("111. done and cancelled in the same turn: the cancellation wins, the result stays") {
    const auto future = get_running_loop().create_future<int>();
    bool went_on = false;
    const auto body = [&]() -> Coro<> {
        static_cast<void>(co_await wait_for(future, 1h));
        went_on = true;
    };
    const Task<> task = create_task(body);
    co_await turns(2);
    future.set_result(5);
    task.cancel();
    co_await turns(2);
    CHECK(outcome(task) == "cancelled");
    CHECK_FALSE(went_on);
    CHECK(future.result() == 5);
}

CO_TEST_CASE("wait_for leaves other holders of a task the result") {
    const Task<std::string> task = create_task([]() -> Coro<std::string> { co_return "text"; });
    const std::string copy = co_await wait_for(task, 1s);
    CHECK(copy == "text");
    CHECK(task.result() == "text");
}

CO_TEST_CASE("wait_for inside wait_for: the nearer deadline counts") {
    const Clock::time_point start = Clock::now();
    int timed_out = 0;
    try {
        static_cast<void>(co_await wait_for(wait_for(after(1h, 1), 5s), 1s));
    } catch (const TimeoutError&) {
        ++timed_out;
    }
    try {
        static_cast<void>(co_await wait_for(wait_for(after(1h, 1), 1s), 5s));
    } catch (const TimeoutError&) {
        ++timed_out;
    }
    CHECK(timed_out == 2);
    CHECK(Clock::now() - start == 2s);
}

CO_TEST_CASE("105. with such a limit no operation is begun, as no coroutine is") {
    Lock lock;
    Queue<int> queue;
    queue.put_nowait(1);
    int timed_out = 0;
    try {
        co_await wait_for(lock.acquire(), 0s);
    } catch (const TimeoutError&) {
        ++timed_out;
    }
    try {
        static_cast<void>(co_await wait_for(queue.get(), -1s));
    } catch (const TimeoutError&) {
        ++timed_out;
    }
    CHECK(timed_out == 2);
    CHECK_FALSE(lock.locked());
    CHECK(queue.qsize() == 1);
}

CO_TEST_CASE(
    "105. with such a limit, a future that is done gives its value, a pending one is cancelled") {
    const Future<std::string> done = get_running_loop().create_future<std::string>();
    done.set_result("done");
    const Future<int> pending = get_running_loop().create_future<int>();
    int timed_out = 0;
    for (const auto limit : {0s, -1s}) {
        const std::string value = co_await wait_for(done, limit);
        CHECK(value == "done");
    }
    try {
        static_cast<void>(co_await wait_for(pending, 0s));
    } catch (const TimeoutError&) {
        ++timed_out;
    }
    CHECK(timed_out == 1);
    CHECK(pending.cancelled());
}

CO_TEST_CASE("103. with such a limit it waits for a task that takes its time to be cancelled") {
    bool left = false;
    const Task<> slow = create_task([&]() -> Coro<> {
        std::exception_ptr cancelled;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = std::current_exception();
        }
        co_await async_sleep(1s);
        left = true;
        std::rethrow_exception(cancelled);
    });
    co_await turns();
    bool timed_out = false;
    try {
        co_await wait_for(slow, 0s);
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    CHECK(left);
}

CO_TEST_CASE("103. cancelled in wait_for, it waits for what takes its time, too") {
    bool left = false;
    const auto slow = [&]() -> Coro<> {
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        co_await async_sleep(1s);
        left = true;
    };
    const auto body = [&]() -> Coro<> { co_await wait_for(create_task(slow), 1h); };
    const Task<> task = create_task(body);
    co_await turns(2);
    task.cancel();
    co_await async_sleep(2s);
    CHECK(task.done());
    CHECK(left);
}

CO_TEST_CASE("what the awaited thing throws while it is cancelled is thrown") {
    const auto fails = []() -> Coro<> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            throw ValueError("instead");
        }
    };
    std::string text;
    try {
        co_await wait_for(create_task(fails), 1s);
    } catch (const ValueError& error) {
        text = error.what();
    }
    CHECK(text == "instead");
}

CO_TEST_CASE("a wait_for that is cancelled before it begins leaves the task alone") {
    const Task<int> inner = create_task(after(1s, 42));
    const Task<int> waiting = create_task(wait_for(inner, 100ms));
    waiting.cancel();
    co_await turns();
    CHECK(outcome(waiting) == "cancelled");
    const int value = co_await inner;
    CHECK(value == 42);
}
