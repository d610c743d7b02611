// What a program does wrong is refused with the documented type and in words that help. What each
// header's own test proves of its errors is not repeated here.

#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::turns;

namespace {

/// The text of the E that `call` throws; otherwise what it did instead.
template <class E>
std::string refusal(const std::function<void()>& call) {
    try {
        call();
    } catch (const E& error) {
        return error.what();
    } catch (const std::exception& error) {
        return std::string("another error: ") + error.what();
    }
    return "nothing was thrown";
}

/// The same for what is thrown at an await.
template <class E, class A>
Coro<std::string> refusal_of(A awaitable) {
    try {
        static_cast<void>(co_await std::move(awaitable));
    } catch (const E& error) {
        co_return error.what();
    } catch (const std::exception& error) {
        co_return std::string("another error: ") + error.what();
    }
    co_return "nothing was thrown";
}

bool says(const std::string& text, const std::string& words) {
    return text.find(words) != std::string::npos;
}

Coro<int> number() { co_return 1; }

Coro<int> moved_from() {
    Coro<int> coro = number();
    const Coro<int> taken = std::move(coro);
    return coro; // NOLINT(bugprone-use-after-move): this is what is wrong
}

Coro<> nothing() { co_return; }

struct Call {
    std::string name;
    std::function<void()> call;
};

} // namespace

CO_TEST_CASE("a Coro that was moved from is refused wherever a Coro is taken") {
    const std::string awaited = co_await refusal_of<RuntimeError>(moved_from());
    CHECK(awaited == "cannot await a Coro that was moved from or awaited before");
    const std::string as_task = refusal<RuntimeError>([] { create_task(moved_from()); });
    CHECK(as_task == "create_task() was given a Coro that was moved from");
    const std::string gathered = co_await refusal_of<RuntimeError>(gather(number(), moved_from()));
    CHECK(says(gathered, "a Coro that was moved from"));
    const std::string waited = co_await refusal_of<RuntimeError>(wait_for(moved_from(), 1s));
    CHECK(says(waited, "a Coro that was moved from"));
    const std::string timed = co_await refusal_of<RuntimeError>(timeout(1s, moved_from));
    CHECK(says(timed, "a Coro that was moved from"));
    const auto body = [](TaskGroup&) { return moved_from(); };
    const std::string grouped = co_await refusal_of<RuntimeError>(task_group(body));
    CHECK(says(grouped, "a Coro that was moved from"));
}

TEST_CASE("run and its kin refuse a Coro that was moved from, and serve the next one") {
    CHECK(says(refusal<RuntimeError>([] { run(moved_from()); }), "a Coro that was moved from"));
    EventLoop loop;
    const std::string text = refusal<RuntimeError>([&] { loop.run_until_complete(moved_from()); });
    CHECK(says(text, "a Coro that was moved from"));
    CHECK(loop.run_until_complete(number()) == 1);
}

TEST_CASE("where a loop runs, no other may be run, and the words tell which case it is") {
    EventLoop loop;
    EventLoop other;
    const auto main = [&]() -> Coro<> {
        const std::vector<Call> nested = {
            {"run_forever", [&] { loop.run_forever(); }},
            {"run_until_complete", [&] { loop.run_until_complete(nothing()); }},
        };
        for (const Call& wrong : nested) {
            CAPTURE(wrong.name);
            CHECK(refusal<RuntimeError>(wrong.call) == "This event loop is already running");
        }
        const std::vector<Call> inside = {
            {"run_forever", [&] { other.run_forever(); }},
            {"run_until_complete", [&] { other.run_until_complete(nothing()); }},
        };
        for (const Call& wrong : inside) {
            CAPTURE(wrong.name);
            CHECK(refusal<RuntimeError>(wrong.call) ==
                  "Cannot run the event loop while another loop is running");
        }
        const std::string text = refusal<RuntimeError>([] { run(nothing()); });
        CHECK(text == "Runner.run() cannot be called from a running event loop");
        CHECK(refusal<RuntimeError>([&] { loop.close(); }) == "Cannot close a running event loop");
        co_await turns();
    };
    loop.run_until_complete(main());
    CHECK_FALSE(loop.is_closed());
}

TEST_CASE("45. a future of another loop names the task and the way to another loop") {
    EventLoop loop;
    EventLoop other;
    const Future<int> foreign = other.create_future<int>();
    const Task<int> foreign_task = other.create_task(number());
    const auto main = [&]() -> Coro<> {
        const std::string future = co_await refusal_of<RuntimeError>(foreign);
        CHECK(says(future, "awaits a future of another event loop"));
        CHECK(says(future, "run_coroutine_threadsafe()"));
        const std::string task = co_await refusal_of<RuntimeError>(foreign_task);
        CHECK(says(task, "awaits a future of another event loop"));
    };
    loop.run_until_complete(main());
    CHECK_FALSE(foreign.done());
}

CO_TEST_CASE("51. a task that awaits itself is named") {
    std::string text;
    Task<> self;
    const auto body = [&]() -> Coro<> {
        try {
            co_await self;
        } catch (const RuntimeError& error) {
            text = error.what();
        }
    };
    self = create_task(TaskOptions{.name = "narcissus"}, body);
    co_await self;
    CHECK(text == "Task cannot await on itself: narcissus");
}

TEST_CASE("27. whatever is asked of a closed loop is refused with its reason") {
    EventLoop loop;
    loop.close();
    const std::vector<Call> calls = {
        {"call_soon", [&] { loop.call_soon([] {}); }},
        {"call_soon_threadsafe", [&] { loop.call_soon_threadsafe([] {}); }},
        {"call_later", [&] { loop.call_later(1s, [] {}); }},
        {"call_at", [&] { loop.call_at(Clock::now(), [] {}); }},
        {"create_task", [&] { loop.create_task(nothing()); }},
        {"create_future", [&] { static_cast<void>(loop.create_future<int>()); }},
        {"default_executor", [&] { static_cast<void>(loop.default_executor()); }},
        {"set_default_executor", [&] { loop.set_default_executor(nullptr); }},
        {"add_signal_handler", [&] { loop.add_signal_handler(SIGUSR1, [] {}); }},
        {"run_forever", [&] { loop.run_forever(); }},
        {"run_until_complete", [&] { loop.run_until_complete(nothing()); }},
    };
    for (const Call& wrong : calls) {
        CAPTURE(wrong.name);
        CHECK(refusal<RuntimeError>(wrong.call) == "Event loop is closed");
    }
    CHECK_FALSE(loop.remove_signal_handler(SIGUSR1));
    loop.stop();
    CHECK_FALSE(loop.is_running());
}

TEST_CASE("what needs a running loop says so where there is none") {
    const std::vector<Call> calls = {
        {"get_running_loop", [] { static_cast<void>(get_running_loop()); }},
        {"create_task", [] { create_task(nothing()); }},
        {"all_tasks", [] { static_cast<void>(all_tasks()); }},
        {"run_in_executor", [] { static_cast<void>(run_in_executor([] {})); }},
    };
    for (const Call& wrong : calls) {
        CAPTURE(wrong.name);
        CHECK(refusal<RuntimeError>(wrong.call) == "no running event loop");
    }
    CHECK_FALSE(current_task());
}

TEST_CASE("a loop embedded in a host's io_context is neither run nor stopped by itself") {
    EventLoop host;
    EventLoop embedded(host.io_context());
    const std::vector<Call> calls = {
        {"run_forever", [&] { embedded.run_forever(); }},
        {"run_until_complete", [&] { embedded.run_until_complete(nothing()); }},
    };
    for (const Call& wrong : calls) {
        CAPTURE(wrong.name);
        CHECK(says(refusal<RuntimeError>(wrong.call), "the host runs it"));
    }
    CHECK(says(refusal<RuntimeError>([&] { embedded.stop(); }), "end it with shutdown()"));
    const Task<int> task = embedded.create_task(number());
    host.run_until_complete(turns(3));
    CHECK(task.done()); // it goes on working all the same
}

CO_TEST_CASE("what was not acquired or put is not released or done") {
    Lock lock;
    CHECK(refusal<RuntimeError>([&] { lock.release(); }) == "Lock is not acquired.");
    BoundedSemaphore semaphore(1);
    CHECK(refusal<ValueError>([&] { semaphore.release(); }) ==
          "BoundedSemaphore released too many times");
    Queue<int> queue;
    CHECK(refusal<ValueError>([&] { queue.task_done(); }) == "task_done() called too many times");
    CHECK(refusal<ValueError>([] { const Semaphore negative(-1); }) ==
          "Semaphore initial value must be >= 0");
    co_return;
}

CO_TEST_CASE("a result that is not there or is there already is refused") {
    const Future<int> future = get_running_loop().create_future<int>();
    CHECK(refusal<InvalidStateError>([&] { static_cast<void>(future.result()); }) ==
          "Result is not set.");
    CHECK(refusal<InvalidStateError>([&] { static_cast<void>(future.exception()); }) ==
          "Exception is not set.");
    future.set_result(1);
    const std::vector<Call> calls = {
        {"set_result", [&] { future.set_result(2); }},
        {"set_exception", [&] { future.set_exception(ValueError("late")); }},
    };
    for (const Call& wrong : calls) {
        CAPTURE(wrong.name);
        CHECK(says(refusal<InvalidStateError>(wrong.call), "the future is done already"));
    }
    co_return;
}

TEST_CASE("31. in debug mode each call from a wrong thread names the right way") {
    const auto main = []() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Lock lock;
        Semaphore semaphore(0);
        Event event;
        Queue<int> queue(1);
        const auto waits = [&]() -> Coro<> {
            co_await gather(lock.acquire(), semaphore.acquire(), event.wait(), queue.get());
        };
        CHECK(lock.try_acquire());
        const Task<> waiting = create_task(waits);
        co_await turns(2);
        const std::vector<Call> calls = {
            {"call_soon", [&] { loop.call_soon([] {}); }},
            {"call_later", [&] { loop.call_later(1s, [] {}); }},
            {"call_at", [&] { loop.call_at(Clock::now(), [] {}); }},
            {"create_task", [&] { loop.create_task(nothing()); }},
            {"Lock::release", [&] { lock.release(); }},
            {"Semaphore::release", [&] { semaphore.release(); }},
            {"Event::set", [&] { event.set(); }},
            {"Queue::put_nowait", [&] { queue.put_nowait(1); }},
            {"Queue::shutdown", [&] { queue.shutdown(); }},
        };
        std::vector<std::string> texts;
        co_await to_thread([&] {
            for (const Call& wrong : calls) {
                texts.push_back(wrong.name + ": " + refusal<RuntimeError>(wrong.call));
            }
        });
        for (const std::string& text : texts) {
            CAPTURE(text);
            CHECK(says(text, "Non-thread-safe operation"));
            CHECK(says(text, "call_soon_threadsafe()"));
        }
        CHECK_FALSE(waiting.done());
        waiting.cancel();
    };
    run(main(), {.debug = true});
}

CO_TEST_CASE("what is asked of an empty handle throws InvalidStateError") {
    const Future<int> future;
    const Task<int> task;
    const AnyTask any;
    CHECK_FALSE(future.valid());
    CHECK_THROWS_AS(future.set_result(1), InvalidStateError);
    CHECK_THROWS_AS(static_cast<void>(future.done()), InvalidStateError);
    CHECK_THROWS_AS(static_cast<void>(task.result()), InvalidStateError);
    CHECK_THROWS_AS(task.cancel(), InvalidStateError);
    CHECK_THROWS_AS(static_cast<void>(any.name()), InvalidStateError);
    CHECK_THROWS_AS(static_cast<void>(any.done()), InvalidStateError);
    const auto awaits = [&]() -> Coro<> { static_cast<void>(co_await task); };
    const auto waits = [&]() -> Coro<> { static_cast<void>(co_await wait({task})); };
    const auto gathers = [&]() -> Coro<> { static_cast<void>(co_await gather(task)); };
    const auto results = co_await gather(return_exceptions, awaits(), waits(), gathers());
    std::apply(
        [](const auto&... result) {
            (..., [](const auto& one) {
                CHECK_THROWS_AS(static_cast<void>(one.value()), InvalidStateError);
            }(result));
        },
        results);
    CHECK_THROWS_AS(static_cast<void>(as_completed({task})), InvalidStateError);
}

CO_TEST_CASE("an exception that is none is refused, whichever way it is given") {
    const Future<> future = get_running_loop().create_future();
    CHECK_THROWS_AS(future.set_exception(nullptr), ValueError);
    CHECK_THROWS_AS(future.set_exception(std::exception_ptr()), ValueError);
    co_return;
}
