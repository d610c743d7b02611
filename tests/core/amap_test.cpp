#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <list>
#include <ranges>
#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::outcome;
using testing_support::turns;

CO_TEST_CASE("amap gives the results in the order of the items, however they end") {
    const std::vector<int> items{3, 1, 2};
    const auto results = co_await amap(items, [](int item) -> Coro<std::string> {
        co_await async_sleep(std::chrono::seconds(item));
        co_return std::to_string(item);
    });
    CHECK(results == std::vector<std::string>{"3", "1", "2"});
    CHECK(Clock::now().time_since_epoch() >= 3s);
}

CO_TEST_CASE("amap runs no more than max_at_once at a time, and as many") {
    const std::vector<int> items(20, 1);
    int running = 0;
    int most = 0;
    const auto start = Clock::now();
    co_await amap(items,
                  [&](int) -> Coro<> {
                      most = std::max(most, ++running);
                      co_await async_sleep(1s);
                      --running;
                  },
                  {.max_at_once = 4});
    CHECK(most == 4);
    CHECK(Clock::now() - start == 5s);
}

CO_TEST_CASE("amap starts no more than max_per_second, evenly spaced") {
    const std::vector<int> items{1, 2, 3, 4, 5};
    std::vector<Clock::duration> starts;
    const auto begin = Clock::now();
    co_await amap(items,
                  [&](int) -> Coro<> {
                      starts.push_back(Clock::now() - begin);
                      co_await async_sleep(10s);
                  },
                  {.max_per_second = 2.0});
    CHECK(starts == std::vector<Clock::duration>{0ms, 500ms, 1000ms, 1500ms, 2000ms});
}

CO_TEST_CASE("amap: when one fails, the others are cancelled and waited for, no more are started") {
    const std::vector<int> items{1, 2, 3, 4};
    std::vector<std::string> log;
    const auto work = [&](int item) -> Coro<> {
        log.push_back("start " + std::to_string(item));
        try {
            co_await async_sleep(std::chrono::seconds(item));
        } catch (const CancelledError&) {
            log.push_back("cancel " + std::to_string(item));
            throw;
        }
        throw ValueError("failed");
    };
    std::string error;
    try {
        co_await amap(items, work, {.max_at_once = 2});
    } catch (const ValueError& failure) {
        error = failure.what();
    }
    CHECK(error == "failed");
    CHECK(log == std::vector<std::string>{"start 1", "start 2", "cancel 2"});
}

CO_TEST_CASE("amap takes any range, keeps a temporary one, and passes references into it") {
    std::list<std::string> names{"a", "b"};
    co_await amap(names, [](std::string& name) -> Coro<> {
        co_await async_sleep(1s);
        name += "!";
    });
    CHECK(names == std::list<std::string>{"a!", "b!"});
    const auto sizes = co_await amap(std::vector<std::string>(2, "long enough to be allocated"),
                                     [](const std::string& text) -> Coro<std::size_t> {
                                         co_await async_sleep(1s);
                                         co_return text.size();
                                     });
    CHECK(sizes == std::vector<std::size_t>{27, 27});
    const auto squares =
        co_await amap(std::views::iota(1, 4) | std::views::transform([](int i) { return i * i; }),
                      [](int value) -> Coro<int> { co_return value; }, {.max_at_once = 1});
    CHECK(squares == std::vector<int>{1, 4, 9});
    const auto none =
        co_await amap(std::vector<int>(), [](int value) -> Coro<int> { co_return value; });
    CHECK(none.empty());
}

CO_TEST_CASE("amap cancelled cancels what runs and waits for it") {
    const std::vector<int> items{1, 2};
    int cleaned = 0;
    const auto body = [&]() -> Coro<> {
        co_await amap(items, [&](int) -> Coro<> {
            bool cancelled = false;
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                cancelled = true;
            }
            if (cancelled) {
                co_await async_sleep(1s);
                ++cleaned;
                throw CancelledError();
            }
        });
    };
    const Task<> task = create_task(body);
    co_await turns(4);
    task.cancel();
    co_await async_sleep(2s);
    CHECK(outcome(task) == "cancelled");
    CHECK(cleaned == 2);
}

CO_TEST_CASE("amap refuses bounds that allow nothing") {
    const std::vector<int> items{1};
    const auto nothing = [](int) -> Coro<> { co_return; };
    std::string error;
    try {
        co_await amap(items, nothing, {.max_at_once = 0});
    } catch (const ValueError& failure) {
        error = failure.what();
    }
    CHECK(error.find("max_at_once") != std::string::npos);
    try {
        co_await amap(items, nothing, {.max_per_second = 0.0});
    } catch (const ValueError& failure) {
        error = failure.what();
    }
    CHECK(error.find("max_per_second") != std::string::npos);
}
