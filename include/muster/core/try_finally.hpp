#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/context.hpp>
#include <muster/core/coro.hpp>
#include <muster/core/detail/future_wait.hpp>
#include <muster/core/detail/task_base.hpp>
#include <muster/core/task.hpp>
#include <muster/core/timeout.hpp>

#include <chrono>
#include <concepts>
#include <coroutine>
#include <exception>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace muster {

/// How `try_finally` cleans up.
struct TryFinallyOptions {
    /// For the clean-up alone, counted from its start.
    TimeLimit timeout = std::chrono::seconds(30);
};

namespace detail {

/// Tells the loop's exception handler of an error that has to stand back behind another.
void report_cleanup_error(std::exception_ptr error) noexcept;

template <class Cleanup>
Coro<void> run_cleanup(Cleanup& cleanup, TimeLimit limit) {
    co_await timeout(limit, [&cleanup] { return std::invoke(cleanup); });
}

template <class Body, class Cleanup>
auto run_try_finally(Body body, Cleanup cleanup, TryFinallyOptions options)
    -> std::invoke_result_t<Body&> {
    using T = typename std::invoke_result_t<Body&>::value_type;
    std::exception_ptr error;
    std::conditional_t<std::is_void_v<T>, std::monostate, std::optional<OptionalValue<T>>> value;
    try {
        if constexpr (std::is_void_v<T>) {
            co_await std::invoke(body);
        } else {
            value.emplace(co_await std::invoke(body));
        }
    } catch (...) { // whatever it is, it is thrown again below
        error = std::current_exception();
    }
    // A task of its own, so that cancelling this one does not reach it.
    TaskOptions task_options{.name = "clean-up of " + current_task().name(),
                             .context = Context(shared_context())};
    const Task<void> cleaning =
        create_task(run_cleanup(cleanup, options.timeout), std::move(task_options));
    co_await FinishWait(cleaning.state());
    if (error == nullptr) {
        cleaning.result();
    } else {
        if (cleaning.state()->state() == State::failed) {
            report_cleanup_error(cleaning.exception());
        }
        std::rethrow_exception(error);
    }
    if constexpr (std::is_reference_v<T>) {
        co_return value->get();
    } else if constexpr (!std::is_void_v<T>) {
        co_return *std::move(value);
    }
}

} // namespace detail

/// Awaits `body()`, then `cleanup()`, both functions that give a Coro, whether the body ended with
/// a value, an error or cancellation; then gives the body's value or throws what it threw: `try`
/// and `finally`, which C++ lacks and whose catch handlers may not co_await.
///
/// A cancellation during the clean-up waits until it has ended, and is delivered at the next
/// suspension; only the clean-up's own deadline cuts it off. What the clean-up throws, TimeoutError
/// among it, is thrown when the body succeeded; else the body's error is thrown and this one goes
/// to the loop's exception handler. Both functions are kept alive: capturing lambdas are safe.
template <class Body, class Cleanup>
auto try_finally(Body&& body, Cleanup&& cleanup, TryFinallyOptions options = {}) {
    static_assert(detail::is_coro<std::invoke_result_t<std::decay_t<Body>&>> &&
                      detail::is_coro<std::invoke_result_t<std::decay_t<Cleanup>&>>,
                  "try_finally() takes two functions that give a Coro");
    return detail::run_try_finally<std::decay_t<Body>, std::decay_t<Cleanup>>(
        std::forward<Body>(body), std::forward<Cleanup>(cleanup), options);
}

} // namespace muster
