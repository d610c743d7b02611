// Whatever tasks synchronise with, in a loop that goes away after each step, or is cancelled there.

#include "coro_test.hpp"
#include "teardown.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::end_after_every_step;
using testing_support::Probe;
using testing_support::Scenario;
using testing_support::turns;

namespace {

template <class L>
Coro<> acquires(L& lock, Probe probe) {
    co_await lock.acquire();
    probe.ran();
    lock.release(); // before any await: a cancellation must not leave it held
    co_await turns(1);
}

template <class L>
Coro<> holds_guard(L& lock, Probe probe) {
    const auto held = co_await lock.guard();
    probe.ran();
    co_await turns(1);
}

Coro<> sets(Event& event, Probe probe) {
    co_await turns(1);
    probe.ran();
    event.set();
}

Coro<> waits(Event& event, Probe probe) {
    co_await event.wait();
    probe.ran();
}

template <class Q>
Coro<> produces(Q& queue, int count, Probe probe) {
    for (int i = 0; i < count; ++i) {
        co_await queue.put(probe);
        probe.ran();
    }
}

template <class Q>
Coro<> consumes(Q& queue, int count, Probe probe) {
    for (int i = 0; i < count; ++i) {
        const Probe got = co_await queue.get();
        got.ran();
        probe.ran();
        queue.task_done();
    }
}

template <class Q>
Coro<> joins(Q& queue, Probe probe) {
    co_await queue.join();
    probe.ran();
}

template <class Q>
Coro<> shuts_down(Q& queue, bool immediate) {
    co_await turns(2);
    queue.shutdown(immediate);
}

template <class A>
Coro<> until_shut_down(A awaitable, Probe probe) {
    try {
        co_await std::move(awaitable);
    } catch (const QueueShutDown&) {
        probe.ran();
    }
}

/// Every probe is as good as another.
struct Equal {
    bool operator()(const Probe&, const Probe&) const noexcept { return false; }
};

// One line for each thing a task can wait for, more where it can end in several ways.
const std::vector<Scenario> scenarios = {
    {"lock",
     [](Probe probe) -> Coro<> {
         Lock lock;
         co_await gather(acquires(lock, probe), acquires(lock, probe), acquires(lock, probe));
     }},
    {"lock guard",
     [](Probe probe) -> Coro<> {
         Lock lock;
         co_await gather(holds_guard(lock, probe), holds_guard(lock, probe),
                         holds_guard(lock, probe));
     }},
    {"semaphore",
     [](Probe probe) -> Coro<> {
         Semaphore semaphore(2);
         co_await gather(acquires(semaphore, probe), acquires(semaphore, probe),
                         acquires(semaphore, probe), holds_guard(semaphore, probe));
     }},
    {"bounded semaphore",
     [](Probe probe) -> Coro<> {
         BoundedSemaphore semaphore(1);
         co_await gather(holds_guard(semaphore, probe), holds_guard(semaphore, probe));
     }},
    {"event",
     [](Probe probe) -> Coro<> {
         Event event;
         co_await gather(waits(event, probe), waits(event, probe), sets(event, probe));
     }},
    {"queue get",
     [](Probe probe) -> Coro<> {
         Queue<Probe> queue;
         co_await gather(consumes(queue, 2, probe), consumes(queue, 1, probe),
                         produces(queue, 3, probe));
     }},
    {"queue put",
     [](Probe probe) -> Coro<> {
         Queue<Probe> queue(1);
         co_await gather(produces(queue, 2, probe), produces(queue, 2, probe),
                         consumes(queue, 4, probe));
     }},
    {"queue join",
     [](Probe probe) -> Coro<> {
         Queue<Probe> queue;
         co_await gather(produces(queue, 2, probe), joins(queue, probe), consumes(queue, 2, probe));
     }},
    {"queue shutdown",
     [](Probe probe) -> Coro<> {
         Queue<Probe> queue(1);
         co_await gather(until_shut_down(produces(queue, 3, probe), probe),
                         shuts_down(queue, false));
         co_await until_shut_down(consumes(queue, 2, probe), probe);
     }},
    {"queue shutdown at once",
     [](Probe probe) -> Coro<> {
         Queue<Probe> queue(1);
         co_await gather(until_shut_down(produces(queue, 3, probe), probe), joins(queue, probe),
                         shuts_down(queue, true));
     }},
    {"priority queue",
     [](Probe probe) -> Coro<> {
         PriorityQueue<Probe, Equal> queue(1);
         co_await gather(produces(queue, 2, probe), consumes(queue, 2, probe));
     }},
    {"last in, first out queue",
     [](Probe probe) -> Coro<> {
         LifoQueue<Probe> queue(1);
         co_await gather(produces(queue, 2, probe), consumes(queue, 2, probe));
     }},
};

} // namespace

TEST_CASE("whatever a task waits for leaves nothing, whenever its loop goes or it is cancelled") {
    for (const Scenario& scenario : scenarios) {
        end_after_every_step(scenario);
    }
}
