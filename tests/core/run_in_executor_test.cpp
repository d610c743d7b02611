#include "coro_test.hpp"
#include "loop_reports.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::LoopReports;
using testing_support::outcome;
using testing_support::turns;

namespace {

// Holds a worker until it is let go.
class Gate {
public:
    void open() { promise_.set_value(); }

    void wait() const { future_.wait(); }

private:
    std::promise<void> promise_;
    std::shared_future<void> future_ = promise_.get_future().share();
};

} // namespace

TEST_CASE("run_in_executor runs the function on another thread and brings its value back") {
    const auto main = []() -> Coro<> {
        const auto here = std::this_thread::get_id();
        const auto there = co_await run_in_executor([] { return std::this_thread::get_id(); });
        CHECK(here != there);
        const std::string text = co_await run_in_executor(
            [](const std::string& a, int b) { return a + std::to_string(b); }, std::string("n"), 5);
        CHECK(text == "n5");
        const auto moved = co_await run_in_executor(
            [](std::unique_ptr<int> value) { return value; }, std::make_unique<int>(8));
        CHECK(*moved == 8);
    };
    run(main());
}

TEST_CASE("193. what the worker throws is thrown at the await") {
    const auto main = []() -> Coro<> {
        std::string text;
        try {
            co_await run_in_executor([] { throw ValueError("in a thread"); });
        } catch (const ValueError& error) {
            text = error.what();
        }
        CHECK(text == "in a thread");
        text.clear();
        try {
            co_await to_thread([] { throw ValueError("in to_thread"); });
        } catch (const ValueError& error) {
            text = error.what();
        }
        CHECK(text == "in to_thread");
    };
    run(main());
}

TEST_CASE(
    "195. cancelling a call that runs: the awaiter goes at once, the function runs to its end") {
    const auto gate = std::make_shared<Gate>();
    const auto ended = std::make_shared<std::promise<void>>();
    const auto main = [&]() -> Coro<> {
        std::promise<void> started;
        auto begun = started.get_future();
        const auto body = [&]() -> Coro<> {
            co_await run_in_executor([gate, ended, started = std::move(started)]() mutable {
                started.set_value();
                gate->wait();
                ended->set_value();
            });
        };
        const Task<> task = create_task(body);
        co_await turns();
        begun.wait();
        task.cancel();
        co_await turns(2);
        CHECK(outcome(task) == "cancelled");
        gate->open(); // only now can it end
        co_await to_thread([&] { ended->get_future().wait(); });
        co_await turns(3);
    };
    run(main());
}

TEST_CASE("195. a call that ends after its loop was closed calls nothing back") {
    concurrent::ThreadPoolExecutor executor(1);
    Gate gate;
    {
        EventLoop loop;
        const LoopReports reports(loop);
        const auto body = [&]() -> Coro<int> {
            co_return co_await run_in_executor(executor, [&gate] {
                gate.wait();
                return 5;
            });
        };
        loop.create_task(body());
        loop.run_until_complete(turns(2));
    }
    gate.open();
    executor.shutdown(true);
    CHECK(executor.thread_count() == 1);
}

TEST_CASE("a call that has not begun is taken back by cancelling it") {
    concurrent::ThreadPoolExecutor executor(1);
    Gate gate;
    std::atomic<bool> ran = false;
    const auto main = [&]() -> Coro<> {
        const auto first = run_in_executor(executor, [&gate] { gate.wait(); });
        const auto second = run_in_executor(executor, [&ran] { ran = true; });
        CHECK(second.cancel());
        co_await turns(); // as in asyncio, the cancellation goes over to the thread's future a turn
                          // later
        gate.open();
        co_await first;
    };
    run(main());
    executor.shutdown(true);
    CHECK_FALSE(ran);
}

TEST_CASE("197. to_thread forwards its arguments and runs once, ten at once all run") {
    std::atomic<int> calls = 0;
    const auto main = [&]() -> Coro<> {
        int target = 0;
        const std::string text = co_await to_thread(
            [](int& out, std::string value) {
                out = 3;
                return value + "!";
            },
            std::ref(target), std::string("hi"));
        CHECK(target == 3);
        CHECK(text == "hi!");
        std::vector<Coro<int>> many;
        for (int i = 0; i < 10; ++i) {
            many.push_back(to_thread([&calls, i] {
                ++calls;
                return i;
            }));
        }
        const std::vector<int> results = co_await gather(std::move(many));
        CHECK(results == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
    };
    run(main());
    CHECK(calls == 10);
}

TEST_CASE("to_thread waits for the thread when it is cancelled, and gives its value") {
    Gate gate;
    const auto main = [&]() -> Coro<> {
        std::promise<void> started;
        auto begun = started.get_future();
        std::vector<std::string> notes;
        const auto body = [&]() -> Coro<> {
            int on_the_frame = 0;
            co_await to_thread(
                [&](int& out) {
                    started.set_value();
                    gate.wait();
                    out = 9;
                },
                std::ref(on_the_frame));
            notes.push_back("value " + std::to_string(on_the_frame));
            co_await turns();
            notes.emplace_back("not reached");
        };
        const Task<> task = create_task(body);
        co_await turns();
        begun.wait();
        task.cancel();
        co_await turns(3);
        CHECK_FALSE(task.done());
        gate.open();
        bool cancelled = false;
        try {
            co_await task;
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        CHECK(notes == std::vector<std::string>{"value 9"});
    };
    run(main());
}

TEST_CASE("to_thread that has not begun is taken back when cancelled") {
    auto executor = std::make_shared<concurrent::ThreadPoolExecutor>(1);
    Gate gate;
    std::atomic<bool> ran = false;
    const auto main = [&]() -> Coro<> {
        get_running_loop().set_default_executor(executor);
        const auto busy = run_in_executor([&gate] { gate.wait(); });
        const Task<> task = create_task(to_thread([&ran] { ran = true; }));
        co_await turns();
        task.cancel();
        co_await turns(2);
        // The cancellation comes back through the executor's future.
        bool cancelled = false;
        try {
            co_await task;
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        gate.open();
        co_await busy;
    };
    run(main());
    CHECK_FALSE(ran);
}

TEST_CASE(
    "a loop that is closed waits for a to_thread that works on a destroyed frame's variables") {
    Gate gate;
    std::atomic<bool> ended = false;
    {
        EventLoop loop;
        std::promise<void> started;
        auto begun = started.get_future();
        const auto worker = [&]() -> Coro<> {
            int on_the_frame = 0;
            co_await to_thread(
                [&](int& out) {
                    started.set_value();
                    gate.wait();
                    for (int i = 0; i < 10'000; ++i) {
                        out += i;
                        std::this_thread::yield();
                    }
                    ended = true;
                },
                std::ref(on_the_frame));
        };

        struct OpensGate {
            Gate& gate;

            ~OpensGate() { gate.open(); }
        };

        const auto newer = [&]() -> Coro<> { // destroyed before the older task
            const OpensGate opens{gate};
            co_await async_sleep(1h);
        };
        loop.create_task(worker());
        loop.create_task(newer());
        loop.run_until_complete(turns(2));
        begun.wait();
        loop.close();
        CHECK(ended);
    }
}

TEST_CASE("an executor that was shut down refuses") {
    concurrent::ThreadPoolExecutor executor(1);
    executor.shutdown(true);
    const auto main = [&]() -> Coro<> {
        CHECK_THROWS_AS(static_cast<void>(run_in_executor(executor, [] {})), RuntimeError);
        co_return;
    };
    run(main());
}

TEST_CASE("wrap_future brings a future of threads to the loop, and cancellation back") {
    const auto main = []() -> Coro<> {
        concurrent::Promise<int> promise;
        std::thread other;
        {
            const Future<int> wrapped = wrap_future(promise.future());
            other = std::thread([&promise] { promise.set_result(6); });
            const int value = co_await wrapped;
            CHECK(value == 6);
        }
        other.join();
        concurrent::Promise<int> unused;
        const auto source = unused.future();
        const Future<int> wrapped = wrap_future(source);
        wrapped.cancel();
        co_await turns(2);
        CHECK(source.cancelled());
    };
    run(main());
}

TEST_CASE("virtual time stands still while a thread works for a task") {
    const auto main = []() -> Coro<> {
        const Clock::time_point start = Clock::now();
        bool timed_out = false;
        try {
            co_await wait_for(run_in_executor([] { std::this_thread::yield(); }), 1h);
        } catch (const TimeoutError&) {
            timed_out = true;
        }
        CHECK_FALSE(timed_out);
        CHECK(Clock::now() == start);
    };
    testing::run_virtual(main());
}

TEST_CASE("run_in_executor: cancelled before its task starts, before the await, and when done") {
    const auto main = []() -> Coro<> {
        std::atomic<int> calls = 0;
        const auto body = [&](bool cancel_first) -> Coro<int> {
            if (cancel_first) {
                current_task().cancel();
            }
            co_return co_await run_in_executor([&calls] { return ++calls; });
        };
        const Task<int> unstarted = create_task(body, false);
        unstarted.cancel();
        const Task<int> latched = create_task(body, true);
        co_await turns(3);
        CHECK(outcome(unstarted) == "cancelled");
        CHECK(outcome(latched) == "cancelled");
        const Future<int> future = run_in_executor([] { return 4; });
        const auto waits = [&]() -> Coro<int> { co_return co_await future; };
        const Task<int> last = create_task(waits);
        bool cancel_accepted = false;
        future.add_done_callback([&](const auto&) { cancel_accepted = last.cancel(); });
        static_cast<void>(co_await future);
        co_await turns(3);
        // The task had resumed before the callback ran, or was cancelled in that very turn.
        CHECK(outcome(last) == (cancel_accepted ? "cancelled" : "value"));
        co_await to_thread([] {}); // the calls have ended: `calls` may go
    };
    run(main());
}

TEST_CASE("a loop that does not run yet takes calls for its executor") {
    EventLoop loop;
    const Future<std::thread::id> future = loop.run_in_executor(
        [](std::thread::id) { return std::this_thread::get_id(); }, std::this_thread::get_id());
    CHECK(loop.run_until_complete(future) != std::this_thread::get_id());
    concurrent::ThreadPoolExecutor executor(1);
    CHECK(loop.run_until_complete(loop.run_in_executor(executor, [] { return 4; })) == 4);
    CHECK(executor.thread_count() == 1);
}

TEST_CASE("195. a call cancelled at once: the executor ends, the loop closes, nothing comes back") {
    const auto gate = std::make_shared<Gate>();
    EventLoop loop;
    const LoopReports reports(loop);
    const Future<void> future = loop.run_in_executor([gate] { gate->wait(); });
    future.cancel();
    loop.run_until_complete(turns(2));
    gate->open();
    loop.run_until_complete(loop.shutdown_default_executor());
    loop.close();
    CHECK(future.cancelled());
    CHECK(reports.texts().empty());
}

TEST_CASE("195. a loop that closes at the moment at which its calls end") {
    for (int i = 0; i < 200; ++i) {
        concurrent::ThreadPoolExecutor executor(2);
        EventLoop loop;
        const Future<void> one = loop.run_in_executor(executor, [] {});
        const Future<void> two = loop.run_in_executor(executor, [] { std::this_thread::yield(); });
        loop.close();
        CHECK(one.done());
        CHECK(two.done());
    }
}

TEST_CASE("after shutdown_default_executor a loop has no default executor, and gets none") {
    for (const bool used : {true, false}) {
        CAPTURE(used);
        EventLoop loop;
        if (used) {
            loop.run_until_complete(loop.run_in_executor([] {}));
        }
        loop.run_until_complete(loop.shutdown_default_executor());
        std::string text;
        try {
            static_cast<void>(loop.run_in_executor([] {}));
        } catch (const RuntimeError& error) {
            text = error.what();
        }
        CHECK(text == "Executor shutdown has been called");
        loop.set_default_executor(std::make_shared<concurrent::ThreadPoolExecutor>(1));
        CHECK_THROWS_AS(static_cast<void>(loop.default_executor()), RuntimeError);
        loop.run_until_complete(loop.shutdown_default_executor()); // no harm in a second time
    }
}

TEST_CASE("a shutdown of the executor that is cancelled lets the threads end by themselves") {
    const auto gate = std::make_shared<Gate>();
    EventLoop loop;
    const auto busy = loop.run_in_executor([gate] { gate->wait(); });
    const Task<> waiting = loop.create_task(loop.shutdown_default_executor());
    loop.run_until_complete(turns(3));
    CHECK_FALSE(waiting.done());
    waiting.cancel();
    loop.run_until_complete(turns(3));
    CHECK(outcome(waiting) == "cancelled");
    gate->open();
    loop.run_until_complete(busy);
}

TEST_CASE("run_in_executor keeps the alignment of what it is given") {
    struct alignas(64) Wide {
        int value = 7;
    };

    EventLoop loop;
    for (int i = 0; i < 8; ++i) {
        // Not in a coroutine, whose frame is aligned as malloc's blocks are.
        const Wide wide;
        const Future<bool> aligned = loop.run_in_executor(
            [wide] { return reinterpret_cast<std::uintptr_t>(&wide) % alignof(Wide) == 0; });
        CHECK(loop.run_until_complete(aligned));
        const Future<Wide> back = loop.run_in_executor([wide] { return wide; });
        CHECK(loop.run_until_complete(back).value == 7);
    }
}
