#include "coro_test.hpp"
#include "loop_reports.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::LoopReports;
using testing_support::outcome;
using testing_support::turns;

CO_TEST_CASE("47. tasks start in the order of creation, in the next turn") {
    std::vector<int> order;
    const auto body = [&](int id) -> Coro<> {
        order.push_back(id);
        co_return;
    };
    for (int id = 1; id <= 3; ++id) {
        create_task(body, id);
    }
    CHECK(order.empty());
    co_await turns();
    CHECK(order == std::vector<int>{1, 2, 3});
}

CO_TEST_CASE("a task gives its result, its exception and its state") {
    const auto works = []() -> Coro<int> { co_return 5; };
    const auto fails = []() -> Coro<int> {
        throw ValueError("bad");
        co_return 0;
    };
    const Task<int> good = create_task(works);
    const Task<int> bad = create_task(fails);
    CHECK_FALSE(good.done());
    CHECK_THROWS_AS(good.result(), InvalidStateError);
    co_await turns();
    CHECK(good.done());
    CHECK(good.result() == 5);
    CHECK(good.exception() == nullptr);
    CHECK(bad.done());
    CHECK_FALSE(bad.cancelled());
    CHECK_THROWS_AS(bad.result(), ValueError);
    CHECK(bad.exception() != nullptr);
}

TEST_CASE("49. current_task() is empty in callbacks and outside, and right after each resumption") {
    CHECK_FALSE(static_cast<bool>(current_task()));
    const auto main = []() -> Coro<> {
        bool in_callback = true;
        const auto body = [](int rounds) -> Coro<> {
            const AnyTask me = current_task();
            for (int i = 0; i < rounds; ++i) {
                co_await turns();
                CHECK(current_task() == me);
            }
        };
        const Task<> one = create_task(body, 5);
        const Task<> two = create_task(body, 7);
        get_running_loop().call_soon([&] { in_callback = static_cast<bool>(current_task()); });
        const AnyTask me = current_task();
        CHECK_FALSE(me == AnyTask(one));
        co_await gather(one, two);
        CHECK(current_task() == me);
        CHECK_FALSE(in_callback);
    };
    run(main());
}

CO_TEST_CASE("51. a task that awaits itself gets RuntimeError") {
    std::optional<Task<>> self;
    const auto body = [&]() -> Coro<> { co_await *self; };
    self = create_task(body);
    co_await turns();
    CHECK(outcome(*self).find("cannot await on itself") != std::string::npos);
}

CO_TEST_CASE("a task lives without a handle until it is done") {
    bool done = false;
    const auto body = [&]() -> Coro<> {
        co_await async_sleep(1s);
        done = true;
    };
    create_task(body);
    co_await async_sleep(2s);
    CHECK(done);
}

CO_TEST_CASE("create_task owns a function and its arguments, and std::ref shares one") {
    const auto value = std::make_shared<int>(1);
    int shared = 0;
    const Task<int> task = create_task(
        [value](std::string text, int& target) -> Coro<int> {
            co_await async_sleep(1s);
            target = 9;
            co_return *value + static_cast<int>(text.size());
        },
        std::string("four"), std::ref(shared));
    CHECK(value.use_count() == 2);
    const int result = co_await task;
    CHECK(result == 5);
    CHECK(shared == 9);
    CHECK(value.use_count() == 1); // they go with the frame, not with the handle
}

CO_TEST_CASE("a task has a name, by default a numbered one") {
    const auto body = []() -> Coro<> { co_return; };
    const Task<> named = create_task(body(), {.name = "collector"});
    const Task<> numbered = create_task(body());
    CHECK(named.name() == "collector");
    CHECK(numbered.name().substr(0, 5) == "Task-");
    numbered.set_name("other");
    CHECK(AnyTask(numbered).name() == "other");
    co_await turns();
}

CO_TEST_CASE("all_tasks lists the unfinished ones, oldest first") {
    const auto body = []() -> Coro<> { co_await async_sleep(1s); };
    const Task<> one = create_task(body);
    const Task<> two = create_task(body);
    const std::vector<AnyTask> tasks = all_tasks();
    REQUIRE(tasks.size() == 3);
    CHECK(tasks[0] == current_task());
    CHECK(tasks[1] == AnyTask(one));
    CHECK(tasks[2] == AnyTask(two));
    co_await gather(one, two);
    CHECK(all_tasks().size() == 1);
}

CO_TEST_CASE("stack() tells where a suspended task stands, innermost first") {
    const auto inner = []() -> Coro<> { co_await async_sleep(1s); };
    const auto outer = [&]() -> Coro<> { co_await inner(); };
    const Task<> task = create_task(outer);
    CHECK(task.stack().size() == 1); // it has not begun
    co_await turns();
    const auto stack = task.stack();
    REQUIRE(stack.size() >= 2);
    CHECK(stack[0].line() + 1 == stack[1].line());
    CHECK(std::string(stack[0].file_name()).find("task_test.cpp") != std::string::npos);
    co_await task;
    CHECK(task.stack().empty());
}

CO_TEST_CASE("a done callback of a task is called a turn after its end, with the task") {
    const auto body = []() -> Coro<int> { co_return 3; };
    const Task<int> task = create_task(body);
    int seen = 0;
    task.add_done_callback([&](const Task<int>& done) { seen = done.result(); });
    co_await task;
    CHECK(seen == 3);
}

CO_TEST_CASE("awaiting a task that is done takes no turn") {
    const auto body = []() -> Coro<int> { co_return 3; };
    const Task<int> task = create_task(body);
    co_await turns();
    bool other_ran = false;
    get_running_loop().call_soon([&] { other_ran = true; });
    const int value = co_await task;
    CHECK(value == 3);
    CHECK_FALSE(other_ran);
    co_await turns(); // before its locals go
}

CO_TEST_CASE("33. the exception of a task that nobody looks at is reported once") {
    const LoopReports reports(get_running_loop());
    const auto fails = []() -> Coro<> {
        throw ValueError("lost");
        co_return;
    };
    create_task(fails);
    co_await turns(2);
    REQUIRE(reports.texts().size() == 1);
    CHECK(reports.texts()[0] == "Task exception was never retrieved: lost");
    {
        const Task<> seen = create_task(fails);
        co_await turns();
        CHECK(outcome(seen) == "lost");
    }
    CHECK(reports.texts().size() == 1);
    get_running_loop().set_exception_handler(nullptr);
}

CO_TEST_CASE("a result that only moves is taken from a task in the explicit form") {
    const auto body = []() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(4); };
    Task<std::unique_ptr<int>> task = create_task(body);
    const Task<std::unique_ptr<int>> other = task;
    co_await turns();
    const std::unique_ptr<int> value = std::move(task).result();
    CHECK(*value == 4);
}

CO_TEST_CASE("create_task takes an operation of the library") {
    const auto future = get_running_loop().create_future<int>();
    const Task<> sleeping = create_task(async_sleep(1s), {.name = "sleeping"});
    CHECK(sleeping.name() == "sleeping");
    const Clock::time_point start = Clock::now();
    co_await sleeping;
    CHECK(Clock::now() - start == 1s);
    const Task<std::tuple<int, int>> both = create_task(
        gather([]() -> Coro<int> { co_return 1; }(), []() -> Coro<int> { co_return 2; }()));
    const auto& [one, two] = co_await both;
    CHECK(one + two == 3);
}

TEST_CASE("create_task where no loop runs throws RuntimeError, and the coroutine is destroyed") {
    const auto value = std::make_shared<int>(1);
    const auto body = [](std::shared_ptr<int>) -> Coro<> { co_return; };
    CHECK_THROWS_AS(create_task(body(value)), RuntimeError);
    CHECK(value.use_count() == 1);
}

CO_TEST_CASE("a task started eagerly runs to its first suspension inside create_task") {
    int step = 0;
    AnyTask seen;
    const auto body = [&]() -> Coro<int> {
        step = 1;
        seen = current_task();
        co_await async_sleep(0s);
        step = 2;
        co_return 3;
    };
    const AnyTask me = current_task();
    const Task<int> task = create_task(body(), {.eager_start = true});
    CHECK(step == 1);
    CHECK(seen == AnyTask(task));
    CHECK(current_task() == me);
    const int value = co_await task;
    CHECK(value == 3);
    const auto at_once = []() -> Coro<int> { co_return 7; };
    const Task<int> ended = create_task(at_once(), {.eager_start = true});
    CHECK(ended.done());
    CHECK(ended.result() == 7);
}

TEST_CASE("task handles outlive the loop: unfinished tasks are cancelled, results stay") {
    Task<int> pending;
    Task<int> ended;
    {
        EventLoop loop;
        const auto waits = []() -> Coro<int> {
            co_await async_sleep(1h);
            co_return 1;
        };
        const auto ends = []() -> Coro<int> { co_return 2; };
        pending = loop.create_task(waits());
        ended = loop.create_task(ends());
        loop.run_until_complete(turns(2));
    }
    CHECK(pending.done());
    CHECK(pending.cancelled());
    CHECK_FALSE(pending.cancel());
    CHECK(ended.result() == 2);
}
