#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::outcome;
using testing_support::turns;

namespace {

AsyncGenerator<int> count_to(int last, Clock::duration pause = 1s) {
    for (int i = 1; i <= last; ++i) {
        co_await async_sleep(pause);
        co_yield i;
    }
}

// Says when it is destroyed.
struct Local {
    explicit Local(std::vector<std::string>& destination) : log(destination) {}

    Local(const Local&) = delete;
    Local& operator=(const Local&) = delete;

    ~Local() { log.emplace_back("local gone"); }

    std::vector<std::string>& log;
};

AsyncGenerator<int> with_cleanup(std::vector<std::string>& log) {
    const Local local(log);
    bool closing = false;
    try {
        co_yield 1;
        co_yield 2;
    } catch (const GeneratorExit&) {
        closing = true;
    }
    if (closing) {
        co_await async_sleep(1s);
        log.emplace_back("cleaned up");
        throw GeneratorExit();
    }
}

} // namespace

CO_TEST_CASE("a generator gives its values one by one, then nothing, again and again") {
    auto numbers = count_to(3);
    std::vector<int> seen;
    const auto start = Clock::now();
    while (auto item = co_await numbers.next()) {
        seen.push_back(*item);
    }
    CHECK(seen == std::vector{1, 2, 3});
    CHECK(Clock::now() - start == 3s);
    const auto after_end = co_await numbers.next();
    CHECK_FALSE(after_end.has_value());
}

CO_TEST_CASE("a generator runs only when it is asked, in the task that asks") {
    bool ran = false;
    const auto make = [&]() -> AsyncGenerator<std::string> {
        ran = true;
        co_yield current_task().name();
    };
    auto names = make();
    co_await turns(2);
    CHECK_FALSE(ran);
    const auto ask = [&]() -> Coro<std::string> { co_return *co_await names.next(); };
    const auto asking = create_task(TaskOptions{.name = "asker"}, ask);
    co_await asking;
    CHECK(asking.result() == "asker");
}

CO_TEST_CASE("a generator gives what can only be moved") {
    const auto make = []() -> AsyncGenerator<std::unique_ptr<int>> {
        co_yield std::make_unique<int>(1);
    };
    auto pointers = make();
    const auto item = co_await pointers.next();
    CHECK(**item == 1);
}

CO_TEST_CASE("what a generator throws is thrown by next(), and ends it") {
    const auto make = []() -> AsyncGenerator<int> {
        co_yield 1;
        throw ValueError("broken");
    };
    auto numbers = make();
    static_cast<void>(co_await numbers.next());
    std::string error;
    try {
        static_cast<void>(co_await numbers.next());
    } catch (const ValueError& failure) {
        error = failure.what();
    }
    CHECK(error == "broken");
    const auto after_error = co_await numbers.next();
    CHECK_FALSE(after_error.has_value());
}

CO_TEST_CASE("dropping a generator destroys its locals where it stands") {
    std::vector<std::string> log;
    {
        auto numbers = with_cleanup(log);
        static_cast<void>(co_await numbers.next());
        CHECK(log.empty());
    }
    CHECK(log == std::vector<std::string>{"local gone"});
}

CO_TEST_CASE(
    "aclose lets a generator clean up, and is harmless before the start and after the end") {
    std::vector<std::string> log;
    auto numbers = with_cleanup(log);
    static_cast<void>(co_await numbers.next());
    co_await numbers.aclose();
    CHECK(log == std::vector<std::string>{"cleaned up", "local gone"});
    co_await numbers.aclose();
    const auto after_close = co_await numbers.next();
    CHECK_FALSE(after_close.has_value());
    auto fresh = with_cleanup(log);
    co_await fresh.aclose();
    CHECK(log.size() == 2);
    auto all = count_to(1);
    while (co_await all.next()) {
    }
    co_await all.aclose();
}

CO_TEST_CASE("a generator that yields while it is being closed is refused") {
    const auto make = []() -> AsyncGenerator<int> {
        for (;;) {
            try {
                co_yield 1;
            } catch (const GeneratorExit&) {
                continue;
            }
        }
    };
    auto stubborn = make();
    static_cast<void>(co_await stubborn.next());
    std::string error;
    try {
        co_await stubborn.aclose();
    } catch (const RuntimeError& failure) {
        error = failure.what();
    }
    CHECK(error.find("ignored GeneratorExit") != std::string::npos);
}

CO_TEST_CASE("two values of a generator may be asked for in one expression") {
    auto numbers = count_to(2);
    const int difference = *co_await numbers.next() - *co_await numbers.next();
    CHECK(difference == -1);
}

CO_TEST_CASE("two tasks cannot wait for the next value of one generator") {
    auto numbers = count_to(2);
    const auto ask = [&]() -> Coro<> { static_cast<void>(co_await numbers.next()); };
    const auto first = create_task(ask);
    const auto second = create_task(ask);
    co_await wait({first, second});
    CHECK(outcome(first) == "value");
    CHECK_THROWS_AS(second.result(), RuntimeError);
}

CO_TEST_CASE("a cancellation is thrown where the generator waits, which may go on after it") {
    int cancelled = 0;
    const auto make = [&]() -> AsyncGenerator<int> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            ++cancelled;
        }
        co_yield 1;
        co_await async_sleep(1h);
        co_yield 2;
    };
    auto numbers = make();
    const auto ask = [&]() -> Coro<> {
        const auto one = co_await numbers.next();
        CHECK(one == 1);
        static_cast<void>(co_await numbers.next());
    };
    const auto task = create_task(ask);
    co_await turns(2);
    task.cancel();
    co_await turns(2);
    CHECK_FALSE(task.done());
    task.cancel();
    co_await turns(2);
    CHECK(outcome(task) == "cancelled");
    CHECK(cancelled == 1);
    const auto ended = co_await numbers.next();
    CHECK_FALSE(ended.has_value());
}

CO_TEST_CASE("a million values that are ready at once need no stack") {
    const auto make = []() -> AsyncGenerator<int> {
        for (int i = 0; i < 1'000'000; ++i) {
            co_yield i;
        }
    };
    auto numbers = make();
    long long sum = 0;
    while (auto item = co_await numbers.next()) {
        sum += *item;
    }
    CHECK(sum == 499'999'500'000);
}

TEST_CASE("a loop goes away while a generator waits, whichever task owns it") {
    std::vector<std::string> log;
    const auto make = [&]() -> AsyncGenerator<int> {
        const Local local(log);
        co_await async_sleep(1h);
        co_yield 1;
    };
    for (const bool owner_first : {true, false}) {
        log.clear();
        const auto loop = testing::make_virtual_loop();
        std::optional<AsyncGenerator<int>>* shared = nullptr;
        const auto own = [&]() -> Coro<> {
            std::optional<AsyncGenerator<int>> numbers = make();
            shared = &numbers;
            co_await async_sleep(2h);
        };
        const auto ask = [&]() -> Coro<> {
            co_await async_sleep(1s);
            static_cast<void>(co_await (*shared)->next());
        };
        if (owner_first) {
            loop->create_task(own());
            loop->create_task(ask());
        } else {
            loop->create_task(ask());
            loop->create_task(own());
        }
        loop->call_later(10s, [&] { loop->stop(); });
        loop->run_forever();
        loop->close();
        CHECK(log == std::vector<std::string>{"local gone"});
    }
}
