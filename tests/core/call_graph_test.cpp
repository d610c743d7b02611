#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::turns;

namespace {

Coro<> deep() { co_await async_sleep(1h); }

Coro<> middle() { co_await deep(); }

// The tasks of a graph, depth first: "a(b(c))" says that b awaits a, and c awaits b.
std::string shape(const FutureCallGraph& graph) {
    std::string text = graph.task ? graph.task.name() : "future";
    std::vector<std::string> waiters;
    for (const FutureCallGraph& waiter : graph.awaited_by) {
        waiters.push_back(shape(waiter));
    }
    std::ranges::sort(waiters);
    std::string separator = "(";
    for (const std::string& waiter : waiters) {
        text += separator + waiter;
        separator = " ";
    }
    return waiters.empty() ? text : text + ")";
}

bool mentions(const std::source_location& where, std::string_view function) {
    return std::string_view(where.function_name()).find(function) != std::string_view::npos;
}

// How the task that `waits` waits for inside a task "waiter" is seen.
Coro<std::string> shape_when(std::function<Coro<>(Task<>)> waits) {
    const Task<> inner = create_task(middle(), {.name = "inner"});
    const Task<> waiter = create_task(waits(inner), {.name = "waiter"});
    co_await turns(3);
    std::string result = shape(capture_call_graph(inner));
    waiter.cancel();
    inner.cancel();
    static_cast<void>(co_await gather(return_exceptions, waiter, inner));
    co_return result;
}

} // namespace

CO_TEST_CASE("205. a call graph has the coroutines of a task, innermost first, and who awaits it") {
    const Task<> inner = create_task(middle(), {.name = "inner"});
    const auto outer = [&]() -> Coro<> { co_await inner; };
    const Task<> waiter = create_task(outer(), {.name = "waiter"});
    co_await turns(2);
    const FutureCallGraph graph = capture_call_graph(inner);
    CHECK(graph.task == AnyTask(inner));
    REQUIRE(graph.call_stack.size() == 2);
    CHECK(mentions(graph.call_stack[0], "deep"));
    CHECK(mentions(graph.call_stack[1], "middle"));
    REQUIRE(graph.awaited_by.size() == 1);
    CHECK(graph.awaited_by[0].task == AnyTask(waiter));
    CHECK(graph.awaited_by[0].call_stack.size() == 1);
    CHECK(graph.awaited_by[0].awaited_by.empty());
}

CO_TEST_CASE(
    "205. awaited_by goes through await, gather, wait, as_completed, shield and timeouts") {
    const std::string awaited = co_await shape_when([](Task<> task) -> Coro<> { co_await task; });
    CHECK(awaited == "inner(waiter)");
    const std::string gathered =
        co_await shape_when([](Task<> task) -> Coro<> { co_await gather(task, async_sleep(1h)); });
    CHECK(gathered == "inner(waiter)");
    const std::string waited = co_await shape_when(
        [](Task<> task) -> Coro<> { static_cast<void>(co_await wait({task})); });
    CHECK(waited == "inner(waiter)");
    const std::string completed = co_await shape_when([](Task<> task) -> Coro<> {
        auto tasks = as_completed({task});
        static_cast<void>(co_await tasks.next());
    });
    CHECK(completed == "inner(waiter)");
    const std::string shielded =
        co_await shape_when([](Task<> task) -> Coro<> { co_await shield(task); });
    CHECK(shielded == "inner(waiter)");
    const std::string timed =
        co_await shape_when([](Task<> task) -> Coro<> { co_await wait_for(std::move(task), 1h); });
    CHECK(timed == "inner(waiter)");
    const std::string cleaned = co_await shape_when([](Task<> task) -> Coro<> {
        co_await try_finally([&]() -> Coro<> { co_await task; }, []() -> Coro<> { co_return; });
    });
    CHECK(cleaned == "inner(waiter)");
}

CO_TEST_CASE(
    "205. awaited_by goes through task groups, and a task awaited by several has them all") {
    std::string text;
    std::string captured;
    const auto inspects = [&]() -> Coro<> {
        co_await async_sleep(0s);
        captured = shape(capture_call_graph());
        text = format_call_graph();
    };
    const auto main = [&]() -> Coro<> {
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            const Task<> root = group.create_task(inspects(), {.name = "root"});
            const auto sub = [](Task<> task) -> Coro<> { co_await task; };
            group.create_task(sub(root), {.name = "sub 1"});
            group.create_task(sub(root), {.name = "sub 2"});
            co_return;
        });
    };
    const Task<> task = create_task(main(), {.name = "main"});
    co_await task;
    const std::string me = current_task().name();
    const std::string above = "main(" + me + ")";
    CHECK(captured == "root(" + above + " sub 1(" + above + ") sub 2(" + above + "))");
    CHECK(text.starts_with("* Task 'root'\n"));
    CHECK(text.find("\n  + Awaited by:\n    * Task '") != std::string::npos);
}

CO_TEST_CASE("205. the coroutines of gather's children are tasks that the gathering task awaits") {
    std::string captured;
    const auto child = [&]() -> Coro<> {
        co_await async_sleep(0s);
        captured = shape(capture_call_graph());
    };
    co_await gather(child(), async_sleep(1s));
    CHECK(captured.find("(" + current_task().name() + ")") != std::string::npos);
}

CO_TEST_CASE("205. an async generator stands between its body's awaits and who iterates it") {
    const auto generator = []() -> AsyncGenerator<int> {
        co_yield 1;
        co_await deep();
    };
    const auto iterates = [&]() -> Coro<> {
        auto items = generator();
        while (co_await items.next()) {
        }
    };
    const Task<> task = create_task(iterates);
    co_await turns(2);
    CHECK(task.stack().size() >= 3); // deep, the generator, the one that iterates
    task.cancel();
}

CO_TEST_CASE("a call graph of a future has no call stack, but those who await it") {
    const auto future = get_running_loop().create_future<int>();
    const auto inner = [&]() -> Coro<> { static_cast<void>(co_await future); };
    const auto outer = [&]() -> Coro<> { co_await inner(); };
    create_task(outer(), {.name = "A"});
    create_task(inner(), {.name = "B"});
    co_await turns();
    const FutureCallGraph graph = capture_call_graph(future);
    CHECK(shape(graph) == "future(A B)");
    CHECK(graph.call_stack.empty());
    CHECK_FALSE(graph.task);
    CHECK(format_call_graph(graph).starts_with("* Future\n  + Awaited by:\n    * Task 'A'\n"));
    future.set_result(1);
    CHECK(capture_call_graph(future).awaited_by.empty());
}

CO_TEST_CASE("a call graph can be limited, in depth and in the length of call stacks") {
    const Task<> inner = create_task(middle(), {.name = "inner"});
    const auto awaits = [](Task<> task) -> Coro<> { co_await task; };
    const Task<> second = create_task(awaits(inner), {.name = "second"});
    const Task<> third = create_task(awaits(second), {.name = "third"});
    co_await turns(2);
    CHECK(shape(capture_call_graph(inner)) == "inner(second(third))");
    CHECK(shape(capture_call_graph(inner, {.depth = 1})) == "inner(second)");
    CHECK(shape(capture_call_graph(inner, {.depth = 0})) == "inner");
    const FutureCallGraph graph = capture_call_graph(inner, {.limit = 1});
    REQUIRE(graph.call_stack.size() == 1);
    CHECK(mentions(graph.call_stack[0], "deep"));
    std::ostringstream out;
    print_call_graph(inner, out, {.depth = 1});
    CHECK(out.str() == format_call_graph(inner, {.depth = 1}));
    CHECK(out.str().find("third") == std::string::npos);
}

CO_TEST_CASE("a circle of tasks has a call graph and a tree, which end") {
    Task<> first;
    Task<> second;
    const auto awaits = [](const Task<>& task) -> Coro<> { co_await task; };
    first = create_task(awaits(second), {.name = "first"});
    second = create_task(awaits(first), {.name = "second"});
    co_await turns();
    CHECK(shape(capture_call_graph(first)) == "first(second(first))");
    std::ostringstream out;
    print_task_tree(out);
    CHECK(out.str().find("in a circle:\nfirst waits for: task 'second'\n") != std::string::npos);
    CHECK(out.str().find("first (see above)") != std::string::npos);
    first.cancel();
    co_await turns(3);
    CHECK(first.cancelled());
    CHECK(second.cancelled());
}

CO_TEST_CASE("print_task_tree has all tasks: what they wait for, where, and below whom") {
    const Task<> child = create_task(middle(), {.name = "child"});
    const auto parent = [&]() -> Coro<> { co_await child; };
    create_task(parent(), {.name = "parent"});
    co_await turns(2);
    create_task(deep(), {.name = "fresh"});
    std::ostringstream out;
    print_task_tree(out);
    const std::string tree = out.str();
    CHECK(tree.find("\nparent waits for: task 'child'\n") != std::string::npos);
    CHECK(tree.find("\n    child waits for: sleep\n") != std::string::npos);
    CHECK(tree.find("call_graph_test.cpp:") != std::string::npos);
    CHECK(tree.find("\nfresh has not started\n") != std::string::npos);
    CHECK(tree.find(current_task().name() + " is ready or running\n") != std::string::npos);
}

CO_TEST_CASE("print_task_tree says in debug mode how long each task waits") {
    get_running_loop().set_debug(true);
    const Task<> sleeper = create_task(deep(), {.name = "sleeper"});
    co_await async_sleep(90s);
    const Task<> later = create_task(middle(), {.name = "later"});
    co_await async_sleep(500ms);
    create_task(deep(), {.name = "fresh"});
    const auto tree = [] {
        std::ostringstream out;
        print_task_tree(out);
        return out.str();
    };
    CHECK(tree().find("\nsleeper waits for: sleep, for 90.500 s\n") != std::string::npos);
    CHECK(tree().find("\nlater waits for: sleep, for 0.500 s\n") != std::string::npos);
    CHECK(tree().find("\nfresh has not started\n") != std::string::npos);
    CHECK(tree().find(current_task().name() + " is ready or running\n") != std::string::npos);
    get_running_loop().set_debug(false);
    CHECK(tree().find("\nsleeper waits for: sleep\n") != std::string::npos);
}

CO_TEST_CASE("print_task_tree takes no stack for tasks that wait for each other ever so deep") {
    const auto awaits = [](Task<> task) -> Coro<> { co_await task; };
    Task<> task = create_task(deep(), {.name = "deepest"});
    for (int i = 0; i < 20'000; ++i) {
        task = create_task(awaits(task));
    }
    co_await turns();
    std::ostringstream out;
    print_task_tree(out);
    CHECK(out.str().find(" deepest waits for: sleep\n") != std::string::npos);
    task.cancel();
    co_await wait({task});
}

TEST_CASE("outside of tasks there is no call graph") {
    CHECK_FALSE(capture_call_graph().task);
    CHECK(format_call_graph().empty());
    CHECK_THROWS_AS(print_task_tree(*std::make_unique<std::ostringstream>()), RuntimeError);
}

CO_TEST_CASE("combinators of one's own can add who awaits, until it is discarded or done") {
    const Task<> task = create_task(deep(), {.name = "task"});
    const Task<> waiter = create_task(deep(), {.name = "waiter"});
    co_await turns();
    future_add_to_awaited_by(task, waiter);
    CHECK(shape(capture_call_graph(task)) == "task(waiter)");
    future_discard_from_awaited_by(task, waiter);
    future_discard_from_awaited_by(task, waiter);
    CHECK(shape(capture_call_graph(task)) == "task");
    future_add_to_awaited_by(task, waiter);
    task.cancel();
    co_await turns();
    CHECK(shape(capture_call_graph(task)) == "task");
    future_add_to_awaited_by(task, waiter); // done: nobody waits
    CHECK(shape(capture_call_graph(task)) == "task");
    future_add_to_awaited_by(waiter, current_task());
}
