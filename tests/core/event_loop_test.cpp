#include "coro_test.hpp"
#include "loop_reports.hpp"
#include "stderr_capture.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <unistd.h>

#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::LoopReports;
using testing_support::outcome;
using testing_support::StderrCapture;
using testing_support::turns;

CO_TEST_CASE("17. callbacks run in the order of the calls, each once, in the next turn") {
    EventLoop& loop = get_running_loop();
    std::vector<int> order;
    loop.call_soon([&] { order.push_back(1); });
    loop.call_soon([&](int id) { order.push_back(id); }, 2);
    loop.call_soon([&] {
        order.push_back(3);
        loop.call_soon([&] { order.push_back(4); });
    });
    CHECK(order.empty());
    co_await turns();
    CHECK(order == std::vector<int>{1, 2, 3});
    co_await turns(2);
    CHECK(order == std::vector<int>{1, 2, 3, 4});
}

CO_TEST_CASE(
    "19. a callback that is cancelled before its turn never runs, and lets go of what it holds") {
    EventLoop& loop = get_running_loop();
    const auto held = std::make_shared<int>(0);
    Handle handle = loop.call_soon([held] { ++*held; });
    CHECK_FALSE(handle.cancelled());
    handle.cancel();
    CHECK(handle.cancelled());
    CHECK(held.use_count() == 1);
    handle.cancel();
    TimerHandle timer = loop.call_later(1s, [held] { ++*held; });
    CHECK(timer.when() == loop.time() + 1s);
    timer.cancel();
    co_await async_sleep(2s);
    CHECK(*held == 0);
    CHECK(timer.cancelled());
    Handle ran = loop.call_soon([held] { ++*held; });
    co_await turns();
    ran.cancel(); // harmless
    CHECK(*held == 1);
}

TEST_CASE("21. call_later never fires early") {
    EventLoop loop;
    const Clock::time_point start = loop.time();
    Clock::time_point fired{};
    loop.call_later(20ms, [&] {
        fired = loop.time();
        loop.stop();
    });
    loop.run_forever();
    CHECK(fired - start >= 20ms);
}

CO_TEST_CASE("timers fire by deadline, equal ones in the order they were set") {
    EventLoop& loop = get_running_loop();
    std::vector<int> order;
    const Clock::time_point when = loop.time() + 1s;
    loop.call_at(when + 1s, [&] { order.push_back(4); });
    for (int id = 1; id <= 3; ++id) {
        loop.call_at(when, [&order, id] { order.push_back(id); });
    }
    loop.call_at(when - 1h, [&] { order.push_back(0); }); // long past
    co_await async_sleep(3s);
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
}

CO_TEST_CASE("23. timers that were cancelled long before they are due do not pile up") {
    EventLoop& loop = get_running_loop();
    for (int i = 0; i < 10'000; ++i) {
        TimerHandle timer = loop.call_later(1h, [] {});
        if (i % 100 == 0) {
            co_await turns();
        }
        timer.cancel();
    }
    CHECK(loop.core().timer_count() == 0);
}

TEST_CASE("25. a loop that is stopped before its main is done says so, and can go on later") {
    EventLoop loop;
    const auto main = []() -> Coro<int> {
        get_running_loop().stop();
        co_await turns(3);
        co_return 5;
    };
    const Task<int> task = loop.create_task(main());
    CHECK_THROWS_AS(loop.run_until_complete(task), RuntimeError);
    CHECK_FALSE(task.done());
    CHECK_FALSE(loop.is_running());
    CHECK(loop.run_until_complete(task) == 5);
}

TEST_CASE("stop ends run_forever after the present turn, also when it came before the start") {
    EventLoop loop;
    int ran = 0;
    loop.call_soon([&] {
        loop.stop();
        ++ran;
        loop.call_soon([&] { ran += 10; });
    });
    loop.call_soon([&] { ++ran; }); // the same turn
    loop.run_forever();
    CHECK(ran == 2);
    loop.call_soon([&] { loop.stop(); });
    loop.run_forever();
    CHECK(ran == 12);
}

TEST_CASE("27. a closed loop takes nothing more, close is idempotent") {
    EventLoop loop;
    loop.close();
    loop.close();
    CHECK(loop.is_closed());
    const auto argument = std::make_shared<int>(1);
    const auto body = [](std::shared_ptr<int>) -> Coro<> { co_return; };
    CHECK_THROWS_AS(loop.call_soon([] {}), RuntimeError);
    CHECK_THROWS_AS(loop.call_soon_threadsafe([] {}), RuntimeError);
    CHECK_THROWS_AS(loop.call_later(1s, [] {}), RuntimeError);
    CHECK_THROWS_AS(loop.call_at(Clock::now(), [] {}), RuntimeError);
    CHECK_THROWS_AS(loop.create_task(body(argument)), RuntimeError);
    CHECK_THROWS_AS(static_cast<void>(loop.create_future<int>()), RuntimeError);
    CHECK_THROWS_AS(static_cast<void>(loop.default_executor()), RuntimeError);
    CHECK_THROWS_AS(loop.set_default_executor(nullptr), RuntimeError);
    CHECK_THROWS_AS(loop.add_signal_handler(SIGUSR1, [] {}), RuntimeError);
    CHECK_THROWS_AS(loop.run_forever(), RuntimeError);
    CHECK_THROWS_AS(loop.run_until_complete(body(argument)), RuntimeError);
    CHECK(argument.use_count() == 1);
    loop.stop();
}

TEST_CASE("a running loop cannot be closed, run again, or run inside another") {
    EventLoop loop;
    EventLoop other;
    bool started = false;
    const auto inner = [&]() -> Coro<> {
        started = true;
        co_return;
    };
    const auto main = [&]() -> Coro<> {
        CHECK(loop.is_running());
        CHECK(&get_running_loop() == &loop);
        CHECK_THROWS_AS(loop.close(), RuntimeError);
        CHECK_THROWS_AS(loop.run_forever(), RuntimeError);
        CHECK_THROWS_AS(loop.run_until_complete(inner()), RuntimeError);
        CHECK_THROWS_AS(other.run_until_complete(inner()), RuntimeError);
        co_await turns(2);
        CHECK_FALSE(started);
    };
    loop.run_until_complete(main());
    CHECK_FALSE(loop.is_running());
    CHECK_THROWS_AS(static_cast<void>(get_running_loop()), RuntimeError);
}

TEST_CASE("an exception in a callback goes to the handler, and the loop goes on") {
    EventLoop loop;
    const LoopReports reports(loop);
    bool later = false;
    loop.call_soon([] { throw std::runtime_error("in a callback"); });
    loop.call_soon([&] { later = true; });
    loop.run_until_complete(turns(2));
    CHECK(later);
    CHECK(reports.texts() == std::vector<std::string>{"Exception in callback: in a callback"});
}

TEST_CASE("without a handler, reports go to standard error, with the task's name") {
    const auto fails = []() -> Coro<> {
        throw ValueError("nobody looks");
        co_return;
    };
    StderrCapture captured;
    {
        EventLoop loop;
        loop.create_task(fails(), {.name = "worker"});
        loop.run_until_complete(turns(2));
    }
    const std::string text = captured.text();
    CHECK(text.find("Task exception was never retrieved") != std::string::npos);
    CHECK(text.find("worker") != std::string::npos);
    CHECK(text.find("nobody looks") != std::string::npos);
}

TEST_CASE("29. a handler that throws is reported itself, and the loop survives") {
    EventLoop loop;
    loop.set_exception_handler(
        [](EventLoop&, const ExceptionContext&) { throw std::runtime_error("broken handler"); });
    loop.call_soon([] { throw ValueError("the first error"); });
    StderrCapture captured;
    loop.run_until_complete(turns(2));
    const std::string text = captured.text();
    CHECK(text.find("Unhandled error in exception handler") != std::string::npos);
    CHECK(text.find("broken handler") != std::string::npos);
    CHECK(text.find("the first error") != std::string::npos);
    int later = 0;
    loop.call_soon([&] { ++later; });
    loop.run_until_complete(turns(2));
    CHECK(later == 1);
}

TEST_CASE("31. in debug mode a call from another thread throws") {
    for (const bool debug : {true, false}) {
        EventLoop loop;
        loop.set_debug(debug);
        CHECK(loop.get_debug() == debug);
        int thrown = 0;
        const auto main = [&]() -> Coro<> {
            if (debug) {
                co_await to_thread([&] {
                    const auto expect = [&](auto call) {
                        try {
                            call();
                        } catch (const RuntimeError&) {
                            ++thrown;
                        }
                    };
                    expect([&] { loop.call_soon([] {}); });
                    expect([&] { loop.call_later(1s, [] {}); });
                    expect([&] { loop.call_at(Clock::now(), [] {}); });
                    expect([&] { loop.create_task(turns()); });
                });
            }
            loop.call_soon([] {}); // the right thread
        };
        loop.run_until_complete(main());
        CHECK(thrown == (debug ? 4 : 0));
    }
}

TEST_CASE("a deadline that was set in the turn that stopped the loop is kept by the next run") {
    EventLoop loop;
    const Task<> later = loop.create_task([]() -> Coro<> { co_await async_sleep(1ms); }());
    loop.run_until_complete(turns(1));
    CHECK_FALSE(later.done());
    loop.run_until_complete(later);
    CHECK(later.done());
}

TEST_CASE("call_soon_threadsafe wakes a loop that sleeps, in the order of the calls") {
    EventLoop loop;
    std::vector<int> order;
    std::thread other([&] {
        for (int i = 0; i < 100; ++i) {
            loop.call_soon_threadsafe([&order, i] { order.push_back(i); });
        }
        loop.call_soon_threadsafe([&] { loop.stop(); });
    });
    loop.run_forever();
    other.join();
    REQUIRE(order.size() == 100);
    for (int i = 0; i < 100; ++i) {
        CHECK(order[static_cast<std::size_t>(i)] == i);
    }
}

TEST_CASE("stop ends the loop from another thread") {
    EventLoop loop;
    std::thread other([&] { loop.stop(); });
    loop.run_forever();
    other.join();
    CHECK_FALSE(loop.is_running());
}

TEST_CASE("what was given to a loop that closes first is destroyed, on its thread, and not run") {
    const auto held = std::make_shared<int>(0);
    {
        EventLoop loop;
        loop.call_soon([held] { ++*held; });
        loop.call_later(1h, [held] { ++*held; });
        loop.call_soon_threadsafe([held] { ++*held; });
        const Handle kept = loop.call_later(1h, [held] { ++*held; });
        CHECK(held.use_count() == 5);
        loop.close();
        CHECK(held.use_count() == 1);
    }
    CHECK(*held == 0);
}

TEST_CASE("a handle outlives the loop") {
    Handle handle;
    {
        EventLoop loop;
        handle = loop.call_later(1h, [] {});
    }
    handle.cancel();
    CHECK(handle.cancelled());
}

TEST_CASE("35. a signal handler runs in the loop's thread, and removing it restores the default") {
    EventLoop loop;
    int seen = 0;
    std::thread::id thread;
    loop.add_signal_handler(SIGUSR1, [&] {
        ++seen;
        thread = std::this_thread::get_id();
        loop.stop();
    });
    loop.call_soon([] { std::raise(SIGUSR1); });
    loop.run_forever();
    CHECK(seen == 1);
    CHECK(thread == std::this_thread::get_id());
    loop.add_signal_handler(SIGUSR1, [&] {
        seen += 10;
        loop.stop();
    });
    loop.call_soon([] { std::raise(SIGUSR1); });
    loop.run_forever();
    CHECK(seen == 11);
    CHECK(loop.remove_signal_handler(SIGUSR1));
    CHECK_FALSE(loop.remove_signal_handler(SIGUSR1));
    struct sigaction action{};
    REQUIRE(::sigaction(SIGUSR1, nullptr, &action) == 0);
    CHECK(static_cast<bool>(action.sa_handler == SIG_DFL));
}

TEST_CASE("shutdown cancels all other tasks, also those that they start, and waits for them") {
    EventLoop loop;
    std::vector<std::string> notes;
    const auto second = [&]() -> Coro<> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            notes.emplace_back("second");
        }
    };
    const auto first = [&]() -> Coro<> {
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        create_task(second);
        co_await turns(2);
        notes.emplace_back("first");
    };
    loop.create_task(first());
    loop.run_until_complete(turns(2));
    loop.run_until_complete(loop.shutdown());
    CHECK(notes == std::vector<std::string>{"first", "second"});
}

TEST_CASE("set_eager_tasks starts every task inside create_task") {
    const auto main = []() -> Coro<> {
        get_running_loop().set_eager_tasks(true);
        int step = 0;
        const auto body = [&]() -> Coro<> {
            step = 1;
            co_await turns();
            step = 2;
        };
        const Task<> task = create_task(body);
        CHECK(step == 1);
        co_await task;
        CHECK(step == 2);
    };
    run(main());
}

TEST_CASE("a turn with a hundred thousand callbacks and tasks lets a thread's call in") {
    EventLoop loop;
    std::size_t done = 0;
    std::size_t done_at_call = 0;
    const auto body = [&]() -> Coro<> {
        ++done;
        co_return;
    };
    for (int i = 0; i < 100'000; ++i) {
        loop.create_task(body());
    }
    loop.call_soon_threadsafe([&] { done_at_call = done; });
    loop.run_until_complete(turns(3));
    CHECK(done == 100'000);
    CHECK(done_at_call <= done);
}

TEST_CASE("what was posted before keeps its place before call_soon and create_task") {
    EventLoop loop;
    std::vector<int> order;
    const auto body = [&]() -> Coro<> {
        order.push_back(4);
        co_return;
    };
    loop.call_soon_threadsafe([&] { order.push_back(1); });
    loop.call_soon([&] { order.push_back(2); });
    loop.call_soon_threadsafe([&](int id) { order.push_back(id); }, 3);
    loop.create_task(body());
    loop.run_until_complete(turns(2));
    CHECK(order == std::vector<int>{1, 2, 3, 4});
}

TEST_CASE("what another thread posts runs in that thread's context") {
    static const ContextVar<int> number("number", 0);
    EventLoop loop;
    int seen = -1;
    std::thread other([&] {
        number.set(7);
        loop.call_soon_threadsafe([&] { seen = number.get(); });
    });
    other.join();
    loop.run_until_complete(turns(2));
    CHECK(seen == 7);
    CHECK(number.get() == 0);
}

CO_TEST_CASE("negative delays fire at once, in the order of their times") {
    EventLoop& loop = get_running_loop();
    std::vector<char> order;
    loop.call_later(-1s, [&] { order.push_back('a'); });
    loop.call_later(-2s, [&] { order.push_back('b'); });
    loop.call_later(std::chrono::hours::min(), [&] { order.push_back('c'); });
    co_await turns(2);
    CHECK(order == std::vector<char>{'c', 'b', 'a'});
}

TEST_CASE("a timer's callback that throws is reported, and the loop goes on") {
    EventLoop loop;
    const LoopReports reports(loop);
    loop.call_later(0s, [] { throw ValueError("late"); });
    loop.run_until_complete(turns(3));
    CHECK(reports.texts() == std::vector<std::string>{"Exception in callback: late"});
}

TEST_CASE("run_forever after stop runs one turn: what is ready and what is due") {
    EventLoop loop;
    std::vector<int> order;
    loop.call_soon([&] {
        order.push_back(1);
        loop.call_soon([&] { order.push_back(3); });
    });
    loop.call_at(loop.time() - 1s, [&] { order.push_back(2); });
    loop.stop();
    loop.stop();
    loop.run_forever();
    CHECK(order == std::vector<int>{1, 2});
    loop.run_until_complete(turns());
    CHECK(order == std::vector<int>{1, 2, 3});
}

TEST_CASE("run_until_complete takes a future, and moves the value out of the last handle") {
    EventLoop loop;
    const Future<int> future = loop.create_future<int>();
    loop.call_later(1ms, [&] { future.set_result(4); });
    CHECK(loop.run_until_complete(future) == 4);
    CHECK(loop.run_until_complete(future) == 4);
    const auto make = [&] {
        Future<std::unique_ptr<int>> unique = loop.create_future<std::unique_ptr<int>>();
        unique.set_result(std::make_unique<int>(5));
        return unique;
    };
    CHECK(*loop.run_until_complete(make()) == 5);
    const Future<> failed = loop.create_future();
    failed.set_exception(ValueError("no"));
    CHECK_THROWS_AS(loop.run_until_complete(failed), ValueError);
}

TEST_CASE("run_until_complete refuses what belongs to another loop") {
    EventLoop loop;
    EventLoop other;
    const Future<int> future = other.create_future<int>();
    const Task<> task = other.create_task(turns());
    CHECK_THROWS_AS(static_cast<void>(loop.run_until_complete(future)), ValueError);
    CHECK_THROWS_AS(loop.run_until_complete(task), ValueError);
    CHECK_FALSE(task.done());
}

TEST_CASE("an exception out of run_until_complete leaves nothing that would stop the next run") {
    EventLoop loop;
    const auto slow = []() -> Coro<int> {
        co_await turns(5);
        co_return 1;
    };
    loop.call_soon([] { throw KeyboardInterrupt(); });
    CHECK_THROWS_AS(loop.run_until_complete(slow()), KeyboardInterrupt);
    CHECK(loop.run_until_complete(slow()) == 1);
    const auto raises = []() -> Coro<> {
        throw KeyboardInterrupt();
        co_return;
    };
    CHECK_THROWS_AS(loop.run_until_complete(raises()), KeyboardInterrupt);
    bool called = false;
    loop.call_soon([&] {
        loop.call_soon([&] {
            called = true;
            loop.stop();
        });
    });
    loop.run_forever();
    CHECK(called);
}

TEST_CASE("a main that stops the loop in its last step has ended all the same") {
    EventLoop loop;
    const auto main = [&]() -> Coro<int> {
        loop.stop();
        co_return 6;
    };
    CHECK(loop.run_until_complete(main()) == 6);
    loop.run_until_complete(turns(5)); // not stopped by what the first has left
}

TEST_CASE("27. a closed loop runs nothing in an executor") {
    EventLoop loop;
    concurrent::ThreadPoolExecutor executor(1);
    loop.close();
    CHECK_THROWS_AS(static_cast<void>(loop.run_in_executor([] {})), RuntimeError);
    CHECK_THROWS_AS(static_cast<void>(loop.run_in_executor(executor, [] {})), RuntimeError);
}

TEST_CASE("get_exception_handler gives what was set") {
    EventLoop loop;
    CHECK_FALSE(loop.get_exception_handler());
    int called = 0;
    loop.set_exception_handler([&](EventLoop&, const ExceptionContext&) { ++called; });
    REQUIRE(loop.get_exception_handler());
    loop.get_exception_handler()(loop, {});
    CHECK(called == 1);
    loop.set_exception_handler(nullptr);
    CHECK_FALSE(loop.get_exception_handler());
}

TEST_CASE("35. signals that do not exist, and those that cannot be caught, are refused") {
    EventLoop loop;
    for (const int signal : {0, -1, NSIG, NSIG + 1}) {
        CAPTURE(signal);
        CHECK_THROWS_AS(loop.add_signal_handler(signal, [] {}), ValueError);
        CHECK_THROWS_AS(static_cast<void>(loop.remove_signal_handler(signal)), ValueError);
    }
    CHECK_THROWS_AS(loop.add_signal_handler(SIGKILL, [] {}), RuntimeError);
    CHECK_FALSE(loop.remove_signal_handler(SIGKILL));
}

TEST_CASE("35. a second handler replaces the first, what a handler throws is reported") {
    EventLoop loop;
    const LoopReports reports(loop);
    int first = 0;
    loop.add_signal_handler(SIGUSR1, [&] { ++first; });
    loop.add_signal_handler(SIGUSR1, [&] {
        loop.stop();
        throw ValueError("in a handler");
    });
    loop.call_soon([] { std::raise(SIGUSR1); });
    loop.run_forever();
    CHECK(first == 0);
    CHECK(reports.texts() == std::vector<std::string>{"Exception in callback: in a handler"});
}

TEST_CASE("35. a loop that closes restores the dispositions of the signals it handled") {
    EventLoop loop;
    loop.add_signal_handler(SIGUSR1, [] {});
    loop.add_signal_handler(SIGUSR2, [] {});
    loop.close();
    for (const int signal : {SIGUSR1, SIGUSR2}) {
        struct sigaction action{};
        REQUIRE(::sigaction(signal, nullptr, &action) == 0);
        CHECK(static_cast<bool>(action.sa_handler == SIG_DFL));
    }
}

TEST_CASE("35. a signal wakes a loop that sleeps") {
    EventLoop loop;
    int seen = 0;
    const auto handler = [&](int amount) {
        seen += amount;
        loop.stop();
    };
    loop.add_signal_handler(SIGUSR1, handler, 1);
    loop.call_later(1h, [&] { loop.stop(); });
    std::thread other([] { ::kill(::getpid(), SIGUSR1); });
    loop.run_forever();
    other.join();
    CHECK(seen == 1);
}

TEST_CASE("shutdown waits for a task that swallows its cancellation, and reports errors") {
    EventLoop loop;
    const LoopReports reports(loop);
    bool left = false;
    const auto stubborn = [&]() -> Coro<> {
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        co_await turns(3);
        left = true;
    };
    const auto failing = []() -> Coro<> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            throw ValueError("leaving");
        }
    };
    loop.create_task(stubborn());
    const Task<> kept = loop.create_task(failing());
    loop.run_until_complete(turns(2));
    loop.run_until_complete(loop.shutdown());
    CHECK(left);
    REQUIRE(reports.texts().size() == 1);
    CHECK(reports.texts()[0] ==
          "unhandled exception while the event loop was being shut down: leaving");
    loop.run_until_complete(loop.shutdown()); // nothing is left to do
    loop.run_until_complete(turns());         // and the loop goes on
}

TEST_CASE("a shutdown that is cancelled lets go, the tasks stay cancelled") {
    EventLoop loop;
    const auto stubborn = []() -> Coro<> {
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        co_await turns(20);
    };
    const auto run_turns = [&](int count) { // without a task, which would be cancelled
        for (int i = 0; i < count; ++i) {
            loop.stop();
            loop.run_forever();
        }
    };
    const Task<> task = loop.create_task(stubborn());
    const Task<> ending = loop.create_task(loop.shutdown());
    run_turns(2);
    ending.cancel();
    run_turns(2);
    CHECK(outcome(ending) == "cancelled");
    CHECK_FALSE(task.done());
    loop.run_until_complete(task);
}

TEST_CASE("a task hook is told of each task that is created and that is done") {
    EventLoop loop;
    std::vector<std::string> notes;
    loop.set_task_hook([&](const AnyTask& task, TaskEvent event) {
        notes.push_back(task.name() + (event == TaskEvent::created ? "+" : "-") +
                        (task.done() ? "done" : ""));
    });
    const auto fails = []() -> Coro<> {
        throw ValueError("bad");
        co_return;
    };
    const Task<> value = loop.create_task(turns(), {.name = "value"});
    const Task<> failed = loop.create_task(fails(), {.name = "failed"});
    const Task<> cancelled = loop.create_task(turns(9), {.name = "cancelled"});
    cancelled.cancel();
    loop.run_until_complete(value);
    CHECK(notes == std::vector<std::string>{"value+", "failed+", "cancelled+", "failed-done",
                                            "cancelled-done", "value-done"});
    CHECK(failed.exception() != nullptr);
    loop.set_task_hook(nullptr);
    loop.run_until_complete(turns());
    CHECK(notes.size() == 6);
}

TEST_CASE("a task hook that throws is reported, and harms nothing") {
    EventLoop loop;
    const LoopReports reports(loop);
    loop.set_task_hook([](const AnyTask&, TaskEvent) { throw ValueError("hook"); });
    loop.run_until_complete(turns());
    CHECK(reports.texts() ==
          std::vector<std::string>{"Exception in task hook: hook", "Exception in task hook: hook"});
}
