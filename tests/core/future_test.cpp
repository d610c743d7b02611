#include "coro_test.hpp"
#include "loop_reports.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::LoopReports;
using testing_support::outcome;
using testing_support::turns;

namespace {

Future<int> make_future() { return get_running_loop().create_future<int>(); }

} // namespace

CO_TEST_CASE("37. a result is set once, after that set_* throw and cancel() is refused") {
    const Future<int> future = make_future();
    CHECK_FALSE(future.done());
    CHECK_THROWS_AS(future.result(), InvalidStateError);
    CHECK_THROWS_AS(static_cast<void>(future.exception()), InvalidStateError);
    future.set_result(1);
    CHECK(future.done());
    CHECK_THROWS_AS(future.set_result(2), InvalidStateError);
    CHECK_THROWS_AS(future.set_exception(ValueError("x")), InvalidStateError);
    CHECK_FALSE(future.cancel());
    CHECK_FALSE(future.cancelled());
    CHECK(future.result() == 1);
    CHECK(future.exception() == nullptr);
    co_return;
}

CO_TEST_CASE("39. a cancelled future is done, throws CancelledError, and takes nothing more") {
    const Future<int> future = make_future();
    CHECK(future.cancel("why"));
    CHECK(future.done());
    CHECK(future.cancelled());
    std::string message;
    try {
        static_cast<void>(future.result());
    } catch (const CancelledError& cancelled) {
        message = cancelled.message();
    }
    CHECK(message == "why");
    CHECK_THROWS_AS(static_cast<void>(future.exception()), CancelledError);
    CHECK_THROWS_AS(future.set_result(1), InvalidStateError);
    CHECK_THROWS_AS(future.set_exception(ValueError("x")), InvalidStateError);
    CHECK_FALSE(future.cancel());
    co_return;
}

CO_TEST_CASE("a failed future throws its exception as often as it is asked") {
    const Future<int> future = make_future();
    future.set_exception(ValueError("bad"));
    CHECK_THROWS_AS(future.result(), ValueError);
    CHECK_THROWS_AS(future.result(), ValueError);
    CHECK(future.exception() != nullptr);
    int caught = 0;
    for (int i = 0; i < 2; ++i) {
        try {
            static_cast<void>(co_await future);
        } catch (const ValueError&) {
            ++caught;
        }
    }
    CHECK(caught == 2);
}

CO_TEST_CASE("callbacks run a turn after the future is done, in the order they were added") {
    const Future<int> future = make_future();
    std::vector<int> order;
    future.add_done_callback([&](const Future<int>& done) { order.push_back(done.result()); });
    const CallbackId removed = future.add_done_callback([&](const auto&) { order.push_back(-1); });
    future.add_done_callback([&](const auto&) { order.push_back(2); });
    CHECK(future.remove_done_callback(removed) == 1);
    CHECK(future.remove_done_callback(removed) == 0);
    future.set_result(1);
    CHECK(order.empty());
    co_await turns();
    CHECK(order == std::vector<int>{1, 2});
}

CO_TEST_CASE("41. a callback added to a future that is done waits for the next turn too") {
    const Future<int> future = make_future();
    future.set_result(1);
    bool called = false;
    future.add_done_callback([&](const auto&) { called = true; });
    CHECK_FALSE(called);
    co_await turns();
    CHECK(called);
}

CO_TEST_CASE("a callback that throws is reported, and the others run") {
    const LoopReports reports(get_running_loop());
    const Future<int> future = make_future();
    bool called = false;
    future.add_done_callback([](const auto&) { throw ValueError("in a callback"); });
    future.add_done_callback([&](const auto&) { called = true; });
    future.set_result(1);
    co_await turns();
    CHECK(called);
    REQUIRE(reports.texts().size() == 1);
    CHECK(reports.texts()[0] == "Exception in done callback: in a callback");
    get_running_loop().set_exception_handler(nullptr);
}

CO_TEST_CASE("43. tasks that await the same future resume in the order they began to wait") {
    const Future<int> future = make_future();
    std::vector<int> order;
    const auto waiter = [&](int id) -> Coro<> {
        const int value = co_await future;
        order.push_back(id * 100 + value);
    };
    for (int id = 1; id <= 3; ++id) {
        create_task(waiter, id);
    }
    co_await turns();
    future.set_result(7);
    co_await turns();
    CHECK(order == std::vector<int>{107, 207, 307});
}

TEST_CASE("45. awaiting a future of another loop throws RuntimeError in the awaiting task") {
    EventLoop other;
    const Future<int> future = other.create_future<int>();
    const auto main = [&]() -> Coro<std::string> {
        try {
            static_cast<void>(co_await future);
        } catch (const RuntimeError& error) {
            co_return error.what();
        }
        co_return "";
    };
    CHECK(run(main()).find("another event loop") != std::string::npos);
}

CO_TEST_CASE("awaiting a future that is done takes no turn") {
    const Future<int> future = make_future();
    future.set_result(3);
    bool other_ran = false;
    get_running_loop().call_soon([&] { other_ran = true; });
    const int& value = co_await future;
    CHECK(value == 3);
    CHECK_FALSE(other_ran);
    co_await turns(); // before its locals go
}

CO_TEST_CASE("an lvalue gives a reference, the last rvalue moves, others copy") {
    const auto strings = get_running_loop().create_future<std::string>();
    strings.set_result("text");
    const std::string& one = co_await strings;
    const std::string& two = co_await strings;
    CHECK(&one == &two);
    Future<std::string> other = strings;
    const std::string copy = co_await std::move(other);
    CHECK(copy == "text");
    CHECK(one == "text");

    auto unique = get_running_loop().create_future<std::unique_ptr<int>>();
    unique.set_result(std::make_unique<int>(5));
    const std::unique_ptr<int>& reference = co_await unique;
    CHECK(*reference == 5);
    auto handle = unique;
    bool refused = false;
    try {
        const auto value = co_await std::move(handle);
    } catch (const InvalidStateError&) {
        refused = true;
    }
    CHECK(refused);
    const auto taken = co_await std::move(unique);
    CHECK(*taken == 5);
}

CO_TEST_CASE(
    "a future whose exception nobody asked for is reported once, when the last handle goes") {
    const LoopReports reports(get_running_loop());
    {
        Future<int> future = make_future();
        const Future<int> other = future;
        future.set_exception(ValueError("lost"));
        future = Future<int>();
        CHECK(reports.texts().empty());
    }
    REQUIRE(reports.texts().size() == 1);
    CHECK(reports.texts()[0] == "Future exception was never retrieved: lost");
    {
        const Future<int> asked = make_future();
        asked.set_exception(ValueError("seen"));
        static_cast<void>(asked.exception());
    }
    CHECK(reports.texts().size() == 1);
    get_running_loop().set_exception_handler(nullptr);
    co_return;
}

TEST_CASE("a future outlives its loop, and is cancelled if it was pending") {
    Future<int> pending;
    Future<int> ready;
    {
        EventLoop loop;
        pending = loop.create_future<int>();
        ready = loop.create_future<int>();
        ready.set_result(4);
        CHECK(&pending.get_loop() == &loop);
    }
    CHECK(pending.cancelled());
    CHECK(ready.result() == 4);
    CHECK_THROWS_AS(pending.set_result(1), InvalidStateError);
    CHECK_THROWS_AS(static_cast<void>(pending.get_loop()), RuntimeError);
    CHECK_THROWS_AS(ready.add_done_callback([](const auto&) {}), RuntimeError);
}

CO_TEST_CASE("future: cancelled before, while and in the turn in which it is awaited") {
    const auto waiter = [](Future<int> future) -> Coro<int> { co_return co_await future; };
    const Future<int> one = make_future();
    const Task<int> unstarted = create_task(waiter, one);
    unstarted.cancel();
    co_await turns();
    CHECK(outcome(unstarted) == "cancelled");
    CHECK_FALSE(one.done()); // it was never awaited

    const Future<int> two = make_future();
    const Task<int> waiting = create_task(waiter, two);
    co_await turns();
    waiting.cancel();
    CHECK(two.cancelled()); // the cancellation goes to the future
    co_await turns();
    CHECK(outcome(waiting) == "cancelled");

    const Future<int> three = make_future();
    const Task<int> finished = create_task(waiter, three);
    co_await turns();
    three.set_result(1);
    finished.cancel();
    co_await turns();
    CHECK(outcome(finished) == "cancelled");
    CHECK(three.result() == 1);
}

CO_TEST_CASE("callbacks can be removed by other callbacks only before the future is done") {
    const Future<int> future = make_future();
    std::vector<int> order;
    CallbackId second = 0;
    std::size_t removed = 99;
    future.add_done_callback([&](const Future<int>& done) {
        order.push_back(1);
        removed = done.remove_done_callback(second); // it is on its way already
    });
    second = future.add_done_callback([&](const auto&) { order.push_back(2); });
    const CallbackId third = future.add_done_callback([&](const auto&) { order.push_back(3); });
    future.add_done_callback([&](const Future<int>& done) {
        done.add_done_callback([&](const auto&) { order.push_back(5); });
        order.push_back(4);
    });
    CHECK(future.remove_done_callback(third) == 1);
    future.set_result(1);
    CHECK(future.remove_done_callback(second) == 0);
    co_await turns(2);
    CHECK(order == std::vector<int>{1, 2, 4, 5});
    CHECK(removed == 0);
}

CO_TEST_CASE("callbacks run after an error and after a cancellation as well") {
    const Future<int> failed = make_future();
    const Future<int> cancelled = make_future();
    std::vector<std::string> seen;
    failed.add_done_callback(
        [&](const Future<int>& done) { seen.emplace_back(done.exception() ? "error" : "none"); });
    cancelled.add_done_callback([&](const Future<int>& done) {
        seen.emplace_back(done.cancelled() ? "cancelled" : "not");
    });
    failed.set_exception(ValueError("bad"));
    cancelled.cancel();
    co_await turns();
    CHECK(seen == std::vector<std::string>{"error", "cancelled"});
}

CO_TEST_CASE("a pending future that nobody holds goes, and its callbacks with it, uncalled") {
    const auto owned = std::make_shared<int>(1);
    bool called = false;
    {
        const Future<int> future = make_future();
        future.add_done_callback([owned, &called](const auto&) { called = true; });
        CHECK(owned.use_count() == 2);
    }
    CHECK(owned.use_count() == 1);
    co_await turns();
    CHECK_FALSE(called);
}

CO_TEST_CASE("a future is kept until its callbacks have run") {
    int value = 0;
    {
        const Future<int> future = make_future();
        future.add_done_callback([&](const Future<int>& done) { value = done.result(); });
        future.set_result(7);
    }
    co_await turns();
    CHECK(value == 7);
}

CO_TEST_CASE(
    "set_exception() of no exception throws ValueError, and of CancelledError is an error") {
    const Future<int> future = make_future();
    CHECK_THROWS_AS(future.set_exception(std::exception_ptr()), ValueError);
    CHECK_FALSE(future.done());
    future.set_exception(CancelledError("given"));
    CHECK_FALSE(future.cancelled());
    CHECK(future.exception() != nullptr);
    const auto body = [&]() -> Coro<> { static_cast<void>(co_await future); };
    const Task<> task = create_task(body);
    co_await turns();
    CHECK(task.cancelled());
}

CO_TEST_CASE(
    "what a future failed with is reported once, unless somebody has looked or cancelled") {
    const LoopReports reports(get_running_loop());
    const auto failed = [] {
        const Future<int> future = make_future();
        future.set_exception(ValueError("bad"));
        return future;
    };
    static_cast<void>(make_future());     // pending
    make_future().set_result(1);          // a value
    static_cast<void>(failed().cancel()); // done, and cancelled all the same
    static_cast<void>(failed().exception());
    try {
        static_cast<void>(failed().result());
    } catch (const ValueError&) {
        CHECK(reports.texts().empty());
    }
    try {
        const Future<int> future = failed();
        static_cast<void>(co_await future);
    } catch (const ValueError&) {
        CHECK(reports.texts().empty());
    }
    {
        const Future<int> future = failed();
        static_cast<void>(future.done());
        static_cast<void>(future.cancelled());
        const Future<int> copy = future;
        CHECK(reports.texts().empty());
    }
    CHECK(reports.texts() == std::vector<std::string>{"Future exception was never retrieved: bad"});
    get_running_loop().set_exception_handler(nullptr);
}

CO_TEST_CASE("cancelling a task that waits for a future cancels the future, for all who wait") {
    const Future<int> future = make_future();
    const auto body = [&]() -> Coro<> { static_cast<void>(co_await future); };
    const Task<> one = create_task(body);
    const Task<> two = create_task(body);
    co_await turns();
    one.cancel("enough");
    CHECK(future.cancelled());
    co_await turns();
    CHECK(one.cancelled());
    CHECK(two.cancelled());
    CHECK(two.cancelling() == 0);
}
