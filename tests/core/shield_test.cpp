#include "coro_test.hpp"
#include "loop_reports.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::LoopReports;
using testing_support::outcome;
using testing_support::turns;

namespace {

Coro<int> after(Clock::duration delay, int value) {
    co_await async_sleep(delay);
    co_return value;
}

} // namespace

CO_TEST_CASE("shield gives what the task gives, and throws what it throws") {
    const Task<int> task = create_task(after(1s, 7));
    const int& value = co_await shield(task);
    CHECK(&value == &task.result());
    CHECK(value == 7);
    const auto failing = []() -> Coro<> {
        co_await async_sleep(1s);
        throw ValueError("inner");
    };
    std::string seen;
    try {
        co_await shield(failing);
    } catch (const ValueError& error) {
        seen = error.what();
    }
    CHECK(seen == "inner");
}

CO_TEST_CASE("87. a cancelled gather of shields leaves the inner tasks alone") {
    const Task<int> a = create_task(after(1h, 1));
    const Task<int> b = create_task(after(1h, 2));
    const auto body = [&]() -> Coro<> { static_cast<void>(co_await gather(shield(a), shield(b))); };
    const Task<> outer = create_task(body);
    co_await turns(3);
    outer.cancel();
    co_await turns(3);
    CHECK(outcome(outer) == "cancelled");
    CHECK_FALSE(a.done());
    CHECK_FALSE(b.done());
    co_await gather(a, b);
    CHECK(b.result() == 2);
}

CO_TEST_CASE("87. a shielded gather completes although who waits for it was cancelled") {
    const auto both = [] { return create_task(gather(after(1s, 1), after(2s, 2))); };
    const auto inner = both();
    const auto body = [&]() -> Coro<> { static_cast<void>(co_await shield(inner)); };
    const Task<> outer = create_task(body);
    co_await turns(3);
    outer.cancel();
    const auto& values = co_await inner;
    CHECK(outcome(outer) == "cancelled");
    CHECK(std::get<0>(values) + std::get<1>(values) == 3);
}

CO_TEST_CASE("99. cancelling the inner task cancels the shield's result") {
    const Task<int> inner = create_task(after(1h, 1));
    const auto body = [&]() -> Coro<int> { co_return co_await shield(inner); };
    const Task<int> outer = create_task(body);
    co_await turns(2);
    inner.cancel("inside");
    co_await turns(2);
    CHECK(ending(outer) == "cancelled: inside");
    CHECK(outer.cancelling() == 0);
}

CO_TEST_CASE("101. what fails after the outer was cancelled goes to the exception handler, once") {
    LoopReports reports(get_running_loop());
    const auto failing = []() -> Coro<> {
        co_await async_sleep(1s);
        throw ValueError("too late");
    };
    const Task<> inner = create_task(failing);
    const auto body = [&]() -> Coro<> { co_await shield(inner); };
    const Task<> one = create_task(body);
    const Task<> two = create_task(body);
    co_await turns(2);
    one.cancel();
    two.cancel();
    co_await async_sleep(2s);
    CHECK(reports.texts() == std::vector<std::string>{"exception in shielded future: too late"});
    CHECK_THROWS_AS(inner.result(), ValueError);
}

CO_TEST_CASE(
    "shield: done in the turn of the cancellation, the cancellation wins, nothing is lost") {
    const Future<int> inner = get_running_loop().create_future<int>();
    const auto body = [&]() -> Coro<int> { co_return co_await shield(inner); };
    const Task<int> outer = create_task(body);
    co_await turns(2);
    inner.set_result(3);
    outer.cancel();
    co_await turns();
    CHECK(outcome(outer) == "cancelled");
    CHECK(inner.result() == 3);
}

CO_TEST_CASE("shield: a cancellation that came before is delivered, the inner task runs on") {
    const Task<int> inner = create_task(after(1s, 1));
    const auto body = [&]() -> Coro<int> {
        current_task().cancel();
        co_return co_await shield(inner);
    };
    const Task<int> outer = create_task(body);
    co_await async_sleep(2s);
    CHECK(outcome(outer) == "cancelled");
    CHECK(inner.result() == 1);
}

CO_TEST_CASE("shield(fn, args) owns function and arguments, and outlives who asked for it") {
    auto text = std::make_shared<std::string>("alive");
    std::string seen;
    const auto body = [&]() -> Coro<> {
        const auto work = [&seen](std::shared_ptr<std::string> owned) -> Coro<> {
            co_await async_sleep(1s);
            seen = *owned;
        };
        co_await shield(work, text);
    };
    const Task<> outer = create_task(body);
    co_await turns(2);
    outer.cancel();
    co_await turns(2);
    CHECK(outer.done());
    text.reset();
    co_await async_sleep(2s);
    CHECK(seen == "alive");
}

CO_TEST_CASE("shield of what is done gives its value at once") {
    Task<int> task = create_task(after(0s, 4));
    co_await task;
    int turn = 0;
    get_running_loop().call_soon([&] { turn = 1; });
    const int value = co_await shield(std::move(task));
    CHECK(value == 4);
    CHECK(turn == 0);
    co_await turns(); // the callback refers to this frame
}
