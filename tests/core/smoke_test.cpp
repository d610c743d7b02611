#include <muster/muster.hpp>
#include <muster/testing.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;

namespace {

Coro<int> answer() { co_return 42; }

Coro<int> slow(int value, std::chrono::milliseconds delay) {
    co_await async_sleep(delay);
    co_return value;
}

Coro<int> failing(std::chrono::milliseconds delay) {
    co_await async_sleep(delay);
    throw ValueError("bad");
}

} // namespace

TEST_CASE("run gives what main returns") { CHECK(run(answer()) == 42); }

TEST_CASE("a coroutine awaits others, tasks and gather") {
    const auto main = []() -> Coro<int> {
        const int one = co_await answer();
        Task<int> task = create_task(slow(1, 10ms));
        auto results = co_await gather(slow(2, 5ms), slow(3, 1ms), task);
        const auto& [a, b, c] = results;
        co_return one + a * 100 + b * 1000 + c * 10000;
    };
    CHECK(testing::run_virtual(main()) == 42 + 200 + 3000 + 10000);
}

TEST_CASE("gather cancels the other coroutines when one fails, and throws its error") {
    const auto main = []() -> Coro<std::string> {
        bool cancelled = false;
        const auto other = [&]() -> Coro<void> {
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                cancelled = true;
                throw;
            }
        };
        try {
            co_await gather(other(), failing(1ms));
        } catch (const ValueError& error) {
            co_return std::string(error.what()) + (cancelled ? " cancelled" : " running");
        }
        co_return "no error";
    };
    CHECK(testing::run_virtual(main()) == "bad cancelled");
}

TEST_CASE("timeout cancels its block and throws TimeoutError") {
    const auto main = []() -> Coro<bool> {
        const auto body = []() -> Coro<void> { co_await async_sleep(1h); };
        try {
            co_await timeout(10ms, body);
        } catch (const TimeoutError&) {
            co_return current_task().cancelling() == 0;
        }
        co_return false;
    };
    CHECK(testing::run_virtual(main()));
}

TEST_CASE("task_group throws all errors of its children and cancels the body") {
    const auto main = []() -> Coro<std::size_t> {
        const auto body = [](TaskGroup& group) -> Coro<void> {
            group.create_task(failing(1ms));
            group.create_task(failing(1ms));
            co_await async_sleep(1h);
        };
        try {
            co_await task_group(body);
        } catch (const ExceptionGroup& errors) {
            co_return errors.exceptions().size();
        }
        co_return 0;
    };
    CHECK(testing::run_virtual(main()) == 2);
}

TEST_CASE("run_in_executor and to_thread bring results and errors back") {
    const auto main = []() -> Coro<int> {
        const int a = co_await run_in_executor([](int x) { return x * 2; }, 21);
        int target = 0;
        co_await to_thread([](int& out) { out = 5; }, std::ref(target));
        try {
            co_await to_thread([] { throw ValueError("from the thread"); });
        } catch (const ValueError&) {
            co_return a + target;
        }
        co_return 0;
    };
    CHECK(run(main()) == 47);
}

TEST_CASE("ten thousand awaits deep and a million awaits that complete at once need no stack") {
    struct Deep {
        static Coro<int> down(int depth) {
            if (depth == 0) {
                co_return 0;
            }
            co_return 1 + co_await down(depth - 1);
        }
    };

    CHECK(run(Deep::down(100'000)) == 100'000);
    const auto loop = []() -> Coro<int> {
        int sum = 0;
        for (int i = 0; i < 1'000'000; ++i) {
            sum += co_await answer() - 41;
        }
        co_return sum;
    };
    CHECK(run(loop()) == 1'000'000);
}

TEST_CASE("a loop that goes away destroys what waits, from the inside out") {
    std::vector<int> order;

    struct Mark {
        std::vector<int>& order;
        int id;

        ~Mark() { order.push_back(id); }
    };

    const auto inner = [&](int id) -> Coro<void> {
        const Mark mark{order, id};
        co_await async_sleep(1h);
    };
    const auto outer = [&](int id) -> Coro<void> {
        const Mark mark{order, id};
        co_await inner(id + 1);
    };
    {
        EventLoop loop;
        loop.create_task(outer(10));
        loop.create_task(outer(20));
        const auto once = []() -> Coro<void> { co_await async_sleep(0s); };
        loop.run_until_complete(once());
    }
    CHECK(order == std::vector<int>{21, 20, 11, 10});
}
