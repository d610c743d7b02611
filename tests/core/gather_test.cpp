#include "coro_test.hpp"
#include "loop_reports.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::LoopReports;
using testing_support::outcome;
using testing_support::turns;

namespace {

Coro<int> after(std::chrono::seconds delay, int value) {
    co_await async_sleep(delay);
    co_return value;
}

Coro<int> fail_after(std::chrono::seconds delay, std::string text) {
    co_await async_sleep(delay);
    throw ValueError(text);
}

// Sleeps; notes when it is cancelled.
Coro<int> noting(std::vector<std::string>& notes, std::string name) {
    try {
        co_await async_sleep(1h);
    } catch (const CancelledError&) {
        notes.push_back(std::move(name));
        throw;
    }
    co_return 0;
}

} // namespace

CO_TEST_CASE("77. gather of nothing is over at once") {
    bool other_ran = false;
    get_running_loop().call_soon([&] { other_ran = true; });
    const std::tuple<> none = co_await gather();
    static_cast<void>(none);
    std::vector<Coro<int>> coros;
    const std::vector<int> results = co_await gather(std::move(coros));
    CHECK(results.empty());
    std::vector<Coro<>> voids;
    co_await gather(std::move(voids));
    CHECK_FALSE(other_ran);
    co_await turns();
}

CO_TEST_CASE("results come in the order of the arguments, whatever ends first") {
    const Clock::time_point start = Clock::now();
    const Task<int> task = create_task(after(2s, 2));
    const auto nothing = []() -> Coro<> { co_return; };
    const std::tuple<int, int, std::monostate, int> results =
        co_await gather(after(3s, 1), task, nothing(), after(1s, 3));
    CHECK(std::get<0>(results) == 1);
    CHECK(std::get<1>(results) == 2);
    CHECK(std::get<3>(results) == 3);
    CHECK(Clock::now() - start == 3s);
    CHECK(task.result() == 2);

    std::vector<Coro<int>> coros;
    for (int i = 0; i < 5; ++i) {
        coros.push_back(after(std::chrono::seconds(5 - i), i));
    }
    const std::vector<int> many = co_await gather(std::move(coros));
    CHECK(many == std::vector<int>{0, 1, 2, 3, 4});
}

CO_TEST_CASE("gather gives values that only move, and references to what it was given") {
    const auto unique = [](int value) -> Coro<std::unique_ptr<int>> {
        co_return std::make_unique<int>(value);
    };
    auto results = co_await gather(unique(1), unique(2));
    auto& [one, two] = results;
    CHECK(*one + *two == 3);
    std::vector<Coro<std::unique_ptr<int>>> coros;
    coros.push_back(unique(3));
    const auto many = co_await gather(std::move(coros));
    CHECK(*many[0] == 3);
}

CO_TEST_CASE("children start in the order of the arguments") {
    std::vector<int> order;
    const auto child = [&](int id) -> Coro<> {
        order.push_back(id);
        co_return;
    };
    co_await gather(child(1), child(2), child(3));
    CHECK(order == std::vector<int>{1, 2, 3});
}

CO_TEST_CASE("when a coroutine fails, the others are cancelled and waited for, then it is thrown") {
    std::vector<std::string> notes;
    std::string text;
    const auto slow_to_leave = [&]() -> Coro<int> {
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        co_await async_sleep(1s);
        notes.emplace_back(cancelled ? "left late" : "not cancelled");
        co_return 1;
    };
    const Clock::time_point start = Clock::now();
    try {
        co_await gather(noting(notes, "a"), fail_after(1s, "first"), slow_to_leave());
    } catch (const ValueError& error) {
        text = error.what();
    }
    CHECK(text == "first");
    CHECK(notes == std::vector<std::string>{"a", "left late"});
    CHECK(Clock::now() - start == 2s);
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE("tasks given to gather run on when another child fails") {
    const Task<int> task = create_task(after(5s, 7));
    std::string text;
    try {
        co_await gather(task, fail_after(1s, "early"));
    } catch (const ValueError& error) {
        text = error.what();
    }
    CHECK(text == "early");
    CHECK_FALSE(task.done());
    const int value = co_await task;
    CHECK(value == 7);
}

CO_TEST_CASE("79. the errors of further children count as seen") {
    const LoopReports reports(get_running_loop());
    std::string text;
    try {
        co_await gather(fail_after(1s, "one"), fail_after(1s, "two"), fail_after(1s, "three"));
    } catch (const ValueError& error) {
        text = error.what();
    }
    CHECK(text == "one");
    {
        const Task<int> one = create_task(fail_after(1s, "four"));
        const Task<int> two = create_task(fail_after(2s, "five"));
        try {
            co_await gather(one, two);
        } catch (const ValueError& error) {
            text = error.what();
        }
        CHECK(text == "four");
    }
    co_await async_sleep(5s);
    co_await turns(2);
    get_running_loop().set_exception_handler(nullptr);
    CHECK(reports.texts().empty());
}

CO_TEST_CASE("81. a child that is cancelled is an error like others: tasks beside it run on") {
    const Task<int> victim = create_task(after(1h, 1));
    const Task<int> other = create_task(after(5s, 2));
    std::string caught;
    const auto body = [&]() -> Coro<int> {
        try {
            co_await gather(victim, other);
        } catch (const CancelledError& cancelled) {
            caught = "cancelled: " + cancelled.message();
        }
        co_return 3;
    };
    const Task<int> task = create_task(body);
    co_await turns();
    victim.cancel("victim");
    co_await turns(4);
    CHECK(caught == "cancelled: victim");
    REQUIRE(outcome(task) == "value");
    CHECK(task.cancelling() == 0);
    CHECK_FALSE(other.done());
}

CO_TEST_CASE("return_exceptions gives a Result in each place and cancels nothing") {
    const auto nothing = []() -> Coro<> { co_return; };
    auto results =
        co_await gather(return_exceptions, after(2s, 1), fail_after(1s, "bad"), nothing());
    const auto& [one, two, three] = results;
    CHECK(one.has_value());
    CHECK(one.value() == 1);
    CHECK_FALSE(two.has_value());
    CHECK_THROWS_AS(static_cast<void>(two.value()), ValueError);
    CHECK(two.error() != nullptr);
    CHECK(three.has_value());

    const Task<int> cancelled = create_task(after(1h, 1));
    cancelled.cancel();
    std::vector<Task<int>> tasks{cancelled, create_task(after(1s, 4))};
    const auto many = co_await gather(return_exceptions, std::move(tasks));
    CHECK_THROWS_AS(static_cast<void>(many[0].value()), CancelledError);
    CHECK(many[1].value() == 4);
}

CO_TEST_CASE("cancelling a task that waits in gather cancels all children and waits for them") {
    std::vector<std::string> notes;
    const Task<int> own = create_task(noting(notes, "task"));
    const auto body = [&]() -> Coro<> {
        co_await gather(noting(notes, "a"), noting(notes, "b"), own);
    };
    const Task<> task = create_task(body);
    co_await turns(2);
    task.cancel("stop");
    co_await turns(4);
    CHECK(ending(task) == "cancelled: stop");
    CHECK(notes.size() == 3);
    CHECK(own.cancelled());
}

CO_TEST_CASE("83. cancelling a gather with return_exceptions throws CancelledError all the same") {
    std::vector<std::string> notes;
    bool went_on = false;
    const auto slow_to_leave = [&]() -> Coro<> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            notes.emplace_back("slow");
        }
        co_await async_sleep(1s);
        notes.emplace_back("left");
    };
    const auto body = [&]() -> Coro<> {
        const auto results =
            co_await gather(return_exceptions, noting(notes, "a"), slow_to_leave());
        went_on = true;
    };
    const Task<> task = create_task(body);
    co_await turns(2);
    task.cancel();
    co_await turns(4);
    CHECK(outcome(task) == "pending"); // a child is not done
    co_await async_sleep(2s);
    CHECK(outcome(task) == "cancelled");
    CHECK_FALSE(went_on);
    CHECK(notes == std::vector<std::string>{"a", "slow", "left"});
}

CO_TEST_CASE("85. a gather that has failed already leaves its tasks alone when cancelled") {
    const auto future = get_running_loop().create_future<int>();
    const Task<int> other = create_task(after(5s, 2));
    const auto body = [&]() -> Coro<> { co_await gather(future, other); };
    const Task<> task = create_task(body);
    co_await turns(2);
    future.set_exception(ValueError("bad"));
    co_await turns(); // the gather has seen it, and the task is about to resume
    task.cancel();
    co_await turns(2);
    CHECK(task.done());
    CHECK_FALSE(other.done());
    const int value = co_await other;
    CHECK(value == 2);
}

CO_TEST_CASE("gather: cancelled before its task starts, no child starts") {
    bool ran = false;
    const auto child = [&]() -> Coro<> {
        ran = true;
        co_return;
    };
    const auto body = [&]() -> Coro<> { co_await gather(child(), child()); };
    const Task<> task = create_task(body);
    task.cancel();
    co_await turns(3);
    CHECK(outcome(task) == "cancelled");
    CHECK_FALSE(ran);
}

CO_TEST_CASE("gather: a cancellation that came before the await reaches the children") {
    bool ran = false;
    const auto child = [&]() -> Coro<> {
        ran = true;
        co_await async_sleep(1h);
    };
    const auto body = [&]() -> Coro<> {
        current_task().cancel();
        co_await gather(child(), child());
    };
    const Task<> task = create_task(body);
    co_await turns(4);
    CHECK(outcome(task) == "cancelled");
    CHECK_FALSE(ran); // they were cancelled before their first step
}

CO_TEST_CASE("gather: completed and cancelled in the same turn, the cancellation wins") {
    const auto one = get_running_loop().create_future<int>();
    const auto two = get_running_loop().create_future<int>();
    bool went_on = false;
    const auto body = [&]() -> Coro<> {
        co_await gather(one, two);
        went_on = true;
    };
    const Task<> task = create_task(body);
    co_await turns();
    one.set_result(1);
    two.set_result(2);
    task.cancel();
    co_await turns(2);
    CHECK(outcome(task) == "cancelled");
    CHECK_FALSE(went_on);
    CHECK(one.result() + two.result() == 3);
}

CO_TEST_CASE("the same task twice, and tasks that are done, are fine") {
    const Task<int> done = create_task(after(0s, 1));
    co_await done;
    const Task<int> twice = create_task(after(1s, 2));
    const auto results = co_await gather(done, twice, twice);
    CHECK(results == std::tuple<int, int, int>{1, 2, 2});
    const auto ready = co_await gather(done, done);
    CHECK(std::get<1>(ready) == 1);
}

CO_TEST_CASE("gathers nest, and wait_for takes one") {
    const auto results = co_await gather(gather(after(1s, 1), after(2s, 2)), after(1s, 3));
    CHECK(std::get<0>(std::get<0>(results)) == 1);
    CHECK(std::get<1>(results) == 3);
    std::vector<std::string> notes;
    bool timed_out = false;
    try {
        co_await wait_for(gather(noting(notes, "a"), noting(notes, "b")), 1s);
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    CHECK(notes.size() == 2);
}

CO_TEST_CASE("ten thousand children") {
    std::vector<Coro<int>> coros;
    for (int i = 0; i < 10'000; ++i) {
        coros.push_back(after(std::chrono::seconds(i % 7), i));
    }
    const std::vector<int> results = co_await gather(std::move(coros));
    bool in_order = true;
    for (int i = 0; i < 10'000; ++i) {
        in_order = in_order && results[static_cast<std::size_t>(i)] == i;
    }
    CHECK(in_order);
}
