// The options of to_thread; what it does without any is in core/run_in_executor_test.cpp.

#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::outcome;
using testing_support::turns;

TEST_CASE("197. to_thread runs in a copy of the caller's context variables") {
    const ContextVar<std::string> device("device", "none");
    const auto main = [&]() -> Coro<> {
        device.set("r1");
        const std::string seen = co_await to_thread([&] {
            const std::string before = device.get();
            device.set("changed in the thread");
            return before + ", " + device.get();
        });
        CHECK(seen == "r1, changed in the thread");
        CHECK(device.get() == "r1");
    };
    run(main());
}

TEST_CASE("to_thread with a limiter: no more run at once than it has tokens") {
    CapacityLimiter limiter(2);
    std::atomic<int> running = 0;
    std::atomic<int> most = 0;
    const auto main = [&]() -> Coro<> {
        std::vector<Coro<>> calls;
        for (int i = 0; i < 12; ++i) {
            calls.push_back(to_thread(ToThread{.limiter = &limiter}, [&] {
                const int now = ++running;
                int seen = most.load();
                while (seen < now && !most.compare_exchange_weak(seen, now)) {
                }
                std::this_thread::yield();
                --running;
            }));
        }
        co_await gather(std::move(calls));
        CHECK(limiter.borrowed_tokens() == 0);
    };
    run(main());
    CHECK(most <= 2);
    CHECK(most >= 1);
}

TEST_CASE("a cancelled to_thread requests a stop, waits, and gives what the function gives") {
    const auto main = [&]() -> Coro<> {
        std::latch begun(1);
        std::string got;
        const auto body = [&]() -> Coro<> {
            got = co_await to_thread(
                [&begun](const std::stop_token& stop, const std::string& text) {
                    begun.count_down();
                    std::latch stopped(1);
                    const std::stop_callback on_stop(stop, [&] { stopped.count_down(); });
                    stopped.wait();
                    return text + " stopped";
                },
                std::string("work"));
            co_await turns();
        };
        const Task<> task = create_task(body);
        co_await turns();
        begun.wait();
        task.cancel();
        co_await wait({task});
        CHECK(outcome(task) == "cancelled");
        CHECK(got == "work stopped");
    };
    run(main());
}

TEST_CASE("abandoned on cancel, the caller goes on at once and the thread to its end") {
    auto released = std::make_shared<std::latch>(1);
    auto ended = std::make_shared<std::latch>(1);
    CapacityLimiter limiter(1);
    const auto main = [&]() -> Coro<> {
        auto begun = std::make_shared<std::latch>(1);
        std::stop_token seen;
        const auto body = [&]() -> Coro<> {
            co_await to_thread(ToThread{.limiter = &limiter, .abandon_on_cancel = true},
                               [begun, released, ended](const std::stop_token& stop) {
                                   begun->count_down();
                                   released->wait();
                                   CHECK(stop.stop_requested());
                                   ended->count_down();
                               });
        };
        const Task<> task = create_task(body);
        co_await turns();
        begun->wait();
        task.cancel();
        co_await wait({task});
        CHECK(outcome(task) == "cancelled");
        CHECK_FALSE(ended->try_wait());
        CHECK(limiter.borrowed_tokens() == 1); // the thread has it still
        released->count_down();
        co_await limiter.acquire(); // comes when the thread gives it back
        CHECK(ended->try_wait());
        limiter.release();
    };
    run(main());
}

TEST_CASE("to_thread: abandoned calls are borrowers of their own, though their frames are gone") {
    auto released = std::make_shared<std::latch>(1);
    CapacityLimiter limiter(2);
    const auto main = [&]() -> Coro<> {
        const auto abandoned = [&](std::shared_ptr<std::latch> begun) -> Coro<> {
            co_await to_thread(ToThread{.limiter = &limiter, .abandon_on_cancel = true},
                               [begun, released] {
                                   begun->count_down();
                                   released->wait();
                               });
        };
        for (std::size_t calls = 1; calls <= 2; ++calls) {
            auto begun = std::make_shared<std::latch>(1);
            const Task<> task = create_task(abandoned, begun);
            co_await turns();
            REQUIRE_FALSE(task.done());
            begun->wait();
            task.cancel();
            co_await wait({task});
            CHECK(outcome(task) == "cancelled");
            CHECK(limiter.borrowed_tokens() == calls);
        }
        released->count_down();
        co_await limiter.acquire(); // comes when a thread gives its token back
        limiter.release();
    };
    run(main());
}

TEST_CASE("to_thread: cancelled while it waits for a token, the function never runs") {
    CapacityLimiter limiter(1);
    std::atomic<bool> ran = false;
    const auto main = [&]() -> Coro<> {
        co_await limiter.acquire();
        const auto body = [&]() -> Coro<> {
            co_await to_thread(ToThread{.limiter = &limiter}, [&] { ran = true; });
        };
        const Task<> task = create_task(body);
        co_await turns(2);
        task.cancel();
        co_await turns(2);
        CHECK(outcome(task) == "cancelled");
        limiter.release();
        CHECK(limiter.available_tokens() == 1);
    };
    run(main());
    CHECK_FALSE(ran);
}

TEST_CASE("a loop that is closed lets go of abandoned threads and their tokens") {
    auto released = std::make_shared<std::latch>(1);
    auto ended = std::make_shared<std::latch>(1);
    CapacityLimiter limiter(1);
    auto executor = std::make_shared<concurrent::ThreadPoolExecutor>(1);
    {
        EventLoop loop;
        loop.set_default_executor(executor);
        auto begun = std::make_shared<std::latch>(1);
        const auto body = [&]() -> Coro<> {
            co_await to_thread(ToThread{.limiter = &limiter, .abandon_on_cancel = true},
                               [begun, released, ended] {
                                   begun->count_down();
                                   released->wait();
                                   ended->count_down();
                               });
        };
        const auto main = [&]() -> Coro<> {
            create_task(body);
            co_await turns();
            begun->wait();
        };
        loop.run_until_complete(main());
        loop.close();
        CHECK(limiter.borrowed_tokens() == 0);
    }
    released->count_down();
    ended->wait();
}
