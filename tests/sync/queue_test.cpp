#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::outcome;
using testing_support::turns;

namespace {

template <class Q>
Coro<std::vector<int>> drain(Q& queue) {
    std::vector<int> items;
    while (!queue.empty()) {
        items.push_back(co_await queue.get());
    }
    co_return items;
}

} // namespace

CO_TEST_CASE("177. a queue gives its items back first in, first out, and tells how many it has") {
    Queue<int> queue(4);
    CHECK(queue.empty());
    CHECK(queue.maxsize() == 4);
    for (const int item : {1, 3, 2}) {
        co_await queue.put(item);
    }
    CHECK(queue.qsize() == 3);
    CHECK_FALSE(queue.full());
    queue.put_nowait(4);
    CHECK(queue.full());
    const std::vector<int> items = co_await drain(queue);
    CHECK(items == std::vector<int>{1, 3, 2, 4});
    CHECK(queue.empty());
}

CO_TEST_CASE("177. a queue whose limit is not positive is never full") {
    Queue<int> none;
    Queue<int> zero(0);
    Queue<int> negative(-1);
    for (int i = 0; i < 100; ++i) {
        none.put_nowait(i);
        zero.put_nowait(i);
        negative.put_nowait(i);
    }
    CHECK_FALSE(none.full());
    CHECK_FALSE(zero.full());
    CHECK_FALSE(negative.full());
    CHECK(none.maxsize() == 0);
    for (int i = 0; i < 100; ++i) {
        const int item = co_await none.get();
        CHECK(item == i);
    }
}

TEST_CASE("179. get_nowait throws QueueEmpty, put_nowait throws QueueFull") {
    Queue<int> queue(1);
    CHECK_THROWS_AS(queue.get_nowait(), QueueEmpty);
    queue.put_nowait(1);
    CHECK_THROWS_AS(queue.put_nowait(2), QueueFull);
    CHECK(queue.get_nowait() == 1);
}

CO_TEST_CASE("get waits for an item, put waits for room") {
    Queue<std::string> queue(1);
    std::vector<std::string> got;
    const auto consumer = [&]() -> Coro<void> {
        for (int i = 0; i < 3; ++i) {
            got.push_back(co_await queue.get());
        }
    };
    const Task<> task = create_task(consumer);
    co_await turns();
    co_await queue.put("a");
    co_await queue.put("b");
    co_await queue.put("c");
    co_await task;
    CHECK(got == std::vector<std::string>{"a", "b", "c"});
}

CO_TEST_CASE("a queue holds what can only be moved") {
    Queue<std::unique_ptr<int>> queue(1);
    co_await queue.put(std::make_unique<int>(1));
    const auto producer = [&]() -> Coro<void> { co_await queue.put(std::make_unique<int>(2)); };
    const Task<> task = create_task(producer);
    co_await turns();
    auto first = co_await queue.get();
    auto second = co_await queue.get();
    CHECK(*first + *second == 3);
    PriorityQueue<std::unique_ptr<int>> heap;
    heap.put_nowait(std::move(first));
    CHECK(*heap.get_nowait() == 1);
}

CO_TEST_CASE("getters are served in the order they came") {
    Queue<int> queue;
    std::vector<std::pair<int, int>> got;
    const auto getter = [&](int id) -> Coro<void> {
        const int item = co_await queue.get();
        got.emplace_back(id, item);
    };
    for (int id = 1; id <= 3; ++id) {
        create_task(getter, id);
    }
    co_await turns();
    for (int item = 10; item <= 30; item += 10) {
        queue.put_nowait(item);
    }
    // The items belong to those that wait: one that comes now is the fourth.
    create_task(getter, 4);
    co_await turns();
    queue.put_nowait(40);
    co_await turns();
    CHECK(got == std::vector<std::pair<int, int>>{{1, 10}, {2, 20}, {3, 30}, {4, 40}});
}

CO_TEST_CASE("a full queue stops its putter until an item is got") {
    Queue<int> queue(2);
    std::vector<int> put;
    const auto putter = [&]() -> Coro<void> {
        for (int item = 0; item < 3; ++item) {
            co_await queue.put(item);
            put.push_back(item);
        }
    };
    const Task<> task = create_task(putter);
    co_await turns(2);
    CHECK(put == std::vector<int>{0, 1});
    CHECK(queue.get_nowait() == 0);
    co_await turns();
    CHECK(put == std::vector<int>{0, 1, 2});
    CHECK(queue.get_nowait() == 1);
    CHECK(queue.get_nowait() == 2);
    CHECK(outcome(task) == "value");
}

CO_TEST_CASE("several items got at once make room for as many putters") {
    Queue<int> queue(2);
    const auto putter = [&](int item) -> Coro<void> { co_await queue.put(item); };
    std::vector<Task<>> tasks;
    for (int item = 0; item < 4; ++item) {
        tasks.push_back(create_task(putter, item));
    }
    co_await turns();
    CHECK(queue.get_nowait() == 0);
    CHECK(queue.get_nowait() == 1);
    co_await turns();
    for (const Task<>& task : tasks) {
        CHECK(outcome(task) == "value");
    }
    CHECK(queue.qsize() == 2);
}

CO_TEST_CASE("putters are served in the order they came") {
    Queue<int> queue(1);
    queue.put_nowait(0);
    const auto putter = [&](int item) -> Coro<void> { co_await queue.put(item); };
    for (int item = 1; item <= 3; ++item) {
        create_task(putter, item);
    }
    co_await turns();
    std::vector<int> got;
    for (int i = 0; i < 4; ++i) {
        got.push_back(co_await queue.get());
    }
    CHECK(got == std::vector<int>{0, 1, 2, 3});
}

CO_TEST_CASE("get_nowait takes what is there, the task that was woken for it stays first in line") {
    Queue<int> queue;
    std::vector<int> got;
    const auto getter = [&](int id) -> Coro<void> {
        got.push_back(id * 100 + co_await queue.get());
    };
    create_task(getter, 1);
    create_task(getter, 2);
    co_await turns();
    queue.put_nowait(1);
    CHECK(queue.qsize() == 1);
    CHECK(queue.get_nowait() == 1);
    co_await turns(3);
    CHECK(got.empty());
    queue.put_nowait(2);
    queue.put_nowait(3);
    co_await turns();
    CHECK(got == std::vector<int>{102, 203});
}

CO_TEST_CASE("put_nowait takes the room that is there, the woken task stays first in line") {
    Queue<int> queue(1);
    queue.put_nowait(1);
    const auto putter = [&](int item) -> Coro<void> { co_await queue.put(item); };
    create_task(putter, 2);
    create_task(putter, 3);
    co_await turns();
    CHECK(queue.get_nowait() == 1);
    queue.put_nowait(9);
    co_await turns(3);
    std::vector<int> got;
    for (int i = 0; i < 3; ++i) {
        got.push_back(co_await queue.get());
    }
    CHECK(got == std::vector<int>{9, 2, 3});
}

CO_TEST_CASE("185. task_done more often than put throws ValueError") {
    Queue<int> queue;
    CHECK_THROWS_AS(queue.task_done(), ValueError);
    queue.put_nowait(1);
    static_cast<void>(co_await queue.get());
    queue.task_done();
    CHECK_THROWS_AS(queue.task_done(), ValueError);
}

CO_TEST_CASE("185. join on a fresh queue returns at once, as often as it is called") {
    Queue<int> queue;
    co_await queue.join();
    co_await queue.join();
    CHECK(queue.empty());
}

CO_TEST_CASE("join waits until everything was dealt with") {
    Queue<int> queue;
    int sum = 0;
    const auto worker = [&]() -> Coro<void> {
        for (;;) {
            sum += co_await queue.get();
            co_await async_sleep(1s);
            queue.task_done();
        }
    };
    const Task<> one = create_task(worker);
    const Task<> two = create_task(worker);
    for (int i = 0; i < 10; ++i) {
        queue.put_nowait(i);
    }
    const Clock::time_point start = Clock::now();
    co_await queue.join();
    CHECK(sum == 45);
    CHECK(Clock::now() - start == 5s);
    CHECK(outcome(one) == "pending");
}

CO_TEST_CASE("187. a LifoQueue gives the newest item first") {
    LifoQueue<int> queue;
    for (const int item : {1, 3, 2}) {
        queue.put_nowait(item);
    }
    const std::vector<int> items = co_await drain(queue);
    CHECK(items == std::vector<int>{2, 3, 1});
}

CO_TEST_CASE("187. a PriorityQueue gives the least item first, by its comparison") {
    PriorityQueue<int> queue;
    PriorityQueue<int, std::greater<>> reversed(3);
    for (const int item : {1, 3, 2}) {
        queue.put_nowait(item);
        reversed.put_nowait(item);
    }
    CHECK(reversed.full());
    const std::vector<int> up = co_await drain(queue);
    const std::vector<int> down = co_await drain(reversed);
    CHECK(up == std::vector<int>{1, 2, 3});
    CHECK(down == std::vector<int>{3, 2, 1});
}

CO_TEST_CASE("a PriorityQueue gives equal items back in the order they were put") {
    const auto by_tens = [](int a, int b) { return a / 10 < b / 10; };
    PriorityQueue<int, decltype(by_tens)> queue(0, by_tens);
    for (const int item : {21, 13, 29, 11, 12, 25}) {
        queue.put_nowait(item);
    }
    const std::vector<int> items = co_await drain(queue);
    CHECK(items == std::vector<int>{13, 11, 12, 21, 29, 25});
}

CO_TEST_CASE("189. shutdown: who waits to put gets QueueShutDown, items are still got, then none") {
    Queue<int> queue(1);
    queue.put_nowait(1);
    const auto putter = [&]() -> Coro<void> { co_await queue.put(2); };
    const auto joiner = [&]() -> Coro<void> { co_await queue.join(); };
    const Task<> put = create_task(putter);
    const Task<> join = create_task(joiner);
    co_await turns();
    queue.shutdown();
    co_await turns();
    CHECK(outcome(put) == "queue is shut down");
    CHECK_THROWS_AS(queue.put_nowait(3), QueueShutDown);
    const int item = co_await queue.get();
    CHECK(item == 1);
    CHECK_THROWS_AS(queue.get_nowait(), QueueShutDown);
    bool shut_down = false;
    try {
        static_cast<void>(co_await queue.get());
    } catch (const QueueShutDown&) {
        shut_down = true;
    }
    CHECK(shut_down);
    CHECK(outcome(join) == "pending");
    queue.task_done();
    co_await turns();
    CHECK(outcome(join) == "value");
}

CO_TEST_CASE("189. shutdown once more, now immediate, drops what is left and ends join") {
    Queue<int> queue(2);
    queue.put_nowait(1);
    queue.put_nowait(2);
    const auto putter = [&]() -> Coro<void> { co_await queue.put(3); };
    const auto joiner = [&]() -> Coro<void> { co_await queue.join(); };
    const Task<> put = create_task(putter);
    const Task<> join = create_task(joiner);
    co_await turns();
    queue.shutdown();
    co_await turns();
    CHECK(outcome(put) == "queue is shut down");
    CHECK(outcome(join) == "pending");
    CHECK(queue.qsize() == 2);
    queue.shutdown();
    CHECK(queue.qsize() == 2);
    queue.shutdown(true);
    CHECK(queue.empty());
    co_await turns();
    CHECK(outcome(join) == "value");
    CHECK_THROWS_AS(queue.task_done(), ValueError);
    queue.shutdown();
    CHECK_THROWS_AS(queue.get_nowait(), QueueShutDown);
}

CO_TEST_CASE("189. shutdown of the other queues ends waiting and joining, too") {
    LifoQueue<int> stack(1);
    PriorityQueue<int> heap(1);
    const auto blocked = [](auto& queue) -> Coro<void> {
        queue.put_nowait(1);
        co_await queue.put(2);
    };
    const Task<> first = create_task(blocked, std::ref(stack));
    const Task<> second = create_task(blocked, std::ref(heap));
    co_await turns();
    stack.shutdown();
    heap.shutdown(true);
    co_await turns();
    CHECK(outcome(first) == "queue is shut down");
    CHECK(outcome(second) == "queue is shut down");
    CHECK(stack.get_nowait() == 1);
    CHECK_THROWS_AS(heap.get_nowait(), QueueShutDown);
    stack.task_done();
    co_await stack.join();
    co_await heap.join();
}

CO_TEST_CASE("189. shutdown of an empty queue wakes all getters with QueueShutDown") {
    Queue<int> queue;
    const auto getter = [&]() -> Coro<int> { co_return co_await queue.get(); };
    const Task<int> one = create_task(getter);
    const Task<int> two = create_task(getter);
    co_await turns();
    queue.shutdown();
    queue.shutdown();
    co_await turns();
    CHECK(outcome(one) == "queue is shut down");
    CHECK(outcome(two) == "queue is shut down");
    bool put_failed = false;
    try {
        co_await queue.put(1);
    } catch (const QueueShutDown&) {
        put_failed = true;
    }
    CHECK(put_failed);
    co_await queue.join();
}

CO_TEST_CASE("189. a getter that was woken before the shutdown still gets its item") {
    Queue<int> queue;
    const auto getter = [&]() -> Coro<int> { co_return co_await queue.get(); };
    const Task<int> one = create_task(getter);
    const Task<int> two = create_task(getter);
    co_await turns();
    queue.put_nowait(7);
    queue.shutdown();
    co_await turns();
    CHECK(outcome(one) == "value");
    CHECK(outcome(two) == "queue is shut down");
    queue.task_done();
}

CO_TEST_CASE("189. who comes after a shutdown, behind getters that were woken, is told, too") {
    Queue<int> queue;
    const auto getter = [&]() -> Coro<int> { co_return co_await queue.get(); };
    const Task<int> one = create_task(getter);
    const Task<int> two = create_task(getter);
    co_await turns();
    const Task<int> three = create_task(getter);
    queue.put_nowait(7);
    queue.shutdown();
    // The third runs before the two that wait resume.
    co_await turns(3);
    CHECK(outcome(one) == "value");
    CHECK(outcome(two) == "queue is shut down");
    CHECK(outcome(three) == "queue is shut down");
}

CO_TEST_CASE("191. shutdown(immediate) with one item got already: join waits for its task_done") {
    Queue<int> queue;
    queue.put_nowait(1);
    queue.put_nowait(2);
    static_cast<void>(co_await queue.get());
    const auto joiner = [&]() -> Coro<void> { co_await queue.join(); };
    const Task<> join = create_task(joiner);
    co_await turns();
    queue.shutdown(true);
    CHECK(queue.empty());
    co_await turns();
    CHECK(outcome(join) == "pending");
    queue.task_done();
    co_await turns();
    CHECK(outcome(join) == "value");
    CHECK_THROWS_AS(queue.task_done(), ValueError);
    CHECK_THROWS_AS(queue.get_nowait(), QueueShutDown);
}

CO_TEST_CASE("191. shutdown(immediate) takes the item from a getter that was woken for it") {
    Queue<int> queue;
    const auto getter = [&]() -> Coro<int> { co_return co_await queue.get(); };
    const Task<int> task = create_task(getter);
    co_await turns();
    queue.put_nowait(1);
    queue.shutdown(true);
    co_await turns();
    CHECK(outcome(task) == "queue is shut down");
    co_await queue.join();
}

CO_TEST_CASE("a queue that never runs dry lets others run") {
    Queue<int> queue;
    bool stop = false;
    get_running_loop().call_soon([&] { stop = true; });
    int rounds = 0;
    for (; !stop && rounds < 10'000; ++rounds) {
        co_await queue.put(rounds);
        static_cast<void>(co_await queue.get());
    }
    CHECK(rounds > 16);
    CHECK(rounds < 1'000);
}

CO_TEST_CASE("fewer ready operations than that take no turn") {
    Queue<int> queue;
    bool other_ran = false;
    get_running_loop().call_soon([&] { other_ran = true; });
    for (int i = 0; i < 50; ++i) {
        co_await queue.put(i);
        static_cast<void>(co_await queue.get());
    }
    CHECK_FALSE(other_ran);
    co_await turns();
}

CO_TEST_CASE("many producers and consumers lose nothing and mix nothing up") {
    Queue<int> queue(3);
    std::vector<std::vector<int>> got(4);
    const auto producer = [&](int id) -> Coro<void> {
        for (int i = 0; i < 1'000; ++i) {
            co_await queue.put(id * 1'000 + i);
        }
    };
    const auto consumer = [&](int id) -> Coro<void> {
        try {
            for (;;) {
                got[static_cast<std::size_t>(id)].push_back(co_await queue.get());
                queue.task_done();
                if (id % 2 == 0) {
                    co_await turns();
                }
            }
        } catch (const QueueShutDown&) {
        }
    };
    std::vector<Task<>> consumers;
    for (int id = 0; id < 4; ++id) {
        consumers.push_back(create_task(consumer, id));
    }
    co_await gather(create_task(producer, 0), create_task(producer, 1), create_task(producer, 2));
    co_await queue.join();
    queue.shutdown();
    co_await gather(consumers);
    std::vector<int> seen(3'000);
    for (const std::vector<int>& mine : got) {
        std::vector<int> last(3, -1);
        for (const int item : mine) {
            ++seen[static_cast<std::size_t>(item)];
            int& before = last[static_cast<std::size_t>(item / 1'000)];
            CHECK(before < item);
            before = item;
        }
    }
    CHECK(seen == std::vector<int>(3'000, 1));
}

CO_TEST_CASE("wait_for, gather and create_task take a get and a put") {
    Queue<int> queue(1);
    bool timed_out = false;
    try {
        static_cast<void>(co_await wait_for(queue.get(), 1s));
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    auto results = co_await gather(queue.get(), queue.put(5));
    CHECK(std::get<0>(results) == 5);
    const Task<int> task = create_task(queue.get());
    co_await queue.put(6);
    const int item = co_await task;
    CHECK(item == 6);
}

CO_TEST_CASE("191. shutdown(immediate) of items that task_done() has been called for already") {
    Queue<int> queue;
    queue.put_nowait(1);
    queue.put_nowait(2);
    queue.task_done();
    queue.shutdown(true);
    co_await queue.join();
    CHECK_THROWS_AS(queue.task_done(), ValueError);
}
