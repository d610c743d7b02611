#pragma once

#include <muster/core/coro.hpp>
#include <muster/core/sleep.hpp>
#include <muster/core/task.hpp>
#include <muster/testing.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <string>

/// A test case whose body is a coroutine, run on a loop with virtual time:
///
///     CO_TEST_CASE("an hour passes at once") { co_await async_sleep(1h); }
///
/// Await outside CHECK and its kin: some compilers evaluate half of `CHECK(co_await x)`.
#define CO_TEST_CASE(name) MUSTER_CO_TEST_CASE(DOCTEST_ANONYMOUS(co_test_case_), name)
#define MUSTER_CO_TEST_CASE(function, name)                                                        \
    static ::muster::Coro<void> function();                                                        \
    TEST_CASE(name) { ::muster::testing::run_virtual(function()); }                                \
    static ::muster::Coro<void> function()

namespace muster::testing_support {

/// Lets everything that is ready run, `count` times.
inline Coro<void> turns(int count = 1) {
    for (int i = 0; i < count; ++i) {
        co_await async_sleep(std::chrono::seconds(0));
    }
}

/// How `task` ended: "value", "cancelled: <message>" or the text of its error; "pending" before.
template <class T>
std::string ending(const Task<T>& task) {
    if (!task.done()) {
        return "pending";
    }
    try {
        static_cast<void>(task.result());
        return "value";
    } catch (const CancelledError& cancelled) {
        return "cancelled: " + cancelled.message();
    } catch (const std::exception& exception) {
        return exception.what();
    } catch (...) { // the text says that it is something else
        return "not a std::exception";
    }
}

/// The same without the message of a cancellation.
template <class T>
std::string outcome(const Task<T>& task) {
    return task.done() && task.cancelled() ? "cancelled" : ending(task);
}

} // namespace muster::testing_support
