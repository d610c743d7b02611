#include "coro_test.hpp"
#include "default_interrupt.hpp"
#include "loop_reports.hpp"
#include "stderr_capture.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <exception>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::DefaultInterrupt;
using testing_support::LoopReports;
using testing_support::StderrCapture;
using testing_support::turns;

namespace {

bool interrupt_is_default() {
    struct sigaction action{};
    return ::sigaction(SIGINT, nullptr, &action) == 0 && action.sa_handler == SIG_DFL;
}

void interrupt() { std::raise(SIGINT); }

} // namespace

TEST_CASE("1. run returns what main returns") {
    const auto number = []() -> Coro<int> {
        co_await turns();
        co_return 7;
    };
    const auto unique = []() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(3); };
    const auto nothing = []() -> Coro<> { co_return; };
    CHECK(run(number()) == 7);
    CHECK(*run(unique()) == 3);
    run(nothing());
}

TEST_CASE("run throws what main throws, with its own type") {
    const auto fails = []() -> Coro<int> {
        co_await turns();
        throw QueueEmpty();
    };
    const auto cancelled = []() -> Coro<> {
        current_task().cancel("by itself");
        co_await turns();
    };
    CHECK_THROWS_AS(run(fails()), QueueEmpty);
    CHECK_THROWS_AS(run(cancelled()), CancelledError);
}

TEST_CASE("3. run inside a running loop throws at once, and harms nothing") {
    bool inner_ran = false;
    const auto inner = [&]() -> Coro<> {
        inner_ran = true;
        co_return;
    };
    const auto main = [&]() -> Coro<int> {
        CHECK_THROWS_AS(run(inner()), RuntimeError);
        Runner runner;
        CHECK_THROWS_AS(runner.run(inner()), RuntimeError);
        co_await turns(2);
        co_return 1;
    };
    CHECK(run(main()) == 1);
    CHECK_FALSE(inner_ran);
}

TEST_CASE("5. run cancels what main left, and waits while it cleans up") {
    bool cleaned = false;
    const auto leftover = [&]() -> Coro<> {
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        co_await async_sleep(50ms);
        cleaned = true;
    };
    const auto main = [&]() -> Coro<> {
        create_task(leftover);
        co_await turns();
    };
    run(main());
    CHECK(cleaned);
}

TEST_CASE("7. an error of main comes out, one of a leftover is only reported") {
    Runner runner;
    const LoopReports reports(runner.get_loop());
    const auto leftover = []() -> Coro<> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            throw ValueError("leftover");
        }
    };
    const auto main = [&]() -> Coro<> {
        create_task(leftover);
        co_await turns();
        throw ValueError("main");
    };
    std::string text;
    try {
        runner.run(main());
    } catch (const ValueError& error) {
        text = error.what();
    }
    runner.close();
    CHECK(text == "main");
    REQUIRE(reports.texts().size() == 1);
    CHECK(reports.texts()[0].find("leftover") != std::string::npos);
}

TEST_CASE("9. shutdown_default_executor does not wait longer than it is told to") {
    auto release = std::make_shared<std::promise<void>>();
    auto ended = std::make_shared<std::promise<void>>();
    EventLoop loop;
    const LoopReports reports(loop);
    const auto main = [&]() -> Coro<> {
        const auto busy = run_in_executor([release, ended, wait = release->get_future().share()] {
            wait.wait();
            ended->set_value();
        });
        co_await loop.shutdown_default_executor(10ms);
        CHECK_FALSE(busy.done());
    };
    loop.run_until_complete(main());
    REQUIRE(reports.texts().size() == 1);
    CHECK(reports.texts()[0].find("did not finish joining") != std::string::npos);
    release->set_value();
    ended->get_future().wait();
}

TEST_CASE("run waits for the default executor's threads") {
    std::atomic<bool> ended = false;
    const auto main = [&]() -> Coro<> {
        std::promise<void> started;
        auto begun = started.get_future();
        const auto busy = run_in_executor([&ended, started = std::move(started)]() mutable {
            started.set_value();
            std::this_thread::yield();
            ended = true;
        });
        begun.wait();
        co_return;
    };
    run(main());
    CHECK(ended);
}

TEST_CASE("11. a runner runs several coroutines on one loop") {
    Runner runner;
    EventLoop* first = nullptr;
    int in_between = 0;
    const auto one = [&]() -> Coro<int> {
        first = &get_running_loop();
        first->call_later(0s, [&] { ++in_between; });
        create_task([&]() -> Coro<> {
            co_await turns(2);
            ++in_between;
        });
        co_return 1;
    };
    const auto two = [&]() -> Coro<int> {
        co_await turns(4);
        co_return &get_running_loop() == first ? 2 : 0;
    };
    CHECK(runner.run(one()) == 1);
    CHECK(runner.run(two()) == 2);
    CHECK(in_between == 2); // what the first left went on in the second
    CHECK(&runner.get_loop() == first);
    runner.close();
    runner.close();
    CHECK_THROWS_AS(runner.run(one()), RuntimeError);
    CHECK_THROWS_AS(static_cast<void>(runner.get_loop()), RuntimeError);
}

TEST_CASE("run in debug mode, and not") {
    const auto main = []() -> Coro<bool> { co_return get_running_loop().get_debug(); };
    CHECK(run(main(), {.debug = true}));
    CHECK_FALSE(run(main(), {.debug = false}));
}

TEST_CASE("13. Ctrl-C cancels main and what it waits for, and run throws KeyboardInterrupt") {
    const DefaultInterrupt guard;
    Future<int> future;
    bool cleaned = false;
    const auto main = [&]() -> Coro<> {
        future = get_running_loop().create_future<int>();
        get_running_loop().call_soon(&interrupt);
        try {
            static_cast<void>(co_await future);
        } catch (const CancelledError&) {
            cleaned = true;
            throw;
        }
    };
    CHECK_THROWS_AS(run(main()), KeyboardInterrupt);
    CHECK(cleaned);
    CHECK(future.cancelled());
    CHECK(interrupt_is_default());
}

TEST_CASE("15. a main that answers Ctrl-C with a value gives the value") {
    const DefaultInterrupt guard;
    const auto main = []() -> Coro<int> {
        get_running_loop().call_soon(&interrupt);
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            co_return 7;
        }
        co_return 0;
    };
    CHECK(run(main()) == 7);
    CHECK(interrupt_is_default());
}

TEST_CASE("a main that fails while it is interrupted throws its own error") {
    const DefaultInterrupt guard;
    const auto main = []() -> Coro<> {
        get_running_loop().call_soon(&interrupt);
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            throw ValueError("while leaving");
        }
    };
    CHECK_THROWS_AS(run(main()), ValueError);
}

TEST_CASE("a second Ctrl-C ends run at once, leftovers are still cancelled") {
    const DefaultInterrupt guard;
    bool cancelled_again = false;
    const auto main = [&]() -> Coro<> {
        get_running_loop().call_soon(&interrupt);
        bool first = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            first = true;
        }
        CHECK(first);
        get_running_loop().call_soon(&interrupt);
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled_again = true;
            throw;
        }
    };
    CHECK_THROWS_AS(run(main()), KeyboardInterrupt);
    CHECK(cancelled_again);
}

TEST_CASE("Ctrl-C that ends a main which uncancels counts as handled") {
    const DefaultInterrupt guard;
    const auto main = []() -> Coro<> {
        get_running_loop().call_soon(&interrupt);
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            static_cast<void>(current_task().uncancel());
        }
        co_await turns(2);
        throw CancelledError("for another reason");
    };
    std::string message;
    try {
        run(main());
    } catch (const CancelledError& cancelled) {
        message = cancelled.message();
    } catch (const KeyboardInterrupt&) {
        message = "KeyboardInterrupt";
    }
    // As in asyncio: Runner.run looks at the count after its own request, which is gone.
    CHECK(message == "KeyboardInterrupt");
}

TEST_CASE("handle_sigint = false and other handlers are left alone") {
    static std::atomic<int> seen = 0;
    seen = 0;
    struct sigaction action{};
    struct sigaction previous{};
    action.sa_handler = [](int) { ++seen; };
    ::sigaction(SIGINT, &action, &previous);
    const auto main = []() -> Coro<int> {
        interrupt();
        co_await turns(2);
        co_return 4;
    };
    CHECK(run(main()) == 4);
    CHECK(run(main(), {.handle_sigint = false}) == 4);
    CHECK(seen == 2);
    ::sigaction(SIGINT, &previous, nullptr);
}

TEST_CASE("off the main thread run leaves SIGINT alone") {
    const DefaultInterrupt guard;
    bool untouched = false;
    std::thread other([&] {
        const auto main = [&]() -> Coro<> {
            untouched = interrupt_is_default();
            co_return;
        };
        run(main());
    });
    other.join();
    CHECK(untouched);
}

TEST_CASE("Ctrl-C reaches a main that is ready all the time, too") {
    const DefaultInterrupt guard;
    bool cancelled = false;
    const auto main = [&]() -> Coro<> {
        get_running_loop().call_soon(&interrupt);
        try {
            for (;;) {
                co_await async_sleep(0s);
            }
        } catch (const CancelledError&) {
            cancelled = true;
            throw;
        }
    };
    CHECK_THROWS_AS(run(main()), KeyboardInterrupt);
    CHECK(cancelled);
}

TEST_CASE("Ctrl-C on a main that was cancelled otherwise, too, is no KeyboardInterrupt") {
    const DefaultInterrupt guard;
    const auto main = []() -> Coro<> {
        const AnyTask self = current_task();
        create_task([self]() -> Coro<> {
            self.cancel("by somebody");
            co_return;
        });
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        get_running_loop().call_soon(&interrupt);
        co_await async_sleep(1h);
    };
    CHECK_THROWS_AS(run(main()), CancelledError);
}

TEST_CASE("15. a main that swallows Ctrl-C goes on for as long as it likes") {
    const DefaultInterrupt guard;
    const auto main = []() -> Coro<int> {
        get_running_loop().call_soon(&interrupt);
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        co_await turns(10);
        const int value = co_await create_task([]() -> Coro<int> { co_return 8; });
        co_return value;
    };
    CHECK(run(main()) == 8);
}

TEST_CASE("Ctrl-C is counted anew in each run of a Runner") {
    const DefaultInterrupt guard;
    Runner runner;
    const auto main = []() -> Coro<> {
        get_running_loop().call_soon(&interrupt);
        co_await async_sleep(1h);
    };
    CHECK_THROWS_AS(runner.run(main()), KeyboardInterrupt);
    CHECK_THROWS_AS(runner.run(main()), KeyboardInterrupt);
    const auto quiet = []() -> Coro<int> { co_return 1; };
    CHECK(runner.run(quiet()) == 1);
}

TEST_CASE("a SIGINT handler of the loop that main sets takes over, and stays after the run") {
    const DefaultInterrupt guard;
    Runner runner;
    int seen = 0;
    Future<void> told;
    const auto first = [&]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        told = loop.create_future();
        loop.add_signal_handler(SIGINT, [&] {
            ++seen;
            told.set_result();
        });
        interrupt();
        co_await told;
    };
    const auto second = [&]() -> Coro<> {
        told = get_running_loop().create_future();
        interrupt();
        co_await told;
    };
    runner.run(first());
    runner.run(second());
    CHECK(seen == 2);
    CHECK(runner.get_loop().remove_signal_handler(SIGINT));
    CHECK(interrupt_is_default());
}

TEST_CASE("a SIGINT disposition that main sets is left as it is") {
    const DefaultInterrupt guard;
    static std::atomic<int> seen = 0;
    seen = 0;
    const auto main = []() -> Coro<> {
        struct sigaction action{};
        action.sa_handler = [](int) { ++seen; };
        ::sigaction(SIGINT, &action, nullptr);
        interrupt();
        co_return;
    };
    run(main());
    CHECK(seen == 1);
    CHECK_FALSE(interrupt_is_default());
    interrupt();
    CHECK(seen == 2);
}

TEST_CASE("KeyboardInterrupt out of main ends run, and is reported to nobody else") {
    Runner runner;
    const LoopReports reports(runner.get_loop());
    const auto main = []() -> Coro<> {
        co_await turns();
        throw KeyboardInterrupt();
    };
    CHECK_THROWS_AS(runner.run(main()), KeyboardInterrupt);
    const auto next = []() -> Coro<int> { // nothing of the first run stops this one
        co_await turns(5);
        co_return 3;
    };
    CHECK(runner.run(next()) == 3);
    runner.close();
    CHECK(reports.texts().empty());
}

TEST_CASE("KeyboardInterrupt out of another task or a callback ends run, main is cancelled") {
    for (const bool in_task : {true, false}) {
        CAPTURE(in_task);
        Runner runner;
        const LoopReports reports(runner.get_loop());
        bool cleaned = false;
        const auto main = [&]() -> Coro<> {
            if (in_task) {
                create_task([]() -> Coro<> {
                    throw KeyboardInterrupt();
                    co_return;
                });
            } else {
                get_running_loop().call_soon([] { throw KeyboardInterrupt(); });
            }
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                cleaned = true;
                throw;
            }
        };
        CHECK_THROWS_AS(runner.run(main()), KeyboardInterrupt);
        CHECK_FALSE(cleaned);
        runner.close();
        CHECK(cleaned);
        CHECK(reports.texts().empty());
    }
}

TEST_CASE("KeyboardInterrupt out of a leftover does not keep the others from their clean-up") {
    Runner runner;
    const LoopReports reports(runner.get_loop());
    int cleaned = 0;
    const auto leftover = [&](bool interrupts) -> Coro<> {
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        if (interrupts) {
            throw KeyboardInterrupt();
        }
        co_await turns(5);
        ++cleaned;
    };
    const auto main = [&]() -> Coro<> {
        create_task(leftover, false);
        create_task(leftover, true);
        co_await turns();
    };
    runner.run(main());
    runner.close();
    CHECK(cleaned == 1);
    REQUIRE(reports.texts().size() == 1);
    CHECK(reports.texts()[0].rfind("Exception while the event loop was being shut down", 0) == 0);
}

TEST_CASE("KeyboardInterrupt out of a child that main awaits ends run") {
    const auto child = []() -> Coro<> {
        co_await turns();
        throw KeyboardInterrupt();
    };
    const auto main = [&]() -> Coro<> { co_await gather(child(), async_sleep(1h)); };
    CHECK_THROWS_AS(run(main()), KeyboardInterrupt);
}

TEST_CASE("7. what a leftover throws is reported when it ends, also when somebody keeps its task") {
    Task<> kept;
    std::vector<std::string> tasks;
    std::vector<std::string> messages;
    const auto main = [&]() -> Coro<int> {
        get_running_loop().set_exception_handler([&](EventLoop&, const ExceptionContext& context) {
            tasks.push_back(context.task);
            messages.push_back(context.message);
        });
        kept = create_task(TaskOptions{.name = "leftover"}, []() -> Coro<> {
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                throw ValueError("while leaving");
            }
        });
        co_await turns();
        co_return 123;
    };
    CHECK(run(main()) == 123);
    CHECK(kept.done());
    CHECK(tasks == std::vector<std::string>{"leftover"});
    REQUIRE(messages.size() == 1);
    CHECK(messages[0] == "unhandled exception while the event loop was being shut down");
}

TEST_CASE("a Runner runs a coroutine in the context that it is given, without its own") {
    static const ContextVar<int> number("number", -1);
    Runner runner;
    const auto set = [](int value) -> Coro<int> {
        const int old = number.get();
        co_await turns();
        number.set(value);
        co_return old;
    };
    CHECK(runner.run(set(1)) == -1);
    const Context own;
    CHECK(runner.run(set(5), own) == -1);
    CHECK(own.run([] { return number.get(); }) == 5);
    CHECK(runner.run(set(2)) == 1);
    CHECK(number.get() == -1);
}

TEST_CASE("a Runner runs on the loop that it is given, and closes it") {
    auto made = new_event_loop();
    EventLoop* loop = made.get();
    bool ran_there = false;
    const auto main = [&]() -> Coro<> {
        ran_there = &get_event_loop() == loop;
        co_return;
    };
    Runner runner({.debug = true}, std::move(made));
    CHECK(&runner.get_loop() == loop);
    CHECK(loop->get_debug());
    runner.run(main());
    CHECK(ran_there);
    runner.close();
    CHECK_THROWS_AS(static_cast<void>(runner.get_loop()), RuntimeError);
}

TEST_CASE("what main leaves is cleaned up before its exception leaves run, not while it unwinds") {
    int unwinding = -1;
    const auto leftover = [&]() -> Coro<> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            unwinding = std::uncaught_exceptions();
            throw;
        }
    };
    const auto main = [&]() -> Coro<> {
        create_task(leftover);
        co_await async_sleep(0s);
        throw ValueError("main");
    };
    CHECK_THROWS_AS(run(main()), ValueError);
    CHECK(unwinding == 0);
}
