// What is reported when tasks wait and nothing is left that could wake one, and what is not.

#include "coro_test.hpp"
#include "default_interrupt.hpp"
#include "loop_reports.hpp"
#include "watched_loop.hpp"

#include <muster/muster.hpp>
#include <muster/testing.hpp>

#include <doctest/doctest.h>

#include <unistd.h>

#include <csignal>
#include <functional>
#include <latch>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::DefaultInterrupt;
using testing_support::LoopReports;
using testing_support::turns;
using testing_support::WatchedLoop;

// ThreadSanitizer has a thread of its own, which muster cannot tell from the program's.
#if defined(__SANITIZE_THREAD__)
constexpr bool has_foreign_thread = true;
#elif defined(__has_feature)
#    if __has_feature(thread_sanitizer)
constexpr bool has_foreign_thread = true;
#    else
constexpr bool has_foreign_thread = false;
#    endif
#else
constexpr bool has_foreign_thread = false;
#endif

namespace {

bool says(const std::string& text, const std::string& words) {
    return text.find(words) != std::string::npos;
}

} // namespace

TEST_CASE("a main task that waits for what nobody does is reported, with what and where") {
    Event event;
    WatchedLoop watched;
    watched.run([&]() -> Coro<> { co_await event.wait(); });
    REQUIRE(watched.reports.size() == 1);
    const std::string& text = watched.reports.front();
    CHECK(text.starts_with("deadlock: every task waits, and nothing is left that could wake one\n"
                           "the loop waits on: "));
    CHECK(says(text, "\nmain waits for: event, for "));
    CHECK(says(text, "deadlock_test.cpp:"));
    CHECK_FALSE(text.ends_with("\n"));
}

TEST_CASE("outside of debug mode a deadlock is reported of a program without other threads" *
          doctest::skip(has_foreign_thread)) {
    Event event;
    WatchedLoop watched(false);
    watched.run([&]() -> Coro<> {
        co_await to_thread([] {}); // the pool's idle threads are the library's own
        get_running_loop().set_watchdog(1h);
        co_await event.wait();
    });
    CHECK(watched.reports.size() == 1);
}

TEST_CASE("outside of debug mode a deadlock is not reported while a thread could know the loop") {
    WatchedLoop watched(false);
    watched.run([&]() -> Coro<> {
        for (int i = 0; i < 100; ++i) {
            const Future<> future = get_running_loop().create_future();
            std::jthread thread([&] {
                // NOLINTNEXTLINE(bugprone-exception-escape): the loop is open
                watched.loop().call_soon_threadsafe([&future] { future.set_result(); });
            });
            co_await future;
        }
    });
    CHECK(watched.reports.empty());
}

TEST_CASE("a deadlock after timeouts that were not needed is seen at once") {
    Event event;
    WatchedLoop watched;
    watched.run([&]() -> Coro<> {
        co_await wait_for(turns(3), 1h);
        co_await timeout(1h, [] { return async_sleep(1ms, 0); });
        co_await event.wait();
    });
    CHECK(watched.reports.size() == 1);
}

TEST_CASE("tasks that wait for each other's locks are reported, each with what it waits for") {
    Lock a;
    Lock b;
    const auto takes = [](Lock& first, Lock& second) -> Coro<> {
        const auto one = co_await first.guard();
        co_await turns();
        const auto two = co_await second.guard();
    };
    WatchedLoop watched;
    watched.run([&]() -> Coro<> {
        const Task<> left = create_task(takes(a, b), {.name = "left"});
        const Task<> right = create_task(takes(b, a), {.name = "right"});
        co_await gather(left, right);
    });
    REQUIRE(watched.reports.size() == 1);
    CHECK(says(watched.reports.front(), "\n    left waits for: lock"));
    CHECK(says(watched.reports.front(), "\n    right waits for: lock"));
}

TEST_CASE("a consumer without a producer is reported") {
    Queue<int> queue;
    WatchedLoop watched;
    watched.run([&]() -> Coro<> { static_cast<void>(co_await queue.get()); });
    REQUIRE(watched.reports.size() == 1);
    CHECK(says(watched.reports.front(), "\nmain waits for: queue get"));
}

TEST_CASE("a circle of tasks is called one, also when others wait for it") {
    Task<> first;
    Task<> second;
    const auto awaits = [](const Task<>& task) -> Coro<> { co_await task; };
    for (const bool awaited : {false, true}) {
        WatchedLoop watched;
        watched.run([&]() -> Coro<> {
            first = create_task(awaits(second), {.name = "first"});
            second = create_task(awaits(first), {.name = "second"});
            if (awaited) {
                co_await first;
            } else {
                co_await Event().wait();
            }
        });
        REQUIRE(watched.reports.size() == 1);
        const std::string& text = watched.reports.front();
        CHECK(says(text, "these tasks wait for each other in a circle:\n") == !awaited);
        CHECK(says(text, "first (see above), in a circle"));
    }
}

TEST_CASE("the report of very many tasks, ever so deep, has the first hundred") {
    const auto waits = [](Task<> task) -> Coro<> {
        if (task.valid()) {
            co_await task;
        } else {
            co_await Event().wait();
        }
    };
    const auto main = [&]() -> Coro<> {
        Task<> last;
        for (int i = 0; i < 20'000; ++i) {
            last = create_task(waits(last));
        }
        co_await last;
    };
    EventLoop loop;
    loop.set_debug(true);
    loop.set_slow_callback_duration(1h);
    loop.set_deadlock_notice(0s);
    std::string text;
    loop.set_exception_handler([&](EventLoop&, const ExceptionContext& context) {
        text = context.message;
        loop.stop();
    });
    CHECK_THROWS_AS(loop.run_until_complete(main()), RuntimeError);
    CHECK(text.ends_with("\nand 19901 more tasks"));
    CHECK(text.size() < 100'000);
}

TEST_CASE("a deadlock is reported once in a run, and the loop waits on") {
    EventLoop loop;
    loop.set_debug(true);
    loop.set_slow_callback_duration(1h);
    loop.set_deadlock_notice(0s);
    int reports = 0;
    const Future<> future = loop.create_future();
    loop.set_exception_handler([&](EventLoop&, const ExceptionContext& context) {
        CHECK(says(context.message, "deadlock"));
        ++reports;
        loop.call_soon([&] { future.set_result(); }); // as another thread would
    });
    const auto main = [&]() -> Coro<> {
        co_await future;
        const Future<> other = loop.create_future();
        // Deadlocked once more, as far as the loop can know, until a thread comes.
        std::jthread thread([&] { loop.call_soon_threadsafe([&other] { other.set_result(); }); });
        co_await other;
    };
    loop.run_until_complete(main());
    CHECK(reports == 1);
    const Future<> again = loop.create_future();
    loop.set_exception_handler([&](EventLoop&, const ExceptionContext&) {
        ++reports;
        again.set_result();
    });
    const auto second = [&]() -> Coro<> { co_await again; };
    loop.run_until_complete(second());
    CHECK(reports == 2);
}

TEST_CASE("the notice can be switched off, and takes no negative time") {
    WatchedLoop watched;
    watched.loop().set_deadlock_notice(std::nullopt);
    watched.run([&]() -> Coro<> {
        const Future<> future = get_running_loop().create_future();
        std::jthread thread(
            [&] { watched.loop().call_soon_threadsafe([&future] { future.set_result(); }); });
        co_await future;
    });
    CHECK(watched.reports.empty());
    CHECK_THROWS_AS(watched.loop().set_deadlock_notice(-1s), ValueError);
}

TEST_CASE("what may come from a thread, a signal or a clock is no deadlock") {
    std::function<Coro<>()> waits;
    SUBCASE("a sleep") {
        waits = []() -> Coro<> { co_await async_sleep(1ms); };
    }
    SUBCASE("a timeout") {
        waits = []() -> Coro<> {
            static_cast<void>(
                co_await move_on_after(1ms, []() -> Coro<> { co_await Event().wait(); }));
        };
    }
    SUBCASE("to_thread") {
        waits = []() -> Coro<> {
            for (int i = 0; i < 100; ++i) {
                co_await to_thread([] {});
            }
        };
    }
    SUBCASE("run_in_executor") {
        waits = []() -> Coro<> {
            for (int i = 0; i < 100; ++i) {
                co_await run_in_executor([] {});
            }
        };
    }
    SUBCASE("a concurrent::Queue") {
        waits = []() -> Coro<> {
            concurrent::Queue<int> queue;
            std::jthread producer([&] {
                for (int i = 0; i < 100; ++i) {
                    queue.put(i);
                }
            });
            for (int i = 0; i < 100; ++i) {
                const int item = co_await queue.async_get();
                CHECK(item == i);
            }
        };
    }
    SUBCASE("a task of another thread") {
        waits = []() -> Coro<> {
            // The cancellation of the one could end the other.
            const Future<> future = get_running_loop().create_future();
            std::latch started(1);
            const auto call = [&]() -> Coro<> {
                started.count_down();
                co_await future;
            };
            auto outside = run_coroutine_threadsafe(call(), get_running_loop());
            std::jthread thread([&] {
                started.wait();
                outside.cancel();
            });
            try {
                co_await future;
            } catch (const CancelledError&) { // the cancelled task has cancelled it
            }
        };
    }
    SUBCASE("a signal") {
        waits = []() -> Coro<> {
            const Future<> future = get_running_loop().create_future();
            get_running_loop().add_signal_handler(SIGUSR1, [future] { future.set_result(); });
            std::jthread thread([] { ::kill(::getpid(), SIGUSR1); });
            co_await future;
            get_running_loop().remove_signal_handler(SIGUSR1);
        };
    }
    SUBCASE("a signal whose handler took the place of dump_tasks_on") {
        waits = []() -> Coro<> {
            const Future<> future = get_running_loop().create_future();
            get_running_loop().dump_tasks_on(SIGUSR1);
            get_running_loop().add_signal_handler(SIGUSR1, [future] { future.set_result(); });
            std::jthread thread([] { ::kill(::getpid(), SIGUSR1); });
            co_await future;
            get_running_loop().remove_signal_handler(SIGUSR1);
        };
    }
    WatchedLoop watched;
    REQUIRE(waits);
    watched.run(waits);
    CHECK(watched.reports.empty());
}

TEST_CASE("a sleep for ever is meant") {
    WatchedLoop watched;
    watched.run([&]() -> Coro<> {
        const Task<> sleeper =
            create_task([]() -> Coro<> { co_await async_sleep(Clock::duration::max()); });
        std::jthread thread(
            [&] { watched.loop().call_soon_threadsafe([&] { sleeper.cancel(); }); });
        co_await wait({sleeper});
    });
    CHECK(watched.reports.empty());
}

TEST_CASE("a loop without tasks has no deadlock") {
    EventLoop loop;
    loop.set_deadlock_notice(0s);
    loop.set_debug(true);
    loop.set_slow_callback_duration(1h);
    const LoopReports reports(loop);
    std::jthread thread([&] { loop.stop(); });
    loop.run_forever();
    CHECK(reports.texts().empty());
}

TEST_CASE("Ctrl-C still ends a program that is deadlocked") {
    const DefaultInterrupt interrupt;
    std::vector<std::string> reports;
    const auto main = [&]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        loop.set_debug(true);
        loop.set_slow_callback_duration(1h);
        loop.set_deadlock_notice(0s);
        loop.set_exception_handler([&](EventLoop&, const ExceptionContext& context) {
            reports.push_back(context.message);
            std::raise(SIGINT);
        });
        co_await Event().wait();
    };
    CHECK_THROWS_AS(run(main()), KeyboardInterrupt);
    CHECK(reports.size() == 1);
}

TEST_CASE("dump_tasks_on alone wakes nobody: a deadlock is seen all the same, and the signal too") {
    Event event;
    WatchedLoop watched;
    watched.run([&]() -> Coro<> {
        // A real one before: it is told after its wait counted as work.
        get_running_loop().add_signal_handler(SIGUSR2, [] {});
        get_running_loop().dump_tasks_on(SIGUSR2);
        co_await event.wait();
    });
    CHECK(watched.reports.size() == 1);
    CHECK(watched.loop().remove_signal_handler(SIGUSR2));
}

TEST_CASE("run_virtual throws in the same words") {
    const auto main = []() -> Coro<> {
        current_task().set_name("main");
        co_await async_sleep(1h);
        co_await Event().wait();
    };
    std::string text;
    try {
        testing::run_virtual(main());
    } catch (const RuntimeError& error) {
        text = error.what();
    }
    CHECK(text.starts_with("deadlock: every task waits, and nothing is left that could wake one\n"
                           "main waits for: event\n"));
    CHECK(says(text, "deadlock_test.cpp:"));
}
