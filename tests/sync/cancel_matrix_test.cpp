// Whatever tasks synchronise with, cancelled at every moment.

#include "cancel_matrix.hpp"
#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <utility>
#include <vector>

using namespace muster;
using testing_support::cancel_row;
using testing_support::CancelRow;
using testing_support::CancelRule;
using testing_support::check_cancellation;

namespace {

struct Locked {
    Lock lock;

    Locked() { static_cast<void>(lock.try_acquire()); }

    void complete() { lock.release(); }

    bool intact(int) { return !lock.locked() && lock.try_acquire(); }
};

template <class S>
struct Exhausted {
    S semaphore{1};

    Exhausted() { static_cast<void>(semaphore.try_acquire()); }

    void complete() { semaphore.release(); }

    bool intact(int) { return semaphore.value() == 1 && semaphore.try_acquire(); }
};

struct Unset {
    Event event;

    void complete() { event.set(); }

    bool intact(int) const { return event.is_set(); }
};

template <class Q>
struct Empty {
    Q queue{1};

    void complete() { queue.put_nowait(1); }

    bool intact(int got) const { return queue.qsize() == static_cast<std::size_t>(1 - got); }
};

template <class Q>
struct Full {
    Q queue{1};

    Full() { queue.put_nowait(1); }

    void complete() { static_cast<void>(queue.get_nowait()); }

    bool intact(int got) const { return queue.qsize() == static_cast<std::size_t>(got); }
};

struct Unfinished {
    Queue<int> queue;

    Unfinished() {
        queue.put_nowait(1);
        static_cast<void>(queue.get_nowait());
    }

    void complete() { queue.task_done(); }

    bool intact(int) const { return queue.empty(); }
};

struct Unnotified {
    Condition condition;

    Coro<> complete() {
        const auto held = co_await condition.guard();
        condition.notify();
    }

    bool intact(int) { return !condition.locked() && condition.try_acquire(); }
};

struct OneMissing {
    Barrier barrier{2};
    Task<> other;

    void complete() {
        other = create_task([this]() -> Coro<> { static_cast<void>(co_await barrier.wait()); });
    }

    bool intact(int) const { return !barrier.broken(); }
};

struct LentOut {
    CapacityLimiter limiter{1};

    LentOut() { static_cast<void>(limiter.try_acquire_on_behalf_of(this)); }

    void complete() { limiter.release_on_behalf_of(this); }

    bool intact(int) const { return limiter.available_tokens() == 1; }
};

struct EmptyChannel {
    Channel<int> channel = make_channel<int>(1);

    void complete() { static_cast<void>(channel.sender.try_send(1)); }

    bool intact(int got) const {
        return channel.receiver.statistics().size == static_cast<std::size_t>(1 - got);
    }
};

struct EmptyForThreads {
    concurrent::Queue<int> queue;

    void complete() { queue.put(1); }

    bool intact(int got) const { return queue.qsize() == static_cast<std::size_t>(1 - got); }
};

/// A task that comes behind the one that is cancelled, and must not be forgotten: what that one
/// does not take is for this one.
template <class World>
struct WithSuccessor : World {
    Task<> successor;

    template <class A>
    void follow(A awaitable) {
        successor = create_task(discard(std::move(awaitable)));
    }

    [[nodiscard]] bool followed() const { return successor.valid() && successor.done(); }

private:
    template <class A>
    static Coro<> discard(A awaitable) {
        static_cast<void>(co_await std::move(awaitable));
    }
};

struct LockedForTwo : WithSuccessor<Locked> {
    bool intact(int got) { return Locked::intact(got) && successor.valid() == followed(); }
};

struct ExhaustedForTwo : WithSuccessor<Exhausted<Semaphore>> {
    bool intact(int got) { return Exhausted::intact(got) && successor.valid() == followed(); }
};

// There is one item, or one place: either of the two gets it.
struct EmptyForTwo : WithSuccessor<Empty<Queue<int>>> {
    bool intact(int got) const {
        return Empty::intact(got + (followed() ? 1 : 0)) &&
               followed() == (successor.valid() && got == 0);
    }
};

struct FullForTwo : WithSuccessor<Full<Queue<int>>> {
    bool intact(int got) const {
        return Full::intact(got + (followed() ? 1 : 0)) &&
               followed() == (successor.valid() && got == 0);
    }
};

/// A row whose world says itself how it is completed and what is to hold then.
template <class World, class Wait>
CancelRow row(const char* name, Wait wait) {
    return cancel_row<World>(
        name, CancelRule::cancel_wins, wait, [](World& world) { world.complete(); },
        [](World& world, int got) { return world.intact(got); });
}

std::vector<CancelRow> rows() {
    using BoundedWorld = Exhausted<BoundedSemaphore>;
    using SemaphoreWorld = Exhausted<Semaphore>;
    using PriorityWorld = Empty<PriorityQueue<int>>;
    using LifoWorld = Full<LifoQueue<int>>;
    return {
        row<Locked>("lock",
                    [](Locked& world) -> Coro<> {
                        co_await world.lock.acquire();
                        world.lock.release();
                    }),
        row<Locked>("lock guard",
                    [](Locked& world) -> Coro<> { auto held = co_await world.lock.guard(); }),
        row<SemaphoreWorld>("semaphore",
                            [](SemaphoreWorld& world) -> Coro<> {
                                co_await world.semaphore.acquire();
                                world.semaphore.release();
                            }),
        row<BoundedWorld>(
            "guard of a bounded semaphore",
            [](BoundedWorld& world) -> Coro<> { auto held = co_await world.semaphore.guard(); }),
        row<LockedForTwo>("lock, with another behind",
                          [](LockedForTwo& world) -> Coro<> {
                              world.follow(world.lock.guard());
                              const auto held = co_await world.lock.guard();
                          }),
        row<ExhaustedForTwo>("semaphore, with another behind",
                             [](ExhaustedForTwo& world) -> Coro<> {
                                 world.follow(world.semaphore.guard());
                                 const auto held = co_await world.semaphore.guard();
                             }),
        row<EmptyForTwo>("queue get, with another behind",
                         [](EmptyForTwo& world) -> Coro<> {
                             world.follow(world.queue.get());
                             static_cast<void>(co_await world.queue.get());
                         }),
        row<FullForTwo>("queue put, with another behind",
                        [](FullForTwo& world) -> Coro<> {
                            world.follow(world.queue.put(3));
                            co_await world.queue.put(2);
                        }),
        row<Unset>("event", [](Unset& world) -> Coro<> { co_await world.event.wait(); }),
        row<Empty<Queue<int>>>(
            "queue get",
            [](auto& world) -> Coro<> { static_cast<void>(co_await world.queue.get()); }),
        row<Full<Queue<int>>>("queue put",
                              [](auto& world) -> Coro<> { co_await world.queue.put(2); }),
        row<Unfinished>("queue join",
                        [](Unfinished& world) -> Coro<> { co_await world.queue.join(); }),
        row<PriorityWorld>(
            "priority queue get",
            [](auto& world) -> Coro<> { static_cast<void>(co_await world.queue.get()); }),
        row<LifoWorld>("last in, first out queue put",
                       [](auto& world) -> Coro<> { co_await world.queue.put(2); }),
        row<OneMissing>(
            "barrier",
            [](OneMissing& world) -> Coro<> { static_cast<void>(co_await world.barrier.wait()); }),
        row<LentOut>(
            "capacity limiter",
            [](LentOut& world) -> Coro<> { const auto held = co_await world.limiter.guard(); }),
        row<EmptyChannel>("channel receive",
                          [](EmptyChannel& world) -> Coro<> {
                              static_cast<void>(co_await world.channel.receiver.receive());
                          }),
        row<EmptyForThreads>("concurrent queue get",
                             [](EmptyForThreads& world) -> Coro<> {
                                 static_cast<void>(co_await world.queue.async_get());
                             }),
        row<Locked>("gather of a lock guard and another wait",
                    [](Locked& world) -> Coro<> {
                        const auto results = co_await gather(world.lock.guard(),
                                                             async_sleep(std::chrono::seconds(0)));
                    }),
        row<Empty<Queue<int>>>("wait_for of a queue get",
                               [](auto& world) -> Coro<> {
                                   static_cast<void>(co_await wait_for(world.queue.get(),
                                                                       std::chrono::hours(24)));
                               }),
    };
}

} // namespace

TEST_CASE("whatever a task waits for is cancelled at each moment as asyncio's is") {
    check_cancellation(rows());
}
