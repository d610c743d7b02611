// A loop that goes away while tasks wait. What matters here is what the sanitizers say.

#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;

namespace {

// Everything a task can wait for. Outlives some loops, and dies before others.
struct World {
    Lock lock;
    Semaphore semaphore{0};
    Event event;
    Queue<std::string> empty;
    Queue<std::string> full{1};
    std::optional<Future<std::string>> future;
    std::shared_future<void> gate;
};

using Waits = std::function<Coro<>(World&)>;

Coro<> forever() { co_await async_sleep(1h); }

// After it the loop has no executor, for another of this kind.
constexpr const char* only_once = "shutdown of the executor";

std::vector<std::pair<std::string, Waits>> all_kinds() {
    return {
        {"sleep", [](World&) -> Coro<> { co_await async_sleep(1h); }},
        {"sleep of zero",
         [](World&) -> Coro<> {
             for (;;) {
                 co_await async_sleep(0s);
             }
         }},
        {"future", [](World& world) -> Coro<> { static_cast<void>(co_await *world.future); }},
        {"task", [](World&) -> Coro<> { co_await create_task(forever()); }},
        {"gather of coroutines",
         [](World&) -> Coro<> { co_await gather(forever(), forever(), forever()); }},
        {"gather of tasks",
         [](World&) -> Coro<> {
             const Task<> one = create_task(forever());
             co_await gather(one, one, forever());
         }},
        {"gather of a vector",
         [](World&) -> Coro<> {
             std::vector<Coro<>> coros;
             for (int i = 0; i < 3; ++i) {
                 coros.push_back(forever());
             }
             co_await gather(return_exceptions, std::move(coros));
         }},
        {"wait_for", [](World&) -> Coro<> { co_await wait_for(forever(), 1h); }},
        {"timeout", [](World&) -> Coro<> { co_await timeout(1h, [] { return forever(); }); }},
        {"task group, in its body",
         [](World&) -> Coro<> {
             co_await task_group([](TaskGroup& group) -> Coro<> {
                 group.create_task(forever());
                 group.create_task(forever());
                 co_await forever();
             });
         }},
        {"task group, at its end",
         [](World&) -> Coro<> {
             co_await task_group([](TaskGroup& group) -> Coro<> {
                 group.create_task(forever());
                 co_return;
             });
         }},
        {"lock", [](World& world) -> Coro<> { auto held = co_await world.lock.guard(); }},
        {"semaphore", [](World& world) -> Coro<> { co_await world.semaphore.acquire(); }},
        {"event", [](World& world) -> Coro<> { co_await world.event.wait(); }},
        {"queue get",
         [](World& world) -> Coro<> { static_cast<void>(co_await world.empty.get()); }},
        {"queue put", [](World& world) -> Coro<> { co_await world.full.put("more"); }},
        {"queue join", [](World& world) -> Coro<> { co_await world.full.join(); }},
        {"executor",
         [](World& world) -> Coro<> {
             co_await run_in_executor([gate = world.gate] { gate.wait(); });
         }},
        {only_once,
         [](World& world) -> Coro<> {
             const auto busy = run_in_executor([gate = world.gate] { gate.wait(); });
             co_await get_running_loop().shutdown_default_executor();
         }},
        {"shutdown of the loop",
         [](World&) -> Coro<> {
             const auto stubborn = []() -> Coro<> {
                 for (;;) {
                     try {
                         co_await async_sleep(1h);
                     } catch (const CancelledError&) {
                         continue;
                     }
                 }
             };
             create_task(stubborn());
             co_await async_sleep(0s);
             co_await get_running_loop().shutdown();
         }},
    };
}

// Runs a few turns without a task of its own, which one of the kinds would cancel.
void run_turns(EventLoop& loop, int count) {
    if (count == 0) {
        loop.stop();
        return;
    }
    loop.call_soon([&loop, count] { run_turns(loop, count - 1); });
    if (!loop.is_running()) {
        loop.run_forever();
    }
}

// Counts the frames that are alive.
struct Alive {
    explicit Alive(int& frames) : count(frames) { ++count; }

    Alive(const Alive&) = delete;
    Alive& operator=(const Alive&) = delete;

    ~Alive() { --count; }

    int& count;
};

Coro<> nested(const Waits& waits, World& world, int& alive) {
    const Alive mark(alive);
    co_await waits(world);
}

Coro<> outer(const Waits& waits, World& world, int& alive) {
    const Alive mark(alive);
    const std::string local(100, 'x');
    co_await nested(waits, world, alive);
}

// Makes ready what waits, without letting it resume.
void wake(World& world) {
    world.lock.release();
    world.semaphore.release();
    world.event.set();
    world.empty.put_nowait("item");
    static_cast<void>(world.full.get_nowait());
    world.future->set_result("value");
}

// One loop on which `kinds` wait; `woken`: it goes while they are about to resume.
void tear_down(const std::vector<std::pair<std::string, Waits>>& kinds, bool world_first,
               bool woken) {
    std::promise<void> release;
    int alive = 0;
    {
        auto loop = std::make_unique<EventLoop>();
        auto world = std::make_unique<World>();
        world->future = loop->create_future<std::string>();
        world->gate = release.get_future().share();
        CHECK(world->lock.try_acquire());
        world->full.put_nowait("first");
        for (const auto& [name, waits] : kinds) {
            loop->create_task(outer(waits, *world, alive));
        }
        run_turns(*loop, 5);
        CHECK(alive == 2 * static_cast<int>(kinds.size()));
        if (woken) {
            wake(*world);
        }
        if (world_first) {
            world.reset();
        }
        loop->close();
        CHECK(alive == 0);
        release.set_value(); // the loop's destructor waits for its executor
    }
}

} // namespace

TEST_CASE("a loop goes away while a task waits, for each thing a task can wait for") {
    for (const auto& kind : all_kinds()) {
        if (kind.first == "shutdown of the loop") {
            continue; // cancels the others
        }
        CAPTURE(kind.first);
        tear_down({kind}, false, false);
        tear_down({kind}, true, false);
        if (kind.first != only_once) {
            tear_down({kind, kind, kind}, false, false);
        }
    }
}

TEST_CASE("a loop goes away in the turn in which what a task waits for has come") {
    for (const auto& kind : all_kinds()) {
        if (kind.first == "shutdown of the loop") {
            continue;
        }
        CAPTURE(kind.first);
        tear_down({kind}, false, true);
        if (kind.first != only_once) {
            tear_down({kind, kind}, false, true);
        }
        tear_down({kind}, true, true);
    }
}

TEST_CASE("a loop goes away while tasks wait for everything at once") {
    auto kinds = all_kinds();
    kinds.pop_back(); // the shutdown of the loop cancels the others
    tear_down(kinds, false, false);
    tear_down(kinds, true, false);
    tear_down(kinds, false, true);
}

TEST_CASE("a loop goes away while it is being shut down") {
    const auto kinds = all_kinds();
    tear_down({kinds.back()}, false, false);
}

TEST_CASE("a loop goes away while its tasks are being cancelled") {
    std::promise<void> release;
    int alive = 0;
    {
        EventLoop loop;
        World world;
        world.future = loop.create_future<std::string>();
        world.gate = release.get_future().share();
        CHECK(world.lock.try_acquire());
        world.full.put_nowait("first");
        std::vector<Task<>> tasks;
        auto kinds = all_kinds();
        kinds.pop_back();
        for (const auto& [name, waits] : kinds) {
            tasks.push_back(loop.create_task(outer(waits, world, alive)));
        }
        run_turns(loop, 5);
        for (const Task<>& task : tasks) {
            task.cancel("going");
        }
        loop.close();
        CHECK(alive == 0);
        for (const Task<>& task : tasks) {
            CHECK(task.done());
        }
        release.set_value();
    }
}

TEST_CASE("destructors that use the loop while it goes away find it closed") {
    int refused = 0;
    {
        EventLoop loop;

        struct UsesLoop {
            EventLoop& loop;
            Task<> other;
            int& refused;

            ~UsesLoop() {
                other.cancel();
                try {
                    loop.call_soon([] {});
                } catch (const RuntimeError&) {
                    ++refused;
                }
                try {
                    loop.create_task(forever());
                } catch (const RuntimeError&) {
                    ++refused;
                }
            }
        };

        const Task<> other = loop.create_task(forever());
        const auto body = [&]() -> Coro<> {
            const UsesLoop uses{loop, other, refused};
            co_await async_sleep(1h);
        };
        loop.create_task(body());
        run_turns(loop, 2);
    }
    CHECK(refused == 2);
}

TEST_CASE("a destructor may cancel a task that the loop has destroyed before") {
    bool cancelled = false;
    {
        EventLoop loop;

        struct Cancels {
            Task<> task;
            bool& cancelled;

            ~Cancels() { cancelled = task.cancel(); }
        };

        const auto body = [&]() -> Coro<> {
            const Cancels cancels{create_task(forever()), cancelled};
            co_await async_sleep(1h);
        };
        loop.create_task(body());
        run_turns(loop, 3);
    }
    CHECK(cancelled); // it was not done, only gone
}
