#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::turns;

namespace {

// Counts the copies and ends of an argument.
struct Counted {
    explicit Counted(int& alive_now) : alive(&alive_now) { ++*alive; }

    Counted(const Counted& other) : alive(other.alive) { ++*alive; }

    Counted& operator=(const Counted&) = default;

    ~Counted() { --*alive; }

    int* alive;
};

Coro<int> number(int value) { co_return value; }

Coro<> nothing(Counted) { co_return; }

Coro<> fails() {
    throw ValueError("no");
    co_return;
}

} // namespace

CO_TEST_CASE("a coroutine is lazy: nothing runs before it is awaited") {
    bool ran = false;
    const auto body = [&]() -> Coro<> {
        ran = true;
        co_return;
    };
    Coro<> coro = body();
    co_await turns(3);
    CHECK_FALSE(ran);
    co_await std::move(coro);
    CHECK(ran);
}

CO_TEST_CASE("awaiting a coroutine takes no turn") {
    bool other_ran = false;
    get_running_loop().call_soon([&] { other_ran = true; });
    int sum = 0;
    for (int i = 0; i < 100; ++i) {
        sum += co_await number(i);
    }
    CHECK(sum == 4950);
    CHECK_FALSE(other_ran);
    co_await turns(); // before its locals go
}

CO_TEST_CASE("an exception comes out where the coroutine is awaited") {
    std::string text;
    try {
        co_await fails();
    } catch (const ValueError& error) {
        text = error.what();
    }
    CHECK(text == "no");
}

CO_TEST_CASE("a coroutine returns values that only move, references, and nothing") {
    const auto unique = []() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(3); };
    int target = 1;
    const auto reference = [&]() -> Coro<int&> { co_return target; };
    const auto pointer = co_await unique();
    CHECK(*pointer == 3);
    int& same = co_await reference();
    same = 7;
    CHECK(target == 7);
    int alive = 0;
    co_await nothing(Counted(alive));
    CHECK(alive == 0);
}

TEST_CASE("a coroutine that never ran destroys its arguments") {
    int alive = 0;
    {
        const Coro<> coro = nothing(Counted(alive));
        CHECK(coro.valid());
        CHECK(alive == 1);
    }
    CHECK(alive == 0);
}

CO_TEST_CASE("a coroutine that was moved from, or awaited before, throws RuntimeError") {
    Coro<int> first = number(1);
    Coro<int> second = std::move(first);
    CHECK_FALSE(first.valid());
    const int value = co_await std::move(second);
    CHECK(value == 1);
    int errors = 0;
    try {
        static_cast<void>(co_await std::move(first));
    } catch (const RuntimeError&) {
        ++errors;
    }
    try {
        static_cast<void>(co_await std::move(second));
    } catch (const RuntimeError&) {
        ++errors;
    }
    CHECK(errors == 2);
    CHECK_THROWS_AS(create_task(std::move(first)), RuntimeError);
}

CO_TEST_CASE("assigning to a coroutine destroys the one it held") {
    int alive = 0;
    Coro<> coro = nothing(Counted(alive));
    coro = fails();
    CHECK(alive == 0);
    bool failed = false;
    try {
        co_await std::move(coro);
    } catch (const ValueError&) {
        failed = true;
    }
    CHECK(failed);
}

CO_TEST_CASE("recursion 100,000 deep and a million awaits that complete at once need no stack") {
    struct Recursive {
        static Coro<int> down(int depth) {
            if (depth == 0) {
                co_return 0;
            }
            co_return 1 + co_await down(depth - 1);
        }
    };

    const int depth = co_await Recursive::down(100'000);
    CHECK(depth == 100'000);
    int sum = 0;
    for (int i = 0; i < 1'000'000; ++i) {
        sum += co_await number(1);
    }
    CHECK(sum == 1'000'000);
}

TEST_CASE("a suspended chain 100,000 deep is destroyed without recursion, innermost frame first") {
    struct Recursive {
        static Coro<> down(int depth, int& last_destroyed, bool& in_order) {
            struct Order {
                int depth;
                int& last;
                bool& in_order;

                ~Order() {
                    in_order = in_order && depth == last + 1;
                    last = depth;
                }
            };

            const Order order{depth, last_destroyed, in_order};
            if (depth > 0) {
                co_await down(depth - 1, last_destroyed, in_order);
            } else {
                co_await async_sleep(1h);
            }
        }
    };

    int last = -1;
    bool in_order = true;
    {
        EventLoop loop;
        loop.create_task(Recursive::down(100'000, last, in_order));
        loop.run_until_complete(turns(2));
    }
    CHECK(in_order);
    CHECK(last == 100'000);
}

CO_TEST_CASE("an exception travels through 10,000 coroutines") {
    struct Recursive {
        static Coro<> down(int depth) {
            if (depth == 0) {
                throw ValueError("deep");
            }
            co_await down(depth - 1);
        }
    };

    bool caught = false;
    try {
        co_await Recursive::down(10'000);
    } catch (const ValueError&) {
        caught = true;
    }
    CHECK(caught);
}
