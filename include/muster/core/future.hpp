#pragma once

#include <muster/core/coro.hpp>
#include <muster/core/detail/future_wait.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/function.hpp>

#include <concepts>
#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace muster {

/// Names a callback added by add_done_callback, to remove it.
using CallbackId = std::uint64_t;

namespace detail {

/// Runs `callback` a turn after `state` is done.
CallbackId add_done_callback(FutureBase& state, UniqueFunction<void(FutureBase&)> callback);
std::size_t remove_done_callback(FutureBase& state, CallbackId id) noexcept;

/// What Future<T> and Task<T> offer alike. A copyable handle; on the loop's thread only. An empty
/// one (default constructed or moved from) may be assigned, destroyed and asked `valid()`; all else
/// throws InvalidStateError.
template <class Handle, class T, class State>
class FutureHandle {
public:
    using value_type = T;

    FutureHandle() noexcept = default;

    explicit FutureHandle(Ref<State> state) noexcept : state_(std::move(state)) {}

    [[nodiscard]] bool valid() const noexcept { return static_cast<bool>(state_); }

    /// Finished, failed or cancelled.
    [[nodiscard]] bool done() const { return checked().done(); }

    [[nodiscard]] bool cancelled() const { return checked().state() == detail::State::cancelled; }

    /// The value. Throws what the task threw, CancelledError, or InvalidStateError while pending.
    decltype(auto) result() const& { return take_result<T, true>(checked()); }

    /// The value moved out, whoever else holds a handle.
    T result() && {
        if constexpr (std::is_void_v<T> || std::is_reference_v<T>) {
            return take_result<T, true>(checked());
        } else {
            static_cast<void>(take_result<T, true>(checked()));
            return std::move(checked().slot().value());
        }
    }

    /// The exception, or null after success. Throws CancelledError, or InvalidStateError while
    /// pending.
    [[nodiscard]] std::exception_ptr exception() const {
        if (!done()) {
            throw InvalidStateError("Exception is not set.");
        }
        if (cancelled()) {
            checked().rethrow();
        }
        checked().mark_retrieved();
        return checked().error();
    }

    /// Requests cancellation; `message` travels with the CancelledError. False when it is done
    /// already.
    bool cancel(const std::string& message = {}) const {
        checked().check_thread();
        return checked().cancel(message);
    }

    /// Calls `callback(handle)` in a turn of the loop after this is done, in the order they were
    /// added; what it throws goes to the loop's exception handler.
    template <class F>
    CallbackId add_done_callback(F callback) const;

    /// The number of callbacks removed: 0 or 1.
    std::size_t remove_done_callback(CallbackId id) const {
        return detail::remove_done_callback(checked(), id);
    }

    [[nodiscard]] EventLoop& get_loop() const;

    friend bool operator==(const FutureHandle& a, const FutureHandle& b) noexcept {
        return a.state_.get() == b.state_.get();
    }

    /// `co_await handle`: a const reference to the value, as often as wanted.
    FutureAwaiter<T, State, true> operator co_await() const& {
        static_cast<void>(checked());
        return FutureAwaiter<T, State, true>(state_);
    }

    /// `co_await std::move(handle)`: the value, moved by the last handle, else copied.
    FutureAwaiter<T, State, false> operator co_await() && {
        static_cast<void>(checked());
        return FutureAwaiter<T, State, false>(std::exchange(state_, Ref<State>()));
    }

    /// For combinators.
    [[nodiscard]] const Ref<State>& state() const noexcept { return state_; }

protected:
    /// Throws InvalidStateError for an empty handle.
    State& checked() const {
        if (!state_) [[unlikely]] {
            throw_empty_handle();
        }
        return *state_;
    }

    Ref<State> state_;
};

} // namespace detail

/// A result that is set once and awaited by many (asyncio.Future). Awaiting one and being
/// cancelled cancels the future itself.
template <class T>
class Future
    : public detail::FutureHandle<Future<T>, T, detail::WithValue<T, detail::PlainFuture>> {
    using State = detail::WithValue<T, detail::PlainFuture>;
    using Base = detail::FutureHandle<Future, T, State>;

public:
    using Base::Base;

    /// Throws InvalidStateError when it is done.
    template <class U = T>
        requires(!std::is_void_v<T> && std::constructible_from<T, U>)
    void set_result(U&& value) const {
        check_pending();
        if constexpr (std::is_reference_v<T>) {
            this->checked().slot().emplace(std::addressof(value));
        } else {
            this->checked().slot().emplace(std::forward<U>(value));
        }
        this->checked().finish_value();
    }

    void set_result() const
        requires std::is_void_v<T>
    {
        check_pending();
        this->checked().slot().emplace();
        this->checked().finish_value();
    }

    /// Throws InvalidStateError when it is done, ValueError for a null pointer.
    void set_exception(std::exception_ptr error) const {
        check_pending();
        if (error == nullptr) {
            throw ValueError("set_exception() needs an exception");
        }
        this->checked().finish_error(std::move(error));
    }

    template <class E>
        requires(!std::convertible_to<E, std::exception_ptr>)
    void set_exception(E error) const {
        set_exception(std::make_exception_ptr(std::move(error)));
    }

private:
    void check_pending() const {
        this->checked().check_thread();
        if (this->done()) {
            throw InvalidStateError("invalid state: the future is done already");
        }
    }
};

template <class Handle, class T, class State>
template <class F>
CallbackId detail::FutureHandle<Handle, T, State>::add_done_callback(F callback) const {
    return detail::add_done_callback(checked(),
                                     [callback = std::move(callback)](FutureBase& state) mutable {
                                         callback(Handle(Ref<State>(static_cast<State*>(&state))));
                                     });
}

template <class Handle, class T, class State>
EventLoop& detail::FutureHandle<Handle, T, State>::get_loop() const {
    if (checked().loop() == nullptr) {
        throw RuntimeError("the event loop of this future is gone");
    }
    return checked().loop()->loop();
}

template <class T>
Future<T> EventLoop::create_future() {
    core().check_open();
    core().check_thread();
    using State = detail::WithValue<T, detail::PlainFuture>;
    return Future<T>(detail::Ref<State>(new State(core())));
}

template <class T>
T EventLoop::run_until_complete(Future<T> future) {
    run_until_done(*future.state());
    return detail::take_result<T, false>(*future.state());
}

} // namespace muster
