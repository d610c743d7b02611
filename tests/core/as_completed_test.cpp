#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::outcome;
using testing_support::turns;

namespace {

Coro<int> after(Clock::duration delay, int value) {
    co_await async_sleep(delay);
    co_return value;
}

Coro<int> fail_after(Clock::duration delay) {
    co_await async_sleep(delay);
    throw ValueError("failed");
}

} // namespace

CO_TEST_CASE("95. as_completed gives values in the order of completion") {
    const std::vector<Task<int>> tasks{create_task(after(3s, 3)), create_task(after(1s, 1)),
                                       create_task(after(2s, 2))};
    std::vector<int> values;
    for (auto next : as_completed(tasks)) {
        values.push_back(co_await next);
    }
    CHECK(values == std::vector{1, 2, 3});
}

CO_TEST_CASE("95. next() gives the tasks themselves, those that are done first") {
    const Task<int> slow = create_task(after(2s, 2));
    const Task<int> failing = create_task(fail_after(1s));
    const Task<int> done = create_task(after(0s, 0));
    co_await done;
    auto completed = as_completed({slow, failing, done, slow});
    std::vector<Task<int>> order;
    while (auto task = co_await completed.next()) {
        order.push_back(*task);
    }
    CHECK(order == std::vector{done, failing, slow});
    CHECK_THROWS_AS(failing.result(), ValueError);
}

CO_TEST_CASE("97. after the timeout what is done is given, then TimeoutError, nothing cancelled") {
    const std::vector<Task<int>> tasks{create_task(after(1s, 1)), create_task(after(1h, 2)),
                                       create_task(after(2s, 3))};
    std::vector<int> values;
    int timeouts = 0;
    const auto start = Clock::now();
    for (auto next : as_completed(tasks, {.timeout = 10s})) {
        try {
            values.push_back(co_await next);
        } catch (const TimeoutError&) {
            ++timeouts;
        }
    }
    CHECK(Clock::now() - start == 10s);
    CHECK(values == std::vector{1, 3});
    CHECK(timeouts == 1);
    CHECK_FALSE(tasks[1].done());
    CHECK(tasks[1].cancelling() == 0);
}

CO_TEST_CASE("as_completed throws what a task threw where that one is awaited") {
    const std::vector<Task<int>> tasks{create_task(fail_after(1s)), create_task(after(2s, 2))};
    std::string seen;
    for (auto next : as_completed(tasks)) {
        try {
            seen += std::to_string(co_await next);
        } catch (const ValueError& error) {
            seen += error.what();
        }
    }
    CHECK(seen == "failed2");
}

CO_TEST_CASE("as_completed: values that can only be moved are moved out of tasks given away") {
    const auto make = [](int value) -> Coro<std::unique_ptr<int>> {
        co_await async_sleep(1s);
        co_return std::make_unique<int>(value);
    };
    std::vector<Task<std::unique_ptr<int>>> tasks;
    tasks.push_back(create_task(make, 1));
    tasks.push_back(create_task(make, 2));
    int sum = 0;
    for (auto next : as_completed(std::move(tasks))) {
        const std::unique_ptr<int> value = co_await next;
        sum += *value;
    }
    CHECK(sum == 3);
}

CO_TEST_CASE("as_completed: several awaited at once get their values in the order they came") {
    const std::vector<Task<int>> tasks{create_task(after(2s, 2)), create_task(after(1s, 1))};
    auto completed = as_completed(tasks);
    std::vector<Coro<int>> nexts;
    const auto get = [](AsCompleted<Task<int>>::Next next) -> Coro<int> {
        co_return co_await next;
    };
    for (auto next : completed) {
        nexts.push_back(get(next));
    }
    const std::vector<int> values = co_await gather(std::move(nexts));
    CHECK(values == std::vector{1, 2});
}

CO_TEST_CASE("as_completed: a wait that is cancelled leaves the next value to the next wait") {
    const std::vector<Task<int>> tasks{create_task(after(1s, 1)), create_task(after(2s, 2))};
    Task<int> woken;
    tasks[0].add_done_callback([&](const Task<int>&) { woken.cancel(); });
    auto completed = as_completed(tasks);
    auto it = completed.begin();
    const auto body = [&]() -> Coro<int> { co_return co_await *it; };
    const Task<int> waiting = create_task(body);
    woken = create_task(body);
    co_await turns(2);
    waiting.cancel();
    co_await turns();
    CHECK(outcome(waiting) == "cancelled");
    const int value = co_await *it;
    CHECK(outcome(woken) == "cancelled");
    CHECK(value == 1);
}

CO_TEST_CASE("as_completed of nothing is over at once, and may be dropped before its end") {
    const std::vector<Task<int>> none;
    for (auto next : as_completed(none)) {
        static_cast<void>(co_await next);
        CHECK(false);
    }
    const Task<int> slow = create_task(after(1h, 1));
    {
        auto dropped = as_completed({slow}, {.timeout = 10s});
        static_cast<void>(dropped);
    }
    co_await async_sleep(1min);
    CHECK_FALSE(slow.done());
}

CO_TEST_CASE("as_completed: a loop that was left goes on with the next one") {
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 4; ++i) {
        tasks.push_back(create_task(after(std::chrono::seconds(i), i)));
    }
    auto completed = as_completed(tasks);
    std::vector<int> values;
    for (auto next : completed) {
        values.push_back(co_await next);
        if (values.size() == 2) {
            break;
        }
    }
    for (auto next : completed) {
        values.push_back(co_await next);
    }
    CHECK(values == std::vector{0, 1, 2, 3});
    CHECK(completed.begin() == completed.end());
    const auto none = co_await completed.next();
    CHECK_FALSE(none.has_value());
}

CO_TEST_CASE("as_completed: whichever is awaited first gives the one that is done first") {
    const std::vector<Task<int>> tasks{create_task(after(1s, 1)), create_task(after(2s, 2))};
    auto completed = as_completed(tasks);
    std::vector<decltype(*completed.begin())> nexts;
    for (auto next : completed) {
        nexts.push_back(next);
    }
    REQUIRE(nexts.size() == 2);
    const int first = co_await nexts[1];
    const int second = co_await nexts[0];
    CHECK(first == 1);
    CHECK(second == 2);
}

CO_TEST_CASE("as_completed: a timeout that was not needed leaves no timer") {
    const auto before = get_running_loop().core().timer_count();
    const std::vector<Task<int>> tasks{create_task(after(1s, 1))};
    auto completed = as_completed(tasks, {.timeout = 1h});
    for (auto next : completed) {
        static_cast<void>(co_await next);
    }
    CHECK(get_running_loop().core().timer_count() == before);
}

CO_TEST_CASE("as_completed: an element is awaited once") {
    const std::vector<Task<int>> tasks{create_task(after(1s, 1)), create_task(after(2s, 2))};
    auto completed = as_completed(tasks);
    auto next = *completed.begin();
    static_cast<void>(co_await next);
    bool refused = false;
    try {
        static_cast<void>(co_await next);
    } catch (const RuntimeError&) {
        refused = true;
    }
    CHECK(refused);
}

CO_TEST_CASE("as_completed: what was moved from is refused") {
    const std::vector<Task<int>> tasks{create_task(after(1s, 1)), create_task(after(2s, 2))};
    auto completed = as_completed(tasks);
    auto next = *completed.begin();
    auto owner = std::move(next);
    auto all = std::move(completed);
    const auto await_again = [&]() -> Coro<> { co_await next; }; // NOLINT(bugprone-use-after-move)
    const auto ask_again = [&]() -> Coro<> { co_await completed.next(); }; // NOLINT: the same
    const Task<> element = create_task(await_again);
    const Task<> range = create_task(ask_again);
    co_await turns();
    const std::string refused = "cannot await what as_completed() gave after it was moved from";
    CHECK(outcome(element) == refused);
    CHECK(outcome(range) == refused);
    const int first = co_await owner;
    CHECK(first == 1);
    const auto second = co_await all.next();
    CHECK(second.has_value());
}
