#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::turns;

namespace {

const ContextVar<std::string> device("device", "none");

} // namespace

TEST_CASE("a context variable has its value or its default, or LookupError says which one it is") {
    const ContextVar<int> number("number");
    CHECK_THROWS_WITH_AS(static_cast<void>(number.get()),
                         "ContextVar 'number' has no value here, and no default", LookupError);
    CHECK(number.get(5) == 5);
    auto token = number.set(7);
    CHECK(number.get() == 7);
    number.reset(token);
    CHECK_THROWS_AS(static_cast<void>(number.get()), LookupError);
    CHECK(device.get() == "none");
    CHECK(device.name() == "device");
}

TEST_CASE("reset goes back by one, and takes no token twice, of another variable or context") {
    const ContextVar<int> number("number", 0);
    const ContextVar<int> other("other", 0);
    auto first = number.set(1);
    auto second = number.set(2);
    CHECK_THROWS_AS(other.reset(second), ValueError);
    number.reset(second);
    CHECK(number.get() == 1);
    CHECK_THROWS_AS(number.reset(second), RuntimeError);
    const Context copy = copy_context();
    copy.run([&] { CHECK_THROWS_AS(number.reset(first), ValueError); });
    number.reset(first);
    CHECK(number.get() == 0);
}

TEST_CASE("Context::run: what is set inside stays inside, and is there the next time") {
    const Context context = copy_context();
    const int answer = context.run([] {
        device.set("r1");
        return 42;
    });
    CHECK(answer == 42);
    CHECK(device.get() == "none");
    CHECK(context.run([] { return device.get(); }) == "r1");
    CHECK(context.copy().run([] { return device.get(); }) == "r1");
    context.run([&] { CHECK_THROWS_AS(context.run([] {}), RuntimeError); });
}

CO_TEST_CASE("55. a task has a snapshot of its creator's values, and what it sets stays with it") {
    device.set("parent");
    std::vector<std::string> seen;
    const auto body = [&]() -> Coro<> {
        seen.push_back(device.get());
        device.set("child");
        co_await async_sleep(1s);
        seen.push_back(device.get());
    };
    const Task<> child = create_task(body);
    device.set("parent, later");
    co_await child;
    CHECK(seen == std::vector<std::string>{"parent", "child"});
    CHECK(device.get() == "parent, later");
}

CO_TEST_CASE("55. a coroutine that is awaited shares the values, gather's children have copies") {
    const auto set = [](std::string value) -> Coro<> {
        device.set(std::move(value));
        co_await async_sleep(1s);
        CHECK(device.get() != "none");
    };
    co_await set("awaited");
    CHECK(device.get() == "awaited");
    co_await gather(set("a"), set("b"));
    CHECK(device.get() == "awaited");
    co_await timeout(5s, [&] { return set("inside timeout"); });
    CHECK(device.get() == "inside timeout");
}

CO_TEST_CASE("tasks given a context share it") {
    const Context shared = copy_context();
    const auto body = [](std::string value) -> Coro<std::string> {
        const std::string before = device.get();
        device.set(std::move(value));
        co_return before;
    };
    const auto a = create_task(TaskOptions{.context = shared}, body, "a");
    const auto b = create_task(TaskOptions{.context = shared}, body, "b");
    co_await gather(a, b);
    CHECK(a.result() == "none");
    CHECK(b.result() == "a");
    CHECK(shared.run([] { return device.get(); }) == "b");
    CHECK(a.get_context() == shared);
}

CO_TEST_CASE("callbacks see the values of when they were scheduled") {
    device.set("then");
    std::vector<std::string> seen;
    EventLoop& loop = get_running_loop();
    loop.call_soon([&] {
        seen.push_back(device.get());
        device.set("callback");
    });
    loop.call_later(1s, [&] { seen.push_back(device.get()); });
    const Future<> future = loop.create_future();
    future.add_done_callback([&](const Future<>&) { seen.push_back(device.get()); });
    device.set("now");
    future.set_result();
    co_await async_sleep(2s);
    CHECK(seen == std::vector<std::string>{"then", "then", "then"});
    CHECK(device.get() == "now");
}

TEST_CASE("11. the coroutines that one Runner runs share a context") {
    Runner runner;
    const auto set = []() -> Coro<> {
        device.set("first run");
        co_return;
    };
    const auto get = []() -> Coro<std::string> { co_return device.get(); };
    runner.run(set());
    CHECK(runner.run(get()) == "first run");
    CHECK(device.get() == "none");
}

TEST_CASE("a loop run inside Context::run starts with its values, its tasks have their own") {
    const Context context = copy_context();
    const auto body = []() -> Coro<std::string> {
        const std::string before = device.get();
        device.set("task");
        co_return before + " " + device.get();
    };
    context.run([&] {
        device.set("outside");
        CHECK(run(body()) == "outside task");
        CHECK(device.get() == "outside");
    });
}

TEST_CASE("Context::run lets exceptions through, and leaves the context all the same") {
    const Context context;
    const auto fails = [] {
        device.set("r9");
        throw ValueError("inside");
    };
    CHECK_THROWS_AS(context.run(fails), ValueError);
    CHECK(device.get() == "none");
    CHECK(context.run([] { return device.get(); }) == "r9"); // it can be entered again
}

TEST_CASE("contexts nest: each sees its own values, and a copy made inside has those of inside") {
    const Context outer;
    std::optional<Context> copied;
    outer.run([&] {
        device.set("outer");
        const Context inner;
        inner.run([&] {
            CHECK(device.get() == "none");
            device.set("inner");
            copied = copy_context();
        });
        CHECK(device.get() == "outer");
    });
    CHECK(copied->run([] { return device.get(); }) == "inner");
    CHECK(device.get() == "none");
}

TEST_CASE("a token undoes what came after it as well, and get(fallback) outranks the default") {
    const ContextVar<int> number("number", 42);
    CHECK(number.get(7) == 7);
    auto first = number.set(1);
    number.set(2);
    number.set(3);
    number.reset(std::move(first));
    CHECK(number.get() == 42);
    CHECK(number.get(7) == 7);
}
