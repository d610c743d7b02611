#include "reports.hpp"

#include <muster/core/concurrent_wait.hpp>
#include <muster/core/thread_pool.hpp>

#include <doctest/doctest.h>

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <latch>
#include <memory>
#include <numeric>
#include <ranges>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using muster::BrokenThreadPool;
using muster::CancelledError;
using muster::RuntimeError;
using muster::TimeoutError;
using muster::UniqueFunction;
using muster::concurrent::Executor;
using muster::concurrent::Future;
using muster::concurrent::ThreadPoolExecutor;
using muster::testing_support::Reports;

using namespace std::chrono_literals;

namespace {

/// Holds jobs back until it is opened, or the test ends.
class Gate {
public:
    Gate() = default;
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;

    ~Gate() { open(); }

    void open() {
        if (!opened_.test_and_set()) {
            promise_.set_value();
        }
    }

    void pass() const { future_.wait(); }

private:
    std::promise<void> promise_;
    std::shared_future<void> future_ = promise_.get_future().share();
    std::atomic_flag opened_;
};

int doubled(int value) { return 2 * value; }

static_assert(std::ranges::input_range<muster::concurrent::MapResults<int>>);

} // namespace

TEST_CASE("submit() calls functions, members and closures with its arguments") {
    ThreadPoolExecutor pool(2);
    CHECK(pool.submit(doubled, 21).result() == 42);
    CHECK(pool.submit(&std::string::size, std::string("four")).result() == 4);
    CHECK(pool.submit([](const std::string& a, const std::string& b) { return a + b; }, "to",
                      "gether")
              .result() == "together");
    const Future<void> nothing = pool.submit([] {});
    nothing.result();
    CHECK(nothing.done());
}

TEST_CASE("submit() moves what can only be moved in and out, and std::ref shares") {
    ThreadPoolExecutor pool(1);
    auto future = pool.submit(
        [owned = std::make_unique<int>(40)](std::unique_ptr<int> argument) {
            return std::make_unique<int>(*owned + *argument);
        },
        std::make_unique<int>(2));
    CHECK(*std::move(future).result() == 42);

    int target = 1;
    Future<int&> reference =
        pool.submit([](int& value) -> int& { return ++value; }, std::ref(target));
    CHECK(&reference.result() == &target);
    CHECK(target == 2);
}

TEST_CASE("What a job throws comes out of its future, CancelledError and foreign types too") {
    ThreadPoolExecutor pool(1);
    CHECK_THROWS_WITH_AS(pool.submit([] { throw std::out_of_range("port 99"); }).result(),
                         "port 99", std::out_of_range);
    const auto cancelled = pool.submit([] { throw CancelledError(); });
    CHECK_THROWS_AS(cancelled.result(), CancelledError);
    CHECK_FALSE(cancelled.cancelled());
    CHECK_THROWS_AS(pool.submit([] { throw 5; }).result(), int);
    CHECK(pool.submit(doubled, 1).result() == 2);
    CHECK(pool.thread_count() == 1);
}

TEST_CASE("A job's function and arguments are destroyed before its future is done") {
    ThreadPoolExecutor pool(1);
    Gate gate;
    const auto captured = std::make_shared<int>();
    const auto argument = std::make_shared<int>();
    const auto owners = [&] { return captured.use_count() + argument.use_count(); };
    long owners_seen_by_callback = 0;
    auto blocker = pool.submit([&gate] { gate.pass(); });
    auto returning = pool.submit([captured](const std::shared_ptr<int>&) {}, argument);
    auto throwing = pool.submit(
        [captured](const std::shared_ptr<int>&) { throw std::runtime_error("failed"); }, argument);
    throwing.add_done_callback([&] { owners_seen_by_callback = owners(); });
    auto cancelled = pool.submit([captured](const std::shared_ptr<int>&) {}, argument);
    cancelled.cancel();
    CHECK(owners() == 8);
    gate.open();
    pool.shutdown();
    CHECK(returning.done());
    CHECK(throwing.exception() != nullptr);
    CHECK(owners_seen_by_callback == 4); // its own and those of the job that waits behind it
    CHECK(owners() == 2);
}

TEST_CASE("211. There are never more than max_workers threads") {
    constexpr int workers = 4;
    ThreadPoolExecutor pool(workers);
    Gate gate;
    std::atomic<int> active = 0;
    std::atomic<int> most = 0;
    std::latch all_busy(workers);
    std::vector<Future<void>> futures;
    futures.reserve(std::size_t{15} * workers);
    for (int i = 0; i < 15 * workers; ++i) {
        futures.push_back(pool.submit([&, i] {
            const int now = ++active;
            for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
            }
            if (i < workers) {
                all_busy.count_down();
            }
            gate.pass();
            --active;
        }));
    }
    all_busy.wait(); // needs as many threads as are allowed
    CHECK(pool.thread_count() == workers);
    gate.open();
    CHECK(muster::concurrent::wait(futures).not_done.empty());
    CHECK(most == workers);
    CHECK(pool.thread_count() == workers);
}

TEST_CASE("Threads that wait for many jobs of a pool are woken, whichever comes last") {
    ThreadPoolExecutor pool(5);
    for (int round = 0; round < 20; ++round) {
        Gate gate;
        std::vector<Future<void>> futures;
        futures.reserve(50);
        for (int i = 0; i < 50; ++i) {
            futures.push_back(pool.submit([&gate] { gate.pass(); }));
        }
        std::thread other(
            [&futures] { CHECK(muster::concurrent::wait(futures).not_done.empty()); });
        gate.open();
        CHECK(muster::concurrent::wait(futures).not_done.empty());
        other.join();
    }
}

TEST_CASE("211. Sequential jobs reuse one idle thread") {
    ThreadPoolExecutor pool(8);
    CHECK(pool.thread_count() == 0);
    std::set<std::thread::id> threads;
    for (int i = 0; i < 1000; ++i) {
        threads.insert(pool.submit([] { return std::this_thread::get_id(); }).result());
    }
    CHECK(threads.size() == 1);
    CHECK(pool.thread_count() == 1);
}

TEST_CASE("211. A thread is started when all others are busy, and not before") {
    ThreadPoolExecutor pool(8);
    for (int busy = 1; busy <= 3; ++busy) {
        Gate gate;
        std::latch started(busy);
        std::vector<Future<void>> futures;
        futures.reserve(3);
        for (int i = 0; i < busy; ++i) {
            futures.push_back(pool.submit([&] {
                started.count_down();
                gate.pass();
            }));
        }
        started.wait();
        CHECK(pool.thread_count() == busy);
        gate.open();
        muster::concurrent::wait(futures);
    }
}

TEST_CASE("A done callback may submit to its pool and wait, as long as there is a thread left") {
    ThreadPoolExecutor pool(2);
    Gate gate;
    int result = 0;
    auto future = pool.submit([&gate] { gate.pass(); });
    std::promise<void> called;
    future.add_done_callback([&] {
        result = pool.submit(doubled, 21).result();
        called.set_value();
    });
    gate.open();
    called.get_future().wait();
    CHECK(result == 42);
    CHECK(pool.thread_count() == 2);
}

TEST_CASE("213. shutdown(cancel_futures) cancels what is pending and lets run what runs") {
    ThreadPoolExecutor pool(2);
    Gate gate;
    std::latch started(2);
    std::vector<Future<int>> running;
    running.reserve(2);
    std::vector<Future<int>> pending;
    pending.reserve(5);
    for (int i = 0; i < 2; ++i) {
        running.push_back(pool.submit([&, i] {
            started.count_down();
            gate.pass();
            return i;
        }));
    }
    started.wait();
    for (int i = 0; i < 5; ++i) {
        pending.push_back(pool.submit(doubled, i));
    }
    int notified = 0;
    pending[2].add_done_callback([&notified] { ++notified; });
    pool.shutdown(false, true);
    for (const Future<int>& future : pending) {
        CHECK(future.cancelled());
        CHECK_THROWS_AS(future.result(), CancelledError);
    }
    CHECK(notified == 1);
    for (const Future<int>& future : running) {
        CHECK(future.running());
    }
    gate.open();
    pool.shutdown(true, true);
    CHECK(running[0].result(0s) == 0);
    CHECK(running[1].result(0s) == 1);
}

TEST_CASE(
    "shutdown() without cancelling runs what is queued, it may be repeated, from two threads") {
    ThreadPoolExecutor pool(1);
    Gate gate;
    std::atomic<int> ran = 0;
    pool.submit([&gate] { gate.pass(); });
    for (int i = 0; i < 10; ++i) {
        pool.submit([&ran] { ++ran; });
    }
    pool.shutdown(false);
    CHECK(ran == 0);
    CHECK_THROWS_AS(pool.submit(doubled, 1), RuntimeError);
    CHECK_THROWS_AS(pool.execute([] {}), RuntimeError);
    CHECK_THROWS_AS(static_cast<void>(pool.map(doubled, std::vector{1})), RuntimeError);
    std::thread other([&] {
        pool.shutdown();
        CHECK(ran == 10);
    });
    gate.open();
    pool.shutdown();
    CHECK(ran == 10);
    other.join();
    pool.shutdown();
    ThreadPoolExecutor unused(1);
    unused.shutdown();
}

TEST_CASE("shutdown() does not hang on a job that was cancelled right before") {
    for (int round = 0; round < 100; ++round) {
        ThreadPoolExecutor pool(1);
        pool.submit([] {}).result();
        pool.submit([] {}).cancel();
        pool.shutdown();
    }
}

TEST_CASE("The destructor waits for the jobs") {
    std::atomic<int> ran = 0;
    {
        ThreadPoolExecutor pool(2);
        for (int i = 0; i < 50; ++i) {
            pool.submit([&ran] { ++ran; });
        }
    }
    CHECK(ran == 50);
}

TEST_CASE("A pool can't be waited for by its own job, but may be destroyed by it") {
    ThreadPoolExecutor pool(1);
    auto waits = pool.submit([&pool] { pool.shutdown(); });
    CHECK_THROWS_AS(waits.result(), RuntimeError);
    CHECK(pool.submit(doubled, 1).result() == 2); // that shutdown did nothing
    pool.submit([&pool] { pool.shutdown(false); }).result();
    CHECK_THROWS_AS(pool.submit(doubled, 1), RuntimeError);

    std::promise<std::unique_ptr<ThreadPoolExecutor>> handover;
    auto owned = std::make_unique<ThreadPoolExecutor>(2);
    auto destroys = owned->submit([&handover] { handover.get_future().get() = nullptr; });
    auto queued = owned->submit(doubled, 4);
    handover.set_value(std::move(owned));
    destroys.result();
    CHECK(queued.result() == 8);
}

TEST_CASE("219. The initializer runs once on each thread, before its jobs") {
    constexpr int workers = 3;
    static thread_local int initialized = 0;
    std::atomic<int> calls = 0;
    std::latch all_busy(workers);
    {
        ThreadPoolExecutor pool(workers, {.initializer = [&calls] {
                                    ++calls;
                                    ++initialized;
                                }});
        CHECK(calls == 0);
        std::vector<int> inputs(20);
        std::iota(inputs.begin(), inputs.end(), 0);
        for (const int seen : pool.map(
                 [&all_busy](int i) {
                     if (i < workers) {
                         all_busy.arrive_and_wait();
                     }
                     return initialized;
                 },
                 inputs)) {
            CHECK(seen == 1);
        }
    }
    CHECK(calls == workers);
}

TEST_CASE("219. An initializer that throws fails pending and later jobs with BrokenThreadPool") {
    Reports reports;
    Gate gate;
    ThreadPoolExecutor pool(1, {.initializer = [&gate] {
                                gate.pass();
                                throw std::runtime_error("no licence");
                            }});
    std::vector<Future<int>> pending;
    pending.reserve(3);
    for (int i = 0; i < 3; ++i) {
        pending.push_back(pool.submit(doubled, i));
    }
    const Future<int> cancelled = pending.back();
    cancelled.cancel();
    bool notified = false;
    pending[0].add_done_callback([&notified] { notified = true; });
    gate.open();
    CHECK_THROWS_AS(pending[0].result(), BrokenThreadPool);
    CHECK_THROWS_AS(pending[1].result(), BrokenThreadPool);
    CHECK_THROWS_AS(pending[2].result(), CancelledError);
    CHECK_THROWS_AS(pool.submit(doubled, 1), BrokenThreadPool);
    pool.shutdown();
    CHECK(notified);
    CHECK_THROWS_AS(pool.submit(doubled, 1), BrokenThreadPool);
    CHECK(reports.texts() ==
          std::vector<std::string>{"exception in a thread pool's initializer: no licence"});
}

TEST_CASE("Threads are named after the pool, in the 15 characters there are") {
    const auto name = [] {
        char text[64] = {};
        pthread_getname_np(pthread_self(), text, sizeof(text));
        return std::string(text);
    };
    ThreadPoolExecutor pool(1, {.thread_name_prefix = "ssh"});
    CHECK(pool.submit(name).result() == "ssh_0");
    ThreadPoolExecutor wordy(1, {.thread_name_prefix = "key-exchange-workers"});
    CHECK(wordy.submit(name).result() == "key-exchange-_0");
    ThreadPoolExecutor plain(1);
    CHECK(plain.submit(name).result() == "muster-pool_0");
}

TEST_CASE("max_workers must be positive, the default is Python's") {
    CHECK_THROWS_AS(ThreadPoolExecutor(0), muster::ValueError);
    CHECK_THROWS_AS(ThreadPoolExecutor(-1), muster::ValueError);
    const int processors = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    CHECK(ThreadPoolExecutor().max_workers() == std::min(32, processors + 4));
}

TEST_CASE("execute() runs work that nobody waits for, and reports what it throws") {
    Reports reports;
    bool ran = false;
    {
        ThreadPoolExecutor pool(1);
        pool.execute([&ran, owned = std::make_unique<bool>(true)] { ran = *owned; });
        pool.execute([] { throw std::runtime_error("nobody waits"); });
    }
    CHECK(ran);
    CHECK(reports.texts() ==
          std::vector<std::string>{"exception in work given to execute(): nobody waits"});
}

TEST_CASE("A stop request cancels a job that has not started, and is passed to one that has") {
    ThreadPoolExecutor pool(1);
    std::stop_source early;
    std::stop_source late;
    std::latch running(1);
    const auto captured = std::make_shared<int>();
    auto started = pool.submit(late.get_token(), [&running](const std::stop_token& token) {
        running.count_down();
        std::promise<void> stopped;
        const std::stop_callback wake(token, [&stopped] { stopped.set_value(); });
        stopped.get_future().wait();
        return 1;
    });
    running.wait();
    auto queued = pool.submit(early.get_token(), [captured](int value) { return value; }, 5);
    auto kept = pool.submit(std::stop_source().get_token(), doubled, 5);
    early.request_stop();
    CHECK(queued.cancelled());
    auto refused = pool.submit(early.get_token(), doubled, 5);
    CHECK(refused.cancelled());
    late.request_stop();
    CHECK(started.result() == 1);
    CHECK(kept.result() == 10);
    pool.shutdown();
    CHECK(captured.use_count() == 1);
}

namespace {

/// Runs or drops each work at once.
class InlineExecutor final : public Executor {
public:
    explicit InlineExecutor(bool drops) : drops_(drops) {}

    void execute(UniqueFunction<void()> work) override {
        if (!drops_) {
            work();
        }
    }

    void shutdown(bool, bool) override {}

private:
    bool drops_;
};

} // namespace

TEST_CASE("A user's executor has submit() and map(), work it drops is cancelled") {
    InlineExecutor runs(false);
    CHECK(runs.submit(doubled, 4).result() == 8);
    bool called = false;
    auto failing = runs.submit([] { throw std::runtime_error("failed"); });
    failing.add_done_callback([&called] { called = true; });
    CHECK(called);
    CHECK_THROWS_AS(failing.result(), std::runtime_error);
    std::vector<int> results;
    for (const int value : runs.map(doubled, std::vector{1, 2, 3})) {
        results.push_back(value);
    }
    CHECK(results == std::vector{2, 4, 6});

    InlineExecutor drops(true);
    CHECK(drops.submit(doubled, 4).cancelled());
}

TEST_CASE("207. map yields in input order") {
    ThreadPoolExecutor pool(2);
    std::latch second_ran(1);
    std::vector<std::string> results;
    for (std::string& text : pool.map(
             [&second_ran](int i) {
                 if (i == 1) {
                     second_ran.count_down();
                 }
                 second_ran.wait(); // the first is done after the second
                 return std::to_string(i);
             },
             std::vector{0, 1, 2, 3})) {
        results.push_back(std::move(text));
    }
    CHECK(results == std::vector<std::string>{"0", "1", "2", "3"});
}

TEST_CASE("207. Pulling map's failing element throws its exception, and the iteration is over") {
    ThreadPoolExecutor pool(1);
    auto results = pool.map([](int i) { return 12 / i; }, std::vector{3, 4});
    auto failing = pool.map(
        [](int i) {
            if (i == 0) {
                throw std::domain_error("zero");
            }
            return 12 / i;
        },
        std::vector{3, 0, 4});
    CHECK(results.next() == 4);
    CHECK(results.next() == 3);
    CHECK_FALSE(results.next().has_value());
    CHECK_FALSE(results.next().has_value());

    auto it = failing.begin();
    CHECK(*it == 4);
    CHECK_THROWS_WITH_AS(++it, "zero", std::domain_error);
    CHECK((it == failing.end()));
    CHECK_FALSE(failing.next().has_value());
}

TEST_CASE("207. An error in map cancels what has not started, later failures are not reported") {
    Reports reports;
    ThreadPoolExecutor pool(2);
    Gate gate;
    std::latch blocked(1);
    std::atomic<int> calls = 0;
    {
        auto results = pool.map(
            [&](int i) -> int {
                ++calls;
                if (i == 1) {
                    blocked.count_down();
                    gate.pass();
                }
                throw std::runtime_error("element " + std::to_string(i));
            },
            std::vector{0, 1});
        blocked.wait();
        CHECK_THROWS_WITH_AS(static_cast<void>(results.next()), "element 0", std::runtime_error);
    }
    gate.open();
    pool.shutdown();
    CHECK(calls == 2);
    CHECK(reports.texts().empty());
}

TEST_CASE("209. map(timeout) counts from its call: finished results come, then TimeoutError") {
    ThreadPoolExecutor pool(1);
    Gate gate;
    std::latch blocked(1);
    std::atomic<int> calls = 0;
    auto results = pool.map(
        [&](int i) {
            ++calls;
            if (i == 2) {
                blocked.count_down();
                gate.pass();
            }
            return i;
        },
        std::vector{0, 1, 2, 3, 4}, {.timeout = 0s});
    blocked.wait(); // the deadline is past, two results are there
    CHECK(results.next() == 0);
    CHECK(results.next() == 1);
    CHECK_THROWS_AS(static_cast<void>(results.next()), TimeoutError);
    CHECK_FALSE(results.next().has_value());
    gate.open();
    pool.shutdown();
    CHECK(calls == 3); // the last two were cancelled
}

TEST_CASE("209. map's timeout cancels the element it waits for, too, if that has not started") {
    ThreadPoolExecutor pool(1);
    Gate gate;
    std::atomic<int> calls = 0;
    pool.submit([&gate] { gate.pass(); });
    auto results = pool.map([&calls](int) { ++calls; }, std::vector{0, 1}, {.timeout = 1ms});
    CHECK_THROWS_AS(static_cast<void>(results.next()), TimeoutError);
    gate.open();
    pool.shutdown();
    CHECK(calls == 0);
}

TEST_CASE("map submits everything at once, whether its results are looked at or not") {
    std::atomic<int> sum = 0;
    ThreadPoolExecutor pool(2);
    const auto results = pool.map([&sum](int i) { sum += i; }, std::views::iota(0, 10));
    pool.shutdown();
    CHECK(sum == 45);
}

TEST_CASE("map's results can be had after the pool was shut down, and after it is gone") {
    auto pool = std::make_unique<ThreadPoolExecutor>(3);
    Gate gate;
    const auto late = [&gate](int i) {
        gate.pass();
        return 2 * i;
    };
    auto results = pool->map(late, std::views::iota(0, 5));
    auto others = pool->map(late, std::views::iota(0, 5));
    pool->shutdown(false);
    gate.open();
    CHECK(results.next() == 0);
    CHECK(results.next() == 2);
    pool = nullptr;
    CHECK(results.next() == 4);
    int sum = 0;
    for (const int value : others) {
        sum += value;
    }
    CHECK(sum == 20);
}

TEST_CASE("map keeps no result that it has given out") {
    ThreadPoolExecutor pool(2);
    auto results = pool.map([](int i) { return std::make_shared<int>(i); }, std::views::iota(0, 5));
    int expected = 0;
    while (const auto value = results.next()) {
        CHECK(**value == expected++);
        CHECK(value->use_count() == 1);
    }
    CHECK(expected == 5);
}

TEST_CASE("Dropping map's results cancels what has not started") {
    ThreadPoolExecutor pool(1);
    Gate gate;
    std::atomic<int> calls = 0;
    pool.submit([&gate] { gate.pass(); });
    static_cast<void>(pool.map([&calls](int) { ++calls; }, std::vector{0, 1}));
    gate.open();
    pool.shutdown();
    CHECK(calls == 0);
}

TEST_CASE("map goes on to the end of the shortest range, and takes any ranges") {
    ThreadPoolExecutor pool(3);
    const std::vector<std::string> names{"r1", "r2", "r3"};
    std::vector<std::string> results;
    for (const std::string& text :
         pool.map([](const std::string& name, int number,
                     bool up) { return name + ":" + std::to_string(number) + (up ? "+" : "-"); },
                  names, std::views::iota(7), std::vector<bool>{true, false})) {
        results.push_back(text);
    }
    CHECK(results == std::vector<std::string>{"r1:7+", "r2:8-"});
    CHECK_FALSE(pool.map(doubled, std::vector<int>()).next().has_value());
}

TEST_CASE("map moves elements of a container it is given, and results that can only be moved") {
    ThreadPoolExecutor pool(2);
    std::vector<std::unique_ptr<int>> inputs;
    inputs.push_back(std::make_unique<int>(1));
    inputs.push_back(std::make_unique<int>(2));
    int sum = 0;
    for (std::unique_ptr<int>& value :
         pool.map([](std::unique_ptr<int> p) { return p; }, std::move(inputs))) {
        sum += *value;
    }
    CHECK(sum == 3);
}

TEST_CASE("map copies its function once, and destroys it with the last of its jobs") {
    ThreadPoolExecutor pool(2);
    Gate gate;
    const auto captured = std::make_shared<int>();
    {
        auto results = pool.map(
            [&gate, captured](int i) {
                gate.pass();
                return i;
            },
            std::views::iota(0, 50));
        CHECK(captured.use_count() == 2);
        gate.open();
        int count = 0;
        for ([[maybe_unused]] const int value : results) {
            ++count;
        }
        CHECK(count == 50);
        CHECK(captured.use_count() == 1);
    }
}

TEST_CASE("map with a buffersize reads and submits only that far ahead") {
    ThreadPoolExecutor pool(2);
    int read = 0;
    auto source = std::views::iota(0, 10) | std::views::transform([&read](int i) {
                      ++read;
                      return i;
                  });
    auto results = pool.map(doubled, source, {.buffersize = 3});
    CHECK(read == 3);
    CHECK(results.next() == 0);
    CHECK(read == 4);
    int last = 0;
    while (const auto value = results.next()) {
        last = *value;
    }
    CHECK(last == 18);
    CHECK(read == 10);
    CHECK_THROWS_AS(static_cast<void>(pool.map(doubled, source, {.buffersize = 0})),
                    muster::ValueError);
}

TEST_CASE("map with a buffersize takes endless ranges, several of them, and empty ones") {
    ThreadPoolExecutor pool(2);
    auto endless = pool.map(doubled, std::views::iota(0), {.buffersize = 2});
    CHECK(endless.next() == 0);
    CHECK(endless.next() == 2);
    CHECK(endless.next() == 4);
    std::vector<int> sums;
    for (const int sum : pool.map([](int a, int b) { return a + b; }, std::views::iota(0),
                                  std::vector{10, 20, 30}, {.buffersize = 2})) {
        sums.push_back(sum);
    }
    CHECK(sums == std::vector{10, 21, 32});
    CHECK_FALSE(pool.map(doubled, std::vector<int>(), {.buffersize = 2}).next().has_value());
}

TEST_CASE("Many threads submit, cancel and wait on one pool") {
    ThreadPoolExecutor pool(4);
    std::atomic<int> ran = 0;
    std::atomic<int> cancelled = 0;
    constexpr int clients = 4;
    constexpr int jobs = 300;
    std::vector<std::thread> threads;
    threads.reserve(clients);
    for (int client = 0; client < clients; ++client) {
        threads.emplace_back([&, client] {
            std::vector<Future<int>> futures;
            for (int i = 0; i < jobs; ++i) {
                futures.push_back(pool.submit([&ran, i] {
                    ++ran;
                    return i;
                }));
                if (i % 3 == client % 3) {
                    futures.back().cancel();
                }
            }
            for (const Future<int>& future : muster::concurrent::as_completed(futures)) {
                if (future.cancelled()) {
                    ++cancelled;
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(ran + cancelled == clients * jobs);
    CHECK(pool.thread_count() <= 4);
}
