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
using testing_support::ending;
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

namespace {

Coro<> set_value(const Future<std::string>& future) {
    future.set_result("set");
    co_return;
}

} // namespace

CO_TEST_CASE("201. what an eager task does before its first suspension is seen at once") {
    const auto future = get_running_loop().create_future<std::string>();
    const Task<> setting = create_task(set_value(future), {.eager_start = true});
    CHECK(setting.done());
    CHECK(future.result() == "set");
    std::vector<std::string> log;
    const auto body = [&]() -> Coro<std::string> {
        log.emplace_back("before");
        co_await async_sleep(100ms);
        log.emplace_back("after");
        co_return "finished after blocking";
    };
    const Task<std::string> task = create_task(body(), {.eager_start = true});
    log.emplace_back("created");
    CHECK_FALSE(task.done());
    const std::string& value = co_await task;
    CHECK(value == "finished after blocking");
    CHECK(log == std::vector<std::string>{"before", "created", "after"});
}

CO_TEST_CASE(
    "201. an eager task is among all_tasks() while it runs, and only while it is not done") {
    std::size_t inside = 0;
    const auto counts = [&](bool suspends) -> Coro<> {
        inside = all_tasks().size();
        if (suspends) {
            co_await async_sleep(1s);
        }
    };
    const std::size_t before = all_tasks().size();
    const Task<> ended = create_task(counts(false), {.eager_start = true});
    CHECK(inside == before + 1);
    CHECK(all_tasks().size() == before);
    const Task<> waiting = create_task(counts(true), {.eager_start = true});
    CHECK(all_tasks().size() == before + 1);
    CHECK(all_tasks().back() == AnyTask(waiting));
    co_await waiting;
    CHECK(all_tasks().size() == before);
}

CO_TEST_CASE("201. cancelling an eager task: refused when it is done, else with the message") {
    const auto body = [](bool suspends) -> Coro<int> {
        if (suspends) {
            co_await async_sleep(100ms);
        }
        co_return 1;
    };
    const Task<int> ended = create_task(body(false), {.eager_start = true});
    CHECK_FALSE(ended.cancel());
    const int value = co_await ended;
    CHECK(value == 1);
    const Task<int> waiting = create_task(body(true), {.eager_start = true});
    CHECK(waiting.cancel("stop"));
    CHECK(waiting.cancelling() == 1);
    co_await turns();
    CHECK(ending(waiting) == "cancelled: stop");
}

CO_TEST_CASE("201. what an eager task throws stays with it, and is reported when nobody looks") {
    const LoopReports reports(get_running_loop());
    const auto fails = []() -> Coro<> {
        throw ValueError("at once");
        co_return;
    };
    const AnyTask me = current_task();
    {
        const Task<> seen = create_task(fails(), {.eager_start = true});
        CHECK(ending(seen) == "at once");
        CHECK(current_task() == me);
    }
    CHECK(reports.texts().empty());
    create_task(fails(), {.eager_start = true});
    CHECK(reports.texts() ==
          std::vector<std::string>{"Task exception was never retrieved: at once"});
    get_running_loop().set_exception_handler(nullptr);
    co_return;
}

CO_TEST_CASE("201. eager tasks start eager tasks, each is the current one until it suspends") {
    std::vector<std::string> names;
    const auto note = [&] { names.push_back(current_task().name()); };
    const auto inner = [&]() -> Coro<> {
        note();
        co_await async_sleep(0s);
        note();
    };
    const auto outer = [&]() -> Coro<> {
        note();
        const Task<> child = create_task(inner(), {.name = "inner", .eager_start = true});
        note();
        co_await child;
        note();
    };
    const Task<> task = create_task(outer(), {.name = "outer", .eager_start = true});
    co_await task;
    CHECK(names == std::vector<std::string>{"outer", "inner", "outer", "inner", "outer"});
}

CO_TEST_CASE("201. an eager task has the values of context variables of a lazy one") {
    const ContextVar<int> variable("variable", 0);
    std::vector<int> seen;
    const auto body = [&]() -> Coro<> {
        seen.push_back(variable.get());
        variable.set(2);
        co_await async_sleep(0s);
        seen.push_back(variable.get());
        variable.set(3);
    };
    variable.set(1);
    const Task<> task = create_task(body(), {.eager_start = true});
    CHECK(variable.get() == 1);
    co_await task;
    CHECK(variable.get() == 1);
    CHECK(seen == std::vector<int>{1, 2});
}

TEST_CASE("201. where the loop does not run yet, an eager task starts when it does") {
    EventLoop loop;
    loop.set_eager_tasks(true);
    bool ran = false;
    const auto body = [&]() -> Coro<> {
        ran = true;
        co_return;
    };
    const Task<> task = loop.create_task(body(), {.eager_start = true});
    CHECK_FALSE(ran);
    const auto of_another_loop = [&]() -> Coro<> {
        EventLoop idle;
        bool other_ran = false;
        const auto sets = [&]() -> Coro<> {
            other_ran = true;
            co_return;
        };
        idle.create_task(sets(), {.eager_start = true});
        CHECK_FALSE(other_ran);
        co_return;
    };
    run(of_another_loop());
    loop.run_until_complete(task);
    CHECK(ran);
}

CO_TEST_CASE("a task that failed and was cancelled after that is not reported") {
    const LoopReports reports(get_running_loop());
    const auto fails = []() -> Coro<> {
        throw ValueError("bad");
        co_return;
    };
    {
        const Task<> task = create_task(fails);
        co_await turns();
        CHECK_FALSE(task.cancel());
    }
    CHECK(reports.texts().empty());
    get_running_loop().set_exception_handler(nullptr);
}

CO_TEST_CASE(
    "ensure_future makes tasks of coroutines and operations, and leaves tasks and futures") {
    const auto body = []() -> Coro<int> { co_return 5; };
    const Task<int> made = ensure_future(body());
    CHECK(ensure_future(made) == made);
    const auto future = get_running_loop().create_future<int>();
    CHECK(ensure_future(future) == future);
    Queue<int> queue;
    queue.put_nowait(6);
    const Task<int> operation = ensure_future(queue.get());
    const auto [one, two] = co_await gather(made, operation);
    CHECK(one + two == 11);
}

TEST_CASE("tasks of a loop that does not run are listed, none of them is current") {
    EventLoop loop;
    CHECK(all_tasks(loop).empty());
    const auto body = [&]() -> Coro<> {
        CHECK(current_task(loop) == current_task());
        CHECK(all_tasks(loop).size() == 1);
        co_return;
    };
    const Task<> task = loop.create_task(body());
    CHECK(all_tasks(loop) == std::vector<AnyTask>{task});
    CHECK_FALSE(current_task(loop));
    loop.run_until_complete(task);
    CHECK(all_tasks(loop).empty());
    CHECK_THROWS_AS(static_cast<void>(all_tasks()), RuntimeError);
}

CO_TEST_CASE("the exception handler sees the context variables of what has failed") {
    const ContextVar<std::string> variable("variable", "none");
    std::vector<std::string> seen;
    EventLoop& loop = get_running_loop();
    loop.set_exception_handler(
        [&](EventLoop&, const ExceptionContext&) { seen.push_back(variable.get()); });
    variable.set("first");
    const auto fails = [&]() -> Coro<> {
        variable.set("second");
        co_await async_sleep(0s);
        throw ValueError("for nobody");
    };
    create_task(fails);
    loop.call_soon([&] {
        variable.set("in the callback");
        throw ValueError("for nobody");
    });
    co_await turns(3);
    CHECK(seen == std::vector<std::string>{"in the callback", "second"});
    CHECK(variable.get() == "first");
    loop.set_exception_handler(nullptr);
}
