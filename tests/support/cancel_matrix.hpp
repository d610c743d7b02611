#pragma once
/// Cancels whatever can be awaited at every moment there is: a table of awaitables by a table of
/// moments.

#include "coro_test.hpp"

#include <muster/core/coro.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/task.hpp>
#include <muster/testing.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace muster::testing_support {

/// What a cancellation does to a wait.
enum class CancelRule : std::uint8_t {
    cancel_wins,       ///< ends it, and beats a result that the task has not seen yet
    result_wins,       ///< ends it, but a result that has come is given; the next suspension throws
    never_interrupted, ///< the result is waited for and given; the next suspension throws
};

/// One awaitable and what belongs to it, made anew for each cell of the matrix, on a running loop.
class Awaited {
public:
    Awaited() = default;
    Awaited(const Awaited&) = delete;
    Awaited& operator=(const Awaited&) = delete;
    virtual ~Awaited() = default;

    /// Awaits it, once.
    virtual Coro<> wait() = 0;

    /// Lets what is awaited come, whether somebody still waits or not. Called once.
    virtual Coro<> complete() = 0;

    /// After the wait and `complete`: whether nothing is lost and nothing is held. `got`: how many
    /// waits have ended with a result.
    virtual bool intact(int got) = 0;
};

struct CancelRow {
    std::string name;
    CancelRule rule;
    std::function<std::unique_ptr<Awaited>()> make;
};

namespace cancel_matrix {

struct AlwaysIntact {
    template <class World>
    bool operator()(World&, int) const noexcept {
        return true;
    }
};

template <class World, class Wait, class Complete, class Intact>
class AwaitedIn final : public Awaited {
public:
    AwaitedIn(Wait wait, Complete complete, Intact intact)
        : wait_(wait), complete_(complete), intact_(intact) {}

    Coro<> wait() override { return wait_(world_); }

    Coro<> complete() override {
        if constexpr (std::is_void_v<std::invoke_result_t<Complete&, World&>>) {
            complete_(world_);
            co_return;
        } else {
            co_await complete_(world_);
        }
    }

    bool intact(int got) override { return intact_(world_, got); }

private:
    World world_;
    Wait wait_;
    Complete complete_;
    Intact intact_;
};

/// A cell of the matrix. Shared with its task, which may outlive the column when a check fails.
struct Cell {
    explicit Cell(const CancelRow& row) : rule(row.rule), awaited(row.make()) {}

    CancelRule rule;
    std::unique_ptr<Awaited> awaited;
    int begun = 0;  // tasks that reached their wait
    int got = 0;    // waits that gave a result
    int caught = 0; // CancelledErrors
    int after = 0;  // tasks that got past the suspension after their wait
};

using CellPtr = std::shared_ptr<Cell>;

inline bool interrupted(const CellPtr& cell) { return cell->rule != CancelRule::never_interrupted; }

// More turns than any wait of a table needs to begin or to end.
constexpr int settled = 12;

inline Coro<> waits_once(CellPtr cell) {
    ++cell->begun;
    co_await cell->awaited->wait();
    ++cell->got;
    co_await turns(1); // where a cancellation that was kept comes out
    ++cell->after;
}

inline Coro<> cancels_itself(CellPtr cell) {
    current_task().cancel("self");
    co_await waits_once(cell);
}

/// Goes on after its cancellation, and cleans up for an hour.
inline Coro<> cleans_up(CellPtr cell) {
    try {
        co_await waits_once(cell);
    } catch (const CancelledError&) {
        ++cell->caught;
    }
    co_await async_sleep(std::chrono::hours(1));
}

/// Goes on after its cancellation, and suspends again.
inline Coro<> goes_on(CellPtr cell) {
    try {
        co_await waits_once(cell);
    } catch (const CancelledError&) {
        ++cell->caught;
    }
    co_await turns(2);
}

inline Coro<> finish(CellPtr cell) {
    co_await cell->awaited->complete();
    co_await turns(settled);
}

inline void check_end(const CellPtr& cell, const Task<>& task, const std::string& expected,
                      int got) {
    CHECK(ending(task) == expected);
    CHECK(cell->got == got);
    CHECK(cell->after == (expected == "value" ? 1 : 0));
    CHECK_MESSAGE(cell->awaited->intact(cell->got), "something was lost, or is still held");
}

// --- the columns ---

inline Coro<> before_the_first_step(const CancelRow& row) {
    const auto cell = std::make_shared<Cell>(row);
    const Task<> task = create_task(waits_once(cell));
    task.cancel("early");
    co_await turns(1);
    CHECK(task.done());
    CHECK(cell->begun == 0);
    co_await finish(cell);
    check_end(cell, task, "cancelled: early", 0);
}

inline Coro<> before_the_await(const CancelRow& row) {
    const auto cell = std::make_shared<Cell>(row);
    const Task<> task = create_task(cancels_itself(cell));
    co_await turns(settled);
    CHECK(task.done() == interrupted(cell));
    co_await finish(cell);
    check_end(cell, task, "cancelled: self", interrupted(cell) ? 0 : 1);
}

inline Coro<> while_it_waits(const CancelRow& row) {
    const auto cell = std::make_shared<Cell>(row);
    const Task<> task = create_task(waits_once(cell));
    co_await turns(settled);
    CHECK_FALSE(task.done());
    CHECK(task.cancel("why"));
    co_await turns(settled);
    CHECK(task.done() == interrupted(cell));
    co_await finish(cell);
    check_end(cell, task, "cancelled: why", interrupted(cell) ? 0 : 1);
}

/// The turns from the completion to the result.
inline Coro<int> turns_to_result(const CancelRow& row) {
    const auto cell = std::make_shared<Cell>(row);
    const Task<> task = create_task(waits_once(cell));
    co_await turns(settled);
    co_await cell->awaited->complete();
    int count = 0;
    for (; cell->got == 0 && count < settled; ++count) {
        co_await turns(1);
    }
    co_await turns(settled);
    check_end(cell, task, "value", 1);
    CHECK_MESSAGE(count > 0, "complete() must not let the task resume");
    co_return count;
}

inline Coro<> after_the_completion(const CancelRow& row) {
    const int count = co_await turns_to_result(row);
    for (int late = 0; late < count; ++late) {
        CAPTURE(late);
        const auto cell = std::make_shared<Cell>(row);
        const Task<> task = create_task(waits_once(cell));
        co_await turns(settled);
        co_await cell->awaited->complete();
        co_await turns(late);
        CHECK(task.cancel("late"));
        co_await turns(settled);
        check_end(cell, task, "cancelled: late", cell->rule == CancelRule::cancel_wins ? 0 : 1);
    }
}

inline Coro<> just_before_the_completion(const CancelRow& row) {
    const auto cell = std::make_shared<Cell>(row);
    const Task<> task = create_task(waits_once(cell));
    co_await turns(settled);
    task.cancel("first");
    co_await finish(cell);
    check_end(cell, task, "cancelled: first", interrupted(cell) ? 0 : 1);
}

inline Coro<> again_during_the_clean_up(const CancelRow& row) {
    const auto cell = std::make_shared<Cell>(row);
    const Task<> task = create_task(cleans_up(cell));
    co_await turns(settled);
    task.cancel("once");
    if (!interrupted(cell)) {
        co_await cell->awaited->complete();
    }
    co_await turns(settled);
    CHECK(cell->caught == 1);
    CHECK_FALSE(task.done());
    task.cancel("again");
    co_await turns(settled);
    CHECK(task.cancelling() == 2);
    if (interrupted(cell)) {
        co_await finish(cell);
    }
    check_end(cell, task, "cancelled: again", interrupted(cell) ? 0 : 1);
}

inline Coro<> twice_before_it_resumes(const CancelRow& row) {
    const auto cell = std::make_shared<Cell>(row);
    const Task<> task = create_task(goes_on(cell));
    co_await turns(settled);
    task.cancel("one");
    task.cancel("two");
    co_await turns(settled);
    co_await finish(cell);
    CHECK(cell->caught == 1);
    CHECK(ending(task) == "value"); // the second is part of the first
    CHECK(task.cancelling() == 2);
    CHECK(cell->got == (interrupted(cell) ? 0 : 1));
    CHECK(cell->awaited->intact(cell->got));
}

inline Coro<> and_uncancelled_while_it_waits(const CancelRow& row) {
    const auto cell = std::make_shared<Cell>(row);
    const Task<> task = create_task(waits_once(cell));
    co_await turns(settled);
    task.cancel("not so");
    CHECK(task.uncancel() == 0);
    co_await finish(cell);
    // What waited is cancelled already, and is only uncounted; what was kept is withdrawn.
    if (interrupted(cell)) {
        check_end(cell, task, "cancelled: not so", 0);
    } else {
        check_end(cell, task, "value", 1);
    }
}

inline Coro<> and_uncancelled_after_the_completion(const CancelRow& row) {
    const int count = co_await turns_to_result(row);
    const auto cell = std::make_shared<Cell>(row);
    const Task<> task = create_task(waits_once(cell));
    co_await turns(settled);
    co_await cell->awaited->complete();
    co_await turns(count - 1); // before that, a child may be cancelled and not uncancelled
    CHECK(cell->got == 0);
    task.cancel("not so");
    CHECK(task.uncancel() == 0);
    co_await turns(settled);
    check_end(cell, task, "value", 1);
}

/// The loop goes when the task is cancelled and has not resumed.
inline void and_its_loop_destroyed(const CancelRow& row) {
    if (row.rule == CancelRule::never_interrupted) {
        return; // a loop that goes would wait for what is never completed here
    }
    CellPtr cell;
    Task<> task;
    {
        auto loop = testing::make_virtual_loop();
        const auto start = [&]() -> Coro<> {
            cell = std::make_shared<Cell>(row);
            task = create_task(goes_on(cell));
            co_await turns(settled);
        };
        loop->run_until_complete(start());
        CHECK(cell->begun == 1);
        CHECK(task.cancel("late"));
    }
    CHECK(task.cancelled());
    CHECK(cell->got == 0);
    CHECK(cell->caught == 0);
    CHECK_MESSAGE(cell.use_count() == 1, "a frame was not destroyed");
}

template <Coro<> (*column)(const CancelRow&)>
void on_virtual_loop(const CancelRow& row) {
    testing::run_virtual(column(row));
}

struct Column {
    const char* name;
    void (*check)(const CancelRow&);
};

inline constexpr std::array columns = {
    Column{"before the first step", on_virtual_loop<before_the_first_step>},
    Column{"before the await", on_virtual_loop<before_the_await>},
    Column{"while it waits", on_virtual_loop<while_it_waits>},
    Column{"in the turns after the completion", on_virtual_loop<after_the_completion>},
    Column{"just before the completion", on_virtual_loop<just_before_the_completion>},
    Column{"again during the clean-up", on_virtual_loop<again_during_the_clean_up>},
    Column{"twice before it resumes", on_virtual_loop<twice_before_it_resumes>},
    Column{"and uncancelled while it waits", on_virtual_loop<and_uncancelled_while_it_waits>},
    Column{"and uncancelled after the completion",
           on_virtual_loop<and_uncancelled_after_the_completion>},
    Column{"and its loop destroyed", and_its_loop_destroyed},
};

} // namespace cancel_matrix

/// A row of the matrix. `World` is default constructed on a running loop; `wait(world)` is a
/// coroutine, `complete(world)` a function or a coroutine, `intact(world, got)` gives a bool. See
/// Awaited.
template <class World, class Wait, class Complete, class Intact = cancel_matrix::AlwaysIntact>
CancelRow cancel_row(std::string name, CancelRule rule, Wait wait, Complete complete,
                     Intact intact = {}) {
    using Made = cancel_matrix::AwaitedIn<World, Wait, Complete, Intact>;
    return {std::move(name), rule, [=]() -> std::unique_ptr<Awaited> {
                return std::make_unique<Made>(wait, complete, intact);
            }};
}

/// Checks every row at every moment.
inline void check_cancellation(const std::vector<CancelRow>& rows) {
    for (const CancelRow& row : rows) {
        CAPTURE(row.name);
        for (const cancel_matrix::Column& column : cancel_matrix::columns) {
            const std::string moment = column.name;
            CAPTURE(moment);
            column.check(row);
        }
    }
}

} // namespace muster::testing_support
