#include "coro_test.hpp"
#include "loop_reports.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::LoopReports;

namespace {

// A loop that another thread runs until this goes.
class LoopThread {
public:
    LoopThread()
        : thread_([this] {
              loop_.call_soon([this] { running_.set_value(); });
              loop_.run_forever();
          }) {
        running_.get_future().wait();
    }

    LoopThread(const LoopThread&) = delete;
    LoopThread& operator=(const LoopThread&) = delete;

    ~LoopThread() { stop(); }

    [[nodiscard]] EventLoop& loop() noexcept { return loop_; }

    // Calls `function` on the loop's thread, and waits for it.
    template <class F>
    void call(F function) {
        std::promise<void> done;
        loop_.call_soon_threadsafe([&] {
            function();
            done.set_value();
        });
        done.get_future().wait();
    }

    // Ends the thread; the loop is closed where nobody runs it.
    void stop() {
        if (thread_.joinable()) {
            loop_.stop();
            thread_.join();
        }
    }

private:
    EventLoop loop_;
    std::promise<void> running_;
    std::thread thread_;
};

Coro<int> add(int a, int b) {
    co_await async_sleep(0s);
    co_return a + b;
}

// Sleeps; tells what it sees of it.
Coro<> sleeper(std::promise<void>& started, std::promise<std::string>& seen) {
    started.set_value();
    try {
        co_await async_sleep(1h);
    } catch (const CancelledError&) {
        seen.set_value("cancelled");
        throw;
    }
    seen.set_value("slept");
}

} // namespace

TEST_CASE("run_coroutine_threadsafe gives threads what the coroutine gives and throws") {
    LoopThread other;
    CHECK(run_coroutine_threadsafe(add(1, 2), other.loop()).result() == 3);
    const auto fails = []() -> Coro<int> {
        co_await async_sleep(0s);
        throw ValueError("on the loop");
    };
    CHECK_THROWS_WITH_AS(run_coroutine_threadsafe(fails(), other.loop()).result(), "on the loop",
                         ValueError);
    std::thread::id where;
    const auto nothing = [&]() -> Coro<> {
        where = std::this_thread::get_id();
        co_return;
    };
    run_coroutine_threadsafe(nothing(), other.loop()).result();
    CHECK(where != std::this_thread::get_id());
    int referred = 0;
    const auto reference = [&]() -> Coro<int&> { co_return referred; };
    CHECK(&run_coroutine_threadsafe(reference(), other.loop()).result() == &referred);
    const auto moves = []() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(5); };
    auto owned = run_coroutine_threadsafe(moves(), other.loop());
    CHECK(*std::move(owned).result() == 5);
}

TEST_CASE("199. result(timeout) expiring throws TimeoutError, and cancel() then cancels the task") {
    LoopThread other;
    std::promise<void> started;
    std::promise<std::string> seen;
    const auto future = run_coroutine_threadsafe(sleeper(started, seen), other.loop());
    started.get_future().wait();
    CHECK_THROWS_AS(future.result(1ms), TimeoutError);
    CHECK_FALSE(future.done());
    CHECK(future.cancel());
    CHECK(future.cancelled());
    CHECK(seen.get_future().get() == "cancelled");
    CHECK_THROWS_AS(future.result(), CancelledError);
    std::size_t left = 99;
    other.call([&] { left = all_tasks().size(); });
    CHECK(left == 0);
}

TEST_CASE("run_coroutine_threadsafe: a task that is cancelled on its loop cancels the future") {
    LoopThread other;
    const auto cancels_itself = []() -> Coro<int> {
        current_task().cancel();
        co_await async_sleep(1h);
        co_return 1;
    };
    const auto future = run_coroutine_threadsafe(cancels_itself(), other.loop());
    CHECK_THROWS_AS(future.result(), CancelledError);
    CHECK(future.cancelled());
}

TEST_CASE("run_coroutine_threadsafe: cancelled before its loop gets to it, nothing runs") {
    EventLoop loop;
    const auto owned = std::make_shared<int>(0);
    bool ran = false;
    const auto body = [&](std::shared_ptr<int>) -> Coro<> {
        ran = true;
        co_return;
    };
    const auto future = run_coroutine_threadsafe(body(owned), loop);
    CHECK(future.cancel());
    loop.run_until_complete(testing_support::turns(3));
    CHECK_FALSE(ran);
    CHECK(owned.use_count() == 1);
}

TEST_CASE("run_coroutine_threadsafe on a closed loop fails the future") {
    EventLoop loop;
    loop.close();
    const auto owned = std::make_shared<int>(0);
    const auto body = [](std::shared_ptr<int>) -> Coro<> { co_return; };
    const auto future = run_coroutine_threadsafe(body(owned), loop);
    CHECK_THROWS_WITH_AS(future.result(), "Event loop is closed", RuntimeError);
    CHECK(owned.use_count() == 1);
}

TEST_CASE("run_coroutine_threadsafe: a loop that is closed before the end fails the future") {
    std::optional<concurrent::Future<int>> queued;
    std::optional<concurrent::Future<int>> waiting;
    const auto waits = [](std::promise<void>& started) -> Coro<int> {
        started.set_value();
        co_await async_sleep(1h);
        co_return 1;
    };
    {
        LoopThread other;
        std::promise<void> started;
        waiting = run_coroutine_threadsafe(waits(started), other.loop());
        started.get_future().wait();
        other.stop();
        queued = run_coroutine_threadsafe(add(1, 2), other.loop());
        CHECK_FALSE(waiting->done());
    }
    CHECK_THROWS_WITH_AS(waiting->result(),
                         "the event loop was closed before the coroutine had ended", RuntimeError);
    CHECK_THROWS_WITH_AS(queued->result(),
                         "the event loop was closed before the coroutine had ended", RuntimeError);
}

TEST_CASE("run_coroutine_threadsafe: an error after the future was cancelled is reported") {
    LoopThread other;
    std::optional<LoopReports> reports;
    other.call([&] { reports.emplace(other.loop()); });
    std::promise<void> started;
    std::promise<void> failing;
    const auto fails_late = [&]() -> Coro<int> {
        started.set_value();
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            failing.set_value();
        }
        throw ValueError("too late");
    };
    const auto future = run_coroutine_threadsafe(fails_late(), other.loop());
    started.get_future().wait();
    CHECK(future.cancel());
    failing.get_future().wait();
    std::vector<std::string> texts;
    other.call([] {}); // the done callback, which was queued before
    other.call([&] { texts = reports->texts(); });
    CHECK(texts == std::vector<std::string>{"Task exception was never retrieved: too late"});
    other.stop();
}

TEST_CASE("run_coroutine_threadsafe from many threads") {
    LoopThread other;
    std::vector<std::thread> threads;
    std::vector<int> sums(8);
    for (std::size_t t = 0; t < sums.size(); ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 100; ++i) {
                const auto future = run_coroutine_threadsafe(add(i, 1), other.loop());
                if (i % 3 == 0) {
                    static_cast<void>(future.cancel());
                } else {
                    sums[t] += future.result();
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    int expected = 0;
    for (int i = 0; i < 100; ++i) {
        expected += i % 3 == 0 ? 0 : i + 1;
    }
    CHECK(sums == std::vector<int>(8, expected));
}

TEST_CASE("run_coroutine_threadsafe owns a function and its arguments") {
    const auto main = []() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const std::string host = co_await to_thread([&loop] {
            concurrent::Future<std::string> future;
            {
                const std::string name = "a name that is too long to lie in the string itself";
                const auto ask = [name](const std::string& suffix) -> Coro<std::string> {
                    co_await async_sleep(1ms);
                    co_return name + suffix;
                };
                future = run_coroutine_threadsafe(loop, ask, std::string("!"));
            }
            return std::move(future).result();
        });
        CHECK(host == "a name that is too long to lie in the string itself!");
    };
    run(main());
}
