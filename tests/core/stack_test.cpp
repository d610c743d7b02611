// However long a run of awaits that need not wait, however deep a chain, the stack stays small:
// each test runs on a thread that has little of it.

#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <pthread.h>

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define MUSTER_SANITIZED 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define MUSTER_SANITIZED 1
#    endif
#endif

using namespace muster;
using namespace std::chrono_literals;
using testing_support::outcome;
using testing_support::turns;

namespace {

#ifdef MUSTER_SANITIZED
// Sanitizers put red zones around every variable, on the stack and in memory: there is more room,
// and a tenth of the tasks, which would take gigabytes.
constexpr std::size_t stack_size = std::size_t{1} << 20U;
constexpr int task_count = 100'000;
#else
constexpr std::size_t stack_size = std::size_t{256} << 10U;
constexpr int task_count = 1'000'000;
#endif
constexpr int await_count = 10'000'000;
constexpr int depth = 100'000;

/// Runs `body` on a thread with a small stack, and throws here what it throws.
void on_small_stack(const std::function<void()>& body) {
    struct Call {
        const std::function<void()>& body;
        std::exception_ptr error;
    } call{body, nullptr};

    pthread_attr_t attributes{};
    REQUIRE(::pthread_attr_init(&attributes) == 0);
    REQUIRE(::pthread_attr_setstacksize(&attributes, stack_size) == 0);
    pthread_t thread{};
    const auto entry = [](void* argument) -> void* {
        auto& self = *static_cast<Call*>(argument);
        try {
            self.body();
        } catch (...) {
            self.error = std::current_exception();
        }
        return nullptr;
    };
    REQUIRE(::pthread_create(&thread, &attributes, entry, &call) == 0);
    ::pthread_attr_destroy(&attributes);
    REQUIRE(::pthread_join(thread, nullptr) == 0);
    if (call.error) {
        std::rethrow_exception(call.error);
    }
}

/// Runs `make()` on a virtual loop, on a small stack.
void run_small(const std::function<Coro<>()>& make) {
    on_small_stack([&] { testing::run_virtual(make()); });
}

Coro<int> at_once(int value) { co_return value; }

/// What the innermost coroutine of a chain does.
using Bottom = std::function<Coro<>()>;

Coro<int> chain(int levels, const Bottom& bottom) {
    if (levels == 0) {
        co_await bottom();
        co_return 0;
    }
    co_return 1 + co_await chain(levels - 1, bottom);
}

/// Tasks that each await the next; the last one runs `bottom`. The first of them.
Task<> linked_tasks(int count, const Bottom& bottom) {
    Task<> next = create_task(bottom);
    for (int i = 1; i < count; ++i) {
        const auto waits = [](Task<> awaited) -> Coro<> { co_await awaited; };
        next = create_task(waits(std::move(next)));
    }
    return next;
}

Coro<> forever() { co_await async_sleep(1h); }

} // namespace

TEST_CASE("stack: children that return at once, in one loop") {
    run_small([]() -> Coro<> {
        int sum = 0;
        for (int i = 0; i < await_count; ++i) {
            sum += co_await at_once(1);
        }
        CHECK(sum == await_count);
    });
}

TEST_CASE("stack: a future and a task that are done, in one loop") {
    run_small([]() -> Coro<> {
        const Future<int> future = get_running_loop().create_future<int>();
        future.set_result(1);
        const Task<int> task = create_task(at_once(1));
        co_await task;
        int sum = 0;
        for (int i = 0; i < await_count; i += 2) {
            sum += co_await future;
            sum += co_await task;
        }
        CHECK(sum == await_count);
    });
}

TEST_CASE("stack: locks, semaphores and events that are free, in one loop") {
    run_small([]() -> Coro<> {
        Lock lock;
        Semaphore semaphore(1);
        Event event;
        event.set();
        for (int i = 0; i < await_count; i += 4) {
            co_await lock.acquire();
            lock.release();
            co_await semaphore.acquire();
            semaphore.release();
            co_await event.wait();
            const auto held = co_await lock.guard();
        }
        CHECK_FALSE(lock.locked());
        CHECK(semaphore.value() == 1);
    });
}

TEST_CASE("stack: pairs of put and get, in one loop") {
    run_small([]() -> Coro<> {
        Queue<int> queue(1);
        int sum = 0;
        for (int i = 0; i < await_count; i += 2) {
            co_await queue.put(2);
            sum += co_await queue.get();
        }
        CHECK(sum == await_count);
    });
}

TEST_CASE("stack: blocks that end at once, in one loop") {
    run_small([]() -> Coro<> {
        const auto once = [] { return at_once(1); };
        const auto group = [](TaskGroup&) { return at_once(1); };
        int sum = 0;
        for (int i = 0; i < await_count / 10; ++i) {
            sum += co_await timeout(1s, once);
            sum += co_await task_group(group);
            co_await gather();
        }
        CHECK(sum == await_count / 5);
    });
}

TEST_CASE("stack: a chain of coroutines that completes") {
    run_small([]() -> Coro<> {
        const Bottom returns = [] { return turns(1); };
        const int levels = co_await chain(depth, returns);
        CHECK(levels == depth);
    });
}

TEST_CASE("stack: a chain of coroutines that throws at its bottom") {
    run_small([]() -> Coro<> {
        const Bottom throws = []() -> Coro<> {
            throw ValueError("deep");
            co_return;
        };
        std::string text;
        try {
            static_cast<void>(co_await chain(depth, throws));
        } catch (const ValueError& error) {
            text = error.what();
        }
        CHECK(text == "deep");
    });
}

TEST_CASE("stack: a chain of coroutines that is cancelled at its bottom") {
    run_small([]() -> Coro<> {
        const Bottom waits = forever;
        const Task<int> task = create_task(chain(depth, waits));
        co_await turns(2);
        task.cancel();
        co_await turns(2);
        CHECK(outcome(task) == "cancelled");
    });
}

TEST_CASE("stack: a chain of coroutines that is destroyed with its loop") {
    on_small_stack([] {
        const auto held = std::make_shared<int>(0);
        const Bottom waits = [held]() -> Coro<> { co_await async_sleep(1h); };
        {
            EventLoop loop;
            loop.create_task(chain(depth, waits));
            loop.run_until_complete(turns(2));
        }
        CHECK(held.use_count() == 2); // here, and in `waits`
    });
}

TEST_CASE("stack: a loop that is destroyed while very many tasks wait") {
    on_small_stack([] {
        int alive = 0;

        struct Alive {
            explicit Alive(int& count_of) : count(count_of) { ++count; }

            Alive(const Alive&) = delete;
            Alive& operator=(const Alive&) = delete;

            ~Alive() { --count; }

            int& count;
        };

        const auto waits = [](int& count) -> Coro<> {
            const Alive mark(count);
            co_await async_sleep(1h);
        };
        {
            EventLoop loop;
            for (int i = 0; i < task_count; ++i) {
                loop.create_task(waits(alive));
            }
            loop.run_until_complete(turns(2));
            CHECK(alive == task_count);
        }
        CHECK(alive == 0);
    });
}

TEST_CASE("stack: very many tasks gathered, and very many cancelled with their gather") {
    run_small([]() -> Coro<> {
        std::vector<Coro<int>> coros;
        coros.reserve(task_count);
        for (int i = 0; i < task_count; ++i) {
            coros.push_back(at_once(1));
        }
        const std::vector<int> results = co_await gather(std::move(coros));
        CHECK(results.size() == static_cast<std::size_t>(task_count));

        std::vector<Coro<>> waiting;
        for (int i = 0; i < task_count / 10; ++i) {
            waiting.push_back(forever());
        }
        const Task<> gathered = create_task(gather(std::move(waiting)));
        co_await turns(3);
        gathered.cancel();
        co_await turns(4);
        CHECK(outcome(gathered) == "cancelled");
    });
}

TEST_CASE("stack: a chain of tasks that completes") {
    run_small([]() -> Coro<> {
        const Future<void> future = get_running_loop().create_future();
        const Bottom waits = [&future]() -> Coro<> { co_await future; };
        const Task<> first = linked_tasks(depth, waits);
        co_await turns(2);
        future.set_result();
        co_await first;
    });
}

TEST_CASE("stack: a chain of tasks that fails at its end") {
    run_small([]() -> Coro<> {
        const Bottom fails = []() -> Coro<> {
            co_await turns(2);
            throw ValueError("last");
        };
        const Task<> first = linked_tasks(depth, fails);
        std::string text;
        try {
            co_await first;
        } catch (const ValueError& error) {
            text = error.what();
        }
        CHECK(text == "last");
    });
}

TEST_CASE("stack: a chain of tasks that is cancelled from its beginning") {
    run_small([]() -> Coro<> {
        const Bottom waits = forever;
        const Task<> first = linked_tasks(depth, waits);
        co_await turns(2);
        first.cancel();
        bool cancelled = false;
        try {
            co_await first;
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
    });
}

TEST_CASE("stack: a chain of tasks that cancels itself from its beginning") {
    run_small([]() -> Coro<> {
        const Bottom waits = forever;
        const Task<> rest = linked_tasks(depth, waits);
        co_await turns(2);
        const auto cancels_itself = [&]() -> Coro<> {
            current_task().cancel();
            co_await rest;
        };
        const Task<> first = create_task(cancels_itself);
        co_await turns(2);
        CHECK_FALSE(first.done());
        bool cancelled = false;
        try {
            co_await first;
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
    });
}

TEST_CASE(
    "stack: a chain of gathers, and one of task groups, that is cancelled from its beginning") {
    static Coro<> (*gathers)(int) = [](int left) -> Coro<> {
        if (left == 0) {
            co_await async_sleep(1h);
        } else {
            co_await gather(gathers(left - 1));
        }
    };
    static Coro<> (*groups)(int) = [](int left) -> Coro<> {
        if (left == 0) {
            co_await async_sleep(1h);
        } else {
            co_await task_group([left](TaskGroup& group) -> Coro<> {
                group.create_task(groups(left - 1));
                co_return;
            });
        }
    };
    for (const auto& chain : {gathers, groups}) {
        run_small([&]() -> Coro<> {
            const Task<> first = create_task(chain(20'000));
            co_await async_sleep(1s);
            first.cancel();
            co_await wait({first});
            CHECK(outcome(first) == "cancelled");
        });
    }
}

TEST_CASE("stack: a chain of tasks that is destroyed with its loop") {
    on_small_stack([] {
        const Bottom waits = forever;
        EventLoop loop;
        const auto start = [&]() -> Coro<> {
            linked_tasks(depth, waits);
            co_await turns(2);
        };
        loop.run_until_complete(start());
        loop.close();
        CHECK(loop.is_closed());
    });
}
