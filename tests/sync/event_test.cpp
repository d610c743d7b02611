#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;

namespace {

Coro<void> note(Event& event, std::vector<int>& order, int id) {
    co_await event.wait();
    order.push_back(id);
}

} // namespace

CO_TEST_CASE("159. waiting for an event that is set takes no turn") {
    Event event;
    CHECK_FALSE(event.is_set());
    event.set();
    bool other_ran = false;
    const auto other = [&]() -> Coro<void> {
        other_ran = true;
        co_return;
    };
    create_task(other);
    co_await event.wait();
    CHECK_FALSE(other_ran);
    CHECK(event.is_set());
    co_await turns(); // before its locals go
}

CO_TEST_CASE("159. set wakes all waiters in the order they came, one turn later") {
    Event event;
    std::vector<int> order;
    for (int id = 1; id <= 3; ++id) {
        create_task(note(event, order, id));
    }
    co_await turns(2);
    CHECK(order.empty());
    event.set();
    CHECK(order.empty());
    co_await turns();
    CHECK(order == std::vector<int>{1, 2, 3});
}

CO_TEST_CASE("159. an event that is cleared right after it was set has woken all the same") {
    Event event;
    std::vector<int> order;
    create_task(note(event, order, 1));
    co_await turns();
    event.set();
    event.clear();
    create_task(note(event, order, 2));
    co_await turns(3);
    CHECK(order == std::vector<int>{1});
    event.set();
    co_await turns();
    CHECK(order == std::vector<int>{1, 2});
}

CO_TEST_CASE("159. set, cleared and set again before they resume, an event has woken them once") {
    Event event;
    std::vector<int> order;
    create_task(note(event, order, 1));
    co_await turns();
    event.set();
    event.clear();
    CHECK_FALSE(event.is_set());
    event.set();
    event.set();
    CHECK(event.is_set());
    co_await turns(2);
    CHECK(order == std::vector<int>{1});
}

CO_TEST_CASE("159. who comes in the turn of the set is faster than those that are woken") {
    Event event;
    std::vector<int> order;
    create_task(note(event, order, 1));
    create_task(note(event, order, 2));
    co_await turns();
    create_task(note(event, order, 3));
    event.set();
    co_await turns();
    CHECK(order == std::vector<int>{3, 1, 2});
}

CO_TEST_CASE("an event is used again and again") {
    Event event;
    int rounds = 0;
    const auto waiter = [&]() -> Coro<void> {
        for (; rounds < 3; ++rounds) {
            co_await event.wait();
            event.clear();
        }
    };
    const Task<> task = create_task(waiter);
    for (int round = 0; round < 3; ++round) {
        co_await turns();
        CHECK(rounds == round);
        event.set();
    }
    co_await task;
    CHECK_FALSE(event.is_set());
}

CO_TEST_CASE("wait_for and gather take an event's wait") {
    Event event;
    bool timed_out = false;
    try {
        co_await wait_for(event.wait(), 1s);
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    get_running_loop().call_later(1s, [&] { event.set(); });
    co_await gather(event.wait(), event.wait());
    CHECK(event.is_set());
}

CO_TEST_CASE("event: cancelled before its task starts") {
    Event event;
    std::vector<int> order;
    const Task<> task = create_task(note(event, order, 1));
    task.cancel();
    event.set();
    co_await turns(2);
    CHECK(outcome(task) == "cancelled");
    CHECK(order.empty());
}

CO_TEST_CASE("event: a cancellation that came before the await is thrown there if it must wait") {
    Event event;
    bool reached = false;
    const auto body = [&]() -> Coro<void> {
        event.set();
        current_task().cancel();
        co_await event.wait();
        reached = true;
        event.clear();
        co_await event.wait();
    };
    const Task<> task = create_task(body);
    co_await turns(2);
    CHECK(reached);
    CHECK(outcome(task) == "cancelled");
}

CO_TEST_CASE("event: cancelled while it waits") {
    Event event;
    std::vector<int> order;
    const Task<> first = create_task(note(event, order, 1));
    const Task<> second = create_task(note(event, order, 2));
    co_await turns();
    first.cancel();
    event.set();
    co_await turns();
    CHECK(outcome(first) == "cancelled");
    CHECK(outcome(second) == "value");
    CHECK(order == std::vector<int>{2});
}

CO_TEST_CASE("event: set and cancelled in the same turn, the cancellation wins") {
    Event event;
    std::vector<int> order;
    const Task<> task = create_task(note(event, order, 1));
    co_await turns();
    event.set();
    task.cancel();
    co_await turns();
    CHECK(outcome(task) == "cancelled");
}

TEST_CASE("event: a loop that goes away while tasks wait and are woken") {
    Event event;
    std::vector<int> order;
    {
        EventLoop loop;
        loop.create_task(note(event, order, 1));
        loop.create_task(note(event, order, 2));
        loop.run_until_complete(turns());
        event.set();
        event.clear();
    }
    CHECK(order.empty());
    const auto main = [&]() -> Coro<void> {
        const Task<> task = create_task(note(event, order, 3));
        co_await turns();
        event.set();
        co_await task;
    };
    run(main());
    CHECK(order == std::vector<int>{3});
}

CO_TEST_CASE("event: who waits for an event that is destroyed gets CancelledError") {
    std::optional<Event> event(std::in_place);
    std::vector<int> order;
    const Task<> task = create_task(note(*event, order, 1));
    co_await turns();
    event.reset();
    co_await turns();
    CHECK(ending(task) == "cancelled: what the task waited for was destroyed: event");
}
