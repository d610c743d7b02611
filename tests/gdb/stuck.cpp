// A program with tasks in every state, for a debugger to look at: see debugger.py.
#include <muster/muster.hpp>

#include <chrono>
#include <concepts>
#include <coroutine>
#include <cstdlib>
#include <latch>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

// What `print` shows: handles of all kinds, in all states.
struct Handles {
    muster::Task<int> sleeper;
    muster::Task<std::string> answered;
    muster::Task<> failed;
    muster::Task<int> cancelled;
    muster::Task<> cancelled_alone;
    muster::Task<int> no_task;
    muster::AnyTask any;
    muster::AnyTask any_answered;
    muster::AnyTask nothing;
    muster::Future<std::string> soon;
    muster::Future<int> number;
    muster::Future<> refused;
    muster::Future<std::string> no_future;
    muster::Coro<int> coro;
    muster::Coro<int> no_coro;
};

const Handles* volatile shown = nullptr;
volatile bool set_up = false;

// Where the debugger stops.
[[gnu::noinline]] void everything_is_set_up() { set_up = true; }

muster::Coro<> nothing() { co_return; }

muster::Coro<int> inner_sleep() {
    co_await muster::async_sleep(1h);
    co_return 1;
}

muster::Coro<int> outer_sleep() {
    const int value = co_await inner_sleep();
    co_return value + 1;
}

muster::Coro<> hold(muster::Lock& lock, muster::Future<std::string> until) {
    const auto held = co_await lock.guard();
    co_await until;
}

muster::Coro<> want(muster::Lock& lock) { const auto held = co_await lock.guard(); }

muster::Coro<int> take(muster::Queue<int>& queue) { co_return co_await queue.get(); }

muster::Coro<> await_task(muster::Task<int> task) { co_await task; }

muster::Coro<> watch(muster::Task<int> task) {
    const std::vector<muster::Task<int>> tasks{task};
    co_await muster::wait(tasks);
}

muster::Coro<> pass(muster::Task<int> task) { co_await muster::shield(task); }

muster::Coro<> collect(muster::Task<int> task) {
    const std::vector<muster::Task<int>> tasks{task};
    for (auto next : muster::as_completed(tasks)) {
        co_await next;
    }
}

muster::Coro<> receive(const muster::Receiver<int>& receiver) {
    while (auto item = co_await receiver.receive()) {
    }
}

muster::Coro<int> take_from_threads(muster::concurrent::Queue<int>& queue) {
    co_return co_await queue.async_get();
}

muster::Coro<> clean() {
    co_await muster::try_finally([] { return nothing(); }, [] { return outer_sleep(); });
}

// An awaiter of another library, which never resumes.
struct Foreign {
    bool await_ready() const noexcept { return false; }

    void await_suspend(std::coroutine_handle<>) const noexcept {}

    void await_resume() const noexcept {}
};

muster::Coro<> borrow() { co_await Foreign(); }

muster::Coro<> compute(std::latch& never) {
    co_await muster::to_thread([&] { never.wait(); });
}

muster::Coro<> gather_all(muster::Queue<int>& queue) {
    std::vector<muster::Coro<int>> parts;
    parts.push_back(outer_sleep());
    parts.push_back(take(queue));
    co_await muster::gather(std::move(parts));
}

muster::Coro<> group() {
    co_await muster::task_group([](muster::TaskGroup& tasks) -> muster::Coro<> {
        tasks.create_task(outer_sleep(), {.name = "member"});
        co_return;
    });
}

// Swallows cancellations.
muster::Coro<> stubborn() {
    for (;;) {
        try {
            co_await muster::async_sleep(1h);
        } catch (const muster::CancelledError&) {
            continue;
        }
    }
}

// What the debugger does not know.
class Oracle : public muster::detail::Waiter {
public:
    bool await_ready() const noexcept { return false; }

    template <std::derived_from<muster::detail::PromiseBase> Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) {
        handle.promise().task->suspend(handle.promise(), *this);
    }

    void await_resume() const noexcept {}

    bool cancel(const std::string&) noexcept override { return false; }

    std::string describe() const override { return "oracle"; }
};

muster::Coro<> ask_oracle() { co_await Oracle(); }

muster::AsyncGenerator<int> numbers() {
    co_await muster::async_sleep(1h);
    co_yield 1;
}

muster::Coro<> iterate() {
    auto items = numbers();
    while (auto item = co_await items.next()) {
    }
}

muster::Coro<std::string> answer() { co_return "forty-two"; }

muster::Coro<> fail() {
    throw muster::ValueError("no such device");
    co_return;
}

muster::Coro<> stop_here(const Handles& handles, bool abort) {
    co_await muster::async_sleep(0s);
    shown = &handles;
    everything_is_set_up();
    if (abort) {
        std::abort();
    }
}

muster::Coro<> run_and_stop(const Handles& handles, bool abort) {
    co_await stop_here(handles, abort);
}

muster::Coro<> stuck(bool abort) {
    muster::EventLoop& loop = muster::get_running_loop();
    muster::Lock lock;
    muster::Queue<int> queue;
    muster::concurrent::Queue<int> shared;
    const auto channel = muster::make_channel<int>();
    auto soon = loop.create_future<std::string>();
    auto number = loop.create_future<int>();
    number.set_result(7);
    auto refused = loop.create_future<void>();
    refused.set_exception(std::out_of_range("port 70000"));
    static_cast<void>(refused.exception());

    auto sleeper = muster::create_task(outer_sleep(), {.name = "sleeper"});
    muster::create_task(hold(lock, soon), {.name = "owner"});
    muster::create_task(want(lock), {.name = "wanting"});
    muster::create_task(await_task(sleeper), {.name = "awaiting"});
    auto deaf = muster::create_task([] { return stubborn(); });
    muster::create_task(watch(sleeper), {.name = "watching"});
    muster::create_task(pass(sleeper), {.name = "passing"});
    muster::create_task(collect(sleeper), {.name = "collecting"});
    muster::create_task(receive(channel.receiver), {.name = "receiving"});
    muster::create_task(take_from_threads(shared), {.name = "taking"});
    muster::create_task(clean(), {.name = "cleaning"});
    muster::create_task(borrow(), {.name = "borrowing"});
    std::latch never(1);
    muster::create_task(compute(never), {.name = "computing"});
    muster::create_task(gather_all(queue), {.name = "gathering"});
    muster::create_task(group(), {.name = "grouping"});
    muster::create_task(iterate(), {.name = "iterating"});
    muster::create_task(ask_oracle(), {.name = "asking"});
    auto answered = muster::create_task(answer(), {.name = "answered"});
    auto failed = muster::create_task(fail(), {.name = "failed"});
    auto cancelled = muster::create_task(outer_sleep(), {.name = "cancelled"});
    auto cancelled_alone = muster::create_task(nothing(), {.name = "cancelled alone"});
    cancelled_alone.cancel();
    co_await muster::async_sleep(0s);
    co_await muster::async_sleep(0s);
    deaf.cancel();
    cancelled.cancel("enough");
    co_await muster::async_sleep(0s);
    deaf.cancel("once more");
    co_await muster::async_sleep(0s);
    static_cast<void>(failed.exception());

    Handles handles{
        .sleeper = sleeper,
        .answered = answered,
        .failed = failed,
        .cancelled = cancelled,
        .cancelled_alone = cancelled_alone,
        .no_task = {},
        .any = sleeper,
        .any_answered = answered,
        .nothing = {},
        .soon = soon,
        .number = number,
        .refused = refused,
        .no_future = {},
        .coro = outer_sleep(),
        .no_coro = outer_sleep(),
    };
    handles.no_coro.close();
    auto running = muster::create_task(run_and_stop(handles, abort), {.name = "running"});
    co_await muster::async_sleep(0s);
    muster::create_task(answer(), {.name = "unstarted"});
    soon.set_result("at last"); // its waiter is ready now
    co_await running;
    std::abort(); // nobody is to get here
}

// A loop that runs in a thread of its own.
muster::Coro<> other(std::latch& waits) {
    muster::get_running_loop().call_soon([&] { waits.count_down(); });
    co_await muster::async_sleep(24h);
}

} // namespace

int main(int argc, char** argv) {
    muster::run(nothing()); // this loop is closed by now
    std::latch waits(1);
    std::thread([&] { muster::run(other(waits)); }).detach();
    waits.wait();
    const bool abort = argc > 1 && std::string_view(argv[1]) == "abort";
    muster::run(stuck(abort));
}
