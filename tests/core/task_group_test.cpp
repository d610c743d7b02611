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

// Sleeps; notes that it was cancelled.
Coro<> counting_flag(bool& cancelled) {
    try {
        co_await async_sleep(1h);
    } catch (const CancelledError&) {
        cancelled = true;
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

CO_TEST_CASE(
    "151. cancelled from outside after cancel(), while it waits at its end, the block throws") {
    const auto slow = []() -> Coro<> {
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        co_await async_sleep(1s);
    };
    bool went_on = false;
    const auto body = [&]() -> Coro<> {
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(slow);
            group.create_task([&]() -> Coro<> {
                co_await turns(2);
                group.cancel();
            });
            co_return;
        });
        went_on = true;
    };
    const Task<> task = create_task(body);
    co_await turns(6);
    CHECK_FALSE(task.done());
    task.cancel("outside");
    co_await async_sleep(2s);
    CHECK(ending(task) == "cancelled: outside");
    CHECK_FALSE(went_on);
    CHECK(task.cancelling() == 1);
}

CO_TEST_CASE("151. a cancellation from outside that comes after the last child has ended is kept") {
    const auto body = []() -> Coro<> {
        co_await task_group([](TaskGroup& group) -> Coro<> {
            const Task<> child = group.create_task(turns());
            group.create_task([&group, child]() -> Coro<> {
                co_await child;
                group.cancel();
            });
            co_return;
        });
    };
    // In whichever turn it comes.
    for (int turn = 0; turn < 8; ++turn) {
        CAPTURE(turn);
        const Task<> task = create_task(body);
        co_await turns(turn);
        const bool taken = task.cancel("outside");
        co_await turns(8);
        CHECK(ending(task) == (taken ? "cancelled: outside" : "value"));
    }
}

CO_TEST_CASE("151. a task whose eager first step cancels the group is cancelled itself") {
    get_running_loop().set_eager_tasks(true);
    bool cancelled = false;
    const Clock::time_point start = Clock::now();
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        group.create_task([&]() -> Coro<> {
            group.cancel();
            co_await counting_flag(cancelled);
        });
        co_return;
    });
    CHECK(cancelled);
    CHECK(Clock::now() == start);
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE("147. create_task in the turn in which the block's last child has ended throws") {
    const auto argument = std::make_shared<int>(1);
    const auto body = [](std::shared_ptr<int>) -> Coro<> { co_await async_sleep(1h); };
    std::vector<std::string> answers;
    const auto future = get_running_loop().create_future<void>();
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        const Task<> last = group.create_task([&]() -> Coro<> { co_await future; });
        // Called a turn after the child's end, and after the group has taken note of it.
        last.add_done_callback([&](const Task<>&) {
            try {
                group.create_task(body(argument));
            } catch (const RuntimeError& error) {
                answers.emplace_back(error.what());
            }
        });
        get_running_loop().call_later(1s, [&] { future.set_result(); });
        co_return;
    });
    CHECK(answers == std::vector<std::string>{"TaskGroup is finished"});
    CHECK(argument.use_count() == 1);
    CHECK(all_tasks().size() == 1);
}

CO_TEST_CASE("a cancelled body that takes its time, and a child that fails meanwhile: its error") {
    std::vector<std::string> seen;
    const auto body = [&]() -> Coro<> {
        seen = co_await errors_of([](TaskGroup& group) -> Coro<> {
            group.create_task(fail_after(3s, "meanwhile"));
            std::exception_ptr cancelled;
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                cancelled = std::current_exception();
            }
            co_await async_sleep(5s);
            std::rethrow_exception(cancelled);
        });
        co_await turns();
    };
    const Task<> task = create_task(body);
    co_await async_sleep(1s);
    task.cancel();
    co_await async_sleep(3s);
    CHECK(seen == std::vector<std::string>{"meanwhile"});
    CHECK(outcome(task) == "cancelled"); // by the request that the group has kept
}

CO_TEST_CASE("a cancelled body that throws something else throws it in a group") {
    std::vector<std::string> seen;
    const auto body = [&]() -> Coro<> {
        seen = co_await errors_of([](TaskGroup&) -> Coro<> {
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                throw ValueError("instead");
            }
        });
    };
    const Task<> task = create_task(body);
    co_await turns();
    task.cancel();
    co_await turns(2);
    CHECK(seen == std::vector<std::string>{"instead"});
}

CO_TEST_CASE("an inner group that fails comes as a group in the outer one, also when cancelled") {
    const auto texts = co_await errors_of([](TaskGroup& outer) -> Coro<> {
        outer.create_task(after(1h, 1));
        co_await task_group([](TaskGroup& inner) -> Coro<> {
            inner.create_task(fail_after(1s, "inner"));
            co_return;
        });
    });
    CHECK(texts == std::vector<std::string>{"a nested group"});
    std::vector<std::string> seen;
    const auto body = [&]() -> Coro<> {
        seen = co_await errors_of([](TaskGroup& outer) -> Coro<> {
            outer.create_task(after(1h, 1));
            co_await task_group([](TaskGroup& inner) -> Coro<> {
                inner.create_task([]() -> Coro<> {
                    try {
                        co_await async_sleep(1h);
                    } catch (const CancelledError&) {
                        throw ValueError("leaving");
                    }
                });
                co_await async_sleep(1h);
            });
        });
    };
    const Task<> task = create_task(body);
    co_await turns(3);
    task.cancel();
    co_await async_sleep(1s);
    CHECK(seen == std::vector<std::string>{"a nested group"});
}

CO_TEST_CASE("a child that fails at once cancels a sibling that is being created") {
    bool cancelled = false;
    const auto texts = co_await errors_of([&](TaskGroup& group) -> Coro<> {
        group.create_task([&]() -> Coro<> {
            group.create_task(fail_after(0s, "third"));
            co_await counting_flag(cancelled);
        });
        co_return;
    });
    CHECK(texts == std::vector<std::string>{"third"});
    CHECK(cancelled);
    co_await turns(); // no cancellation has leaked out
}

CO_TEST_CASE("children that have ended are not kept, however long the group lives") {
    co_await task_group([](TaskGroup& group) -> Coro<> {
        const auto value = std::make_shared<int>(1);
        for (int i = 0; i < 10; ++i) {
            group.create_task([](std::shared_ptr<int>) -> Coro<> { co_return; }, value);
            co_await turns(3);
            CHECK(value.use_count() == 1);
        }
    });
}

CO_TEST_CASE("a task of a group has a name and a context as others have") {
    static const ContextVar<int> number("number", 0);
    const Context context;
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        const auto body = [](int value) -> Coro<std::string> {
            number.set(value);
            co_await turns();
            co_return current_task().name();
        };
        const Task<std::string> one =
            group.create_task(body(1), {.name = "yolo", .context = context});
        const std::string name = co_await one;
        CHECK(name == "yolo");
        CHECK(context.run([] { return number.get(); }) == 1);
        co_await group.create_task(body(2), {.context = context});
        CHECK(context.run([] { return number.get(); }) == 2);
        CHECK(number.get() == 0);
    });
}

// --- start ---

CO_TEST_CASE("start waits for the word and gives its value, the task runs on in the group") {
    std::vector<std::string> notes;
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        const auto server = [&](TaskStatus<int> status, std::string name) -> Coro<> {
            co_await async_sleep(1s);
            status.started(8080);
            co_await async_sleep(1s);
            notes.push_back(name + " ended");
        };
        const int port = co_await group.start(server, std::string("server"));
        notes.push_back("port " + std::to_string(port));
    });
    CHECK(notes == std::vector<std::string>{"port 8080", "server ended"});
}

CO_TEST_CASE("start with no value, with a generic lambda, and with a word given at once") {
    get_running_loop().set_eager_tasks(true);
    int ran = 0;
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        co_await group.start([&](TaskStatus<> status) -> Coro<> {
            status.started();
            ++ran;
            co_return;
        });
        const int value = co_await group.start<int>([&](auto status) -> Coro<> {
            status.started(5);
            co_await turns();
            ++ran;
        });
        CHECK(value == 5);
    });
    CHECK(ran == 2);
}

CO_TEST_CASE("what a task throws before its word is thrown by start, and the group lives on") {
    int cancelled = 0;
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        const Task<> other = group.create_task(counting(cancelled));
        std::string text;
        try {
            co_await group.start([](TaskStatus<>) -> Coro<> {
                co_await turns();
                throw ValueError("port in use");
            });
        } catch (const ValueError& error) {
            text = error.what();
        }
        CHECK(text == "port in use");
        text.clear();
        try {
            co_await group.start([](TaskStatus<int>) -> Coro<> { co_await turns(); });
        } catch (const RuntimeError& error) {
            text = error.what();
        }
        CHECK(text.find("without calling started()") != std::string::npos);
        CHECK_FALSE(other.done());
        const int value = co_await group.start([](TaskStatus<int> status) -> Coro<> {
            status.started(1);
            co_return;
        });
        CHECK(value == 1);
        CHECK(cancelled == 0);
        group.cancel();
    });
    CHECK(cancelled == 1);
}

CO_TEST_CASE("what a started task throws after its word is the group's error") {
    const auto texts = co_await errors_of([](TaskGroup& group) -> Coro<> {
        co_await group.start([](TaskStatus<> status) -> Coro<> {
            status.started();
            co_await async_sleep(1s);
            throw ValueError("later");
        });
        co_await async_sleep(1h);
    });
    CHECK(texts == std::vector<std::string>{"later"});
}

CO_TEST_CASE("started() twice throws RuntimeError") {
    const auto texts = co_await errors_of([](TaskGroup& group) -> Coro<> {
        co_await group.start([](TaskStatus<> status) -> Coro<> {
            status.started();
            status.started();
            co_return;
        });
        co_await async_sleep(1h);
    });
    CHECK(texts == std::vector<std::string>{"TaskStatus::started() was called twice"});
}

CO_TEST_CASE("start that is cancelled cancels its task and waits for it") {
    std::vector<std::string> notes;
    const auto slow = [&](TaskStatus<> status) -> Coro<> {
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        co_await async_sleep(2s);
        status.started(); // too late: nobody waits for the word, which is no error
        notes.emplace_back("task left");
    };
    const Clock::time_point start = Clock::now();
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        try {
            co_await wait_for(group.start(slow), 1s);
        } catch (const TimeoutError&) {
            notes.emplace_back("timed out");
        }
    });
    CHECK(notes == std::vector<std::string>{"task left", "timed out"});
    CHECK(Clock::now() - start == 3s);
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE("an error in the clean-up of a start that was cancelled is the group's") {
    const auto failing = [](TaskStatus<>) -> Coro<> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            throw ValueError("clean-up");
        }
    };
    const auto texts = co_await errors_of([&](TaskGroup& group) -> Coro<> {
        co_await move_on_after(1s, [&] { return group.start(failing); });
        co_await async_sleep(1h);
    });
    CHECK(texts == std::vector<std::string>{"clean-up"});
}

CO_TEST_CASE("a group that is cancelled while start waits ends both") {
    bool cancelled = false;
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        get_running_loop().call_later(1s, [&] { group.cancel(); });
        co_await group.start([&](TaskStatus<>) -> Coro<> { co_await counting_flag(cancelled); });
    });
    CHECK(cancelled);
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE("start in a group that takes no more throws, and runs nothing") {
    bool ran = false;
    std::string text;
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        group.cancel();
        try {
            co_await group.start([&](TaskStatus<>) -> Coro<> {
                ran = true;
                co_return;
            });
        } catch (const RuntimeError& error) {
            text = error.what();
        }
    });
    CHECK(text == "TaskGroup is shutting down");
    CHECK_FALSE(ran);
}

// --- KeyboardInterrupt ---

TEST_CASE("KeyboardInterrupt in the body outranks the errors of children, which are reported") {
    EventLoop loop;
    const LoopReports reports(loop);
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(fail_after(0s, "child"));
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            throw KeyboardInterrupt();
        }
    };
    const auto main = [&]() -> Coro<> { co_await task_group(body); };
    CHECK_THROWS_AS(loop.run_until_complete(main()), KeyboardInterrupt);
    REQUIRE(reports.texts().size() == 1);
    CHECK(reports.texts()[0].find("child") != std::string::npos);
}

TEST_CASE("KeyboardInterrupt in a child stops the loop; the group throws it when it is gone on") {
    EventLoop loop;
    const LoopReports reports(loop);
    bool interrupted = false;
    const auto main = [&]() -> Coro<> {
        try {
            co_await task_group([](TaskGroup& group) -> Coro<> {
                group.create_task([]() -> Coro<> {
                    co_await turns();
                    throw KeyboardInterrupt();
                });
                try {
                    co_await async_sleep(1h);
                } catch (const CancelledError&) {
                    throw ValueError("body");
                }
            });
        } catch (const KeyboardInterrupt&) {
            interrupted = true;
        }
    };
    const Task<> task = loop.create_task(main());
    CHECK_THROWS_AS(loop.run_until_complete(task), KeyboardInterrupt);
    CHECK_FALSE(task.done());
    loop.run_until_complete(task);
    CHECK(interrupted);
    REQUIRE(reports.texts().size() == 1);
    CHECK(reports.texts()[0].find("body") != std::string::npos);
}
