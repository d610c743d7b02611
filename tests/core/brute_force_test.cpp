// Every awaitable of the core, in a loop that goes away after each step, or is cancelled there.

#include "coro_test.hpp"
#include "teardown.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::end_after_every_step;
using testing_support::Probe;
using testing_support::Scenario;
using testing_support::turns;

namespace {

Coro<Probe> value(Probe probe) {
    co_await async_sleep(1s);
    probe.ran();
    co_return probe;
}

Coro<> pause(Probe probe) {
    co_await async_sleep(1s);
    probe.ran();
}

Coro<> forever(Probe probe) {
    co_await async_sleep(24h);
    probe.ran();
}

Coro<Probe> fails(Probe probe) {
    co_await async_sleep(1s);
    probe.ran();
    throw ValueError("part of the scenario");
}

/// What takes a while to be cancelled.
Coro<> cleans_up(Probe probe) {
    bool cancelled = false;
    try {
        co_await async_sleep(24h);
    } catch (const CancelledError&) {
        cancelled = true;
    }
    probe.ran();
    if (cancelled) {
        co_await async_sleep(1s);
    }
}

template <class E, class A>
Coro<> expects(A awaitable, Probe probe) {
    try {
        static_cast<void>(co_await std::move(awaitable));
    } catch (const E&) {
        probe.ran();
    }
}

Future<Probe> set_later(const Probe& probe) {
    const Future<Probe> future = get_running_loop().create_future<Probe>();
    get_running_loop().call_later(1s, [future, probe] {
        if (!future.done()) {
            future.set_result(probe);
        }
    });
    return future;
}

// One line for each awaitable, more where it can end in several ways.
const std::vector<Scenario> scenarios = {
    {"wait",
     [](Probe probe) -> Coro<> {
         std::vector<Task<Probe>> t{create_task(value(probe)), create_task(value(probe))};
         auto [done, pending] = co_await wait(t, {.timeout = 2s});
     }},
    {"wait first",
     [](Probe probe) -> Coro<> {
         std::vector<Task<Probe>> t{create_task(value(probe))};
         t.push_back(create_task(fails(probe)));
         static_cast<void>(co_await wait(t, {.return_when = ReturnWhen::first_completed}));
     }},
    {"wait too late",
     [](Probe probe) -> Coro<> {
         std::vector<Task<>> t{create_task(forever(probe))};
         static_cast<void>(co_await wait(t, {.timeout = 2s}));
     }},
    {"shield", [](Probe probe) -> Coro<> { static_cast<void>(co_await shield(value, probe)); }},
    {"shield of a task",
     [](Probe probe) -> Coro<> {
         auto t = create_task(value(probe));
         static_cast<void>(co_await shield(t));
     }},
    {"as_completed",
     [](Probe probe) -> Coro<> {
         std::vector<Task<Probe>> t{create_task(value(probe)), create_task(value(probe))};
         for (auto next : as_completed(t, {.timeout = 5s})) {
             auto v = co_await std::move(next);
             v.ran();
         }
     }},
    {"amap",
     [](Probe probe) -> Coro<> {
         std::vector<Probe> items(3, probe);
         static_cast<void>(co_await amap(
             std::move(items), [probe](const Probe& p) { return value(p); }, {.max_at_once = 2}));
     }},
    {"move_on_after",
     [](Probe probe) -> Coro<> {
         static_cast<void>(co_await move_on_after(1s, [probe] { return forever(probe); }));
     }},
    {"async generator",
     [](Probe probe) -> Coro<> {
         auto gen = [](Probe p) -> AsyncGenerator<Probe> {
             for (int i = 0; i < 3; ++i) {
                 co_await async_sleep(1s);
                 p.ran();
                 co_yield p;
             }
         }(probe);
         while (auto item = co_await gen.next()) {
             item->ran();
         }
     }},
    {"async generator dropped",
     [](Probe probe) -> Coro<> {
         auto gen = [](Probe p) -> AsyncGenerator<Probe> {
             for (;;) {
                 co_await async_sleep(1s);
                 co_yield p;
             }
         }(probe);
         auto item = co_await gen.next();
         item->ran();
     }},
    {"async generator closed",
     [](Probe probe) -> Coro<> {
         auto gen = [](Probe p) -> AsyncGenerator<Probe> {
             for (;;) {
                 co_await async_sleep(1s);
                 co_yield p;
             }
         }(probe);
         auto item = co_await gen.next();
         item->ran();
         co_await gen.aclose();
     }},
    {"retry",
     [](Probe probe) -> Coro<> {
         co_await expects<ValueError>(retry([probe] { return fails(probe); }), probe);
     }},
    {"try_finally",
     [](Probe probe) -> Coro<> {
         static_cast<void>(co_await try_finally([probe] { return value(probe); },
                                                [probe] { return pause(probe); }));
     }},
    {"sleep", [](Probe probe) -> Coro<> { co_await pause(probe); }},
    {"sleep of zero", [](Probe) -> Coro<> { co_await turns(2); }},
    {"coroutine", [](Probe probe) -> Coro<> { static_cast<void>(co_await value(probe)); }},
    {"future", [](Probe probe) -> Coro<> { static_cast<void>(co_await set_later(probe)); }},
    {"task", [](Probe probe) -> Coro<> { static_cast<void>(co_await create_task(value(probe))); }},
    {"task with a callback",
     [](Probe probe) -> Coro<> {
         const auto task = create_task(value(probe));
         task.add_done_callback([probe](const Task<Probe>&) { probe.ran(); });
         static_cast<void>(co_await task);
     }},
    {"task of a function", [](Probe probe) -> Coro<> { co_await create_task(pause, probe); }},
    {"task started eagerly",
     [](Probe probe) -> Coro<> {
         const Task<> task = create_task({.eager_start = true}, pause, probe);
         co_await task;
     }},
    {"task that nobody awaits",
     [](Probe probe) -> Coro<> {
         create_task(forever(probe));
         co_await turns(2);
     }},
    {"gather",
     [](Probe probe) -> Coro<> {
         static_cast<void>(co_await gather(value(probe), pause(probe), set_later(probe)));
     }},
    {"gather of tasks",
     [](Probe probe) -> Coro<> {
         const auto task = create_task(value(probe));
         static_cast<void>(co_await gather(task, task, pause(probe)));
     }},
    {"gather of a vector",
     [](Probe probe) -> Coro<> {
         std::vector<Coro<Probe>> coros;
         coros.push_back(value(probe));
         coros.push_back(value(probe));
         static_cast<void>(co_await gather(std::move(coros)));
     }},
    {"gather that fails",
     [](Probe probe) -> Coro<> {
         co_await expects<ValueError>(gather(fails(probe), cleans_up(probe)), probe);
     }},
    {"gather that keeps exceptions",
     [](Probe probe) -> Coro<> {
         static_cast<void>(co_await gather(return_exceptions, fails(probe), value(probe)));
     }},
    {"wait_for in time",
     [](Probe probe) -> Coro<> { static_cast<void>(co_await wait_for(value(probe), 2s)); }},
    {"wait_for too late",
     [](Probe probe) -> Coro<> {
         co_await expects<TimeoutError>(wait_for(forever(probe), 1s), probe);
     }},
    {"timeout in time",
     [](Probe probe) -> Coro<> {
         static_cast<void>(co_await timeout(2s, [probe] { return value(probe); }));
     }},
    {"timeout too late",
     [](Probe probe) -> Coro<> {
         const auto body = [probe] { return forever(probe); };
         co_await expects<TimeoutError>(timeout(1s, body), probe);
     }},
    {"task group",
     [](Probe probe) -> Coro<> {
         static_cast<void>(co_await task_group([probe](TaskGroup& group) -> Coro<Probe> {
             group.create_task(value(probe));
             group.create_task(pause, probe);
             co_return co_await value(probe);
         }));
     }},
    {"task group whose body ends first",
     [](Probe probe) -> Coro<> {
         co_await task_group([probe](TaskGroup& group) -> Coro<> {
             group.create_task(pause(probe));
             co_return;
         });
     }},
    {"task group with a failing child",
     [](Probe probe) -> Coro<> {
         const auto body = [probe](TaskGroup& group) -> Coro<> {
             group.create_task(fails(probe));
             group.create_task(fails(probe));
             group.create_task(cleans_up(probe));
             co_await forever(probe);
         };
         co_await expects<ExceptionGroup>(task_group(body), probe);
     }},
    {"task group that is cancelled",
     [](Probe probe) -> Coro<> {
         co_await task_group([probe](TaskGroup& group) -> Coro<> {
             group.create_task(cleans_up(probe));
             co_await turns(1);
             group.cancel();
             co_await forever(probe);
         });
     }},
    {"run_in_executor",
     [](Probe probe) -> Coro<> {
         static_cast<void>(co_await run_in_executor([probe] { return probe; }));
     }},
    {"to_thread",
     [](Probe probe) -> Coro<> {
         static_cast<void>(co_await to_thread([](const Probe& given) { return given; }, probe));
     }},
    {"shutdown of the executor",
     [](Probe probe) -> Coro<> {
         static_cast<void>(co_await run_in_executor([probe] { return probe; }));
         co_await get_running_loop().shutdown_default_executor();
     }},
    {"shutdown of the loop",
     [](Probe probe) -> Coro<> {
         create_task(cleans_up(probe));
         create_task(forever(probe));
         co_await turns(1);
         co_await get_running_loop().shutdown();
     }},
};

} // namespace

TEST_CASE("each awaitable of the core leaves nothing, whenever its loop goes or it is cancelled") {
    for (const Scenario& scenario : scenarios) {
        end_after_every_step(scenario);
    }
}
