#pragma once

#include <muster/core/concurrent_future.hpp>
#include <muster/core/detail/remote_call.hpp>
#include <muster/core/detail/thread_hop.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/executor.hpp>
#include <muster/core/future.hpp>

#include <concepts>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace muster {

namespace detail {

/// Brings the outcome of a concurrent::Future to a Future of the loop.
template <class T>
class FutureHop final : public ThreadHop {
public:
    FutureHop(LoopCore& core, concurrent::Future<T> source, const Future<T>& target)
        : ThreadHop(core), source_(std::move(source)), target_(target) {}

    void cancel_source() { source_.cancel(); }

private:
    void deliver() noexcept override {
        const Future<T> target = std::exchange(target_, Future<T>());
        if (!target.valid() || target.done()) {
            return;
        }
        try {
            if constexpr (std::is_void_v<T>) {
                source_.result();
                target.set_result();
            } else {
                target.set_result(std::move(source_).result());
            }
        } catch (const CancelledError& cancelled) {
            target.cancel(cancelled.message());
        } catch (...) {
            target.set_exception(std::current_exception());
        }
    }

    void abandon() noexcept override { target_ = Future<T>(); }

    concurrent::Future<T> source_;
    Future<T> target_; // for the loop's thread
};

template <class R>
inline constexpr bool is_reference_wrapper = false;
template <class R>
inline constexpr bool is_reference_wrapper<std::reference_wrapper<R>> = true;

} // namespace detail

/// A Future of `loop` that follows a future of threads: result, error and cancellation come over,
/// and cancelling it cancels the other (asyncio.wrap_future).
template <class T>
Future<T> wrap_future(concurrent::Future<T> source, EventLoop& loop) {
    Future<T> target = loop.create_future<T>();
    auto hop = std::make_shared<detail::FutureHop<T>>(loop.core(), source, target);
    loop.core().add_external(*hop);
    source.add_done_callback([hop]() mutable { detail::ThreadHop::arrive(std::move(hop)); });
    target.add_done_callback([hop = std::weak_ptr(hop)](const Future<T>& done) {
        const auto alive = hop.lock();
        if (alive && done.cancelled()) {
            alive->cancel_source();
        }
    });
    return target;
}

/// The same of the running loop.
template <class T>
Future<T> wrap_future(concurrent::Future<T> source) {
    return wrap_future(std::move(source), get_running_loop());
}

template <class F, class... Args>
    requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
auto EventLoop::run_in_executor(concurrent::Executor& executor, F&& function, Args&&... args) {
    static_assert(!detail::is_reference_wrapper<std::decay_t<F>> &&
                      (!detail::is_reference_wrapper<std::decay_t<Args>> && ...),
                  "run_in_executor() may return before the function ends, so it owns its arguments "
                  "and takes no std::ref: use to_thread(), which waits, or pass a shared_ptr");
    using R = concurrent::detail::CallResult<std::decay_t<F>, std::decay_t<Args>...>;
    using Function = concurrent::detail::Call<F, Args...>;
    concurrent::detail::check_plain_result<R>();
    core().check_open();
    core().check_thread();
    auto* call = new detail::RemoteCallOf<R, Function>(
        core(), Function{std::forward<F>(function),
                         std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)});
    Future<R> future = call->future();
    executor.enqueue(call->begin());
    return future;
}

template <class F, class... Args>
    requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
auto EventLoop::run_in_executor(F&& function, Args&&... args) {
    return run_in_executor(default_executor(), std::forward<F>(function),
                           std::forward<Args>(args)...);
}

/// Runs `function(args...)` on a thread of `executor` (loop.run_in_executor). The function and
/// decayed copies of its arguments belong to the call. Cancelling the future takes the call back
/// if it has not begun; otherwise the awaiter gets CancelledError at once, and the function runs
/// on to its end. Throws RuntimeError when the executor was shut down.
template <class F, class... Args>
    requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
auto run_in_executor(concurrent::Executor& executor, F&& function, Args&&... args) {
    return get_running_loop().run_in_executor(executor, std::forward<F>(function),
                                              std::forward<Args>(args)...);
}

/// The same on the loop's default executor.
template <class F, class... Args>
    requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
auto run_in_executor(F&& function, Args&&... args) {
    return get_running_loop().run_in_executor(std::forward<F>(function),
                                              std::forward<Args>(args)...);
}

} // namespace muster
