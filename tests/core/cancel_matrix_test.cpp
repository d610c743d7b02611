// Every awaitable of the core, cancelled at every moment.

#include "cancel_matrix.hpp"
#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::cancel_row;
using testing_support::CancelRow;
using testing_support::CancelRule;
using testing_support::check_cancellation;

namespace {

/// What most rows wait for in the end.
struct Gate {
    Future<> opened = get_running_loop().create_future();

    void open() const {
        if (!opened.done()) {
            opened.set_result();
        }
    }

    Coro<> pass() const { co_await opened; }
};

void open(Gate& gate) { gate.open(); }

struct Alarm {
    Clock::time_point due = Clock::now() + 1h;
    Future<> rung = get_running_loop().create_future();

    // Set before anybody sleeps until then, so that it comes first.
    Alarm() {
        get_running_loop().call_at(due, [rung = rung] { rung.set_result(); });
    }
};

struct Started : Gate {
    Task<> task = create_task(pass());
};

/// Runs its work when it is told to, on the loop's thread.
class ManualExecutor final : public concurrent::Executor {
public:
    void execute(UniqueFunction<void()> work) override { queued_.push_back(std::move(work)); }

    void shutdown(bool, bool) override {}

    void run() {
        for (UniqueFunction<void()>& work : std::exchange(queued_, {})) {
            work();
        }
    }

private:
    std::vector<UniqueFunction<void()>> queued_;
};

struct Queued {
    std::shared_ptr<ManualExecutor> executor = std::make_shared<ManualExecutor>();

    Queued() { get_running_loop().set_default_executor(executor); }
};

void run_queued(Queued& queued) { queued.executor->run(); }

/// Begins its work at once on a thread, and comes back when it has begun.
class BeginningExecutor final : public concurrent::Executor {
public:
    ~BeginningExecutor() override { let_go(); }

    void execute(UniqueFunction<void()> work) override {
        thread_ = std::thread(std::move(work));
        begun_.get_future().wait();
    }

    void shutdown(bool, bool) override {}

    /// What the work has to call.
    void begin_and_wait() {
        begun_.set_value();
        may_end_.get_future().wait();
    }

    /// Lets the work end, and waits for that.
    void let_go() {
        if (thread_.joinable()) {
            may_end_.set_value();
            thread_.join();
        }
    }

private:
    std::thread thread_;
    std::promise<void> begun_;
    std::promise<void> may_end_;
};

struct Begun {
    std::shared_ptr<BeginningExecutor> executor = std::make_shared<BeginningExecutor>();

    Begun() { get_running_loop().set_default_executor(executor); }
};

void let_go(Begun& begun) { begun.executor->let_go(); }

struct Promised {
    concurrent::Promise<void> promise;

    // Some cells never keep it.
    Promised() { promise.future().ignore_errors(); }
};

constexpr auto wins = CancelRule::cancel_wins;

std::vector<CancelRow> rows() {
    const auto runs_on = [](Started& gate, int) {
        return gate.task.done() && !gate.task.cancelled();
    };
    return {
        cancel_row<Started>(
            "wait", wins,
            [](Started& gate) -> Coro<> {
                std::vector<Task<>> tasks{gate.task};
                static_cast<void>(co_await wait(tasks));
            },
            open),
        cancel_row<Started>(
            "wait with a timeout", wins,
            [](Started& gate) -> Coro<> {
                std::vector<Task<>> tasks{gate.task};
                static_cast<void>(co_await wait(tasks, {.timeout = 24h}));
            },
            open, runs_on),
        cancel_row<Started>(
            "shield", wins, [](Started& gate) -> Coro<> { co_await shield(gate.task); }, open,
            runs_on),
        cancel_row<Gate>(
            "shield of a function", wins,
            [](Gate& gate) -> Coro<> {
                co_await shield([f = gate.opened]() -> Coro<> { co_await f; });
            },
            open),
        cancel_row<Started>(
            "as_completed", wins,
            [](Started& gate) -> Coro<> {
                std::vector<Task<>> tasks{gate.task};
                for (auto next : as_completed(tasks)) {
                    co_await std::move(next);
                }
            },
            open, runs_on),
        cancel_row<Gate>(
            "amap", wins,
            [](Gate& gate) -> Coro<> {
                std::vector<int> items{1, 2, 3};
                co_await amap(items, [&](int) { return gate.pass(); }, {.max_at_once = 2});
            },
            open),
        cancel_row<Gate>(
            "move_on_after", wins,
            [](Gate& gate) -> Coro<> {
                static_cast<void>(co_await move_on_after(24h, [&] { return gate.pass(); }));
            },
            open),
        cancel_row<Gate>(
            "async generator", wins,
            [](Gate& gate) -> Coro<> {
                auto gen = [](Gate& g) -> AsyncGenerator<int> {
                    co_await g.pass();
                    co_yield 1;
                }(gate);
                auto item = co_await gen.next();
                CHECK(item.has_value());
            },
            open),
        cancel_row<Gate>(
            "retry", wins,
            [](Gate& gate) -> Coro<> { co_await retry([&] { return gate.pass(); }); }, open),
        cancel_row<Gate>(
            "try_finally, in its clean-up", CancelRule::never_interrupted,
            [](Gate& gate) -> Coro<> {
                co_await try_finally([]() -> Coro<> { co_return; }, [&] { return gate.pass(); });
            },
            open),
        cancel_row<Alarm>(
            "sleep", wins, [](Alarm& alarm) -> Coro<> { co_await async_sleep_until(alarm.due); },
            [](Alarm& alarm) -> Coro<> { co_await alarm.rung; }),
        cancel_row<Gate>(
            "coroutine", wins, [](Gate& gate) -> Coro<> { co_await gate.pass(); }, open),
        cancel_row<Gate>(
            "future", wins, [](Gate& gate) -> Coro<> { co_await gate.opened; }, open),
        cancel_row<Started>(
            "task", wins, [](Started& gate) -> Coro<> { co_await gate.task; }, open),
        cancel_row<Gate>(
            "task of its own", wins,
            [](Gate& gate) -> Coro<> { co_await create_task(gate.pass()); }, open),
        cancel_row<Gate>(
            "gather", wins, [](Gate& gate) -> Coro<> { co_await gather(gate.pass(), gate.pass()); },
            open),
        cancel_row<Started>(
            "gather of tasks and futures", wins,
            [](Started& gate) -> Coro<> { co_await gather(gate.task, gate.opened); }, open),
        cancel_row<Gate>(
            "gather of a vector", wins,
            [](Gate& gate) -> Coro<> {
                std::vector<Coro<>> coros;
                coros.push_back(gate.pass());
                coros.push_back(gate.pass());
                co_await gather(std::move(coros));
            },
            open),
        cancel_row<Gate>(
            "gather that keeps exceptions", wins,
            [](Gate& gate) -> Coro<> {
                static_cast<void>(co_await gather(return_exceptions, gate.pass(), gate.pass()));
            },
            open),
        cancel_row<Gate>(
            "wait_for", wins, [](Gate& gate) -> Coro<> { co_await wait_for(gate.pass(), 24h); },
            open),
        cancel_row<Started>(
            "wait_for a task", wins,
            [](Started& gate) -> Coro<> { co_await wait_for(gate.task, 24h); }, open),
        cancel_row<Gate>(
            "wait_for without a limit", wins,
            [](Gate& gate) -> Coro<> { co_await wait_for(gate.pass(), std::nullopt); }, open),
        cancel_row<Gate>(
            "timeout", wins,
            [](Gate& gate) -> Coro<> { co_await timeout(24h, [&] { return gate.pass(); }); }, open),
        cancel_row<Gate>(
            "task group, in its body", wins,
            [](Gate& gate) -> Coro<> {
                co_await task_group([&](TaskGroup& group) -> Coro<> {
                    group.create_task(gate.pass());
                    co_await gate.pass();
                });
            },
            open),
        cancel_row<Gate>(
            "task group, at its end", wins,
            [](Gate& gate) -> Coro<> {
                co_await task_group([&](TaskGroup& group) -> Coro<> {
                    group.create_task(gate.pass());
                    co_return;
                });
            },
            open),
        cancel_row<Queued>(
            "run_in_executor", wins,
            [](Queued& queued) -> Coro<> { co_await run_in_executor(*queued.executor, [] {}); },
            run_queued),
        cancel_row<Promised>(
            "wrap_future", wins,
            [](Promised& promised) -> Coro<> { co_await wrap_future(promised.promise.future()); },
            [](Promised& promised) {
                if (promised.promise.set_running_or_notify_cancel()) {
                    promised.promise.set_result();
                }
            }),
        cancel_row<Queued>(
            "to_thread that has not begun", CancelRule::result_wins,
            [](Queued&) -> Coro<> { co_await to_thread([] {}); }, run_queued),
        cancel_row<Begun>(
            "to_thread that has begun", CancelRule::never_interrupted,
            [](Begun& begun) -> Coro<> {
                co_await to_thread([&executor = *begun.executor] { executor.begin_and_wait(); });
            },
            let_go),
    };
}

} // namespace

TEST_CASE("each awaitable of the core is cancelled at each moment as asyncio's are") {
    check_cancellation(rows());
}
