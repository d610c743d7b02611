#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;

namespace {

Coro<int> get(Queue<int>& queue) { co_return co_await queue.get(); }

Coro<void> put(Queue<int>& queue, int item) { co_await queue.put(item); }

Coro<void> join(Queue<int>& queue) { co_await queue.join(); }

} // namespace

CO_TEST_CASE("181. a getter cancelled after an item was put for it loses no item") {
    Queue<int> queue;
    const Task<int> reader = create_task(get(queue));
    co_await turns();
    queue.put_nowait(1);
    queue.put_nowait(2);
    reader.cancel();
    co_await turns();
    CHECK(outcome(reader) == "cancelled");
    const int first = co_await queue.get();
    const int second = co_await queue.get();
    CHECK(first == 1);
    CHECK(second == 2);
}

CO_TEST_CASE("181. a getter cancelled after it was woken hands its item to the next") {
    Queue<int> queue;
    const Task<int> first = create_task(get(queue));
    const Task<int> second = create_task(get(queue));
    co_await turns();
    queue.put_nowait(1);
    first.cancel();
    co_await turns(2);
    CHECK(outcome(first) == "cancelled");
    REQUIRE(outcome(second) == "value");
    CHECK(second.result() == 1);
}

CO_TEST_CASE("181. one of many getters cancelled after items were put for them loses none") {
    Queue<int> queue;
    const Task<int> first = create_task(get(queue));
    const Task<int> second = create_task(get(queue));
    const Task<int> third = create_task(get(queue));
    co_await turns();
    queue.put_nowait(1);
    queue.put_nowait(2);
    first.cancel();
    co_await third;
    CHECK(outcome(first) == "cancelled");
    REQUIRE(outcome(second) == "value");
    CHECK(second.result() + third.result() == 3);
    CHECK(queue.empty());
}

CO_TEST_CASE("183. a putter in the middle of the line is cancelled, the others put their items") {
    Queue<int> queue(1);
    const Task<> first = create_task(put(queue, 1));
    const Task<> second = create_task(put(queue, 2));
    const Task<> third = create_task(put(queue, 3));
    const Task<> fourth = create_task(put(queue, 4));
    co_await turns();
    CHECK(outcome(first) == "value");
    third.cancel();
    co_await turns();
    CHECK(outcome(third) == "cancelled");
    for (const int expected : {1, 2, 4}) {
        CHECK(queue.get_nowait() == expected);
        co_await turns();
    }
    CHECK(outcome(second) == "value");
    CHECK(outcome(fourth) == "value");
    CHECK(queue.empty());
}

CO_TEST_CASE("183. a putter cancelled after room was made for it puts nothing, the room is used") {
    Queue<int> queue(1);
    queue.put_nowait(1);
    const Task<> first = create_task(put(queue, 2));
    const Task<> second = create_task(put(queue, 3));
    co_await turns();
    CHECK(queue.get_nowait() == 1);
    first.cancel();
    co_await turns(2);
    CHECK(outcome(first) == "cancelled");
    CHECK(outcome(second) == "value");
    CHECK(queue.get_nowait() == 3);
    // Trying again leaves exactly one.
    co_await queue.put(2);
    CHECK(queue.get_nowait() == 2);
    CHECK(queue.empty());
}

CO_TEST_CASE("183. a putter cancelled while it waits puts nothing") {
    Queue<int> queue(1);
    queue.put_nowait(1);
    const Task<> waiting = create_task(put(queue, 2));
    co_await turns();
    waiting.cancel();
    CHECK(queue.get_nowait() == 1);
    co_await turns();
    CHECK(outcome(waiting) == "cancelled");
    CHECK(queue.empty());
    queue.put_nowait(4);
    CHECK(queue.full());
}

CO_TEST_CASE("queue: cancelled before its task starts") {
    Queue<int> queue(1);
    queue.put_nowait(1);
    const Task<int> getting = create_task(get(queue));
    const Task<> putting = create_task(put(queue, 2));
    const Task<> joining = create_task(join(queue));
    getting.cancel();
    putting.cancel();
    joining.cancel();
    co_await turns();
    CHECK(outcome(getting) == "cancelled");
    CHECK(outcome(putting) == "cancelled");
    CHECK(outcome(joining) == "cancelled");
    CHECK(queue.qsize() == 1);
}

CO_TEST_CASE("queue: a cancellation that came before the await is thrown there if it must wait") {
    Queue<int> queue(1);
    int got = 0;
    const auto getting = [&]() -> Coro<void> {
        current_task().cancel();
        co_await queue.put(1);
        got = co_await queue.get();
        got += co_await queue.get();
    };
    const auto putting = [&]() -> Coro<void> {
        current_task().cancel();
        co_await queue.put(1);
        co_await queue.put(2);
    };
    const auto joining = [&]() -> Coro<void> {
        current_task().cancel();
        co_await queue.join();
    };
    const Task<> one = create_task(getting);
    co_await turns(2);
    CHECK(outcome(one) == "cancelled");
    CHECK(got == 1);
    const Task<> two = create_task(putting);
    const Task<> three = create_task(joining);
    co_await turns(2);
    CHECK(outcome(two) == "cancelled");
    CHECK(queue.qsize() == 1);
    CHECK(outcome(three) == "cancelled");
}

CO_TEST_CASE("queue: cancelled while it waits") {
    Queue<int> queue;
    const Task<int> first = create_task(get(queue));
    const Task<int> second = create_task(get(queue));
    co_await turns();
    first.cancel();
    queue.put_nowait(1);
    co_await turns();
    CHECK(outcome(first) == "cancelled");
    CHECK(outcome(second) == "value");
    const Task<> joining = create_task(join(queue));
    co_await turns();
    joining.cancel();
    co_await turns();
    CHECK(outcome(joining) == "cancelled");
    queue.task_done();
}

CO_TEST_CASE("queue: join finished and cancelled in the same turn is cancelled") {
    Queue<int> queue;
    queue.put_nowait(1);
    const Task<> joining = create_task(join(queue));
    co_await turns();
    queue.task_done();
    joining.cancel();
    co_await turns();
    CHECK(outcome(joining) == "cancelled");
    co_await queue.join();
}

CO_TEST_CASE("queue: woken, cancelled, and the item taken by get_nowait: the next in line waits") {
    Queue<int> queue;
    const Task<int> first = create_task(get(queue));
    const Task<int> second = create_task(get(queue));
    co_await turns();
    queue.put_nowait(1);
    first.cancel();
    CHECK(queue.get_nowait() == 1);
    co_await turns(2);
    CHECK(outcome(first) == "cancelled");
    CHECK(outcome(second) == "pending");
    queue.put_nowait(2);
    co_await turns();
    REQUIRE(outcome(second) == "value");
    CHECK(second.result() == 2);
}

CO_TEST_CASE("queue: its item taken by get_nowait, then cancelled, a getter leaves the line") {
    Queue<int> queue;
    const Task<int> first = create_task(get(queue));
    const Task<int> second = create_task(get(queue));
    co_await turns();
    queue.put_nowait(1);
    CHECK(queue.get_nowait() == 1);
    first.cancel();
    queue.put_nowait(2);
    co_await turns();
    CHECK(outcome(first) == "cancelled");
    REQUIRE(outcome(second) == "value");
    CHECK(second.result() == 2);
}

CO_TEST_CASE(
    "queue: woken and cancelled, it alone loses its item to get_nowait, not one before it") {
    Queue<int> queue;
    const Task<int> first = create_task(get(queue));
    const Task<int> second = create_task(get(queue));
    co_await turns();
    queue.put_nowait(1);
    queue.put_nowait(2);
    second.cancel();
    CHECK(queue.get_nowait() == 1);
    CHECK(queue.get_nowait() == 2);
    co_await turns();
    CHECK(outcome(first) == "pending");
    CHECK(outcome(second) == "cancelled");
    queue.put_nowait(3);
    co_await turns();
    REQUIRE(outcome(first) == "value");
    CHECK(first.result() == 3);
}

CO_TEST_CASE(
    "queue: woken, cancelled, its item taken, then uncancelled: it is cancelled all the same") {
    Queue<int> queue;
    const Task<int> getting = create_task(get(queue));
    co_await turns();
    queue.put_nowait(1);
    getting.cancel();
    CHECK(queue.get_nowait() == 1);
    getting.uncancel();
    co_await turns();
    CHECK(outcome(getting) == "cancelled");
}

CO_TEST_CASE("queue: room kept for a putter that was cancelled is what put_nowait takes first") {
    Queue<int> queue(2);
    queue.put_nowait(1);
    queue.put_nowait(2);
    const Task<> first = create_task(put(queue, 3));
    const Task<> second = create_task(put(queue, 4));
    co_await turns();
    CHECK(queue.get_nowait() == 1);
    CHECK(queue.get_nowait() == 2);
    second.cancel();
    queue.put_nowait(5);
    queue.put_nowait(6);
    co_await turns();
    CHECK(outcome(first) == "pending");
    CHECK(outcome(second) == "cancelled");
    CHECK(queue.qsize() == 2);
    CHECK(queue.get_nowait() == 5);
    co_await turns();
    CHECK(outcome(first) == "value");
}

CO_TEST_CASE("queue: a getter that yields although an item is ready and is cancelled takes none") {
    Queue<int> queue;
    for (int i = 0; i < 2'000; ++i) {
        queue.put_nowait(i);
    }
    std::vector<int> got;
    const auto body = [&]() -> Coro<void> {
        for (;;) {
            got.push_back(co_await queue.get());
        }
    };
    const Task<> task = create_task(body);
    co_await turns(); // it has yielded by now
    REQUIRE(outcome(task) == "pending");
    REQUIRE_FALSE(got.empty());
    task.cancel();
    co_await turns();
    CHECK(outcome(task) == "cancelled");
    const int next = co_await queue.get();
    CHECK(next == got.back() + 1);
}

CO_TEST_CASE("queue: a cancellation storm loses no item and no room") {
    Queue<int> queue(2);
    std::vector<int> got;
    std::vector<Task<>> consumers;
    const auto consumer = [&]() -> Coro<void> {
        for (;;) {
            got.push_back(co_await queue.get());
        }
    };
    for (int i = 0; i < 5; ++i) {
        consumers.push_back(create_task(consumer));
    }
    for (int item = 0; item < 500; ++item) {
        co_await queue.put(item);
        const auto victim = static_cast<std::size_t>(item % 5);
        consumers[victim].cancel();
        consumers[victim] = create_task(consumer);
        if (item % 3 == 0) {
            co_await turns();
        }
    }
    co_await turns(5);
    std::vector<int> expected;
    for (int item = 0; item < 500; ++item) {
        expected.push_back(item);
    }
    CHECK(got == expected);
}

TEST_CASE("queue: a loop that goes away while tasks get, put, join and were woken") {
    Queue<int> full(1);
    Queue<int> empty;
    Queue<int> woken;
    full.put_nowait(1);
    {
        EventLoop loop;
        loop.create_task(get(empty));
        loop.create_task(put(full, 2));
        loop.create_task(join(full));
        loop.create_task(get(woken));
        loop.run_until_complete(turns());
        woken.put_nowait(1);
    }
    CHECK(full.qsize() == 1);
    const auto main = [&]() -> Coro<int> {
        empty.put_nowait(3);
        const int a = co_await full.get();
        const int b = co_await woken.get();
        co_await full.put(1);
        co_return a + b + co_await empty.get();
    };
    CHECK(run(main()) == 5);
}

CO_TEST_CASE("queue: who waits at a queue that is destroyed gets CancelledError") {
    auto queue = std::make_unique<Queue<int>>();
    const Task<int> getting = create_task(get(*queue));
    co_await turns();
    queue.reset();
    co_await turns();
    CHECK(ending(getting) == "cancelled: what the task waited for was destroyed: queue get");
}

TEST_CASE("queue: items that are left are destroyed with it, and by shutdown(immediate)") {
    const auto item = std::make_shared<int>(1);
    {
        Queue<std::shared_ptr<int>> queue;
        LifoQueue<std::shared_ptr<int>> stack;
        PriorityQueue<std::shared_ptr<int>> heap;
        for (int i = 0; i < 20; ++i) {
            queue.put_nowait(item);
            stack.put_nowait(item);
            heap.put_nowait(item);
        }
        for (int i = 0; i < 5; ++i) {
            static_cast<void>(queue.get_nowait());
            queue.put_nowait(item);
        }
        CHECK(item.use_count() == 61);
        stack.shutdown(true);
        CHECK(item.use_count() == 41);
    }
    CHECK(item.use_count() == 1);
}
