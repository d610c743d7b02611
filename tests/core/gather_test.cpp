#include "coro_test.hpp"
#include "loop_reports.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
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

class ZeroDivision : public std::runtime_error {
public:
    ZeroDivision() : std::runtime_error("division by zero") {}
};

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

CO_TEST_CASE("a task given twice is awaited once, and its result is there twice") {
    int runs = 0;
    const auto counts = [&]() -> Coro<std::string> {
        ++runs;
        co_await async_sleep(1s);
        co_return "value";
    };
    const Task<std::string> task = create_task(counts);
    const auto [one, two] = co_await gather(task, task);
    CHECK(one == "value");
    CHECK(two == "value");
    std::vector<Task<std::string>> tasks{task, create_task(counts), task};
    const std::vector<std::string> values = co_await gather(std::move(tasks));
    CHECK(values == std::vector<std::string>(3, "value"));
    CHECK(runs == 2);
    const Task<int> failing = create_task(fail_after(1s, "once"));
    const auto results = co_await gather(return_exceptions, failing, failing);
    CHECK_FALSE(std::get<0>(results).has_value());
    CHECK(std::get<0>(results).error() == std::get<1>(results).error());
}

CO_TEST_CASE("a value that only moves is moved out of a task whose last handle gather is given") {
    const auto make = []() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(4); };
    const auto [one] = co_await gather(create_task(make));
    CHECK(*one == 4);
    std::vector<Task<std::unique_ptr<int>>> tasks;
    tasks.push_back(create_task(make));
    tasks.push_back(create_task(make));
    const auto values = co_await gather(std::move(tasks));
    CHECK(*values[1] == 4);
    const Task<std::unique_ptr<int>> kept = create_task(make);
    bool refused = false;
    try {
        static_cast<void>(co_await gather(kept));
    } catch (const InvalidStateError&) {
        refused = true;
    }
    CHECK(refused);
    CHECK(*kept.result() == 4);
}

CO_TEST_CASE("a CancelledError in a Result carries the message of its child") {
    const Task<int> first = create_task(after(1h, 1));
    const auto future = get_running_loop().create_future<int>();
    co_await turns();
    first.cancel("the task's");
    future.cancel("the future's");
    const auto results = co_await gather(return_exceptions, first, future, after(1s, 3));
    const auto message = [](const Result<int>& result) -> std::string {
        try {
            std::rethrow_exception(result.error());
        } catch (const CancelledError& cancelled) {
            return cancelled.message();
        }
    };
    CHECK(message(std::get<0>(results)) == "the task's");
    CHECK(message(std::get<1>(results)) == "the future's");
    CHECK(std::get<2>(results).value() == 3);
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE("the first child that is cancelled or fails is what gather throws") {
    const auto futures = [] {
        std::vector<Future<int>> made;
        for (int i = 0; i < 5; ++i) {
            made.push_back(get_running_loop().create_future<int>());
        }
        return made;
    };
    const auto gathering = [](std::vector<Future<int>> given) -> Coro<> {
        static_cast<void>(co_await gather(std::move(given)));
    };
    std::vector<Future<int>> some = futures();
    const Task<> cancelled_first = create_task(gathering, some);
    co_await turns();
    some[0].set_result(1);
    some[1].cancel("zapped");
    some[2].set_exception(ZeroDivision());
    some[3].cancel();
    co_await turns(2);
    CHECK(ending(cancelled_first) == "cancelled: zapped");
    CHECK(cancelled_first.cancelling() == 0);
    CHECK_FALSE(some[4].done());
    some = futures();
    const Task<> failed_first = create_task(gathering, some);
    co_await turns();
    some[2].set_exception(ZeroDivision());
    some[1].cancel("later");
    co_await turns(2);
    CHECK(ending(failed_first) == "division by zero");
}

CO_TEST_CASE("a child that answers cancellation with an error has the gather throw that error") {
    const auto stubborn = []() -> Coro<> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            throw ZeroDivision();
        }
    };
    const auto body = [&]() -> Coro<> { co_await gather(stubborn(), stubborn()); };
    const Task<> task = create_task(body);
    co_await turns(2);
    task.cancel("go");
    co_await turns(4);
    CHECK(ending(task) == "division by zero");
    CHECK(task.cancelling() == 1);
}

namespace {

Coro<int> fails_in_a_turn() {
    co_await turns();
    throw ValueError("bad");
}

Coro<int> cleans_up() {
    bool cancelled = false;
    try {
        co_await async_sleep(1h);
    } catch (const CancelledError&) {
        cancelled = true;
    }
    if (cancelled) {
        co_await async_sleep(1h);
    }
    co_return 0;
}

} // namespace

CO_TEST_CASE("gather: cancelled after a failure, while it waits for the others, it is cancelled") {
    bool went_on = false;
    const auto body = [&]() -> Coro<> {
        try {
            static_cast<void>(co_await gather(fails_in_a_turn(), cleans_up()));
        } catch (const ValueError&) {
            went_on = true;
        }
    };
    for (const int late : {3, 4, 5, 6}) { // the gather has seen the failure, or not yet
        CAPTURE(late);
        const Task<> task = create_task(body);
        co_await turns(late);
        CHECK_FALSE(task.done());
        task.cancel("why");
        co_await wait({task});
        CHECK(ending(task) == "cancelled: why");
        CHECK_FALSE(went_on);
    }
}

CO_TEST_CASE("85. gather: a task of others is not cancelled with it after a failure") {
    const Task<int> other = create_task(after(5s, 2));
    const auto body = [&]() -> Coro<> {
        static_cast<void>(co_await gather(fails_in_a_turn(), cleans_up(), other));
    };
    const Task<> task = create_task(body);
    co_await turns(8);
    CHECK_FALSE(task.done());
    task.cancel();
    co_await turns(8);
    CHECK(outcome(task) == "cancelled");
    const int value = co_await other;
    CHECK(value == 2);
}

CO_TEST_CASE("children that swallow a cancellation do not swallow that of the gather") {
    const auto swallows = []() -> Coro<int> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            co_return 5;
        }
        co_return 0;
    };
    bool went_on = false;
    const auto body = [&]() -> Coro<> {
        static_cast<void>(co_await gather(swallows(), swallows()));
        went_on = true;
    };
    const Task<> task = create_task(body);
    co_await turns(2);
    task.cancel("go");
    co_await turns(4);
    CHECK(ending(task) == "cancelled: go");
    CHECK_FALSE(went_on);
}

namespace {

Coro<int> gather_tree(int width, int depth) {
    if (depth == 0) {
        co_return 1;
    }
    std::vector<Coro<int>> children;
    for (int i = 0; i < width; ++i) {
        children.push_back(gather_tree(width, depth - 1));
    }
    int sum = 1;
    for (const int value : co_await gather(std::move(children))) {
        sum += value;
    }
    co_return sum;
}

Coro<> group_tree(int width, int depth, int& leaves) {
    if (depth == 0) {
        ++leaves;
        co_return;
    }
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        for (int i = 0; i < width; ++i) {
            group.create_task(group_tree(width, depth - 1, leaves));
        }
        co_return;
    });
}

// While alive, tasks start inside create_task.
class EagerTasks {
public:
    EagerTasks() { get_running_loop().set_eager_tasks(true); }

    EagerTasks(const EagerTasks&) = delete;
    EagerTasks& operator=(const EagerTasks&) = delete;

    ~EagerTasks() { get_running_loop().set_eager_tasks(false); }
};

} // namespace

CO_TEST_CASE("203. trees of gathers and groups give the same with eager tasks as with lazy ones") {
    int lazy_leaves = 0;
    const int lazy = co_await gather_tree(5, 4);
    co_await group_tree(5, 4, lazy_leaves);
    CHECK(lazy == 781);
    CHECK(lazy_leaves == 625);
    const EagerTasks eager_tasks;
    int eager_leaves = 0;
    const int eager = co_await gather_tree(5, 4);
    co_await group_tree(5, 4, eager_leaves);
    CHECK(eager == lazy);
    CHECK(eager_leaves == lazy_leaves);
}

CO_TEST_CASE("203. a gather of coroutines that all end eagerly is over at once") {
    const EagerTasks eager_tasks;
    bool others_ran = false;
    get_running_loop().call_soon([&] { others_ran = true; });
    const auto at_once = [](int value) -> Coro<int> { co_return value; };
    const auto [one, two] = co_await gather(at_once(1), at_once(2));
    CHECK(one + two == 3);
    const int tree = co_await gather_tree(3, 3);
    CHECK(tree == 40);
    CHECK_FALSE(others_ran);
    co_await turns();
    CHECK(others_ran);
}

CO_TEST_CASE("203. a gather of which one child fails eagerly cancels and waits for the others") {
    const EagerTasks eager_tasks;
    std::vector<std::string> notes;
    const auto fails = []() -> Coro<int> {
        throw ValueError("at once");
        co_return 0;
    };
    std::string caught;
    try {
        co_await gather(noting(notes, "before"), fails(), noting(notes, "after"));
    } catch (const ValueError& error) {
        caught = error.what();
    }
    CHECK(caught == "at once");
    CHECK(notes == std::vector<std::string>{"before", "after"});
}

TEST_CASE("gather and as_completed of what belongs to another loop throw RuntimeError") {
    EventLoop other;
    const Future<int> foreign = other.create_future<int>();
    const auto main = [&]() -> Coro<std::string> {
        std::string caught;
        int started = 0;
        const auto child = [&]() -> Coro<> {
            ++started;
            co_await async_sleep(1h);
        };
        try {
            co_await gather(child(), foreign);
        } catch (const RuntimeError&) {
            caught += "gather ";
        }
        try {
            for (auto next : as_completed({foreign})) {
                static_cast<void>(co_await next);
            }
        } catch (const RuntimeError&) {
            caught += "as_completed";
        }
        co_await turns(2);
        CHECK(started == 0); // the gather took its child back
        CHECK(all_tasks().size() == 1);
        co_return caught;
    };
    CHECK(run(main()) == "gather as_completed");
    CHECK(foreign.cancel());
}
