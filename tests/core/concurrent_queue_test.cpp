#include "watched_queue.hpp"

#include <muster/core/concurrent_queue.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <latch>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using muster::QueueEmpty;
using muster::QueueFull;
using muster::QueueShutDown;
using muster::TimeoutError;
using muster::ValueError;
using muster::concurrent::LifoQueue;
using muster::concurrent::PriorityQueue;
using muster::concurrent::Queue;
using muster::testing_support::Watched;

using namespace std::chrono_literals;

namespace {

static_assert(!std::is_copy_constructible_v<Queue<int>>);
static_assert(!std::is_move_constructible_v<Queue<int>>);

template <class Queue>
std::vector<int> taken(Queue& queue) {
    std::vector<int> items;
    while (!queue.empty()) {
        items.push_back(queue.get());
    }
    return items;
}

} // namespace

TEST_CASE_TEMPLATE("concurrent queue: put and get until it is full and empty again", Q,
                   Watched<Queue<int>>, Watched<LifoQueue<int>>, Watched<PriorityQueue<int>>) {
    constexpr int size = 5;
    Q queue(size);
    for (int round = 0; round < 2; ++round) {
        CHECK(queue.empty());
        CHECK_FALSE(queue.full());
        CHECK(queue.maxsize() == size);
        for (int i = 0; i < size; ++i) {
            CHECK_FALSE(queue.full());
            queue.put(i);
        }
        CHECK(queue.full());
        CHECK(queue.qsize() == size);
        CHECK_THROWS_AS(queue.put_nowait(9), QueueFull);
        CHECK_THROWS_AS(queue.put(9, 0s), QueueFull);
        CHECK_THROWS_AS(queue.put(9, 1ms), QueueFull);
        std::thread getter([&queue] {
            queue.await_putters(1);
            queue.get();
        });
        queue.put(7);
        getter.join();
        CHECK(taken(queue).size() == size);
        CHECK_THROWS_AS(queue.get_nowait(), QueueEmpty);
        CHECK_THROWS_AS(queue.get(0s), QueueEmpty);
        CHECK_THROWS_AS(queue.get(1ms), QueueEmpty);
        std::thread putter([&queue] {
            queue.await_getters(1);
            queue.put(8);
        });
        CHECK(queue.get(60s) == 8);
        putter.join();
    }
}

TEST_CASE("concurrent queue: first in first out, last in first out, least first") {
    Queue<int> fifo;
    LifoQueue<int> lifo;
    PriorityQueue<int> least;
    PriorityQueue<int, std::greater<>> greatest;
    for (const int item : {111, 333, 222}) {
        fifo.put(item);
        lifo.put(item);
        least.put(item);
        greatest.put(item);
    }
    CHECK(taken(fifo) == std::vector{111, 333, 222});
    CHECK(taken(lifo) == std::vector{222, 333, 111});
    CHECK(taken(least) == std::vector{111, 222, 333});
    CHECK(taken(greatest) == std::vector{333, 222, 111});
}

TEST_CASE("concurrent queue: equal priorities come out in the order they were put") {
    struct Job {
        int priority;
        int number;

        bool operator<(const Job& other) const { return priority < other.priority; }
    };

    PriorityQueue<Job> queue;
    for (int number = 0; number < 20; ++number) {
        queue.put({number % 2, number});
    }
    std::vector<int> numbers;
    while (!queue.empty()) {
        numbers.push_back(queue.get().number);
    }
    CHECK(numbers ==
          std::vector{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19});
}

TEST_CASE("concurrent queue: a comparison may have a state") {
    const std::vector<int> rank{2, 0, 1};
    auto by_rank = [&rank](int a, int b) {
        return rank[static_cast<std::size_t>(a)] < rank[static_cast<std::size_t>(b)];
    };
    PriorityQueue<int, decltype(by_rank)> queue(0, by_rank);
    queue.put(0);
    queue.put(1);
    queue.put(2);
    CHECK(taken(queue) == std::vector{1, 2, 0});
    queue.shutdown(true);
}

TEST_CASE("concurrent queue: without a limit it is never full") {
    Queue<int> none;
    Queue<int> negative(-1);
    for (int i = 0; i < 1000; ++i) {
        none.put_nowait(i);
        negative.put(i);
    }
    CHECK_FALSE(none.full());
    CHECK(negative.maxsize() == 0);
    CHECK(negative.qsize() == 1000);
}

TEST_CASE("concurrent queue: a negative timeout is a ValueError, waiting or not") {
    Queue<int> queue(1);
    CHECK_THROWS_AS(queue.get(-1s), ValueError);
    CHECK_THROWS_AS(queue.put(1, -1ns), ValueError);
    CHECK(queue.empty());
    queue.put(1);
    CHECK_THROWS_AS(queue.put(2, -1s), ValueError);
    CHECK_THROWS_AS(queue.get(-1s), ValueError);
    CHECK_THROWS_AS(queue.join(-1s), ValueError);
    CHECK(queue.get(1h) == 1);
}

TEST_CASE("concurrent queue: items that can only be moved") {
    Queue<std::unique_ptr<int>> fifo(1);
    PriorityQueue<std::unique_ptr<int>> sorted;
    LifoQueue<std::unique_ptr<int>> lifo;
    fifo.put(std::make_unique<int>(1));
    sorted.put(std::make_unique<int>(2));
    lifo.put_nowait(std::make_unique<int>(3));
    CHECK(*fifo.get() == 1);
    CHECK(*sorted.get_nowait() == 2);
    CHECK(*lifo.get(1s) == 3);
}

TEST_CASE("concurrent queue: threads are served in the order in which they came") {
    Watched<Queue<int>> queue;
    std::vector<int> got(4);
    std::vector<std::thread> threads;
    threads.reserve(got.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        threads.emplace_back([&, i] { got[i] = queue.get(); });
        queue.await_getters(i + 1);
    }
    for (int item = 0; item < 4; ++item) {
        queue.put(item);
        // It is meant for the thread which waits, whether that has noticed or not.
        CHECK(queue.empty());
        CHECK_THROWS_AS(queue.get_nowait(), QueueEmpty);
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(got == std::vector{0, 1, 2, 3});
}

TEST_CASE("concurrent queue: what waits for room goes in in the order in which it came") {
    Watched<Queue<int>> queue(1);
    queue.put(0);
    std::vector<std::thread> threads;
    threads.reserve(3);
    for (int item = 1; item <= 3; ++item) {
        threads.emplace_back([&queue, item] { queue.put(item); });
        queue.await_putters(static_cast<std::size_t>(item));
    }
    CHECK(queue.get() == 0);
    CHECK(queue.full()); // the room was used at once, nobody may overtake
    CHECK_THROWS_AS(queue.put_nowait(9), QueueFull);
    CHECK(queue.get() == 1);
    CHECK(queue.get() == 2);
    CHECK(queue.get() == 3);
    for (std::thread& thread : threads) {
        thread.join();
    }
}

TEST_CASE("concurrent queue: who gives up waiting leaves the line") {
    Watched<Queue<int>> queue(1);
    CHECK_THROWS_AS(queue.get(1ms), QueueEmpty);
    queue.put(1);
    CHECK(queue.qsize() == 1);
    CHECK_THROWS_AS(queue.put(2, 1ms), QueueFull);
    CHECK(queue.get() == 1);
    CHECK(queue.empty());
}

TEST_CASE("concurrent queue: task_done() more often than put() is a ValueError") {
    Queue<int> queue;
    CHECK_THROWS_AS(queue.task_done(), ValueError);
    queue.put(1);
    queue.task_done(); // even before the get, as in Python
    CHECK_THROWS_AS(queue.task_done(), ValueError);
    queue.join();
    CHECK(queue.get() == 1);
}

TEST_CASE("concurrent queue: join() returns when the last item has been dealt with, and again") {
    Queue<int> queue(10);
    std::atomic<int> sum = 0;
    const auto work = [&] {
        for (int item = queue.get(); item >= 0; item = queue.get()) {
            sum += item;
            queue.task_done();
        }
        queue.task_done();
    };
    for (int round = 0; round < 2; ++round) {
        sum = 0;
        std::thread first(work);
        std::thread second(work);
        for (int item = 0; item < 100; ++item) {
            queue.put(item);
        }
        queue.join();
        CHECK(sum == 4950);
        queue.put(-1);
        queue.put(-1);
        queue.join();
        first.join();
        second.join();
    }
    CHECK_THROWS_AS(queue.task_done(), ValueError);
}

TEST_CASE("concurrent queue: join(timeout) throws TimeoutError while items are left") {
    Watched<Queue<int>> queue;
    queue.join(0s);
    queue.put(1);
    CHECK_THROWS_AS(queue.join(0s), TimeoutError);
    CHECK_THROWS_AS(queue.join(1ms), TimeoutError);
    std::thread worker([&queue] {
        queue.await_joiners(1);
        queue.get();
        queue.task_done();
    });
    queue.join(60s);
    worker.join();
}

TEST_CASE_TEMPLATE("concurrent queue: shutdown() lets the items be got, then all throws", Q,
                   Queue<int>, LifoQueue<int>, PriorityQueue<int>) {
    Q queue(2);
    queue.put(1);
    queue.put_nowait(2);
    CHECK_FALSE(queue.is_shutdown());
    queue.shutdown();
    CHECK(queue.is_shutdown());
    CHECK_THROWS_AS(queue.put(3), QueueShutDown);
    CHECK_THROWS_AS(queue.put(3, 1s), QueueShutDown);
    CHECK_THROWS_AS(queue.put_nowait(3), QueueShutDown);
    CHECK(queue.get() + queue.get_nowait() == 3);
    queue.task_done();
    queue.task_done();
    queue.join();
    CHECK_THROWS_AS(queue.get(), QueueShutDown);
    CHECK_THROWS_AS(queue.get(1s), QueueShutDown);
    CHECK_THROWS_AS(queue.get_nowait(), QueueShutDown);
}

TEST_CASE_TEMPLATE("concurrent queue: shutdown(immediate) drops the items, and join() is over", Q,
                   Queue<int>, LifoQueue<int>, PriorityQueue<int>) {
    Q queue(2);
    queue.put(1);
    queue.put(2);
    queue.shutdown(true);
    CHECK(queue.empty());
    CHECK_THROWS_AS(queue.put(3), QueueShutDown);
    CHECK_THROWS_AS(queue.get(), QueueShutDown);
    CHECK_THROWS_AS(queue.get_nowait(), QueueShutDown);
    CHECK_THROWS_AS(queue.task_done(), ValueError);
    queue.join();
    queue.shutdown(false);
    queue.shutdown(true);
    CHECK(queue.is_shutdown());
}

TEST_CASE("concurrent queue: shutdown(immediate) after a task_done() without a get()") {
    Queue<int> queue;
    queue.put(1);
    queue.put(2);
    queue.task_done();
    queue.shutdown(true);
    queue.join();
    CHECK_THROWS_AS(queue.task_done(), ValueError);
}

TEST_CASE("concurrent queue: join() waits on after shutdown(immediate) for what was got before") {
    Watched<Queue<int>> queue;
    queue.put(1);
    queue.put(2);
    CHECK(queue.get() == 1);
    std::thread joiner([&queue] { queue.join(); });
    queue.await_joiners(1);
    queue.shutdown(true);
    CHECK_THROWS_AS(queue.join(0s), TimeoutError);
    queue.task_done();
    joiner.join();
}

TEST_CASE("concurrent queue: shutdown() wakes who waits for items and for room") {
    for (const bool immediate : {false, true}) {
        Watched<Queue<int>> empty;
        Watched<Queue<int>> full(1);
        full.put(0);
        std::atomic<int> woken = 0;
        const auto shut_down = [&woken](const auto& wait) {
            try {
                wait();
            } catch (const QueueShutDown&) {
                ++woken;
            }
        };
        std::vector<std::thread> threads;
        threads.reserve(4);
        for (int i = 0; i < 2; ++i) {
            threads.emplace_back([&] { shut_down([&] { empty.get(); }); });
            threads.emplace_back([&] { shut_down([&] { full.put(1, 1h); }); });
        }
        empty.await_getters(2);
        full.await_putters(2);
        empty.shutdown(immediate);
        full.shutdown(immediate);
        for (std::thread& thread : threads) {
            thread.join();
        }
        CHECK(woken == 4);
        CHECK(full.qsize() == (immediate ? 0 : 1));
    }
}

TEST_CASE("concurrent queue: many threads put, get and join while it is shut down") {
    for (const bool immediate : {false, true}) {
        Queue<int> queue;
        std::latch ready(7);
        std::atomic<int> readers_done = 0;
        std::vector<std::thread> threads;
        threads.reserve(9);
        for (int writer = 0; writer < 3; ++writer) {
            threads.emplace_back([&, writer] {
                queue.put(writer);
                ready.arrive_and_wait();
                try {
                    for (int i = 0; i < 3000; ++i) {
                        queue.put(i);
                        if (writer == 0 && i == 1000) {
                            queue.shutdown(immediate);
                        }
                    }
                } catch (const QueueShutDown&) {
                    CHECK(queue.is_shutdown());
                }
            });
        }
        for (int reader = 0; reader < 4; ++reader) {
            threads.emplace_back([&] {
                ready.arrive_and_wait();
                try {
                    for (;;) {
                        queue.get();
                        queue.task_done();
                    }
                } catch (const QueueShutDown&) {
                    ++readers_done;
                }
            });
        }
        for (int joiner = 0; joiner < 2; ++joiner) {
            threads.emplace_back([&queue] { queue.join(); });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        CHECK(readers_done == 4);
        CHECK(queue.empty());
        CHECK_THROWS_AS(queue.task_done(), ValueError);
    }
}

TEST_CASE("concurrent queue: an item's destructor may look at the queue") {
    struct Item {
        explicit Item(Queue<std::unique_ptr<Item>>& queue) : home(&queue) {}

        Item(const Item&) = delete;
        Item& operator=(const Item&) = delete;

        ~Item() { CHECK(home->maxsize() >= home->qsize()); }

        Queue<std::unique_ptr<Item>>* home;
    };

    Queue<std::unique_ptr<Item>> queue(1);
    queue.put(std::make_unique<Item>(queue));
    CHECK_THROWS_AS(queue.put_nowait(std::make_unique<Item>(queue)), QueueFull);
    CHECK_THROWS_AS(queue.put(std::make_unique<Item>(queue), 1ms), QueueFull);
    queue.shutdown(true);
    CHECK_THROWS_AS(queue.put(std::make_unique<Item>(queue)), QueueShutDown);
}

TEST_CASE("concurrent queue: items that are left are destroyed with it") {
    const auto item = std::make_shared<int>();
    {
        Queue<std::shared_ptr<int>> queue;
        queue.put(item);
        queue.put(item);
        CHECK(item.use_count() == 3);
    }
    CHECK(item.use_count() == 1);
}

TEST_CASE("concurrent queue: one producer and one consumer keep the order") {
    Queue<int> queue(3);
    std::thread producer([&queue] {
        for (int i = 0; i < 5000; ++i) {
            queue.put(i);
        }
        queue.shutdown();
    });
    std::vector<int> got;
    try {
        for (;;) {
            got.push_back(queue.get());
        }
    } catch (const QueueShutDown&) {
        CHECK(got.size() == 5000);
    }
    producer.join();
    CHECK(std::is_sorted(got.begin(), got.end()));
}

TEST_CASE("concurrent queue: many producers and consumers, with and without patience") {
    constexpr int producers = 4;
    constexpr int items = 1000;
    Queue<int> queue(7);
    std::atomic<long> sum = 0;
    std::atomic<int> count = 0;
    std::vector<std::thread> threads;
    threads.reserve(std::size_t{2} * producers);
    for (int producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&queue, producer] {
            for (int i = 0; i < items;) {
                try {
                    if (producer % 2 == 0) {
                        queue.put(i);
                    } else {
                        queue.put(i, 10us);
                    }
                    ++i;
                } catch (const QueueFull&) {
                    std::this_thread::yield();
                }
            }
        });
        threads.emplace_back([&, producer] {
            try {
                for (;;) {
                    try {
                        sum += producer % 2 == 0 ? queue.get(10us) : queue.get();
                        ++count;
                        queue.task_done();
                    } catch (const QueueEmpty&) {
                        std::this_thread::yield();
                    }
                }
            } catch (const QueueShutDown&) {
                CHECK(queue.empty());
            }
        });
    }
    for (std::size_t i = 0; i < threads.size(); i += 2) {
        threads[i].join();
    }
    queue.join();
    queue.shutdown();
    for (std::size_t i = 1; i < threads.size(); i += 2) {
        threads[i].join();
    }
    CHECK(count == producers * items);
    CHECK(sum == producers * (items * (items - 1L) / 2));
}
