#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <coroutine>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;

// Awaitables as other libraries write them: they take a std::coroutine_handle<> and know nothing of
// tasks and loops.

namespace {

using Handles = std::vector<std::coroutine_handle<>>;

// Gives the handle to `take`, which resumes it some time.
struct Suspends {
    std::function<void(std::coroutine_handle<>)> take;
    int value = 0;

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    void await_suspend(std::coroutine_handle<> handle) { take(handle); }

    [[nodiscard]] int await_resume() const noexcept { return value; }
};

Suspends on_another_thread(std::jthread& thread, int value) {
    return {[&thread](std::coroutine_handle<> handle) {
                thread = std::jthread([handle] { handle.resume(); });
            },
            value};
}

Suspends kept(Handles& handles, int value = 0) {
    return {[&handles](std::coroutine_handle<> handle) { handles.push_back(handle); }, value};
}

// Runs at once, and suspends only if `suspends`.
struct Decides {
    bool suspends;

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    [[nodiscard]] bool await_suspend(std::coroutine_handle<> handle) const {
        if (suspends) {
            handle.resume();
        }
        return suspends;
    }

    [[nodiscard]] int await_resume() const noexcept { return suspends ? 1 : 2; }
};

// Goes on with the coroutine it was given, or with another.
struct Transfers {
    std::coroutine_handle<> other;
    std::coroutine_handle<>* given = nullptr;

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<> handle) const {
        if (given != nullptr) {
            *given = handle;
        }
        return other ? other : handle;
    }

    void await_resume() const noexcept {}
};

// A coroutine of another library.
struct Other {
    struct promise_type {
        Other get_return_object() {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }

        static std::suspend_always initial_suspend() noexcept { return {}; }

        static std::suspend_never final_suspend() noexcept { return {}; }

        static void unhandled_exception() noexcept {}

        void return_void() const noexcept {}
    };

    std::coroutine_handle<> handle;
};

Other resumes(std::coroutine_handle<>& waiting, bool& ran) {
    ran = true;
    waiting.resume();
    co_return;
}

struct Refuses {
    [[nodiscard]] bool await_ready() const noexcept { return false; }

    void await_suspend(std::coroutine_handle<>) const { throw std::logic_error("not today"); }

    void await_resume() const noexcept {}
};

struct FailsLater {
    Handles& handles;

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    void await_suspend(std::coroutine_handle<> handle) { handles.push_back(handle); }

    [[nodiscard]] int await_resume() const { throw std::logic_error("it failed"); }
};

} // namespace

TEST_CASE("a foreign awaitable resumed on another thread comes back to the loop's") {
    const auto main = []() -> Coro<int> {
        const std::thread::id here = std::this_thread::get_id();
        const AnyTask me = current_task();
        std::jthread thread;
        int sum = 0;
        for (int i = 1; i <= 100; ++i) {
            sum += co_await on_another_thread(thread, i);
            CHECK(std::this_thread::get_id() == here);
            CHECK(current_task() == me);
        }
        co_return sum;
    };
    CHECK(run(main()) == 5050);
}

TEST_CASE("many tasks wait for foreign awaitables of many threads") {
    const auto main = []() -> Coro<int> {
        std::vector<std::jthread> threads(20);
        std::vector<Coro<int>> waits;
        const auto one = [](std::jthread& thread, int value) -> Coro<int> {
            co_return co_await on_another_thread(thread, value);
        };
        for (std::jthread& thread : threads) {
            waits.push_back(one(thread, 1));
        }
        int sum = 0;
        for (const int value : co_await gather(std::move(waits))) {
            sum += value;
        }
        co_return sum;
    };
    CHECK(run(main()) == 20);
}

CO_TEST_CASE("a foreign awaitable that resumes before it returns takes a turn, not the stack") {
    const auto at_once = [](std::coroutine_handle<> handle) { handle.resume(); };
    bool others_ran = false;
    get_running_loop().call_soon([&] { others_ran = true; });
    const int value = co_await Suspends{at_once, 7};
    CHECK(value == 7);
    CHECK(others_ran);
    for (int i = 0; i < 10'000; ++i) {
        static_cast<void>(co_await Suspends{at_once, i});
    }
}

CO_TEST_CASE("a foreign awaitable that decides not to suspend goes on at once, in constant stack") {
    bool others_ran = false;
    get_running_loop().call_soon([&] { others_ran = true; });
    int sum = 0;
    for (int i = 0; i < 100'000; ++i) {
        sum += co_await Decides{.suspends = false};
        co_await Transfers{};
    }
    CHECK(sum == 200'000);
    CHECK_FALSE(others_ran);
    const int value = co_await Decides{.suspends = true};
    CHECK(value == 1);
    CHECK(others_ran);
}

CO_TEST_CASE("a foreign awaitable may go on with another coroutine") {
    bool ran = false;
    std::coroutine_handle<> waiting;
    co_await Transfers{resumes(waiting, ran).handle, &waiting};
    CHECK(ran);
    CHECK(current_task());
}

CO_TEST_CASE("a foreign awaitable that throws, in await_suspend or in await_resume") {
    std::string caught;
    try {
        co_await Refuses{};
    } catch (const std::logic_error& error) {
        caught = error.what();
    }
    CHECK(caught == "not today");
    Handles handles;
    const auto body = [&]() -> Coro<int> { co_return co_await FailsLater{handles}; };
    const Task<int> task = create_task(body);
    co_await turns();
    handles.at(0).resume();
    co_await turns(4);
    CHECK(ending(task) == "it failed");
}

CO_TEST_CASE("a foreign awaitable that destroys the coroutine instead of resuming it") {
    Handles handles;
    const auto body = [&]() -> Coro<int> { co_return co_await kept(handles); };
    const Task<int> task = create_task(body);
    co_await turns();
    handles.at(0).destroy();
    co_await turns(4);
    CHECK(ending(task).find("destroyed the coroutine") != std::string::npos);
}

CO_TEST_CASE(
    "foreign awaitable: cancelled before the task starts and before the await, none begins") {
    Handles handles;
    const auto body = [&](bool self) -> Coro<int> {
        if (self) {
            current_task().cancel("before");
        }
        co_return co_await kept(handles);
    };
    const Task<int> unstarted = create_task(body, false);
    unstarted.cancel();
    const Task<int> self_cancelled = create_task(body, true);
    co_await turns();
    CHECK(outcome(unstarted) == "cancelled");
    CHECK(ending(self_cancelled) == "cancelled: before");
    CHECK(handles.empty());
}

CO_TEST_CASE("foreign awaitable: a cancellation while it waits comes at the next suspension") {
    Handles handles;
    int value = 0;
    const auto body = [&]() -> Coro<> {
        value = co_await kept(handles, 5);
        co_await async_sleep(1h);
    };
    const Task<> early = create_task(body);
    const Task<> late = create_task(body);
    co_await turns();
    early.cancel("meanwhile");
    co_await turns();
    CHECK(outcome(early) == "pending");
    for (const std::coroutine_handle<> handle : handles) {
        handle.resume();
    }
    late.cancel("in the same turn");
    co_await turns(5);
    CHECK(value == 5);
    CHECK(ending(early) == "cancelled: meanwhile");
    CHECK(ending(late) == "cancelled: in the same turn");
}

TEST_CASE("foreign awaitable: the loop goes first, what comes later finds nobody") {
    Handles handles;
    const auto alive = std::make_shared<int>(0);
    {
        EventLoop loop;
        const auto body = [&](std::shared_ptr<int>) -> Coro<> {
            static_cast<void>(co_await kept(handles));
        };
        for (int i = 0; i < 3; ++i) {
            loop.create_task(body(alive));
        }
        loop.run_until_complete(turns(2));
        handles.at(0).resume(); // and its task has not had its turn
    }
    CHECK(alive.use_count() == 1);
    handles.at(1).resume();
    std::jthread([handle = handles.at(2)] { handle.destroy(); }).join();
}

CO_TEST_CASE("foreign awaitables in gather and wait_for") {
    std::jthread thread;
    const auto [one, two] = co_await gather(on_another_thread(thread, 1), Decides{false});
    CHECK(one + two == 3);
    const int three = co_await wait_for(Decides{false}, 1s);
    CHECK(three == 2);
}
