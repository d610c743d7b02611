#include "coro_test.hpp"
#include "loop_reports.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::LoopReports;
using testing_support::outcome;
using testing_support::turns;

namespace {

Coro<int> after(std::chrono::seconds delay, int value) {
    co_await async_sleep(delay);
    co_return value;
}

Coro<> fail_after(std::chrono::seconds delay, std::string text) {
    co_await async_sleep(delay);
    throw ValueError(text);
}

// Sleeps; counts when it is cancelled.
Coro<> counting(int& count, int amount = 1) {
    try {
        co_await async_sleep(1h);
    } catch (const CancelledError&) {
        count += amount;
        throw;
    }
}

// The texts of all errors of a group; the name of what else was thrown.
template <class F>
Coro<std::vector<std::string>> errors_of(F body) {
    std::vector<std::string> texts;
    try {
        co_await task_group(std::move(body));
    } catch (const ExceptionGroup& group) {
        for (const std::exception_ptr& error : group.exceptions()) {
            try {
                std::rethrow_exception(error);
            } catch (const ExceptionGroup&) {
                texts.emplace_back("a nested group");
            } catch (const std::exception& exception) {
                texts.emplace_back(exception.what());
            }
        }
    }
    co_return texts;
}

} // namespace

CO_TEST_CASE("131. the block waits for all children, their results are readable afterwards") {
    const Clock::time_point start = Clock::now();
    std::optional<Task<int>> one;
    std::optional<Task<int>> two;
    const int value = co_await task_group([&](TaskGroup& group) -> Coro<int> {
        one = group.create_task(after(2s, 1));
        co_await async_sleep(1s);
        two = group.create_task(after(2s, 2)); // while the first runs
        co_return 7;
    });
    CHECK(value == 7);
    CHECK(one->result() + two->result() == 3);
    CHECK(Clock::now() - start == 3s);
}

CO_TEST_CASE("a group without children is over when its body is, without a turn") {
    bool other_ran = false;
    get_running_loop().call_soon([&] { other_ran = true; });
    const int value = co_await task_group([](TaskGroup&) -> Coro<int> { co_return 1; });
    CHECK(value == 1);
    CHECK_FALSE(other_ran);
    co_await turns();
}

CO_TEST_CASE(
    "133. a child that fails cancels the others and the body, the group throws its error") {
    int cancelled = 0;
    bool went_on = false;
    const auto texts = co_await errors_of([&](TaskGroup& group) -> Coro<> {
        group.create_task(counting(cancelled));
        group.create_task(fail_after(1s, "bad"));
        co_await counting(cancelled, 10);
        went_on = true;
    });
    CHECK(texts == std::vector<std::string>{"bad"});
    CHECK(cancelled == 11);
    CHECK_FALSE(went_on);
    CHECK(current_task().cancelling() == 0);
    co_await async_sleep(0s); // nothing is left over
}

CO_TEST_CASE("133. a child that fails while the block waits at its end cancels the others") {
    int cancelled = 0;
    const auto texts = co_await errors_of([&](TaskGroup& group) -> Coro<> {
        group.create_task(counting(cancelled));
        group.create_task(fail_after(1s, "bad"));
        co_return;
    });
    CHECK(texts == std::vector<std::string>{"bad"});
    CHECK(cancelled == 1);
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE("135. children that fail in the same turn are all in the group, in order") {
    const auto texts = co_await errors_of([](TaskGroup& group) -> Coro<> {
        for (int i = 0; i < 3; ++i) {
            group.create_task(fail_after(1s, std::to_string(i)));
        }
        co_await async_sleep(1h);
    });
    CHECK(texts == std::vector<std::string>{"0", "1", "2"});
}

CO_TEST_CASE("an error that a child makes of its cancellation is in the group too") {
    const auto texts = co_await errors_of([](TaskGroup& group) -> Coro<> {
        group.create_task([]() -> Coro<> {
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                throw ValueError("second");
            }
        });
        group.create_task(fail_after(1s, "first"));
        co_return;
    });
    CHECK(texts == std::vector<std::string>{"first", "second"});
}

CO_TEST_CASE("137. when body and child fail, the group has both") {
    const auto texts = co_await errors_of([](TaskGroup& group) -> Coro<> {
        group.create_task([]() -> Coro<> {
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                throw ValueError("child");
            }
        });
        co_await async_sleep(1s);
        throw ValueError("body");
    });
    CHECK(texts == std::vector<std::string>{"child", "body"});
}

CO_TEST_CASE("a body that fails cancels the children, and its error comes in a group") {
    int cancelled = 0;
    const auto texts = co_await errors_of([&](TaskGroup& group) -> Coro<> {
        group.create_task(counting(cancelled));
        co_await async_sleep(1s);
        throw ValueError("body");
    });
    CHECK(texts == std::vector<std::string>{"body"});
    CHECK(cancelled == 1);
}

CO_TEST_CASE("139. a cancelled parent's body and children all see it") {
    int cancelled = 0;
    const auto body = [&]() -> Coro<> {
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            for (int i = 0; i < 5; ++i) {
                group.create_task(counting(cancelled));
            }
            co_await counting(cancelled, 10);
        });
    };
    const Task<> task = create_task(body);
    co_await turns(3);
    task.cancel("stop");
    co_await turns(4);
    CHECK(ending(task) == "cancelled: stop");
    CHECK(cancelled == 15);
    CHECK(task.cancelling() == 1);
}

CO_TEST_CASE("a parent cancelled while it waits at the end of the block cancels the children") {
    int cancelled = 0;
    const auto body = [&]() -> Coro<> {
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(counting(cancelled));
            group.create_task(counting(cancelled));
            co_return;
        });
    };
    const Task<> task = create_task(body);
    co_await turns(3);
    task.cancel();
    co_await turns(4);
    CHECK(outcome(task) == "cancelled");
    CHECK(cancelled == 2);
}

CO_TEST_CASE("141. cancelled twice at its end, the group still waits for slow children") {
    bool left = false;
    const auto slow = [&]() -> Coro<> {
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        co_await async_sleep(5s);
        left = true;
    };
    const auto body = [&]() -> Coro<> {
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(slow);
            co_return;
        });
    };
    const Task<> task = create_task(body);
    co_await turns(3);
    task.cancel();
    co_await turns(2);
    task.cancel();
    co_await turns(2);
    CHECK_FALSE(task.done());
    co_await async_sleep(6s);
    CHECK(left);
    CHECK(outcome(task) == "cancelled");
    CHECK(task.cancelling() == 2);
}

CO_TEST_CASE("143. a failure beside an inner group ends it quietly: errors are not nested") {
    int cancelled = 0;
    const auto texts = co_await errors_of([&](TaskGroup& outer) -> Coro<> {
        outer.create_task(fail_after(1s, "outer"));
        co_await task_group([&](TaskGroup& inner) -> Coro<> {
            inner.create_task(counting(cancelled));
            co_await async_sleep(1h);
        });
    });
    CHECK(texts == std::vector<std::string>{"outer"});
    CHECK(cancelled == 1);
}

CO_TEST_CASE("145. children may add children while the parent waits, the group waits for all") {
    const Clock::time_point start = Clock::now();
    std::vector<std::string> done;
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        group.create_task([&]() -> Coro<> {
            co_await async_sleep(1s);
            group.create_task([&]() -> Coro<> {
                co_await async_sleep(1s);
                group.create_task([&]() -> Coro<> {
                    co_await async_sleep(1s);
                    done.emplace_back("great-grandchild");
                });
                done.emplace_back("grandchild");
            });
            done.emplace_back("child");
        });
        co_return;
    });
    CHECK(done == std::vector<std::string>{"child", "grandchild", "great-grandchild"});
    CHECK(Clock::now() - start == 3s);
}

CO_TEST_CASE("147. create_task before the block or after it throws, and destroys the coroutine") {
    const auto argument = std::make_shared<int>(1);
    const auto body = [](std::shared_ptr<int>) -> Coro<> { co_return; };
    TaskGroup unused;
    CHECK_THROWS_AS(unused.create_task(body(argument)), RuntimeError);
    unused.cancel();
    CHECK(argument.use_count() == 1);
    std::vector<std::string> errors;
    const auto try_create = [&](TaskGroup& group) {
        try {
            group.create_task(body(argument));
        } catch (const RuntimeError& error) {
            errors.emplace_back(error.what());
        }
    };
    // A group that is shutting down takes no more either.
    co_await errors_of([&](TaskGroup& group) -> Coro<> {
        group.create_task(fail_after(0s, "bad"));
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            try_create(group);
            throw;
        }
    });
    CHECK(errors == std::vector<std::string>{"TaskGroup is shutting down"});
    CHECK(argument.use_count() == 1);
}

CO_TEST_CASE("149. two nested groups that fail in the same turn: each throws, the count is kept") {
    unsigned between = 99;
    std::vector<std::string> inner_errors;
    const auto outer_errors = co_await errors_of([&](TaskGroup& outer) -> Coro<> {
        outer.create_task(fail_after(1s, "outer"));
        inner_errors = co_await errors_of([&](TaskGroup& inner) -> Coro<> {
            inner.create_task(fail_after(1s, "inner"));
            co_await async_sleep(1h);
        });
        between = current_task().cancelling();
        co_await async_sleep(1h); // interrupted: the outer group's request is still there
    });
    CHECK(inner_errors == std::vector<std::string>{"inner"});
    CHECK(between == 1);
    CHECK(outer_errors == std::vector<std::string>{"outer"});
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE(
    "151. cancel() ends children and body without an exception, however often it is called") {
    int cancelled = 0;
    std::string refused;
    const Clock::time_point start = Clock::now();
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        group.create_task(counting(cancelled));
        group.create_task(counting(cancelled));
        co_await async_sleep(1s);
        group.cancel();
        group.cancel();
        try {
            group.create_task(after(1s, 1));
        } catch (const RuntimeError& error) {
            refused = error.what();
        }
        co_await async_sleep(1h);
    });
    CHECK(cancelled == 2);
    CHECK(refused == "TaskGroup is shutting down");
    CHECK(Clock::now() - start == 1s);
    CHECK(current_task().cancelling() == 0);
    co_await async_sleep(0s);
}

CO_TEST_CASE("151. a child cancels its group while the block waits at the end") {
    int cancelled = 0;
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        group.create_task(counting(cancelled));
        group.create_task([&]() -> Coro<> {
            co_await async_sleep(1s);
            group.cancel();
        });
        co_return;
    });
    CHECK(cancelled == 1);
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE("151. cancel() before the body's first await, and as its last act") {
    int cancelled = 0;
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        group.cancel();
        co_await counting(cancelled);
    });
    CHECK(cancelled == 1);
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        group.create_task(counting(cancelled));
        co_await turns();
        group.cancel();
    });
    CHECK(cancelled == 2);
    const int value = co_await task_group([&](TaskGroup& group) -> Coro<int> {
        group.cancel();
        co_return 5;
    });
    CHECK(value == 5);
    CHECK(current_task().cancelling() == 0);
    co_await async_sleep(0s);
}

CO_TEST_CASE("151. a cancellation from outside beside cancel() goes through") {
    int cancelled = 0;
    const auto body = [&]() -> Coro<> {
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task([&]() -> Coro<> {
                try {
                    co_await async_sleep(1h);
                } catch (const CancelledError&) {
                    ++cancelled;
                }
                co_await async_sleep(2s);
            });
            co_await async_sleep(1s);
            group.cancel();
            co_await async_sleep(1h);
        });
        co_await async_sleep(1h);
    };
    const Task<> task = create_task(body);
    co_await async_sleep(2s);
    CHECK(cancelled == 1);
    task.cancel();
    co_await async_sleep(2s);
    CHECK(outcome(task) == "cancelled");
}

CO_TEST_CASE("a child that is cancelled is no error, and the others run on") {
    std::optional<Task<int>> other;
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        const Task<int> victim = group.create_task(after(1h, 1));
        other = group.create_task(after(1s, 2));
        co_await turns();
        victim.cancel();
    });
    CHECK(other->result() == 2);
}

CO_TEST_CASE("errors of children are told to nobody else") {
    const LoopReports reports(get_running_loop());
    co_await errors_of([](TaskGroup& group) -> Coro<> {
        group.create_task(fail_after(1s, "one"));
        group.create_task(fail_after(1s, "two"));
        co_return;
    });
    co_await turns(3);
    get_running_loop().set_exception_handler(nullptr);
    CHECK(reports.texts().empty());
}

CO_TEST_CASE("errors outrank a cancellation from outside, which is kept for the next await") {
    std::string caught;
    const auto child = []() -> Coro<> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            throw ValueError("child");
        }
    };
    const auto body = [&]() -> Coro<> {
        try {
            co_await task_group([&](TaskGroup& group) -> Coro<> {
                group.create_task(child);
                co_await async_sleep(1h);
            });
        } catch (const ExceptionGroup& group) {
            caught = group.contains<ValueError>() ? "group" : "other";
        }
        CHECK(current_task().cancelling() == 1);
        co_await async_sleep(1h);
    };
    const Task<> task = create_task(body);
    co_await turns(3);
    task.cancel();
    co_await turns(6);
    CHECK(caught == "group");
    CHECK(outcome(task) == "cancelled");
}

CO_TEST_CASE("a timeout around a group, and a group around timeouts") {
    int cancelled = 0;
    bool timed_out = false;
    try {
        co_await timeout(1s, [&]() -> Coro<> {
            co_await task_group([&](TaskGroup& group) -> Coro<> {
                group.create_task(counting(cancelled));
                co_await counting(cancelled);
            });
        });
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    CHECK(cancelled == 2);
    const auto texts = co_await errors_of([&](TaskGroup& group) -> Coro<> {
        group.create_task(timeout(1s, [&] { return counting(cancelled); }));
        group.create_task(counting(cancelled));
        co_return;
    });
    CHECK(texts == std::vector<std::string>{"timed out"});
    CHECK(cancelled == 4);
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE("task_group: cancelled before it starts, before the await, and in the last turn") {
    int cancelled = 0;
    bool child_ran = false;
    const auto child = [&]() -> Coro<> {
        child_ran = true;
        co_return;
    };
    const auto body = [&](bool cancel_first) -> Coro<> {
        if (cancel_first) {
            current_task().cancel();
        }
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(child);
            co_return;
        });
    };
    const Task<> unstarted = create_task(body, false);
    unstarted.cancel();
    const Task<> latched = create_task(body, true);
    co_await turns(5);
    CHECK(outcome(unstarted) == "cancelled");
    CHECK(outcome(latched) == "cancelled");
    CHECK_FALSE(child_ran); // cancelled before its first step

    const auto future = get_running_loop().create_future<int>();
    const auto waits = [&]() -> Coro<> {
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task([&]() -> Coro<> { static_cast<void>(co_await future); });
            co_return;
        });
    };
    const Task<> last = create_task(waits);
    co_await turns(3);
    future.set_result(1);
    co_await turns(1); // the child has ended, the parent has not resumed
    last.cancel();
    co_await turns(3);
    CHECK(outcome(last) == "cancelled");
    CHECK(cancelled == 0);
}

CO_TEST_CASE("children of a group that start eagerly") {
    std::vector<int> order;
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        group.create_task(
            [](std::vector<int>& list) -> Coro<> {
                list.push_back(1);
                co_return;
            }(order),
            {.eager_start = true});
        order.push_back(2);
        co_return;
    });
    CHECK(order == std::vector<int>{1, 2});
    const auto texts = co_await errors_of([](TaskGroup& group) -> Coro<> {
        group.create_task(
            []() -> Coro<> {
                throw ValueError("at once");
                co_return;
            }(),
            {.eager_start = true});
        co_await async_sleep(1h);
    });
    CHECK(texts == std::vector<std::string>{"at once"});
}
