// Programs of chance, made of everything that combines coroutines, under many schedules, and
// cancelled at a moment of chance.

#include "explore_test.hpp"

#include "loop_reports.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::Counted;
using testing_support::Dice;
using testing_support::LoopReports;
using testing_support::turns;

namespace {

constexpr std::uint64_t seeds = 2'000;

/// A part of a program, and how many of the parts below it are at work.
struct Part {
    std::shared_ptr<Part> above;
    int at_work_below = 0;
};

using PartPtr = std::shared_ptr<Part>;

/// At work, while alive.
class AtWork {
public:
    explicit AtWork(PartPtr part) : part_(std::move(part)) { count(1); }

    AtWork(const AtWork&) = delete;
    AtWork& operator=(const AtWork&) = delete;

    ~AtWork() { count(-1); }

private:
    void count(int by) {
        for (Part* above = part_->above.get(); above != nullptr; above = above->above.get()) {
            above->at_work_below += by;
        }
    }

    PartPtr part_;
};

class Program {
public:
    explicit Program(Dice& dice) : dice_(dice) {}

    /// A part that is `depth` levels high; gives `number`. Throws ValueError, TimeoutError or
    /// ExceptionGroup now and then, and a cancellation in the end, always.
    Coro<int> part(PartPtr above, int depth, int number) {
        const auto self = std::make_shared<Part>(Part{std::move(above)});
        const AtWork at_work(self);
        std::exception_ptr error;
        try {
            if (depth == 0) {
                co_await leaf();
            } else {
                co_await combination(self, depth);
            }
        } catch (...) { // thrown again, except for errors that this part can deal with
            error = std::current_exception();
        }
        // What a part has begun ends before it does, however that is.
        CHECK(self->at_work_below == 0);
        if (error != nullptr) {
            // After an error a cancellation may be kept for the next suspension. A task that ends
            // without one has made an error of it, which is all that who awaits the task learns.
            co_await turns(1);
            try {
                std::rethrow_exception(error);
            } catch (const std::exception&) {
                if (dice_.one_in(2)) {
                    throw;
                }
            }
        }
        co_return number;
    }

private:
    Coro<> leaf() {
        switch (dice_.below(6)) {
        case 0:
            co_return;
        case 1:
            co_await dice_.pause();
            throw ValueError("by chance");
        case 2:
            co_await async_sleep(10ms); // longer than any timeout
            co_return;
        case 3:
            co_await cleans_up();
            co_return;
        default:
            co_await dice_.pause();
        }
    }

    // Takes some turns to be cancelled, or some time.
    Coro<> cleans_up() {
        std::exception_ptr cancelled;
        try {
            co_await dice_.pause();
            co_await async_sleep(5ms);
        } catch (const CancelledError&) {
            cancelled = std::current_exception();
        }
        if (cancelled != nullptr) {
            co_await dice_.pause();
            std::rethrow_exception(cancelled);
        }
    }

    Coro<> combination(PartPtr self, int depth) {
        static constexpr Coro<> (Program::* kinds[])(PartPtr, int) = {
            &Program::in_turn,      &Program::gathers,
            &Program::gathers_many, &Program::gathers_all,
            &Program::groups,       &Program::times_out,
            &Program::waits_for,    &Program::moves_on,
            &Program::finally,      &Program::retries,
            &Program::maps,         &Program::shields,
            &Program::waits,        &Program::takes_as_completed,
            &Program::generates,
        };
        return (this->*kinds[dice_.below(std::size(kinds))])(std::move(self), depth - 1);
    }

    Coro<> in_turn(PartPtr self, int depth) {
        for (int i = 0; i < 2; ++i) {
            const int number = co_await part(self, depth, i);
            CHECK(number == i);
        }
    }

    Coro<> gathers(PartPtr self, int depth) {
        const auto [a, b] = co_await gather(part(self, depth, 1), part(self, depth, 2));
        CHECK(a == 1);
        CHECK(b == 2);
    }

    std::vector<Coro<int>> some_parts(const PartPtr& self, int depth) {
        std::vector<Coro<int>> parts;
        for (int i = dice_.between(1, 3); i > 0; --i) {
            parts.push_back(part(self, depth, static_cast<int>(parts.size())));
        }
        return parts;
    }

    Coro<> gathers_many(PartPtr self, int depth) {
        const std::vector<int> numbers = co_await gather(some_parts(self, depth));
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            CHECK(numbers[i] == static_cast<int>(i));
        }
    }

    Coro<> gathers_all(PartPtr self, int depth) {
        const auto results = co_await gather(return_exceptions, some_parts(self, depth));
        for (std::size_t i = 0; i < results.size(); ++i) {
            if (results[i].has_value()) {
                CHECK(results[i].value() == static_cast<int>(i));
            }
        }
    }

    Coro<> groups(PartPtr self, int depth) {
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            for (int i = dice_.between(0, 2); i >= 0; --i) {
                group.create_task(part(self, depth, i));
                if (dice_.one_in(4)) {
                    co_await dice_.pause();
                }
            }
            if (dice_.one_in(2)) {
                co_await part(self, depth, 0);
            }
            if (dice_.one_in(6)) {
                group.cancel();
            }
        });
    }

    Coro<> times_out(PartPtr self, int depth) {
        const Clock::time_point deadline = Clock::now() + 2 * dice_.moment();
        co_await timeout_at(deadline, [&] { return part(self, depth, 0); });
        CHECK(Clock::now() >= deadline - 8ms);
    }

    Coro<> waits_for(PartPtr self, int depth) {
        const int number = co_await wait_for(part(self, depth, 3), 2 * dice_.moment());
        CHECK(number == 3);
    }

    Coro<> moves_on(PartPtr self, int depth) {
        const Clock::time_point deadline = Clock::now() + dice_.moment();
        const std::optional<int> number =
            co_await move_on_at(deadline, [&] { return part(self, depth, 4); });
        CHECK(number.value_or(4) == 4);
        CHECK((number || Clock::now() >= deadline));
    }

    Coro<> finally(PartPtr self, int depth) {
        bool cleaned = false;
        std::exception_ptr error;
        try {
            co_await try_finally([&] { return part(self, depth, 0); },
                                 [&]() -> Coro<> {
                                     co_await dice_.pause();
                                     cleaned = true;
                                 });
        } catch (...) { // thrown again below
            error = std::current_exception();
        }
        CHECK(cleaned);
        if (error != nullptr) {
            std::rethrow_exception(error);
        }
    }

    Coro<> retries(PartPtr self, int depth) {
        int attempts = 0;
        const auto attempt = [&] {
            ++attempts;
            CHECK(attempts <= 2);
            return part(self, depth, 0);
        };
        co_await retry(attempt, {.max_attempts = 2, .initial_delay = 1ms, .jitter = 0});
    }

    Coro<> maps(PartPtr self, int depth) {
        int at_once = 0;
        const auto works = [&](int number) -> Coro<int> {
            const Counted counted(at_once);
            CHECK(at_once <= 2);
            co_return co_await part(self, depth, number);
        };
        const std::vector<int> numbers = {1, 2, 3};
        const std::vector<int> results = co_await amap(numbers, works, {.max_at_once = 2});
        CHECK(results == numbers);
        CHECK(at_once == 0);
    }

    std::vector<Task<int>> some_tasks(const PartPtr& self, int depth) {
        std::vector<Task<int>> tasks;
        for (Coro<int>& coro : some_parts(self, depth)) {
            tasks.push_back(create_task(std::move(coro)));
        }
        return tasks;
    }

    // For what cancels none of its tasks: they end before it does all the same.
    static Coro<> end_all(std::vector<Task<int>> tasks) {
        for (const Task<int>& task : tasks) {
            task.cancel();
        }
        co_await wait(tasks);
        for (const Task<int>& task : tasks) {
            if (!task.cancelled()) {
                static_cast<void>(task.exception());
            }
        }
    }

    Coro<> shields(PartPtr self, int depth) {
        const Task<int> task = create_task(part(self, depth, 5));
        const auto body = [&]() -> Coro<> {
            const int number = co_await shield(task);
            CHECK(number == 5);
        };
        co_await try_finally(body, [&] { return end_all({task}); });
    }

    Coro<> waits(PartPtr self, int depth) {
        const std::vector<Task<int>> tasks = some_tasks(self, depth);
        const auto body = [&]() -> Coro<> {
            const auto when = static_cast<ReturnWhen>(dice_.below(3));
            const Clock::time_point deadline = Clock::now() + dice_.moment();
            const auto [done, pending] =
                co_await wait(tasks, {.timeout = deadline - Clock::now(), .return_when = when});
            CHECK(done.size() + pending.size() == tasks.size());
            CHECK((!done.empty() || Clock::now() >= deadline));
            CHECK(
                (pending.empty() || when != ReturnWhen::all_completed || Clock::now() >= deadline));
        };
        co_await try_finally(body, [&] { return end_all(tasks); });
    }

    Coro<> takes_as_completed(PartPtr self, int depth) {
        const std::vector<Task<int>> tasks = some_tasks(self, depth);
        const auto body = [&]() -> Coro<> {
            auto completed = as_completed(tasks, {.timeout = 2 * dice_.moment()});
            std::size_t count = 0;
            while (const auto task = co_await completed.next()) {
                CHECK(task->done());
                ++count;
            }
            CHECK(count == tasks.size());
        };
        co_await try_finally(body, [&] { return end_all(tasks); });
    }

    Coro<> generates(PartPtr self, int depth) {
        const auto make = [this](PartPtr above, int levels) -> AsyncGenerator<int> {
            const auto own = std::make_shared<Part>(Part{above});
            const AtWork at_work(own);
            for (int i = 0; i < 3; ++i) {
                co_yield co_await part(own, levels, i);
            }
        };
        const int wanted = dice_.between(1, 4);
        AsyncGenerator<int> numbers = make(self, depth);
        int count = 0;
        while (count < wanted) {
            const std::optional<int> number = co_await numbers.next();
            if (!number) {
                CHECK(count == 3);
                break;
            }
            CHECK(*number == count);
            ++count;
        }
        co_await numbers.aclose();
    }

    Dice& dice_;
};

} // namespace

CO_EXPLORE_TEST_CASE("whatever coroutines are combined to, all of it ends, and no cancellation is "
                     "lost or made up",
                     seeds) {
    Dice dice(seed);
    const LoopReports reports(get_running_loop());
    Program program(dice);
    const auto outermost = [&]() -> Coro<> {
        try {
            co_await program.part(std::make_shared<Part>(), 3, 0);
        } catch (const std::exception&) {
            co_return; // then a suspension follows all the same
        }
    };
    const auto main = [&]() -> Coro<> {
        co_await outermost();
        co_await turns(1); // where a cancellation that was kept comes out
    };
    const Task<> task = create_task(main);
    bool cancelled = false;
    if (dice.one_in(4)) {
        co_await wait({task});
    } else {
        co_await dice.pause();
        co_await dice.pause();
        cancelled = task.cancel();
        co_await wait({task});
    }
    CHECK(task.cancelled() == cancelled);
    CHECK(all_tasks().size() == 1);
    for (const std::string& text : reports.texts()) {
        CHECK(text.starts_with("exception in shielded future"));
    }
}
