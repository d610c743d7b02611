#pragma once

#include <muster/core/context.hpp>
#include <muster/core/coro.hpp>
#include <muster/core/detail/future_wait.hpp>
#include <muster/core/detail/thread_hop.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/executor.hpp>
#include <muster/core/run_in_executor.hpp>
#include <muster/sync/capacity_limiter.hpp>

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace muster {

/// How `to_thread` runs a function.
struct ToThread {
    /// Bounds how many such calls run at once; it must live until they end. A call is a borrower of
    /// its own.
    CapacityLimiter* limiter = nullptr;
    /// Cancelled, the caller goes on at once, and the function runs on to its end with what it was
    /// given, its result dropped: it must not use what the caller owns.
    bool abandon_on_cancel = false;
};

namespace detail {

/// Waits for a thread to the end, cancelled or not: it may work on what the caller owns.
template <class T>
class ThreadAwaiter : public FutureWait {
public:
    ThreadAwaiter(concurrent::Future<T> source, std::stop_source stop)
        : ThreadAwaiter(source, std::move(stop), wrap_future(source)) {}

    ThreadAwaiter(const ThreadAwaiter&) = delete;
    ThreadAwaiter& operator=(const ThreadAwaiter&) = delete;

    /// A loop that goes away takes the caller's frame with it, but not before the thread is done
    /// with that frame.
    ~ThreadAwaiter() {
        if (!source_.done() && !source_.cancel()) {
            stop_.request_stop();
            static_cast<void>(source_.exception());
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return target_.done(); }

    template <std::derived_from<PromiseBase> P>
    void await_suspend(std::coroutine_handle<P> handle) {
        begin(handle.promise());
    }

    T await_resume() { return std::move(target_).result(); }

    // Taken when the call has not begun; otherwise it stays with the task until the thread ends.
    bool cancel(const std::string& message) noexcept override {
        if (!source_.cancel()) {
            stop_.request_stop();
            return false;
        }
        static_cast<void>(FutureWait::cancel(message)); // the message does not go by the thread
        return true;
    }

    [[nodiscard]] std::string describe() const override { return "thread"; }

private:
    ThreadAwaiter(concurrent::Future<T> source, std::stop_source stop, Future<T> target)
        : FutureWait(target.state()),
          source_(std::move(source)),
          stop_(std::move(stop)),
          target_(std::move(target)) {}

    concurrent::Future<T> source_;
    std::stop_source stop_;
    Future<T> target_;
};

/// Borrows a limiter's token for a call. When the call is abandoned, this goes with it, so that its
/// address stands for no later call, and gives the token back once the thread has ended.
class TokenHop final : public ThreadHop {
public:
    explicit TokenHop(LoopCore& core) : ThreadHop(core) {}

    void keep(CapacityLimiter::Guard token) noexcept { token_ = std::move(token); }

private:
    void deliver() noexcept override { token_.release(); }

    void abandon() noexcept override { token_.release(); }

    CapacityLimiter::Guard token_;
};

/// What a thread calls: a function with its arguments, in the context of the caller.
template <class F, class... Args>
class ThreadCall {
    static constexpr bool stoppable = std::invocable<F, std::stop_token, Args...>;

public:
    using Result =
        typename std::conditional_t<stoppable, std::invoke_result<F, std::stop_token, Args...>,
                                    std::invoke_result<F, Args...>>::type;

    ThreadCall(std::stop_token stop, F&& function, Args&&... args)
        : context_(snapshot_context()),
          stop_(std::move(stop)),
          function_(std::move(function)),
          args_(std::move(args)...) {}

    Result operator()() && {
        const ContextScope scope(std::move(context_));
        return std::apply(
            [this](Args&... args) -> Result {
                if constexpr (stoppable) {
                    return std::invoke(std::move(function_), std::move(stop_), std::move(args)...);
                } else {
                    return std::invoke(std::move(function_), std::move(args)...);
                }
            },
            args_);
    }

private:
    ContextRef context_;
    std::stop_token stop_;
    F function_;
    std::tuple<Args...> args_;
};

template <class F, class... Args>
auto run_to_thread(ToThread options, F function, Args... args)
    -> Coro<concurrent::detail::CallResult<ThreadCall<F, Args...>>> {
    using T = concurrent::detail::CallResult<ThreadCall<F, Args...>>;
    EventLoop& loop = get_running_loop();
    std::shared_ptr<TokenHop> token;
    if (options.limiter != nullptr) {
        token = std::make_shared<TokenHop>(loop.core());
        token->keep(co_await options.limiter->guard_on_behalf_of(token.get()));
    }
    std::stop_source stop;
    concurrent::Future<T> source = loop.default_executor().submit(
        ThreadCall<F, Args...>(stop.get_token(), std::move(function), std::move(args)...));
    if (!options.abandon_on_cancel) {
        co_return co_await ThreadAwaiter<T>(std::move(source), std::move(stop));
    }
    if (token != nullptr) {
        loop.core().add_external(*token);
        source.add_done_callback(
            [token = std::move(token)]() mutable { ThreadHop::arrive(std::move(token)); });
    }
    try {
        co_return co_await wrap_future(std::move(source));
    } catch (const CancelledError&) {
        stop.request_stop();
        throw;
    }
}

} // namespace detail

/// Runs `function(args...)` on a thread of the loop's default executor, in a copy of the caller's
/// context variables (asyncio.to_thread). Waits for it even when cancelled, so that the function
/// may use what the caller owns (std::ref); a value it gives then is returned, and the cancellation
/// comes at the next suspension. A loop that is closed meanwhile waits for the function, too.
///
/// A function that takes a std::stop_token before its arguments is given one: a cancellation
/// requests a stop. `ToThread` bounds such calls, or lets them be abandoned (anyio.to_thread).
template <class F, class... Args>
    requires(std::invocable<F, Args...> || std::invocable<F, std::stop_token, Args...>)
auto to_thread(F function, Args... args) {
    return detail::run_to_thread<F, Args...>({}, std::move(function), std::move(args)...);
}

template <class F, class... Args>
    requires(std::invocable<F, Args...> || std::invocable<F, std::stop_token, Args...>)
auto to_thread(ToThread options, F function, Args... args) {
    return detail::run_to_thread<F, Args...>(options, std::move(function), std::move(args)...);
}

} // namespace muster
