#include "coro_test.hpp"
#include "stderr_capture.hpp"

#include <muster/muster.hpp>
#include <muster/testing.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::turns;

TEST_CASE("run_virtual gives what main returns, and throws what it throws") {
    const auto works = []() -> Coro<int> {
        co_await async_sleep(1000h);
        co_return 3;
    };
    const auto fails = []() -> Coro<> {
        co_await async_sleep(1000h);
        throw ValueError("late");
    };
    CHECK(testing::run_virtual(works()) == 3);
    CHECK_THROWS_AS(testing::run_virtual(fails()), ValueError);
}

TEST_CASE("virtual time moves only when everything waits, straight to the next deadline") {
    const auto main = []() -> Coro<> {
        const Clock::time_point start = Clock::now();
        for (int i = 0; i < 1'000; ++i) {
            co_await turns();
        }
        CHECK(Clock::now() == start);
        std::vector<Clock::duration> seen;
        const auto sleeper = [&](Clock::duration delay) -> Coro<> {
            co_await async_sleep(delay);
            seen.push_back(Clock::now() - start);
        };
        co_await gather(sleeper(3s), sleeper(1s), sleeper(2s));
        CHECK(seen == std::vector<Clock::duration>{1s, 2s, 3s});
    };
    testing::run_virtual(main());
}

TEST_CASE("two virtual runs see the same times") {
    const auto main = []() -> Coro<Clock::time_point> {
        co_await async_sleep(5s);
        co_return Clock::now();
    };
    CHECK(testing::run_virtual(main()) == testing::run_virtual(main()));
}

TEST_CASE("when nothing is left that could wake a task, run_virtual says so") {
    Event event;
    const auto main = [&]() -> Coro<> { co_await event.wait(); };
    std::string text;
    try {
        testing::run_virtual(main());
    } catch (const RuntimeError& error) {
        text = error.what();
    }
    CHECK(text.find("deadlock") != std::string::npos);
}

TEST_CASE("what main leaves is cancelled and waited for") {
    std::vector<std::string> notes;
    const auto leftover = [&]() -> Coro<> {
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        co_await async_sleep(1h);
        notes.emplace_back("cleaned");
    };
    const auto main = [&]() -> Coro<> {
        create_task(leftover);
        co_await turns();
    };
    testing::run_virtual(main());
    CHECK(notes == std::vector<std::string>{"cleaned"});
}

TEST_CASE("a virtual loop is an ordinary loop otherwise") {
    const std::unique_ptr<EventLoop> loop = testing::make_virtual_loop();
    std::vector<int> order;
    loop->call_later(2h, [&] {
        order.push_back(2);
        loop->stop();
    });
    loop->call_later(1h, [&] { order.push_back(1); });
    loop->run_forever();
    CHECK(order == std::vector<int>{1, 2});
}

namespace {

/// MUSTER_SEED, while alive.
class SeedVariable {
public:
    explicit SeedVariable(const char* value) {
        if (const char* before = std::getenv("MUSTER_SEED")) {
            before_ = before;
        }
        set(value);
    }

    SeedVariable(const SeedVariable&) = delete;
    SeedVariable& operator=(const SeedVariable&) = delete;

    ~SeedVariable() { set(before_ ? before_->c_str() : nullptr); }

private:
    static void set(const char* value) {
        if (value != nullptr) {
            ::setenv("MUSTER_SEED", value, 1);
        } else {
            ::unsetenv("MUSTER_SEED");
        }
    }

    std::optional<std::string> before_;
};

/// The order in which six tasks take their steps.
Coro<std::string> order_of_steps() {
    std::string order;
    const auto note = [&order](char letter) -> Coro<> {
        order += letter;
        co_await turns();
        order += letter;
    };
    std::vector<Coro<>> all;
    for (const char letter : {'a', 'b', 'c', 'd', 'e', 'f'}) {
        all.push_back(note(letter));
    }
    co_await gather(std::move(all));
    co_return order;
}

/// A bit of everything, written down step by step.
Coro<std::string> long_story(std::uint64_t seed) {
    std::string story;
    std::mt19937_64 random(seed);
    Lock lock;
    Queue<char> queue(2);
    const auto note = [&](char letter) {
        story += letter;
        story += std::to_string(Clock::now().time_since_epoch() / 1ms % 1000) + " ";
    };
    const auto works = [&](char letter) -> Coro<> {
        for (int i = 0; i < 5; ++i) {
            note(letter);
            switch (random() % 4) {
            case 0:
                co_await async_sleep((1 + random() % 3) * 1ms);
                break;
            case 1: {
                const auto held = co_await lock.guard();
                co_await turns(2);
                break;
            }
            case 2:
                co_await wait_for(queue.put(letter), 1ms);
                break;
            default:
                note(co_await wait_for(queue.get(), 2ms));
            }
        }
    };
    std::vector<Task<>> tasks;
    for (char letter = 'a'; letter < 'h'; ++letter) {
        tasks.push_back(create_task(works(letter)));
        tasks.back().add_done_callback([&](const Task<>& task) { story += ending(task) + " "; });
    }
    co_await wait(tasks);
    co_return story;
}

} // namespace

TEST_CASE("a seed draws the order of the tasks, the same each time") {
    CHECK(testing::run_virtual(order_of_steps()) == "abcdefabcdef");
    std::set<std::string> orders;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        const std::string order = testing::run_virtual(order_of_steps(), {.seed = seed});
        CHECK(testing::run_virtual(order_of_steps(), {.seed = seed}) == order);
        orders.insert(order);
    }
    CHECK(orders.size() > 80);
}

TEST_CASE("a seed means the same run everywhere") {
    CHECK(testing::run_virtual(order_of_steps(), {.seed = 1}) == "ebcfbefcaadd");
    CHECK(testing::run_virtual(order_of_steps(), {.seed = 2}) == "fcdefadceabb");
    CHECK(testing::run_virtual(order_of_steps(), {.seed = 3}) == "adfecbafcbde");
}

TEST_CASE("a run is repeated exactly, wherever in memory its tasks lie") {
    std::vector<std::unique_ptr<char[]>> holes;
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        const std::string story = testing::run_virtual(long_story(seed), {.seed = seed});
        for (std::size_t i = 1; i < 20; ++i) {
            holes.push_back(std::make_unique<char[]>(100 * i));
        }
        CHECK(testing::run_virtual(long_story(seed), {.seed = seed}) == story);
    }
}

TEST_CASE("with a seed, tasks get turns apart") {
    // Right as long as all tasks keep step, whatever their order: three turns are more than one.
    const auto races = []() -> Coro<> {
        bool ready = false;
        const auto first = [&]() -> Coro<> {
            co_await turns(1);
            ready = true;
        };
        const auto second = [&]() -> Coro<> {
            co_await turns(3);
            if (!ready) {
                throw ValueError("too late");
            }
        };
        co_await gather(first(), second());
    };
    testing::run_virtual(races());
    const testing_support::StderrCapture quiet;
    CHECK_THROWS_AS(testing::explore(races, 100), ValueError);
}

TEST_CASE("with a seed, turns come between deadlines of the same time") {
    const auto races = []() -> Coro<> {
        bool ready = false;
        const auto first = [&]() -> Coro<> {
            co_await async_sleep(1s);
            co_await turns(3);
            ready = true;
        };
        const auto task = create_task(first);
        const auto second = [&]() -> Coro<> {
            co_await async_sleep(1s);
            if (ready) {
                throw ValueError("too early");
            }
        };
        co_await gather(second(), task);
    };
    testing::run_virtual(races());
    const testing_support::StderrCapture quiet;
    CHECK_THROWS_AS(testing::explore(races, 100), ValueError);
}

TEST_CASE("a seed changes nothing that is promised") {
    const auto keeps = []() -> Coro<> {
        const Clock::time_point start = Clock::now();
        EventLoop& loop = get_running_loop();
        std::string order;
        Lock lock;
        const auto locks = [&](char letter) -> Coro<> {
            const auto held = co_await lock.guard();
            order += letter;
            co_await turns(2);
        };
        // Served in the order of coming.
        std::vector<Task<>> tasks;
        for (const char letter : {'a', 'b', 'c', 'd'}) {
            tasks.push_back(create_task({.eager_start = true}, locks, letter));
        }
        // Callbacks in the order they were scheduled in.
        std::string calls;
        for (const char letter : {'a', 'b', 'c', 'd'}) {
            loop.call_soon([&calls, letter] { calls += letter; });
            tasks.back().add_done_callback([&calls, letter](const Task<>&) { calls += letter; });
        }
        co_await gather(std::move(tasks));
        CHECK(order == "abcd");
        co_await async_sleep(1s);
        CHECK(calls == "abcdabcd");
        CHECK(Clock::now() == start + 1s);
        // Deadlines in the order of their times, and of being set.
        std::string times;
        for (const char letter : {'c', 'd', 'e'}) {
            loop.call_later(2s, [&times, letter] { times += letter; });
        }
        for (const char letter : {'a', 'b'}) {
            loop.call_later(1s, [&times, letter] { times += letter; });
        }
        co_await async_sleep(3s);
        CHECK(times == "abcde");
        CHECK(Clock::now() == start + 4s);
        // No deadline passes while a task is ready.
        co_await wait_for(turns(50), 1ns);
        CHECK(Clock::now() == start + 4s);
        // A task that is ready runs in the end.
        bool set = false;
        const auto task = create_task([&]() -> Coro<> {
            set = true;
            co_return;
        });
        while (!set) {
            co_await turns();
        }
        co_await task;
    };
    testing::explore(keeps, 300);
}

TEST_CASE("explore finds a race, and says with which seed") {
    testing_support::StderrCapture capture;
    const auto races = []() -> Coro<> {
        std::vector<std::string> log;
        const auto first = [&]() -> Coro<> {
            log.emplace_back("ready");
            co_return;
        };
        const auto second = [&]() -> Coro<> {
            if (log.empty()) {
                throw ValueError("second came first");
            }
            co_return;
        };
        co_await gather(first(), second());
    };
    CHECK_THROWS_WITH_AS(testing::explore(races, 50), "second came first", ValueError);
    const std::string text = capture.text();
    const std::string start = "explore(): fails with seed ";
    REQUIRE(text.rfind(start, 0) == 0);
    const std::uint64_t seed = std::stoull(text.substr(start.size()));
    CHECK(text == start + std::to_string(seed) + "; MUSTER_SEED=" + std::to_string(seed) +
                      " in the environment repeats it\n");
    CHECK_THROWS_AS(testing::run_virtual(races(), {.seed = seed}), ValueError);
}

TEST_CASE("explore gives the test its seed, and tries each once") {
    const SeedVariable none(nullptr);
    std::vector<std::uint64_t> seeds;
    const auto test = [&](std::uint64_t seed) -> Coro<> {
        seeds.push_back(seed);
        co_return;
    };
    testing::explore(test, 4);
    CHECK(seeds == std::vector<std::uint64_t>{1, 2, 3, 4});
    testing::explore(test, 0);
    CHECK(seeds.size() == 4);
}

TEST_CASE("explore says with which seed a deadlock comes") {
    const SeedVariable one("5");
    testing_support::StderrCapture capture;
    const auto test = []() -> Coro<> {
        Event never;
        co_await never.wait();
    };
    CHECK_THROWS_AS(testing::explore(test, 10), RuntimeError);
    CHECK(capture.text().find("fails with seed 5;") != std::string::npos);
}

TEST_CASE("explore ends when it is told that a check has failed") {
    const SeedVariable none(nullptr);
    testing_support::StderrCapture capture;
    std::uint64_t last = 0;
    const auto test = [&](std::uint64_t seed) -> Coro<> {
        last = seed;
        co_return;
    };
    testing::explore(test, 10, [&] { return last == 3; });
    CHECK(last == 3);
    CHECK(capture.text().find("fails with seed 3;") != std::string::npos);
}

TEST_CASE("MUSTER_SEED in the environment has explore run that seed alone") {
    std::vector<std::uint64_t> seeds;
    const auto test = [&](std::uint64_t seed) -> Coro<> {
        seeds.push_back(seed);
        co_return;
    };
    for (const char* value : {"17", "0", "18446744073709551615", ""}) {
        const SeedVariable variable(value);
        testing::explore(test, 2);
    }
    CHECK(seeds == std::vector<std::uint64_t>{17, 0, 18446744073709551615U, 1, 2});
    for (const char* value : {"x", "17x", "-1", " 1", "18446744073709551616"}) {
        CAPTURE(value);
        const SeedVariable variable(value);
        CHECK_THROWS_AS(testing::explore(test, 2), ValueError);
    }
}
