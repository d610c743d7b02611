#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;

namespace {

std::size_t timers() { return get_running_loop().core().timer_count(); }

Coro<> sleep_for(std::chrono::seconds delay) { co_await async_sleep(delay); }

} // namespace

CO_TEST_CASE("115. a block that ends in time gives its value and leaves no timer") {
    const Clock::time_point start = Clock::now();
    std::optional<Clock::time_point> when;
    bool expired = true;
    const std::size_t before = timers();
    const int value = co_await timeout(10s, [&](Timeout& limit) -> Coro<int> {
        co_await async_sleep(1s);
        when = limit.when();
        expired = limit.expired();
        co_return 5;
    });
    CHECK(value == 5);
    CHECK(when == start + 10s);
    CHECK_FALSE(expired);
    CHECK(timers() == before);
    CHECK(Clock::now() - start == 1s);
}

CO_TEST_CASE("a block that is too slow is cancelled, and TimeoutError thrown") {
    const Clock::time_point start = Clock::now();
    std::string seen;
    try {
        co_await timeout(2s, [&]() -> Coro<> {
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                seen = "cancelled";
                throw;
            }
        });
    } catch (const TimeoutError& error) {
        seen += std::string(", then ") + error.what();
    }
    CHECK(seen == "cancelled, then timed out");
    CHECK(Clock::now() - start == 2s);
    CHECK(current_task().cancelling() == 0);
    co_await async_sleep(0s); // nothing is left over
}

CO_TEST_CASE(
    "117. a deadline of now or before interrupts the first suspension, even a sleep of zero") {
    bool after = false;
    int timed_out = 0;
    const auto body = [&]() -> Coro<> {
        co_await async_sleep(0s);
        after = true;
    };
    for (const std::optional<Clock::time_point> when :
         {std::optional(Clock::now()), std::optional(Clock::now() - 1h)}) {
        try {
            co_await timeout_at(when, body);
        } catch (const TimeoutError&) {
            ++timed_out;
        }
    }
    for (const auto limit : {0s, -5s}) {
        try {
            co_await timeout(limit, body);
        } catch (const TimeoutError&) {
            ++timed_out;
        }
    }
    CHECK(timed_out == 4);
    CHECK_FALSE(after);
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE("a block that never suspends is not interrupted, however short the limit") {
    const int value = co_await timeout(0s, []() -> Coro<int> { co_return 3; });
    CHECK(value == 3);
    co_await turns();
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE("no limit, duration::max(), and NaN") {
    const int none = co_await timeout(std::nullopt, [](Timeout& limit) -> Coro<int> {
        CHECK_FALSE(limit.when().has_value());
        co_await async_sleep(24h);
        co_return 1;
    });
    const int longest = co_await timeout(std::chrono::hours::max(), []() -> Coro<int> {
        co_await async_sleep(24h);
        co_return 2;
    });
    CHECK(none + longest == 3);
    const std::chrono::duration<double> nan(std::numeric_limits<double>::quiet_NaN());
    CHECK_THROWS_AS(TimeLimit{nan}, ValueError);
}

CO_TEST_CASE("119. a block that turns the cancellation into an error throws that error") {
    bool expired = false;
    std::string text;
    try {
        co_await timeout(1s, [&](Timeout& limit) -> Coro<> {
            std::exception_ptr error;
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                expired = limit.expired();
                throw ValueError("mine");
            }
        });
    } catch (const ValueError& error) {
        text = error.what();
    }
    CHECK(text == "mine");
    CHECK(expired);
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE("121. a cancellation from outside before the deadline goes through") {
    bool expired = true;
    const auto body = [&]() -> Coro<> {
        co_await timeout(10s, [&](Timeout& limit) -> Coro<> {
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                expired = limit.expired();
                throw;
            }
        });
    };
    const Task<> task = create_task(body);
    co_await turns();
    task.cancel("outside");
    co_await turns();
    CHECK(ending(task) == "cancelled: outside");
    CHECK_FALSE(expired);
    CHECK(task.cancelling() == 1);
}

CO_TEST_CASE("123. of nested timeouts with one deadline only the outermost becomes TimeoutError") {
    std::vector<std::string> seen;
    bool inner_expired = false;
    bool outer_expired = false;
    const Clock::time_point when = Clock::now() + 1s;
    try {
        co_await timeout_at(when, [&](Timeout& outer) -> Coro<> {
            try {
                co_await timeout_at(when, [&](Timeout& inner) -> Coro<> {
                    try {
                        co_await async_sleep(1h);
                    } catch (const CancelledError&) {
                        inner_expired = inner.expired();
                        seen.emplace_back("cancelled inside");
                        throw;
                    }
                });
            } catch (const CancelledError&) {
                outer_expired = outer.expired();
                seen.emplace_back("cancelled outside");
                throw;
            } catch (const TimeoutError&) {
                seen.emplace_back("timeout inside");
                throw;
            }
        });
    } catch (const TimeoutError&) {
        seen.emplace_back("timeout");
    }
    CHECK(seen == std::vector<std::string>{"cancelled inside", "cancelled outside", "timeout"});
    CHECK(inner_expired);
    CHECK(outer_expired);
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE("125. an inner TimeoutError that was caught does not stop the outer timeout") {
    std::vector<std::string> seen;
    try {
        co_await timeout(3s, [&]() -> Coro<> {
            bool inner = false;
            try {
                co_await timeout(1s, [] { return sleep_for(1h); });
            } catch (const TimeoutError&) {
                inner = true;
            }
            if (inner) {
                seen.emplace_back("inner");
            }
            co_await async_sleep(1h);
        });
    } catch (const TimeoutError&) {
        seen.emplace_back("outer");
    }
    CHECK(seen == std::vector<std::string>{"inner", "outer"});
}

CO_TEST_CASE("127. a timeout inside a task that was cancelled before works, and counts apart") {
    std::vector<std::string> seen;
    const auto body = [&]() -> Coro<> {
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        // cancelling() is 1 now: the timeout still knows its own request.
        try {
            co_await timeout(1s, [] { return sleep_for(1h); });
        } catch (const TimeoutError&) {
            seen.emplace_back("timeout");
        }
        CHECK(current_task().cancelling() == 1);
        co_await timeout(10s, [] { return sleep_for(1h); });
    };
    const Task<> task = create_task(body);
    co_await turns();
    task.cancel();
    co_await async_sleep(2s);
    CHECK(seen == std::vector<std::string>{"timeout"});
    task.cancel();
    co_await turns();
    CHECK(outcome(task) == "cancelled");
}

CO_TEST_CASE("a cancellation from outside in the turn of the deadline is not lost") {
    const auto body = [&]() -> Coro<> { co_await timeout(1s, [] { return sleep_for(1h); }); };
    const Task<> task = create_task(body);
    co_await turns();
    get_running_loop().call_later(1s, [task] { task.cancel("outside"); });
    co_await async_sleep(2s);
    CHECK(outcome(task) == "cancelled");
}

CO_TEST_CASE("129. reschedule before the block, when it is over and when it expired throws") {
    Timeout created(TimeLimit(1s));
    CHECK_THROWS_AS(created.reschedule(Clock::now()), RuntimeError);
    std::string expiring;
    try {
        co_await timeout(1s, [&](Timeout& limit) -> Coro<> {
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                try {
                    limit.reschedule(Clock::now() + 1h);
                } catch (const RuntimeError& error) {
                    expiring = error.what();
                }
                throw;
            }
        });
    } catch (const TimeoutError&) {
        expiring += ".";
    }
    CHECK(expiring == "Cannot change state of expiring Timeout.");
}

CO_TEST_CASE("reschedule moves the deadline, later, earlier and away") {
    const Clock::time_point start = Clock::now();
    co_await timeout(1s, [&](Timeout& limit) -> Coro<> {
        limit.reschedule(start + 1h);
        CHECK(limit.when() == start + 1h);
        co_await async_sleep(2s);
        limit.reschedule(std::nullopt);
        CHECK_FALSE(limit.when().has_value());
        co_await async_sleep(2h);
    });
    bool timed_out = false;
    try {
        co_await timeout(1h, [&](Timeout& limit) -> Coro<> {
            limit.reschedule(Clock::now() - 1s);
            co_await async_sleep(0s);
        });
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
}

CO_TEST_CASE("the function lives as long as the block, and what it refers to is safe") {
    const auto value = std::make_shared<int>(5);
    const int got = co_await timeout(1s, [value]() -> Coro<int> {
        co_await async_sleep(0s);
        co_return *value;
    });
    CHECK(got == 5);
    CHECK(value.use_count() == 1);
    const auto results = co_await gather(timeout(1s, []() -> Coro<int> { co_return 1; }),
                                         timeout(1s, []() -> Coro<int> { co_return 2; }));
    CHECK(std::get<0>(results) + std::get<1>(results) == 3);
}

CO_TEST_CASE("timeout: cancelled before it starts, before the await, inside and in the last turn") {
    const auto body = [](bool cancel_first, std::chrono::seconds inside) -> Coro<> {
        if (cancel_first) {
            current_task().cancel();
        }
        co_await timeout(10s, [inside] { return sleep_for(inside); });
    };
    const Task<> unstarted = create_task(body, false, 1s);
    unstarted.cancel();
    const Task<> latched = create_task(body, true, 1s);
    const Task<> inside = create_task(body, false, 1h);
    const auto future = get_running_loop().create_future<int>();
    const auto on_future = [&]() -> Coro<> {
        co_await timeout(10s, [&]() -> Coro<> { static_cast<void>(co_await future); });
    };
    const Task<> last = create_task(on_future);
    co_await turns();
    inside.cancel();
    future.set_result(1);
    last.cancel();
    co_await turns(2);
    for (const Task<>& task : {unstarted, latched, inside, last}) {
        CHECK(outcome(task) == "cancelled");
    }
    CHECK(timers() == 0);
}

CO_TEST_CASE(
    "timeout_at: the deadline is the one that was given, and expired() tells that it came") {
    const Clock::time_point when = Clock::now() + 5s;
    std::optional<Clock::time_point> seen;
    bool before = true;
    bool after = false;
    bool timed_out = false;
    try {
        co_await timeout_at(when, [&](Timeout& limit) -> Coro<> {
            seen = limit.when();
            before = limit.expired();
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                after = limit.expired();
                throw;
            }
        });
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    CHECK(seen == when);
    CHECK_FALSE(before);
    CHECK(after);
    CHECK(Clock::now() == when);
}

CO_TEST_CASE("an error of the block before the deadline is thrown as it is") {
    std::string text;
    try {
        co_await timeout(1s, []() -> Coro<> {
            throw ValueError("mine");
            co_return;
        });
    } catch (const ValueError& error) {
        text = error.what();
    }
    CHECK(text == "mine");
    CHECK(timers() == 0);
    co_await async_sleep(2s); // no cancellation comes late
}

CO_TEST_CASE("another task moves the deadline, then cancels the block: it has not expired") {
    const auto given = get_running_loop().create_future<Timeout*>();
    const Clock::time_point start = Clock::now();
    bool expired = true;
    const auto body = [&]() -> Coro<> {
        co_await timeout_at(start + 10s, [&](Timeout& limit) -> Coro<> {
            given.set_result(&limit);
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                expired = limit.expired();
                throw;
            }
        });
    };
    const Task<> task = create_task(body);
    Timeout* limit = co_await given;
    CHECK(limit->when() == start + 10s);
    limit->reschedule(start + 20s);
    CHECK(limit->when() == start + 20s);
    co_await async_sleep(15s);
    CHECK_FALSE(task.done());
    limit->reschedule(std::nullopt);
    CHECK_FALSE(limit->when().has_value());
    co_await async_sleep(10s);
    CHECK_FALSE(task.done());
    task.cancel();
    co_await turns(2);
    CHECK(outcome(task) == "cancelled");
    CHECK_FALSE(expired);
    CHECK(timers() == 0);
}

CO_TEST_CASE("a timeout inside the clean-up of a block that timed out works") {
    std::vector<std::string> seen;
    try {
        co_await timeout(1s, [&]() -> Coro<> {
            std::exception_ptr cancelled;
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                cancelled = std::current_exception();
            }
            try {
                co_await timeout(1s, [] { return sleep_for(1h); });
            } catch (const TimeoutError&) {
                seen.emplace_back("inner");
            }
            std::rethrow_exception(cancelled);
        });
    } catch (const TimeoutError&) {
        seen.emplace_back("outer");
    }
    CHECK(seen == std::vector<std::string>{"inner", "outer"});
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE("a result that comes in the turn of the deadline comes too late, and is not lost") {
    const auto future = get_running_loop().create_future<int>();
    get_running_loop().call_later(1s, [&] { future.set_result(3); });
    bool timed_out = false;
    try {
        co_await timeout(1s, [&]() -> Coro<> { static_cast<void>(co_await future); });
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out); // an undelivered cancellation beats a result, as in asyncio
    CHECK(future.result() == 3);
    CHECK(current_task().cancelling() == 0);
    co_await turns(2);
    CHECK(timers() == 0);
}

// --- move_on_after, move_on_at ---

CO_TEST_CASE("move_on_after gives the value in time, and nothing when the time is up") {
    const auto body = [](std::chrono::seconds delay) -> Coro<int> {
        co_await async_sleep(delay);
        co_return 5;
    };
    const Clock::time_point start = Clock::now();
    const std::optional<int> in_time = co_await move_on_after(2s, [&] { return body(1s); });
    CHECK(in_time == 5);
    const std::optional<int> late = co_await move_on_after(2s, [&] { return body(1h); });
    CHECK_FALSE(late.has_value());
    const std::optional<int> unlimited =
        co_await move_on_after(std::nullopt, [&] { return body(1h); });
    CHECK(unlimited == 5);
    CHECK(Clock::now() - start == 1h + 3s);
    CHECK(current_task().cancelling() == 0);
    CHECK(timers() == 0);
}

CO_TEST_CASE("move_on_after of void tells whether the block ended, of a reference refers to it") {
    const bool in_time = co_await move_on_after(2s, [] { return sleep_for(1s); });
    CHECK(in_time);
    const bool late = co_await move_on_after(2s, [] { return sleep_for(1h); });
    CHECK_FALSE(late);
    const bool past = co_await move_on_at(Clock::now() - 1s, [] { return sleep_for(0s); });
    CHECK_FALSE(past);
    const bool at = co_await move_on_at(Clock::now() + 1s, [](Timeout& limit) -> Coro<> {
        limit.reschedule(Clock::now() + 1h);
        co_await async_sleep(2s);
    });
    CHECK(at);
    int value = 1;
    const auto refer = [&]() -> Coro<int&> {
        co_await turns();
        co_return value;
    };
    const auto reference = co_await move_on_after(1s, refer);
    REQUIRE(reference.has_value());
    CHECK(&reference->get() == &value);
}

CO_TEST_CASE("move_on_after lets errors and cancellations from outside through") {
    std::string text;
    try {
        co_await move_on_after(1s, []() -> Coro<> {
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                throw ValueError("instead");
            }
        });
    } catch (const ValueError& error) {
        text = error.what();
    }
    CHECK(text == "instead");
    bool went_on = false;
    const auto body = [&]() -> Coro<> {
        co_await move_on_after(10s, [] { return sleep_for(1h); });
        went_on = true;
    };
    const Task<> task = create_task(body);
    const Task<> at_the_deadline = create_task(body);
    co_await turns();
    task.cancel("outside");
    get_running_loop().call_later(10s, [&] { at_the_deadline.cancel("outside"); });
    co_await async_sleep(11s);
    CHECK(ending(task) == "cancelled: outside");
    CHECK(outcome(at_the_deadline) == "cancelled");
    CHECK_FALSE(went_on);
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE("of nested blocks with one deadline only the outermost moves on") {
    const Clock::time_point when = Clock::now() + 1s;
    bool inner_went_on = false;
    const bool in_time = co_await move_on_at(when, [&]() -> Coro<> {
        co_await move_on_at(when, [] { return sleep_for(1h); });
        inner_went_on = true;
    });
    CHECK_FALSE(in_time);
    CHECK_FALSE(inner_went_on);
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE("a block that answers its deadline with a value gives that value") {
    const std::optional<int> value = co_await move_on_after(1s, []() -> Coro<int> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            co_return 42;
        }
        co_return 0;
    });
    CHECK(value == 42);
    CHECK(current_task().cancelling() == 0);
}

CO_TEST_CASE("a deadline does not take a cancellation for its own that was kept from before") {
    const auto cleans_up = []() -> Coro<> {
        bool cancelled = false;
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled); // by the request from before the block
        co_await async_sleep(1h);
    };
    bool timed_out = false;
    const auto body = [&]() -> Coro<> {
        current_task().cancel("before");
        try {
            co_await timeout(1s, cleans_up);
        } catch (const TimeoutError&) {
            timed_out = true;
        }
    };
    const Task<> task = create_task(body);
    co_await wait({task});
    CHECK(outcome(task) == "cancelled");
    CHECK_FALSE(timed_out);
    CHECK(task.cancelling() == 1);
}
