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
    {"condition",
     [](Probe probe) -> Coro<> {
         Condition condition;
         const auto waits_for_it = [](Condition& which, Probe one) -> Coro<> {
             const auto held = co_await which.guard();
             co_await which.wait();
             one.ran();
         };
         const auto notifies = [](Condition& which) -> Coro<> {
             co_await turns(2);
             const auto held = co_await which.guard();
             which.notify_all();
         };
         co_await gather(waits_for_it(condition, probe), waits_for_it(condition, probe),
                         notifies(condition));
     }},
    {"barrier",
     [](Probe probe) -> Coro<> {
         Barrier barrier(3);
         const auto arrives = [](Barrier& which, Probe one) -> Coro<> {
             static_cast<void>(co_await which.wait());
             one.ran();
         };
         co_await gather(arrives(barrier, probe), arrives(barrier, probe), arrives(barrier, probe));
     }},
    {"capacity limiter",
     [](Probe probe) -> Coro<> {
         CapacityLimiter limiter(1);
         co_await gather(holds_guard(limiter, probe), holds_guard(limiter, probe));
     }},
    {"rate limiter",
     [](Probe probe) -> Coro<> {
         RateLimiter limiter(1);
         const auto takes = [](RateLimiter& which, Probe one) -> Coro<> {
             co_await which.acquire();
             one.ran();
         };
         co_await gather(takes(limiter, probe), takes(limiter, probe), takes(limiter, probe));
     }},
    {"channel",
     [](Probe probe) -> Coro<> {
         const auto sends = [](Sender<Probe> sender, Probe one) -> Coro<> {
             for (int i = 0; i < 3; ++i) {
                 co_await sender.send(one);
             }
         };
         const auto receives = [](Receiver<Probe> receiver) -> Coro<> {
             while (auto item = co_await receiver.receive()) {
                 item->ran();
             }
         };
         auto channel = make_channel<Probe>(0);
         co_await gather(sends(std::move(channel.sender), probe),
                         receives(std::move(channel.receiver)));
     }},
    {"background tasks",
     [](Probe probe) -> Coro<> {
         BackgroundTasks tasks({.limit = 1});
         const auto work = [](Probe one) -> Coro<> {
             co_await turns(2);
             one.ran();
         };
         static_cast<void>(co_await tasks.spawn(work, probe));
         static_cast<void>(co_await tasks.spawn(work, probe));
         co_await tasks.close();
     }},
    {"concurrent queue",
     [](Probe probe) -> Coro<> {
         concurrent::Queue<Probe> queue(1);
         const auto puts = [](concurrent::Queue<Probe>& which, Probe one) -> Coro<> {
             for (int i = 0; i < 3; ++i) {
                 co_await which.async_put(one);
             }
         };
         const auto gets = [](concurrent::Queue<Probe>& which) -> Coro<> {
             for (int i = 0; i < 3; ++i) {
                 (co_await which.async_get()).ran();
             }
         };
         co_await gather(puts(queue, probe), gets(queue));
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
