#include "reports.hpp"

#include <muster/core/concurrent_future.hpp>
#include <muster/core/concurrent_wait.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <latch>
#include <limits>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

using muster::CancelledError;
using muster::InvalidStateError;
using muster::ReturnWhen;
using muster::TimeoutError;
using muster::concurrent::AnyFuture;
using muster::concurrent::as_completed;
using muster::concurrent::Future;
using muster::concurrent::Promise;
using muster::concurrent::wait;
using muster::testing_support::Reports;

using namespace std::chrono_literals;

namespace {

static_assert(std::ranges::input_range<muster::concurrent::AsCompleted<Future<int>>>);
static_assert(std::is_same_v<decltype(std::declval<const Future<int>&>().result()), const int&>);
static_assert(std::is_same_v<decltype(std::declval<Future<int>>().result()), int>);
static_assert(std::is_same_v<decltype(std::declval<Future<int&>&>().result()), int&>);
static_assert(std::is_void_v<decltype(std::declval<Future<void>&>().result())>);

/// A future in each of its states.
struct States {
    States() {
        static_cast<void>(running_.set_running_or_notify_cancel());
        cancelled.cancel();
        cancelled_and_notified.cancel();
        static_cast<void>(notified_.set_running_or_notify_cancel());
        failed_.set_exception(std::out_of_range("failed"));
        successful_.set_result(42);
    }

    States(const States&) = delete;
    States& operator=(const States&) = delete;

    ~States() {
        pending.cancel();
        failed.ignore_errors();
        running_.set_result(0);
    }

private:
    Promise<int> pending_;
    Promise<int> running_;
    Promise<int> cancelled_;
    Promise<int> notified_;
    Promise<int> failed_;
    Promise<int> successful_;

public:
    Future<int> pending = pending_.future();
    Future<int> running = running_.future();
    Future<int> cancelled = cancelled_.future();
    Future<int> cancelled_and_notified = notified_.future();
    Future<int> failed = failed_.future();
    Future<int> successful = successful_.future();
};

} // namespace

TEST_CASE("A future says which state it is in") {
    const States states;
    CHECK_FALSE(states.pending.done());
    CHECK_FALSE(states.running.done());
    CHECK(states.cancelled.done());
    CHECK(states.cancelled_and_notified.done());
    CHECK(states.failed.done());
    CHECK(states.successful.done());

    CHECK_FALSE(states.pending.running());
    CHECK(states.running.running());
    CHECK_FALSE(states.cancelled.running());
    CHECK_FALSE(states.cancelled_and_notified.running());
    CHECK_FALSE(states.failed.running());
    CHECK_FALSE(states.successful.running());

    CHECK_FALSE(states.pending.cancelled());
    CHECK_FALSE(states.running.cancelled());
    CHECK(states.cancelled.cancelled());
    CHECK(states.cancelled_and_notified.cancelled());
    CHECK_FALSE(states.failed.cancelled());
    CHECK_FALSE(states.successful.cancelled());
}

TEST_CASE("cancel() succeeds while a future is pending and once it is cancelled") {
    const States states;
    CHECK(states.pending.cancel());
    CHECK(states.pending.cancelled());
    CHECK_FALSE(states.running.cancel());
    CHECK(states.running.running());
    CHECK(states.cancelled.cancel());
    CHECK(states.cancelled_and_notified.cancel());
    CHECK(states.cancelled_and_notified.cancelled());
    CHECK_FALSE(states.failed.cancel());
    CHECK_FALSE(states.failed.cancelled());
    CHECK_FALSE(states.successful.cancel());
    CHECK(states.successful.result() == 42);
}

TEST_CASE("215. result(timeout) and exception(timeout) in each state") {
    const States states;
    CHECK_THROWS_AS(states.pending.result(0s), TimeoutError);
    CHECK_THROWS_AS(states.running.result(0s), TimeoutError);
    CHECK_THROWS_AS(states.cancelled.result(0s), CancelledError);
    CHECK_THROWS_AS(states.cancelled_and_notified.result(0s), CancelledError);
    CHECK_THROWS_AS(states.failed.result(0s), std::out_of_range);
    CHECK(states.successful.result(0s) == 42);

    CHECK_THROWS_AS(static_cast<void>(states.pending.exception(0s)), TimeoutError);
    CHECK_THROWS_AS(static_cast<void>(states.running.exception(0s)), TimeoutError);
    CHECK_THROWS_AS(static_cast<void>(states.cancelled.exception(0s)), CancelledError);
    CHECK_THROWS_AS(static_cast<void>(states.cancelled_and_notified.exception(0s)), CancelledError);
    CHECK_THROWS_AS(std::rethrow_exception(states.failed.exception(0s)), std::out_of_range);
    CHECK(states.successful.exception(0s) == nullptr);
}

TEST_CASE(
    "215. result(timeout) and exception(timeout) throw TimeoutError while pending or running") {
    Promise<int> promise;
    const Future<int> future = promise.future();
    CHECK_THROWS_AS(future.result(0ms), TimeoutError);
    CHECK_THROWS_AS(static_cast<void>(future.exception(1ms)), TimeoutError);
    REQUIRE(promise.set_running_or_notify_cancel());
    CHECK(future.running());
    CHECK_THROWS_AS(future.result(1ms), TimeoutError);
    CHECK_THROWS_AS(static_cast<void>(future.exception(-1s)), TimeoutError);
    CHECK_FALSE(future.done());
    promise.set_result(5); // the work went on
    CHECK(future.result(0ms) == 5);
    CHECK(future.exception() == nullptr);
    CHECK_FALSE(future.running());
}

TEST_CASE("215. result(timeout) and exception(timeout) throw CancelledError if cancelled") {
    Promise<int> promise;
    const Future<int> future = promise.future();
    CHECK(future.cancel());
    CHECK_THROWS_AS(future.result(5s), CancelledError);
    CHECK_THROWS_AS(static_cast<void>(future.exception(5s)), CancelledError);
}

TEST_CASE("215. A blocked result() wakes when the result is set and when the future is cancelled") {
    Promise<std::string> set;
    Promise<std::string> cancelled;
    std::latch started(2);
    std::string got;
    bool was_cancelled = false;
    std::thread getter([&, future = set.future()] {
        started.count_down();
        got = future.result(60s);
    });
    std::thread cancelled_getter([&, future = cancelled.future()] {
        started.count_down();
        try {
            future.result(60s);
        } catch (const CancelledError&) {
            was_cancelled = true;
        }
    });
    started.wait();
    set.set_result("value");
    cancelled.future().cancel();
    getter.join();
    cancelled_getter.join();
    CHECK(got == "value");
    CHECK(was_cancelled);
}

TEST_CASE("215. A blocked exception() wakes when the exception is set") {
    Promise<int> promise;
    std::latch started(1);
    std::exception_ptr got;
    std::thread getter([&, future = promise.future()] {
        started.count_down();
        got = future.exception(60s);
    });
    started.wait();
    promise.set_exception(std::out_of_range("set"));
    getter.join();
    REQUIRE(got != nullptr);
    CHECK_THROWS_AS(std::rethrow_exception(got), std::out_of_range);
}

TEST_CASE("A timeout of any unit is accepted, an endless one waits, and NaN is a ValueError") {
    Promise<int> promise;
    const Future<int> future = promise.future();
    CHECK_THROWS_AS(future.result(std::chrono::duration<double>(0.001)), TimeoutError);
    CHECK_THROWS_AS(
        future.result(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())),
        muster::ValueError);
    std::thread setter([&promise] { promise.set_result(1); });
    CHECK(future.result(std::chrono::hours::max()) == 1);
    setter.join();
}

TEST_CASE("Only a pending future can be cancelled, and only once in effect") {
    Promise<int> promise;
    const Future<int> future = promise.future();
    int calls = 0;
    future.add_done_callback([&calls] { ++calls; });
    CHECK(future.cancel());
    CHECK(future.cancel());
    CHECK(calls == 1);
    CHECK(future.cancelled());
    CHECK(future.done());
    CHECK_FALSE(future.running());

    Promise<int> started;
    const Future<int> running = started.future();
    REQUIRE(started.set_running_or_notify_cancel());
    CHECK_FALSE(running.cancel());
    started.set_result(1);
    CHECK_FALSE(running.cancel());
    CHECK_FALSE(running.cancelled());
}

TEST_CASE("The producer learns of a cancellation once, and starts only once") {
    Promise<int> promise;
    promise.future().cancel();
    CHECK_FALSE(promise.set_running_or_notify_cancel());
    CHECK_THROWS_AS(static_cast<void>(promise.set_running_or_notify_cancel()),
                    muster::RuntimeError);

    Promise<int> started;
    CHECK(started.set_running_or_notify_cancel());
    CHECK_THROWS_AS(static_cast<void>(started.set_running_or_notify_cancel()),
                    muster::RuntimeError);
}

TEST_CASE("A future takes one outcome, a second or one after cancellation is InvalidStateError") {
    Promise<int> promise;
    const Future<int> future = promise.future();
    promise.set_result(1);
    CHECK_THROWS_AS(promise.set_result(2), InvalidStateError);
    CHECK_THROWS_AS(promise.set_exception(std::runtime_error("late")), InvalidStateError);
    CHECK_THROWS_AS(static_cast<void>(promise.future()), InvalidStateError);
    CHECK(future.result() == 1);

    Promise<int> failed;
    const Future<int> failed_future = failed.future();
    failed.set_exception(std::out_of_range("first"));
    CHECK_THROWS_AS(failed.set_exception(std::runtime_error("second")), InvalidStateError);
    CHECK_THROWS_WITH_AS(failed_future.result(), "first", std::out_of_range);

    Promise<int> cancelled;
    cancelled.future().cancel();
    CHECK_THROWS_AS(cancelled.set_result(2), InvalidStateError);

    Promise<int> null;
    CHECK_THROWS_AS(null.set_exception(std::exception_ptr()), muster::ValueError);
    null.set_result(0);
}

TEST_CASE("An exception is thrown by every result() and given by exception()") {
    Promise<int> promise;
    const Future<int> future = promise.future();
    const Future<int> other = promise.future();
    promise.set_exception(std::out_of_range("no such interface"));
    CHECK_THROWS_WITH_AS(future.result(), "no such interface", std::out_of_range);
    CHECK_THROWS_AS(other.result(), std::out_of_range);
    CHECK_THROWS_AS(std::rethrow_exception(future.exception()), std::out_of_range);
}

TEST_CASE("A result of an lvalue is shared, of an rvalue it is moved out, once") {
    Promise<std::unique_ptr<int>> promise;
    Future<std::unique_ptr<int>> future = promise.future();
    promise.set_result(std::make_unique<int>(7));
    const Future<std::unique_ptr<int>> other = future;
    CHECK(*future.result() == 7);
    CHECK(other.result().get() == future.result().get());
    const std::unique_ptr<int> taken = std::move(future).result();
    CHECK(*taken == 7);
    CHECK(other.done());
    CHECK_THROWS_AS(other.result(), InvalidStateError);
}

TEST_CASE("A result that cannot be had leaves an rvalue handle as it was") {
    Promise<std::string> promise;
    Future<std::string> future = promise.future();
    CHECK_THROWS_AS(std::move(future).result(0s), TimeoutError);
    promise.set_result(3U, 'x');
    // NOLINTNEXTLINE(bugprone-use-after-move): a result() that throws takes nothing
    CHECK(std::move(future).result() == "xxx");
}

TEST_CASE("Futures hold nothing and references too") {
    Promise<void> nothing;
    const Future<void> empty = nothing.future();
    nothing.set_result();
    empty.result();
    CHECK(empty.done());

    int target = 1;
    Promise<int&> reference;
    const Future<int&> future = reference.future();
    reference.set_result(target);
    future.result() = 2;
    Future<int&>(future).result() += 1;
    CHECK(target == 3);
}

TEST_CASE(
    "A result that its waiter has dropped is destroyed, whatever the producer's thread does") {
    const auto token = std::make_shared<int>();
    for (int round = 0; round < 200; ++round) {
        Promise<std::shared_ptr<int>> promise;
        auto future = promise.future();
        std::thread producer([&promise, token] { promise.set_result(token); });
        static_cast<void>(muster::concurrent::wait({future}));
        future = {};
        const bool dropped = token.use_count() <= 2; // this one, and the thread's
        producer.join();
        CHECK(dropped);
    }
}

TEST_CASE("Done callbacks run in order of registration on the thread that completes the future") {
    Promise<int> promise;
    const Future<int> future = promise.future();
    std::vector<std::string> calls;
    std::thread::id callback_thread;
    future.add_done_callback([&](const Future<int>& done) {
        callback_thread = std::this_thread::get_id();
        calls.push_back("first " + std::to_string(done.result()));
        CHECK(done == future);
    });
    future.add_done_callback([&, owned = std::make_unique<int>(2)] {
        calls.push_back("second " + std::to_string(*owned));
    });
    CHECK(calls.empty());
    std::thread completer([&promise] { promise.set_result(42); });
    const std::thread::id completer_id = completer.get_id();
    completer.join();
    CHECK(callback_thread == completer_id);
    CHECK(calls == std::vector<std::string>{"first 42", "second 2"});

    AnyFuture(future).add_done_callback([&](const AnyFuture& done) {
        callback_thread = std::this_thread::get_id();
        CHECK(done == future);
    });
    CHECK(callback_thread == std::this_thread::get_id());
}

TEST_CASE("A done callback sees the result, the exception, the cancellation, before and after") {
    for (const bool before : {true, false}) {
        std::vector<std::string> calls;
        const auto look = [&calls](const Future<int>& done) {
            if (done.cancelled()) {
                calls.emplace_back("cancelled");
            } else if (done.exception() != nullptr) {
                calls.emplace_back("exception");
            } else {
                calls.push_back(std::to_string(done.result()));
            }
        };
        Promise<int> result;
        Promise<int> exception;
        Promise<int> cancelled;
        const std::vector futures{result.future(), exception.future(), cancelled.future()};
        if (before) {
            for (const Future<int>& future : futures) {
                future.add_done_callback(look);
            }
        }
        result.set_result(5);
        exception.set_exception(std::runtime_error("test"));
        CHECK(futures[2].cancel());
        if (!before) {
            CHECK(calls.empty());
            for (const Future<int>& future : futures) {
                future.add_done_callback(look);
            }
        }
        CHECK(calls == std::vector<std::string>{"5", "exception", "cancelled"});
    }
}

TEST_CASE("What a done callback throws is reported, and the next callbacks run") {
    Reports reports;
    Promise<int> promise;
    const Future<int> future = promise.future();
    bool second = false;
    future.add_done_callback([] { throw std::runtime_error("first"); });
    future.add_done_callback([&second] { second = true; });
    promise.set_result(1);
    CHECK(second);
    future.add_done_callback([] { throw std::runtime_error("at once"); });
    CHECK(reports.texts() == std::vector<std::string>{
                                 "exception in a done callback of a concurrent::Future: first",
                                 "exception in a done callback of a concurrent::Future: at once"});
}

TEST_CASE("A done callback is destroyed after its call, and with a future that is never done") {
    const auto token = std::make_shared<int>();
    {
        Promise<int> promise;
        const Future<int> future = promise.future();
        future.add_done_callback([token] {});
        CHECK(token.use_count() == 2);
        promise.set_result(1);
        CHECK(token.use_count() == 1);
        future.add_done_callback([token](const Future<int>&) {});
        CHECK(token.use_count() == 1);
    }
    {
        Promise<int> promise;
        promise.future().cancel();
        promise = Promise<int>();
        promise.future().add_done_callback([token](const Future<int>&) {});
        promise.future().ignore_errors();
    }
    CHECK(token.use_count() == 1);
    {
        std::unique_ptr<Promise<int>> promise = std::make_unique<Promise<int>>();
        Future<int> future = promise->future();
        future.add_done_callback([token, &promise] { promise = nullptr; });
        promise->set_result(1); // the callback destroys the promise that calls it
        CHECK(promise == nullptr);
        CHECK(token.use_count() == 1);
    }
}

TEST_CASE("An exception that nobody asked for is reported when the last handle goes") {
    Reports reports;
    {
        Promise<int> promise;
        Future<int> future = promise.future();
        promise.set_exception(std::runtime_error("lost"));
        CHECK(future.done());
        CHECK(reports.texts().empty());
        future = {};
        CHECK(reports.texts() ==
              std::vector<std::string>{
                  "exception of a concurrent::Future was never retrieved: lost"});
    }
    {
        Promise<int> asked;
        const Future<int> future = asked.future();
        asked.set_exception(std::runtime_error("asked"));
        CHECK(future.exception() != nullptr);
        Promise<int> ignored;
        ignored.future().ignore_errors();
        ignored.set_exception(std::runtime_error("ignored"));
    }
    CHECK(reports.texts().size() == 1);
}

TEST_CASE("A promise destroyed without an outcome fails its future") {
    Future<int> future;
    {
        Promise<int> promise;
        future = promise.future();
        Promise<int> moved = std::move(promise);
        // NOLINTNEXTLINE(bugprone-use-after-move,clang-analyzer-cplusplus.Move): that is the case
        CHECK_THROWS_AS(static_cast<void>(promise.future()), InvalidStateError);
        CHECK_FALSE(future.done());
    }
    CHECK_THROWS_AS(future.result(), muster::RuntimeError);

    Future<int> cancelled;
    {
        Promise<int> promise;
        cancelled = promise.future();
        cancelled.cancel();
    }
    CHECK(cancelled.cancelled());
}

TEST_CASE("An empty handle says so") {
    Future<int> empty;
    CHECK_FALSE(empty.valid());
    CHECK_THROWS_AS(static_cast<void>(empty.done()), InvalidStateError);
    CHECK_THROWS_AS(empty.result(), InvalidStateError);
    CHECK(empty == Future<int>());
}

TEST_CASE("Futures are keys, as in Python's future_to_url") {
    Promise<int> a;
    const Future<int> a_future = a.future();
    Promise<int> b;
    const Future<int> b_future = b.future();
    std::unordered_map<Future<int>, std::string> names{{a_future, "a"}, {b_future, "b"}};
    CHECK(names.at(b_future) == "b");
    CHECK(a_future == a_future);
    CHECK(a_future != b_future);
    a.set_result(0);
    b.set_result(0);
}

TEST_CASE("217. wait() returns when all are done, and splits at a timeout, which is no error") {
    Promise<int> a;
    const Future<int> a_future = a.future();
    Promise<int> b;
    const Future<int> b_future = b.future();
    Promise<int> c;
    const Future<int> c_future = c.future();
    const std::vector futures{a_future, b_future, c_future};
    b.set_result(1);
    auto at_once = wait(futures, {.timeout = 0ms});
    CHECK(at_once.done == std::vector{b_future});
    CHECK(at_once.not_done == std::vector{a_future, c_future});

    std::thread completer([&] {
        a.set_exception(std::runtime_error("failed"));
        c_future.cancel();
    });
    auto all = wait(futures);
    completer.join();
    CHECK(all.done == futures);
    CHECK(all.not_done.empty());
    CHECK(a_future.exception() != nullptr);
    CHECK(wait(std::vector<Future<int>>()).done.empty());
}

TEST_CASE("217. wait(FIRST_COMPLETED) returns with the first, already done or not") {
    Promise<int> a;
    const Future<int> a_future = a.future();
    Promise<int> b;
    const Future<int> b_future = b.future();
    std::thread completer([&] { b.set_result(1); });
    const auto first = wait({a_future, b_future}, {.return_when = ReturnWhen::first_completed});
    completer.join();
    CHECK(first.done == std::vector{b_future});
    CHECK(first.not_done == std::vector{a_future});
    const auto again = wait({a_future, b_future}, {.return_when = ReturnWhen::first_completed});
    CHECK(again.done == std::vector{b_future});
    a_future.cancel();
}

TEST_CASE("217. wait(FIRST_EXCEPTION) returns with the first failure, results and cancels do not "
          "count") {
    Promise<int> result;
    const Future<int> result_future = result.future();
    Promise<int> cancelled;
    const Future<int> cancelled_future = cancelled.future();
    Promise<int> failed;
    const Future<int> failed_future = failed.future();
    Promise<int> pending;
    const Future<int> pending_future = pending.future();
    const std::vector futures{result_future, cancelled_future, failed_future, pending_future};
    result.set_result(1);
    cancelled_future.cancel();
    const auto none = wait(futures, {.timeout = 1ms, .return_when = ReturnWhen::first_exception});
    CHECK(none.done.size() == 2);
    std::thread completer([&] { failed.set_exception(std::runtime_error("failed")); });
    const auto some = wait(futures, {.return_when = ReturnWhen::first_exception});
    completer.join();
    CHECK(some.done == std::vector{result_future, cancelled_future, failed_future});
    CHECK(some.not_done == std::vector{pending_future});
    CHECK(failed_future.exception() != nullptr);
    pending_future.cancel();
    // Without a failure it waits for all.
    CHECK(wait({result_future, pending_future}, {.return_when = ReturnWhen::first_exception})
              .not_done.empty());
}

TEST_CASE("217. wait(FIRST_EXCEPTION) returns at once when one has failed already") {
    const States states;
    const auto split =
        wait({states.successful, states.cancelled, states.failed, states.pending, states.running},
             {.return_when = ReturnWhen::first_exception});
    CHECK(split.done == std::vector{states.successful, states.cancelled, states.failed});
    CHECK(split.not_done == std::vector{states.pending, states.running});
}

TEST_CASE("217. wait() in each state") {
    const States states;
    const std::vector done{states.cancelled, states.cancelled_and_notified, states.failed,
                           states.successful};
    CHECK(wait(done).done == done);
    std::vector all = done;
    all.push_back(states.running);
    const auto timed_out = wait(all, {.timeout = 1ms});
    CHECK(timed_out.done == done);
    CHECK(timed_out.not_done == std::vector{states.running});
    const auto first = wait(all, {.return_when = ReturnWhen::first_completed});
    CHECK(first.done == done);
    CHECK(first.not_done == std::vector{states.running});
}

TEST_CASE("217. wait() collapses duplicates and takes futures of several types") {
    Promise<int> a;
    const Future<int> a_future = a.future();
    Promise<std::string> b;
    const Future<std::string> b_future = b.future();
    a.set_result(1);
    const auto split =
        wait(std::vector<AnyFuture>{a_future, b_future, a_future, b_future}, {.timeout = 0s});
    CHECK(split.done == std::vector<AnyFuture>{a_future});
    CHECK(split.not_done == std::vector<AnyFuture>{b_future});
    b_future.cancel();
}

TEST_CASE("as_completed() gives each future once, in the order of completion") {
    Promise<int> a;
    const Future<int> a_future = a.future();
    Promise<int> b;
    const Future<int> b_future = b.future();
    Promise<int> c;
    const Future<int> c_future = c.future();
    Promise<int> d;
    const Future<int> d_future = d.future();
    d.set_result(4);
    auto completed = as_completed({a_future, b_future, c_future, d_future, b_future});
    CHECK(completed.next() == d_future);
    b.set_result(2);
    CHECK(completed.next() == b_future);
    c_future.cancel();
    a.set_exception(std::runtime_error("failed"));
    CHECK(completed.next() == c_future);
    CHECK(completed.next() == a_future);
    CHECK_FALSE(completed.next().has_value());
    CHECK(a_future.exception() != nullptr);
}

TEST_CASE("as_completed() is a range") {
    std::vector<Promise<int>> promises(5);
    std::vector<Future<int>> futures;
    futures.reserve(promises.size());
    for (const Promise<int>& promise : promises) {
        futures.push_back(promise.future());
    }
    std::thread completer([&promises] {
        for (int i = 4; i >= 0; --i) {
            promises[static_cast<std::size_t>(i)].set_result(i);
        }
    });
    completer.join(); // all are done: they come in the order given
    std::vector<int> results;
    for (Future<int>& future : as_completed(futures)) {
        results.push_back(std::move(future).result());
    }
    CHECK(results == std::vector{0, 1, 2, 3, 4});
    CHECK_THROWS_AS(futures[0].result(), InvalidStateError);
}

TEST_CASE("as_completed() counts the unfinished futures when its timeout passes, then ends") {
    Promise<int> a;
    const Future<int> a_future = a.future();
    Promise<int> b;
    const Future<int> b_future = b.future();
    Promise<int> c;
    const Future<int> c_future = c.future();
    auto completed = as_completed({a_future, b_future, c_future}, 1ms);
    b.set_result(1);
    CHECK(completed.next() == b_future);
    CHECK_THROWS_WITH_AS(static_cast<void>(completed.next()), "2 (of 3) futures unfinished",
                         TimeoutError);
    CHECK_FALSE(completed.next().has_value());
    a.set_result(1); // nobody waits any more
    c_future.cancel();
}

TEST_CASE("as_completed() gives what is done already, even when its timeout is zero") {
    const States states;
    const std::vector futures{states.pending, states.cancelled, states.running, states.failed,
                              states.successful};
    for (const std::chrono::milliseconds timeout : {0ms, 1ms}) {
        auto completed = as_completed(futures, timeout);
        CHECK(completed.next() == states.cancelled);
        CHECK(completed.next() == states.failed);
        CHECK(completed.next() == states.successful);
        CHECK_THROWS_WITH_AS(static_cast<void>(completed.next()), "2 (of 5) futures unfinished",
                             TimeoutError);
    }
    CHECK_FALSE(as_completed(std::vector<Future<int>>()).next().has_value());
}

TEST_CASE("as_completed() and wait() take any range, the same future again and again, too") {
    Promise<int> promise;
    Future<int> future = promise.future();
    promise.set_result(1);
    const auto repeat =
        std::views::iota(0, 3) | std::views::transform([&future](int) { return future; });
    int seen = 0;
    for (const Future<int>& done : as_completed(repeat)) {
        CHECK(done == future);
        ++seen;
    }
    CHECK(seen == 1);
    CHECK(wait(repeat).done == std::vector{future});
}

TEST_CASE("as_completed() keeps no future that it has given out") {
    const auto token = std::make_shared<int>();
    std::vector<Promise<std::shared_ptr<int>>> promises(3);
    std::vector<Future<std::shared_ptr<int>>> futures;
    for (const auto& promise : promises) {
        futures.push_back(promise.future());
    }
    auto completed = as_completed(std::exchange(futures, {}));
    for (auto& promise : promises) {
        promise.set_result(token);
        CHECK(token.use_count() == 2);
        completed.next() = std::nullopt;
        CHECK(token.use_count() == 1);
    }
}

TEST_CASE("An abandoned as_completed() leaves the futures alone") {
    Promise<int> a;
    const Future<int> a_future = a.future();
    Promise<int> b;
    const Future<int> b_future = b.future();
    {
        auto completed = as_completed({a_future, b_future});
        a.set_result(1);
    }
    b.set_result(2);
    CHECK(wait({a_future, b_future}).not_done.empty());
}

TEST_CASE("Many threads set, cancel, watch and wait for the same futures") {
    constexpr int count = 200;
    std::vector<Promise<int>> promises(count);
    std::vector<Future<int>> futures;
    futures.reserve(promises.size());
    for (const Promise<int>& promise : promises) {
        futures.push_back(promise.future());
    }
    std::atomic<int> callbacks = 0;
    std::latch start(4);
    std::thread producer([&] {
        start.arrive_and_wait();
        for (Promise<int>& promise : promises) {
            if (promise.set_running_or_notify_cancel()) {
                promise.set_result(1);
            }
        }
    });
    std::thread canceller([&] {
        start.arrive_and_wait();
        for (const Future<int>& future : futures | std::views::reverse) {
            future.cancel();
        }
    });
    std::thread watcher([&] {
        start.arrive_and_wait();
        for (const Future<int>& future : futures) {
            future.add_done_callback([&callbacks] { ++callbacks; });
        }
    });
    start.arrive_and_wait();
    int seen = 0;
    for (Future<int>& future : as_completed(futures)) {
        CHECK(future.done());
        ++seen;
    }
    producer.join();
    canceller.join();
    watcher.join();
    CHECK(seen == count);
    CHECK(callbacks == count);
}
