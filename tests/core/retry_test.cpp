#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <exception>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::outcome;
using testing_support::turns;

namespace {

std::string text_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& exception) {
        return exception.what();
    } catch (...) { // the text says that it is something else
        return "not a std::exception";
    }
}

// Fails the first `failures` times; counts the calls, and notes when they were.
struct Flaky {
    int failures;
    int calls = 0;
    std::vector<Clock::duration> at = {};
    Clock::time_point start = Clock::now();

    Coro<int> operator()() {
        at.push_back(Clock::now() - start);
        const int call = ++calls;
        co_await turns();
        if (call <= failures) {
            throw ValueError("failure " + std::to_string(call));
        }
        co_return call;
    }
};

// What retry() ends with: its value or the text of its error.
Coro<std::string> result_of(Flaky& flaky, RetryPolicy policy) {
    try {
        const int value = co_await retry([&] { return flaky(); }, std::move(policy));
        co_return std::to_string(value);
    } catch (const std::exception& error) {
        co_return error.what();
    }
}

} // namespace

CO_TEST_CASE("retry gives the first value, after as many attempts as that takes") {
    Flaky at_once{.failures = 0};
    const std::string first = co_await result_of(at_once, {});
    CHECK(first == "1");
    CHECK(at_once.at == std::vector<Clock::duration>{0s});
    Flaky later{.failures = 2};
    const std::string third = co_await result_of(later, {});
    CHECK(third == "3");
}

CO_TEST_CASE("retry throws the last error when its attempts are used up") {
    Flaky flaky{.failures = 100};
    const std::string text = co_await result_of(flaky, {.max_attempts = 4});
    CHECK(text == "failure 4");
    CHECK(flaky.calls == 4);
    Flaky once{.failures = 100};
    const std::string first = co_await result_of(once, {.max_attempts = 1});
    CHECK(first == "failure 1");
    CHECK(once.calls == 1);
}

CO_TEST_CASE("the delays grow exponentially up to the longest") {
    Flaky flaky{.failures = 5};
    const std::string value = co_await result_of(
        flaky,
        {.max_attempts = 6, .initial_delay = 1s, .multiplier = 3, .max_delay = 10s, .jitter = 0});
    CHECK(value == "6");
    CHECK(flaky.at == std::vector<Clock::duration>{0s, 1s, 4s, 13s, 23s, 33s});
}

CO_TEST_CASE("a multiplier of one keeps the delay, a delay of zero takes a turn") {
    Flaky even{.failures = 3};
    co_await result_of(even,
                       {.max_attempts = 4, .initial_delay = 2s, .multiplier = 1, .jitter = 0});
    CHECK(even.at == std::vector<Clock::duration>{0s, 2s, 4s, 6s});
    Flaky none{.failures = 3};
    bool other_ran = false;
    get_running_loop().call_soon([&] { other_ran = true; });
    co_await result_of(none, {.max_attempts = 4, .initial_delay = 0s});
    CHECK(none.calls == 4);
    CHECK(other_ran);
    CHECK(none.at.back() == 0s);
}

CO_TEST_CASE("delays that would grow without end saturate") {
    Flaky flaky{.failures = 3};
    std::vector<Clock::duration> delays;
    const std::string text = co_await result_of(
        flaky, {.max_attempts = 4,
                .initial_delay = 1h,
                .multiplier = std::numeric_limits<double>::infinity(),
                .max_delay = 2h,
                .jitter = 0,
                .before_sleep = [&](const RetryState& state) { delays.push_back(state.delay); }});
    CHECK(text == "4");
    CHECK(delays == std::vector<Clock::duration>{1h, 2h, 2h});
}

CO_TEST_CASE("jitter leaves a part of each delay to chance, within its bounds") {
    std::set<Clock::duration> seen;
    for (const double jitter : {0.25, 1.0}) {
        Flaky flaky{.failures = 50};
        const std::string value =
            co_await result_of(flaky, {.max_attempts = 51,
                                       .initial_delay = 4s,
                                       .multiplier = 1,
                                       .jitter = jitter,
                                       .before_sleep = [&](const RetryState& state) {
                                           CHECK(state.delay <= 4s);
                                           CHECK(state.delay >= (jitter == 1.0 ? 0s : 3s));
                                           seen.insert(state.delay);
                                       }});
        CHECK(value == "51");
    }
    CHECK(seen.size() > 50);
}

CO_TEST_CASE("stop_after: no attempt is begun that would start later") {
    Flaky flaky{.failures = 100};
    const RetryPolicy policy{
        .max_attempts = 100, .initial_delay = 1s, .multiplier = 2, .jitter = 0, .stop_after = 7s};
    const Clock::time_point start = Clock::now();
    const std::string text = co_await result_of(flaky, policy);
    CHECK(text == "failure 4");
    CHECK(flaky.at == std::vector<Clock::duration>{0s, 1s, 3s, 7s});
    CHECK(Clock::now() - start == 7s); // it does not wait for what will not come
}

CO_TEST_CASE("stop_after counts from the await, and does not cut an attempt off") {
    int calls = 0;
    auto recipe = retry(
        [&]() -> Coro<int> {
            ++calls;
            co_await async_sleep(1h);
            co_return 5;
        },
        {.stop_after = 1s});
    co_await async_sleep(10s);
    const int value = co_await std::move(recipe);
    CHECK(value == 5);
    CHECK(calls == 1);
}

CO_TEST_CASE("retry_if says which errors are worth another attempt") {
    int calls = 0;
    const auto body = [&]() -> Coro<> {
        ++calls;
        if (calls == 1) {
            throw TimeoutError();
        }
        throw ValueError("for good");
        co_return;
    };
    std::string text;
    try {
        co_await retry(body, {.max_attempts = 10, .retry_if = [](const std::exception_ptr& error) {
                                  return text_of(error) == "timed out";
                              }});
    } catch (const ValueError& error) {
        text = error.what();
    }
    CHECK(text == "for good");
    CHECK(calls == 2);
}

CO_TEST_CASE("before_sleep is told the attempt, its error and the delay; not after the last one") {
    Flaky flaky{.failures = 100};
    std::vector<std::string> notes;
    const std::string text = co_await result_of(
        flaky, {.max_attempts = 3,
                .initial_delay = 1s,
                .jitter = 0,
                .before_sleep = [&](const RetryState& state) {
                    notes.push_back(std::to_string(state.attempt) + ": " + text_of(state.error) +
                                    ", " + std::to_string(state.delay / 1s) + " s");
                }});
    CHECK(text == "failure 3");
    CHECK(notes == std::vector<std::string>{"1: failure 1, 1 s", "2: failure 2, 2 s"});
}

CO_TEST_CASE("what the policy's functions throw ends the retries") {
    Flaky flaky{.failures = 100};
    const std::string predicate = co_await result_of(
        flaky,
        {.retry_if = [](const std::exception_ptr&) -> bool { throw RuntimeError("predicate"); }});
    CHECK(predicate == "predicate");
    const std::string told = co_await result_of(
        flaky, {.before_sleep = [](const RetryState&) { throw RuntimeError("before sleep"); }});
    CHECK(told == "before sleep");
    CHECK(flaky.calls == 2);
}

CO_TEST_CASE("CancelledError and what else is no std::exception is never retried") {
    int calls = 0;
    bool cancelled = false;
    const RetryPolicy always{.retry_if = [](const std::exception_ptr&) { return true; }};
    try {
        co_await retry(
            [&]() -> Coro<> {
                ++calls;
                throw CancelledError("by itself");
                co_return;
            },
            always);
    } catch (const CancelledError&) {
        cancelled = true;
    }
    CHECK(cancelled);
    bool number = false;
    try {
        co_await retry(
            [&]() -> Coro<> {
                ++calls;
                throw 7;
                co_return;
            },
            always);
    } catch (int) {
        number = true;
    }
    CHECK(number);
    CHECK(calls == 2);
}

CO_TEST_CASE(
    "retry: cancelled before it starts, in an attempt, in a delay and in an attempt's end") {
    int calls = 0;
    const auto attempt = [&](std::chrono::seconds length) -> Coro<> {
        ++calls;
        co_await async_sleep(length);
        throw ValueError("bad");
    };
    const auto body = [&](std::chrono::seconds length) -> Coro<> {
        co_await retry([&] { return attempt(length); },
                       {.max_attempts = 9, .initial_delay = 10s, .jitter = 0});
    };
    const Task<> unstarted = create_task(body, 1s);
    unstarted.cancel();
    co_await turns();
    CHECK(outcome(unstarted) == "cancelled");
    CHECK(calls == 0);
    const Task<> in_attempt = create_task(body, 60s);
    const Task<> in_delay = create_task(body, 1s);
    co_await async_sleep(5s);
    CHECK(calls == 2);
    in_attempt.cancel();
    in_delay.cancel();
    co_await turns(2);
    CHECK(outcome(in_attempt) == "cancelled");
    CHECK(outcome(in_delay) == "cancelled");
    const Task<> at_the_end = create_task(body, 1s);
    get_running_loop().call_later(1s, [&] { at_the_end.cancel(); });
    co_await async_sleep(1min);
    CHECK(outcome(at_the_end) == "cancelled");
    CHECK(calls == 3);
    CHECK(get_running_loop().core().timer_count() == 0);
}

CO_TEST_CASE("a timeout around all attempts and one around each") {
    int calls = 0;
    const auto hangs = [&]() -> Coro<> {
        ++calls;
        co_await async_sleep(1h);
    };
    const Clock::time_point start = Clock::now();
    bool timed_out = false;
    try {
        co_await wait_for(
            retry([&] { return wait_for(hangs(), 1s); },
                  {.max_attempts = 100, .initial_delay = 1s, .multiplier = 1, .jitter = 0}),
            10s + 500ms);
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    CHECK(timed_out);
    CHECK(calls == 6);
    CHECK(Clock::now() - start == 10s + 500ms);
}

CO_TEST_CASE("a policy out of its domain is refused before the first attempt") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::vector<RetryPolicy> wrong = {
        {.max_attempts = 0}, {.max_attempts = -1}, {.multiplier = 0.5}, {.multiplier = nan},
        {.jitter = -0.1},    {.jitter = 1.1},      {.jitter = nan},
    };
    Flaky flaky{.failures = 0};
    for (const RetryPolicy& policy : wrong) {
        const std::string text = co_await result_of(flaky, policy);
        CHECK(text.rfind("retry() needs ", 0) == 0);
    }
    CHECK(flaky.calls == 0);
}

CO_TEST_CASE("the function is kept alive, and values may only move") {
    const auto held = std::make_shared<int>(6);
    auto coro = retry([held]() -> Coro<std::unique_ptr<int>> {
        co_await turns();
        co_return std::make_unique<int>(*held);
    });
    const std::unique_ptr<int> value = co_await std::move(coro);
    CHECK(*value == 6);
}
