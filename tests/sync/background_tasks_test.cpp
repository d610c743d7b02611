#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;

namespace {

Coro<int> value_later(int value, Clock::duration delay) {
    co_await async_sleep(delay);
    co_return value;
}

Coro<void> fail() {
    throw ValueError("bad");
    co_return;
}

// Tells when it was destroyed.
Coro<void> hold(std::shared_ptr<int> kept, Event& end) {
    co_await end.wait();
    static_cast<void>(kept);
}

// What the loop's exception handler is told.
std::vector<std::string>& collect_reports() {
    auto reports = std::make_shared<std::vector<std::string>>();
    get_running_loop().set_exception_handler(
        [reports](EventLoop&, const ExceptionContext& context) {
            reports->push_back(context.message + " (" + context.task + ")");
        });
    return *reports;
}

} // namespace

CO_TEST_CASE("background tasks run on while their starter does something else") {
    BackgroundTasks jobs;
    const Task<int> task = co_await jobs.spawn(value_later(7, 1s), {.name = "seven"});
    CHECK(task.name() == "seven");
    CHECK(outcome(task) == "pending");
    co_await turns();
    CHECK(jobs.active_count() == 1);
    co_await jobs.join();
    CHECK(task.result() == 7);
    CHECK(jobs.active_count() == 0);
    co_await jobs.join();
    co_await jobs.close();
}

CO_TEST_CASE(
    "background tasks: no more run at once than the limit, in the order of their spawning") {
    BackgroundTasks jobs({.limit = 3});
    int running = 0;
    int most = 0;
    std::vector<int> order;
    const auto worker = [&](int id) -> Coro<void> {
        order.push_back(id);
        most = std::max(most, ++running);
        co_await async_sleep(1s);
        --running;
    };
    const Clock::time_point start = Clock::now();
    for (int id = 0; id < 10; ++id) {
        co_await jobs.spawn(worker, id);
    }
    co_await turns();
    CHECK(jobs.active_count() == 3);
    CHECK(jobs.pending_count() == 7);
    co_await jobs.join();
    CHECK(most == 3);
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
    CHECK(Clock::now() - start == 4s);
    CHECK(jobs.pending_count() == 0);
}

CO_TEST_CASE("background tasks: spawn waits while too many wait to run") {
    BackgroundTasks jobs({.limit = 1, .pending_limit = 1});
    const Clock::time_point start = Clock::now();
    co_await jobs.spawn(value_later(1, 1s));
    co_await jobs.spawn(value_later(2, 1s));
    CHECK(Clock::now() - start == 0s);
    co_await jobs.spawn(value_later(3, 1s));
    CHECK(Clock::now() - start == 1s);
    co_await jobs.join();
    CHECK(Clock::now() - start == 3s);
}

CO_TEST_CASE("background tasks: limits beyond all bounds, and none at all") {
    CHECK_THROWS_AS(BackgroundTasks({.limit = 0}), ValueError);
    constexpr auto huge = static_cast<std::size_t>(-1);
    BackgroundTasks jobs({.limit = huge, .pending_limit = huge});
    const Task<int> task = co_await jobs.spawn(value_later(1, 0s));
    co_await task;
    CHECK(jobs.active_count() == 0);
}

CO_TEST_CASE("background tasks: what one throws goes to the exception handler, the others run on") {
    const std::vector<std::string>& reports = collect_reports();
    BackgroundTasks jobs;
    co_await jobs.spawn(fail(), {.name = "failing"});
    const Task<int> other = co_await jobs.spawn(value_later(1, 1s));
    co_await jobs.join();
    CHECK(other.result() == 1);
    CHECK(reports == std::vector<std::string>{"Task exception was never retrieved (failing)"});
}

CO_TEST_CASE("background tasks: an exception that somebody retrieves is not reported") {
    const std::vector<std::string>& reports = collect_reports();
    BackgroundTasks jobs;
    {
        const Task<> task = co_await jobs.spawn(fail());
        co_await jobs.join();
        CHECK(ending(task) == "bad");
    }
    co_await turns();
    CHECK(reports.empty());
}

CO_TEST_CASE("background tasks: close cancels all, those that wait to run too, and joins them") {
    BackgroundTasks jobs({.limit = 1});
    Event never;
    const auto kept = std::make_shared<int>(1);
    const auto cleaning_up = [&]() -> Coro<void> {
        bool cancelled = false;
        try {
            co_await never.wait();
        } catch (const CancelledError&) {
            cancelled = true;
        }
        co_await async_sleep(1s);
        CHECK(cancelled);
    };
    const Task<> first = co_await jobs.spawn(cleaning_up);
    const Task<> second = co_await jobs.spawn(hold(kept, never));
    co_await turns();
    const Task<> unstarted = co_await jobs.spawn(hold(kept, never));
    CHECK_FALSE(jobs.closed());
    const Clock::time_point start = Clock::now();
    co_await jobs.close();
    CHECK(jobs.closed());
    CHECK(Clock::now() - start == 1s);
    CHECK(outcome(first) == "value");
    CHECK(outcome(second) == "cancelled");
    CHECK(outcome(unstarted) == "cancelled");
    CHECK(kept.use_count() == 1);
    co_await jobs.close();
}

CO_TEST_CASE("background tasks: after close spawn throws, and destroys the coroutine") {
    BackgroundTasks jobs;
    Event never;
    co_await jobs.close();
    const auto kept = std::make_shared<int>(1);
    std::string text;
    try {
        co_await jobs.spawn(hold(kept, never));
    } catch (const RuntimeError& error) {
        text = error.what();
    }
    CHECK(text == "BackgroundTasks is closed");
    CHECK(kept.use_count() == 1);
}

CO_TEST_CASE("background tasks: a spawn that waits when close is called throws") {
    BackgroundTasks jobs({.limit = 1, .pending_limit = 0});
    Event never;
    const auto kept = std::make_shared<int>(1);
    co_await jobs.spawn(hold(kept, never));
    const Task<Task<>> one = create_task(jobs.spawn(hold(kept, never)));
    const Task<Task<>> two = create_task(jobs.spawn(hold(kept, never)));
    co_await turns();
    CHECK(outcome(one) == "pending");
    co_await jobs.close();
    co_await turns(2);
    CHECK(outcome(one) == "BackgroundTasks is closed");
    CHECK(outcome(two) == "BackgroundTasks is closed");
    CHECK(kept.use_count() == 1);
}

CO_TEST_CASE("background tasks: close gives up after its limit, and says who is left") {
    const std::vector<std::string>& reports = collect_reports();
    BackgroundTasks jobs;
    bool ended = false;
    const auto stubborn = [&]() -> Coro<void> {
        const Clock::time_point end = Clock::now() + 10s;
        while (Clock::now() < end) {
            try {
                co_await async_sleep_until(end);
            } catch (const CancelledError&) {
                continue;
            }
        }
        ended = true;
    };
    const Task<> task = co_await jobs.spawn(stubborn);
    task.set_name("stubborn");
    co_await turns();
    const Clock::time_point start = Clock::now();
    co_await jobs.close(2s);
    CHECK(Clock::now() - start == 2s);
    CHECK(reports == std::vector<std::string>{
                         "a background task has not ended in time after close() (stubborn)"});
    CHECK_FALSE(ended);
    co_await jobs.join();
    CHECK(ended);
}

CO_TEST_CASE("background tasks: a task that spawns another, and one that closes them all") {
    BackgroundTasks jobs({.limit = 1});
    bool inner_ran = false;
    const auto inner = [&]() -> Coro<void> {
        inner_ran = true;
        co_return;
    };
    const auto outer = [&]() -> Coro<void> { co_await jobs.spawn(inner); };
    co_await jobs.spawn(outer);
    co_await jobs.join();
    CHECK(inner_ran);
    const auto closer = [&]() -> Coro<void> { co_await jobs.close(); };
    const Task<> closing = co_await jobs.spawn(closer);
    co_await jobs.join();
    CHECK(outcome(closing) == "cancelled"); // it cancelled itself
    CHECK(jobs.closed());
}

CO_TEST_CASE("background tasks: eager ones") {
    BackgroundTasks jobs({.limit = 1});
    Event end;
    const auto kept = std::make_shared<int>(1);
    const auto at_once = []() -> Coro<int> { co_return 1; };
    const Task<int> done = co_await jobs.spawn(at_once(), {.eager_start = true});
    CHECK(outcome(done) == "value");
    const Task<> held = co_await jobs.spawn(hold(kept, end), {.eager_start = true});
    CHECK(jobs.active_count() == 1);
    co_await jobs.close();
    CHECK(outcome(held) == "cancelled");
}

// The cancellation matrix.

CO_TEST_CASE("background tasks: one that is cancelled at any moment makes room for the next") {
    BackgroundTasks jobs({.limit = 1, .pending_limit = 1});
    Event never;
    const auto kept = std::make_shared<int>(1);
    const Task<> unstarted = co_await jobs.spawn(hold(kept, never));
    unstarted.cancel();
    co_await turns();
    CHECK(outcome(unstarted) == "cancelled");
    const Task<> running = co_await jobs.spawn(hold(kept, never));
    const Task<> pending = co_await jobs.spawn(hold(kept, never));
    co_await turns();
    pending.cancel();
    co_await turns();
    CHECK(outcome(pending) == "cancelled");
    const Task<> next = co_await jobs.spawn(hold(kept, never));
    co_await turns();
    running.cancel();
    co_await turns();
    next.cancel(); // in the turn in which it may run
    co_await turns(2);
    CHECK(outcome(running) == "cancelled");
    CHECK(outcome(next) == "cancelled");
    CHECK(jobs.active_count() == 0);
    CHECK(jobs.pending_count() == 0);
    CHECK(kept.use_count() == 1);
}

CO_TEST_CASE("background tasks: a spawn, a join and a close that are cancelled while they wait") {
    BackgroundTasks jobs({.limit = 1, .pending_limit = 0});
    Event never;
    const auto kept = std::make_shared<int>(1);
    bool released = false;
    const auto stubborn = [&]() -> Coro<void> {
        for (int i = 0; i < 2; ++i) {
            try {
                co_await async_sleep(1s);
            } catch (const CancelledError&) {
                released = true;
            }
        }
    };
    co_await jobs.spawn(stubborn);
    const Task<Task<>> spawning = create_task(jobs.spawn(hold(kept, never)));
    const Task<> joining = create_task(jobs.join());
    co_await turns();
    spawning.cancel();
    joining.cancel();
    co_await turns();
    CHECK(outcome(spawning) == "cancelled");
    CHECK(outcome(joining) == "cancelled");
    CHECK(kept.use_count() == 1);
    const Task<> closing = create_task(jobs.close());
    co_await turns(2);
    closing.cancel();
    co_await turns();
    CHECK(outcome(closing) == "cancelled");
    CHECK(released);
    CHECK(jobs.closed());
    co_await jobs.join();
}

CO_TEST_CASE("background tasks: destroying them cancels what is left") {
    auto jobs = std::make_unique<BackgroundTasks>(BackgroundTasksOptions{.limit = 1});
    Event never;
    const auto kept = std::make_shared<int>(1);
    const Task<> running = co_await jobs->spawn(hold(kept, never));
    const Task<> pending = co_await jobs->spawn(hold(kept, never));
    co_await turns();
    const Task<> unstarted = co_await jobs->spawn(hold(kept, never));
    const Task<> revived = co_await jobs->spawn(hold(kept, never));
    const Task<> joining = create_task(jobs->join());
    co_await turns();
    const Task<> later = co_await jobs->spawn(hold(kept, never));
    jobs.reset();
    later.uncancel();
    co_await turns(2);
    CHECK(outcome(running) == "cancelled");
    CHECK(outcome(pending) == "cancelled");
    CHECK(outcome(unstarted) == "cancelled");
    CHECK(outcome(revived) == "cancelled");
    CHECK(outcome(joining) == "cancelled");
    CHECK(ending(later) == "cancelled: the BackgroundTasks of this task was destroyed");
    CHECK(kept.use_count() == 1);
}

TEST_CASE("background tasks: a loop that goes away with tasks that run, wait to, and are spawned") {
    const auto kept = std::make_shared<int>(1);
    Event never;
    {
        BackgroundTasks outside({.limit = 1, .pending_limit = 1});
        EventLoop loop;
        const auto main = [&]() -> Coro<void> {
            BackgroundTasks inside({.limit = 1});
            co_await inside.spawn(hold(kept, never));
            co_await inside.spawn(hold(kept, never));
            co_await outside.spawn(hold(kept, never));
            co_await outside.spawn(hold(kept, never));
            co_await outside.spawn(hold(kept, never));
        };
        loop.create_task(main());
        const auto joiner = [&]() -> Coro<void> { co_await outside.join(); };
        loop.create_task(joiner());
        loop.run_until_complete(turns(3));
        CHECK(outside.active_count() == 1);
        CHECK(outside.pending_count() == 1);
    }
    CHECK(kept.use_count() == 1);
}
