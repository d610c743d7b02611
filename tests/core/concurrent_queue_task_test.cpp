#include "coro_test.hpp"
#include "watched_queue.hpp"

#include <muster/core/concurrent_queue.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/gather.hpp>
#include <muster/core/run.hpp>
#include <muster/core/run_in_executor.hpp>
#include <muster/core/timeout.hpp>
#include <muster/sync/to_thread.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <latch>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;
using testing_support::Watched;

namespace {

using IntQueue = Watched<concurrent::Queue<int>>;

template <class Q>
Coro<int> get(Q& queue) {
    co_return co_await queue.async_get();
}

template <class Q>
Coro<> put(Q& queue, int item) {
    co_await queue.async_put(item);
}

template <class Q>
Coro<> join(Q& queue) {
    co_await queue.async_join();
}

/// Runs `main` on a loop of this thread.
template <class T>
T run_here(Coro<T> main) {
    return run(std::move(main), {.handle_sigint = false});
}

} // namespace

CO_TEST_CASE("concurrent queue: tasks put and get, and wait for items and room") {
    IntQueue queue(1);
    co_await queue.async_put(1);
    const Task<> putter = create_task(put(queue, 2));
    co_await turns();
    CHECK(outcome(putter) == "pending");
    const int first = co_await queue.async_get();
    co_await turns();
    CHECK(outcome(putter) == "value");
    const int second = co_await queue.async_get();
    const Task<int> getter = create_task(get(queue));
    co_await turns();
    CHECK(outcome(getter) == "pending");
    co_await queue.async_put(3);
    co_await turns();
    REQUIRE(outcome(getter) == "value");
    CHECK(std::vector{first, second, getter.result()} == std::vector{1, 2, 3});
}

CO_TEST_CASE("concurrent queue: tasks wait in join() for the last task_done()") {
    IntQueue queue;
    co_await queue.async_join();
    queue.put(1);
    queue.put(2);
    const Task<> joining = create_task(join(queue));
    co_await turns();
    queue.task_done();
    co_await turns();
    CHECK(outcome(joining) == "pending");
    queue.task_done();
    co_await turns();
    CHECK(outcome(joining) == "value");
}

CO_TEST_CASE("concurrent queue: what would block the loop's thread throws RuntimeError") {
    IntQueue queue(1);
    CHECK_THROWS_WITH_AS(queue.get(),
                         "concurrent::Queue::get() would block the event loop that runs on this "
                         "thread: co_await async_get() in a task",
                         RuntimeError);
    CHECK_THROWS_AS(queue.get(1s), RuntimeError);
    CHECK_THROWS_AS(queue.get(0s), QueueEmpty);
    CHECK_THROWS_AS(queue.get_nowait(), QueueEmpty);
    queue.put(1); // need not block
    CHECK_THROWS_WITH_AS(queue.put(2),
                         "concurrent::Queue::put() would block the event loop that runs on this "
                         "thread: co_await async_put() in a task",
                         RuntimeError);
    CHECK_THROWS_AS(queue.put_nowait(2), QueueFull);
    CHECK_THROWS_WITH_AS(queue.join(),
                         "concurrent::Queue::join() would block the event loop that runs on this "
                         "thread: co_await async_join() in a task",
                         RuntimeError);
    CHECK(queue.get() == 1);
    queue.task_done();
    queue.join();
    // A thread of an executor may block.
    const int item = co_await to_thread([&queue] {
        queue.put(5);
        return queue.get();
    });
    CHECK(item == 5);
}

CO_TEST_CASE("concurrent queue: a thread's put wakes a task, a task's put wakes a thread") {
    IntQueue requests;
    IntQueue replies;
    const auto echo = [&] {
        for (int item = requests.get(); item >= 0; item = requests.get()) {
            replies.put(item + 1);
        }
    };
    auto thread = create_task([&echo]() -> Coro<> { co_await to_thread(echo); });
    for (int item = 0; item < 100; item += 2) {
        co_await requests.async_put(item);
        const int reply = co_await replies.async_get();
        REQUIRE(reply == item + 1);
    }
    requests.put(-1);
    co_await thread;
}

CO_TEST_CASE("concurrent queue: a task makes room for a thread, a thread makes room for a task") {
    IntQueue queue(1);
    queue.put(0);
    auto thread = create_task([&queue]() -> Coro<> { co_await to_thread([&] { queue.put(1); }); });
    co_await to_thread([&queue] { queue.await_putters(1); });
    const Task<> putter = create_task(put(queue, 2));
    co_await turns();
    const int first = co_await queue.async_get(); // lets the thread's item in
    co_await thread;
    CHECK(outcome(putter) == "pending");
    const int second = co_await to_thread([&queue] { return queue.get(); });
    co_await putter;
    CHECK(std::vector{first, second, queue.get()} == std::vector{0, 1, 2});
}

CO_TEST_CASE("concurrent queue: threads and tasks stand in one line") {
    IntQueue queue;
    std::vector<int> got(4);
    std::vector<std::thread> threads;
    std::vector<Task<>> tasks;
    for (std::size_t i = 0; i < got.size(); ++i) {
        if (i % 2 == 0) {
            threads.emplace_back([&queue, &place = got[i]] { place = queue.get(); });
            queue.await_getters(i + 1);
        } else {
            tasks.push_back(create_task(
                [&queue, &place = got[i]]() -> Coro<> { place = co_await queue.async_get(); }));
            co_await turns();
        }
    }
    for (int item = 0; item < 4; ++item) {
        queue.put(item);
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    co_await turns();
    CHECK(got == std::vector{0, 1, 2, 3});
}

CO_TEST_CASE("concurrent queue: wait_for, gather and create_task take a get, a put and a join") {
    IntQueue queue(1);
    bool timed_out = false;
    try {
        co_await wait_for(queue.async_get(), 1h);
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    queue.put(1);
    timed_out = false;
    try {
        co_await wait_for(queue.async_put(2), 1h);
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    CHECK(queue.get() == 1);
    const auto got = co_await gather(queue.async_get(), queue.async_put(3));
    CHECK(std::get<0>(got) == 3);
    queue.task_done();
    queue.task_done();
    co_await wait_for(queue.async_join(), 1h);
    CHECK(queue.empty());
}

CO_TEST_CASE("concurrent queue: a queue that never runs dry lets other tasks run") {
    IntQueue queue;
    bool stop = false;
    int handled = 0;
    const auto busy = [&]() -> Coro<> {
        while (!stop) {
            co_await queue.async_put(1);
            handled += co_await queue.async_get();
        }
    };
    const Task<> task = create_task(busy);
    co_await turns(2);
    CHECK(handled > 50);
    stop = true;
    co_await task;
}

CO_TEST_CASE("concurrent queue: shutdown wakes tasks, items are still got") {
    IntQueue empty;
    IntQueue full(1);
    full.put(1);
    const Task<int> getting = create_task(get(empty));
    const Task<> putting = create_task(put(full, 2));
    const Task<> joining = create_task(join(full));
    co_await turns();
    empty.shutdown();
    full.shutdown();
    co_await turns();
    CHECK(outcome(getting) == "queue is shut down");
    CHECK(outcome(putting) == "queue is shut down");
    CHECK(outcome(joining) == "pending");
    const Task<int> last = create_task(get(full));
    const Task<int> none = create_task(get(full));
    const Task<> late = create_task(put(full, 3));
    co_await turns();
    CHECK(outcome(last) == "value");
    CHECK(outcome(none) == "queue is shut down");
    CHECK(outcome(late) == "queue is shut down");
    full.shutdown(true);
    co_await turns();
    CHECK(outcome(joining) == "pending"); // the item that was got is not dealt with yet
    full.task_done();
    co_await turns();
    CHECK(outcome(joining) == "value");
}

CO_TEST_CASE("concurrent queue: cancelled before its task starts") {
    IntQueue queue(1);
    queue.put(1);
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

CO_TEST_CASE("concurrent queue: a cancellation before the await is thrown there if it must wait") {
    IntQueue queue(1);
    int got = 0;
    const auto getting = [&]() -> Coro<> {
        current_task().cancel();
        co_await queue.async_put(1);
        got = co_await queue.async_get();
        got += co_await queue.async_get();
    };
    const auto putting = [&]() -> Coro<> {
        current_task().cancel();
        co_await queue.async_put(1);
        co_await queue.async_put(2);
    };
    const auto joining = [&]() -> Coro<> {
        current_task().cancel();
        co_await queue.async_join();
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

CO_TEST_CASE("concurrent queue: cancelled while it waits, a task leaves the line") {
    IntQueue queue(1);
    const Task<int> first = create_task(get(queue));
    const Task<int> second = create_task(get(queue));
    co_await turns();
    first.cancel("enough");
    queue.put(1);
    co_await turns();
    CHECK(ending(first) == "cancelled: enough");
    REQUIRE(outcome(second) == "value");
    CHECK(second.result() == 1);
    queue.put(2);
    const Task<> putting = create_task(put(queue, 3));
    const Task<> joining = create_task(join(queue));
    co_await turns();
    putting.cancel();
    joining.cancel();
    CHECK(queue.get() == 2);
    co_await turns();
    CHECK(outcome(putting) == "cancelled");
    CHECK(outcome(joining) == "cancelled");
    CHECK(queue.empty());
}

CO_TEST_CASE("concurrent queue: given an item and cancelled, a task hands it to the next") {
    IntQueue queue;
    const Task<int> first = create_task(get(queue));
    const Task<int> second = create_task(get(queue));
    co_await turns();
    queue.put(1);
    first.cancel("late");
    co_await turns(2);
    CHECK(ending(first) == "cancelled: late");
    REQUIRE(outcome(second) == "value");
    CHECK(second.result() == 1);
}

CO_TEST_CASE("concurrent queue: given an item and cancelled, a task hands it to a thread") {
    IntQueue queue;
    const Task<int> task = create_task(get(queue));
    co_await turns();
    int got = 0;
    std::thread thread([&] { got = queue.get(); });
    queue.await_getters(2);
    queue.put(1);
    task.cancel();
    co_await turns();
    thread.join();
    CHECK(outcome(task) == "cancelled");
    CHECK(got == 1);
}

CO_TEST_CASE("concurrent queue: items that come back go where they were") {
    IntQueue fifo(2);
    concurrent::LifoQueue<int> lifo;
    concurrent::PriorityQueue<int> sorted;
    std::vector<Task<int>> getters;
    for (int i = 0; i < 3; ++i) {
        getters.push_back(create_task(get(fifo)));
        getters.push_back(create_task(get(lifo)));
        getters.push_back(create_task(get(sorted)));
    }
    co_await turns();
    for (int item = 1; item <= 5; ++item) {
        fifo.put(item);
        lifo.put(item);
        sorted.put(item);
    }
    CHECK(fifo.qsize() == 2);
    // In another order than they came.
    for (const std::size_t i : {3U, 6U, 0U, 5U, 2U, 8U, 7U, 1U, 4U}) {
        getters[i].cancel();
    }
    co_await turns();
    CHECK(fifo.qsize() == 5);
    CHECK(fifo.full());
    std::vector<int> first;
    std::vector<int> last;
    std::vector<int> least;
    for (int i = 0; i < 5; ++i) {
        first.push_back(fifo.get());
        last.push_back(lifo.get());
        least.push_back(sorted.get());
    }
    CHECK(first == std::vector{1, 2, 3, 4, 5});
    CHECK(last == std::vector{5, 4, 3, 2, 1});
    CHECK(least == std::vector{1, 2, 3, 4, 5});
}

CO_TEST_CASE("concurrent queue: an item that comes back after shutdown(immediate) is gone") {
    IntQueue queue;
    const Task<int> getting = create_task(get(queue));
    const Task<> joining = create_task([&queue]() -> Coro<> {
        co_await turns();
        co_await queue.async_join();
    });
    co_await turns();
    queue.put(1);
    queue.shutdown(true);
    getting.cancel();
    co_await turns(2);
    CHECK(outcome(getting) == "cancelled");
    CHECK(queue.empty());
    co_await turns();
    CHECK(outcome(joining) == "value");
}

CO_TEST_CASE("concurrent queue: what was put before the cancellation stays put, and is told so") {
    IntQueue queue(1);
    queue.put(1);
    bool told = false;
    const Task<> putting = create_task([&]() -> Coro<> {
        co_await queue.async_put(2);
        told = true;
        co_await turns();
    });
    co_await turns();
    CHECK(queue.get() == 1);
    putting.cancel();
    co_await turns();
    CHECK(told);
    co_await turns();
    CHECK(outcome(putting) == "cancelled");
    CHECK(queue.get() == 2);
}

CO_TEST_CASE("concurrent queue: join ended and cancelled in the same turn is cancelled") {
    IntQueue queue;
    queue.put(1);
    const Task<> joining = create_task(join(queue));
    co_await turns();
    queue.task_done();
    joining.cancel();
    co_await turns();
    CHECK(outcome(joining) == "cancelled");
}

CO_TEST_CASE("concurrent queue: a task that yields with its item and is cancelled gives it back") {
    IntQueue queue;
    for (int i = 0; i < 2'000; ++i) {
        queue.put(i);
    }
    std::vector<int> got;
    const Task<> task = create_task([&]() -> Coro<> {
        for (;;) {
            got.push_back(co_await queue.async_get());
        }
    });
    co_await turns();
    REQUIRE(outcome(task) == "pending");
    REQUIRE_FALSE(got.empty());
    task.cancel();
    co_await turns();
    CHECK(outcome(task) == "cancelled");
    CHECK(queue.get() == got.back() + 1);
}

CO_TEST_CASE("concurrent queue: who waits at a queue that is destroyed gets CancelledError") {
    auto queue = std::make_unique<IntQueue>(1);
    auto served = std::make_unique<IntQueue>();
    const Task<int> holding = create_task(get(*served));
    queue->put(1);
    const Task<> putting = create_task(put(*queue, 2));
    const Task<> joining = create_task(join(*queue));
    auto recipe = queue->async_get();
    co_await turns();
    served->put(7);
    served.reset();
    queue.reset();
    co_await turns();
    CHECK(ending(putting) == "cancelled: what the task waited for was destroyed: queue put");
    CHECK(ending(joining) == "cancelled: what the task waited for was destroyed: queue join");
    REQUIRE(outcome(holding) == "value");
    CHECK(holding.result() == 7);
    bool shut_down = false;
    try {
        co_await std::move(recipe);
    } catch (const QueueShutDown&) {
        shut_down = true;
    }
    CHECK(shut_down);
}

TEST_CASE("concurrent queue: a loop that goes away while its tasks wait, or have their item") {
    IntQueue empty;
    IntQueue full(1);
    IntQueue given;
    concurrent::LifoQueue<int> stack;
    full.put(1);
    {
        EventLoop loop;
        loop.create_task(get(empty));
        loop.create_task(put(full, 2));
        loop.create_task(join(full));
        for (int i = 0; i < 3; ++i) {
            loop.create_task(get(given));
            loop.create_task(get(stack));
        }
        loop.run_until_complete(turns());
        for (int item = 1; item <= 4; ++item) {
            given.put(item);
            stack.put(item);
        }
        CHECK(given.qsize() == 1);
    }
    CHECK(full.qsize() == 1);
    CHECK(given.qsize() == 4);
    for (int item = 1; item <= 4; ++item) {
        CHECK(given.get() == item);
        CHECK(stack.get() == 5 - item);
    }
    empty.put(5); // nobody waits any more
    CHECK(empty.get() == 5);
    CHECK(full.get() == 1);
    CHECK(full.empty());
    full.put(3);
    CHECK(full.get() == 3);
}

TEST_CASE("concurrent queue: a loop that goes away leaves its items to the threads in line") {
    IntQueue queue;
    int got = 0;
    std::thread thread;
    {
        EventLoop loop;
        loop.create_task(get(queue));
        loop.run_until_complete(turns());
        thread = std::thread([&] { got = queue.get(); });
        queue.await_getters(2);
        queue.put(1);
    }
    thread.join();
    CHECK(got == 1);
}

TEST_CASE("concurrent queue: loops come and go while a thread puts, and no item is lost") {
    constexpr int items = 500;
    IntQueue queue(2);
    std::thread producer([&queue] {
        for (int item = 0; item < items; ++item) {
            queue.put(item);
        }
    });
    std::vector<int> got;
    const auto get_one = [&]() -> Coro<> { got.push_back(co_await queue.async_get()); };
    for (int round = 0; round < 100; ++round) {
        EventLoop loop;
        for (int i = 0; i < 3; ++i) {
            loop.create_task(get_one());
        }
        loop.run_until_complete(turns(round % 4));
    }
    while (got.size() < items) {
        got.push_back(queue.get());
    }
    producer.join();
    std::sort(got.begin(), got.end());
    CHECK(std::adjacent_find(got.begin(), got.end()) == got.end());
    CHECK(got.back() == items - 1);
}

TEST_CASE("concurrent queue: a queue that goes away before the loop whose tasks wait at it") {
    EventLoop loop;
    {
        IntQueue queue(1);
        queue.put(1);
        loop.create_task(put(queue, 2));
        loop.create_task(join(queue));
        loop.run_until_complete(turns());
    }
}

TEST_CASE("concurrent queue: tasks of two loops wait at one queue and hand on to each other") {
    IntQueue there;
    IntQueue back;
    std::thread other([&] {
        run_here([](IntQueue& in, IntQueue& out) -> Coro<> {
            for (int i = 0; i < 200; ++i) {
                const int item = co_await in.async_get();
                co_await out.async_put(item + 1);
            }
        }(there, back));
    });
    const int sum = run_here([](IntQueue& out, IntQueue& in) -> Coro<int> {
        int total = 0;
        for (int i = 0; i < 200; ++i) {
            co_await out.async_put(i);
            total += co_await in.async_get();
        }
        co_return total;
    }(there, back));
    other.join();
    CHECK(sum == 20'100);
}

namespace {

constexpr int stress_items = 3'000; // of each producer

Coro<> produce(IntQueue& queue, std::latch& produced, int first) {
    for (int i = 0; i < stress_items; ++i) {
        co_await queue.async_put(first + i);
    }
    produced.count_down();
}

Coro<> consume(IntQueue& queue, std::vector<int>& got) {
    for (;;) {
        try {
            got.push_back(co_await queue.async_get());
        } catch (const QueueShutDown&) {
            co_return;
        }
        queue.task_done();
    }
}

Coro<> consume_impatiently(IntQueue& queue, std::vector<int>& got) {
    for (;;) {
        Task<int> task = create_task(get(queue));
        co_await turns(2);
        task.cancel();
        while (!task.done()) {
            co_await turns();
        }
        if (outcome(task) == "queue is shut down") {
            co_return;
        }
        if (outcome(task) == "value") {
            got.push_back(task.result());
            queue.task_done();
        }
    }
}

/// What one of the loops does: `mine` is where its three consumers put what they get.
Coro<> exchange(IntQueue& queue, std::latch& produced, std::vector<int>* mine, int first) {
    co_await gather(produce(queue, produced, first), produce(queue, produced, first + stress_items),
                    consume(queue, mine[0]), consume(queue, mine[1]),
                    consume_impatiently(queue, mine[2]));
}

} // namespace

TEST_CASE("concurrent queue: producers and consumers in threads and on two loops lose nothing") {
    // Two threads of each kind; and two loops, each with two tasks of each kind and one more that
    // gives up and tries again all the time.
    IntQueue queue(5);
    constexpr int producers = 6;
    std::vector<std::vector<int>> got(8);
    std::latch start(6);
    std::latch produced(producers);
    std::vector<std::thread> threads;
    threads.reserve(6);
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&, i] {
            start.arrive_and_wait();
            for (int item = 0; item < stress_items; ++item) {
                queue.put(i * stress_items + item);
            }
            produced.count_down();
        });
        threads.emplace_back([&, &mine = got[static_cast<std::size_t>(i)]] {
            start.arrive_and_wait();
            try {
                for (;;) {
                    try {
                        mine.push_back(queue.get(20us));
                        queue.task_done();
                    } catch (const QueueEmpty&) {
                        std::this_thread::yield();
                    }
                }
            } catch (const QueueShutDown&) {
                CHECK(queue.empty());
            }
        });
        threads.emplace_back([&, mine = &got[2U + 3U * static_cast<std::size_t>(i)],
                              first = (2 + 2 * i) * stress_items] {
            start.arrive_and_wait();
            run_here(exchange(queue, produced, mine, first));
        });
    }
    produced.wait();
    queue.join();
    queue.shutdown();
    for (std::thread& thread : threads) {
        thread.join();
    }
    std::vector<int> all;
    for (const std::vector<int>& part : got) {
        all.insert(all.end(), part.begin(), part.end());
    }
    std::sort(all.begin(), all.end());
    REQUIRE(all.size() == std::size_t{producers} * stress_items);
    CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
    CHECK(all.back() == producers * stress_items - 1);
}
