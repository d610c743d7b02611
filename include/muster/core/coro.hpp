#pragma once

#include <muster/core/detail/promise.hpp>
#include <muster/core/detail/result_slot.hpp>
#include <muster/core/detail/task_base.hpp>
#include <muster/core/error.hpp>

#include <coroutine>
#include <exception>
#include <source_location>
#include <type_traits>
#include <utility>

namespace muster {

namespace detail {

template <class T>
class CoroPromise;

/// Goes to whoever awaits the coroutine, in constant stack.
struct FinalAwaiter {
    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
        PromiseBase& promise = handle.promise();
        if (promise.completion != nullptr) {
            return promise.completion->completed(promise);
        }
        if (promise.parent != nullptr) {
            return promise.task->transfer(promise.parent->self);
        }
        promise.task->root_ended();
        return std::noop_coroutine();
    }

    void await_resume() const noexcept {}
};

template <class T>
class CoroPromiseBase : public PromiseBase {
public:
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }

    [[nodiscard]] FinalAwaiter final_suspend() const noexcept { return {}; }

    void unhandled_exception() noexcept {
        slot_.fail(std::current_exception(), handling_cancelled_error());
    }

    template <class A>
    decltype(auto) await_transform(A&& awaitable,
                                   std::source_location here = std::source_location::current()) {
        where = here;
        return get_awaiter(std::forward<A>(awaitable));
    }

    [[nodiscard]] ResultSlot<T>& slot() noexcept { return slot_; }

protected:
    ResultSlot<T> slot_;
};

template <class T>
class CoroPromise final : public CoroPromiseBase<T> {
public:
    Coro<T> get_return_object() noexcept;

    template <class U = T>
        requires std::convertible_to<U, T>
    void return_value(U&& value) {
        if constexpr (std::is_reference_v<T>) {
            this->slot_.emplace(std::addressof(static_cast<T>(value)));
        } else if constexpr (std::is_arithmetic_v<T>) {
            this->slot_.emplace(static_cast<T>(value)); // as `return` converts: co_return 0
        } else {
            this->slot_.emplace(std::forward<U>(value));
        }
    }
};

template <>
class CoroPromise<void> final : public CoroPromiseBase<void> {
public:
    Coro<void> get_return_object() noexcept;

    void return_void() { slot_.emplace(); }
};

/// Owns a coroutine that runs inside the task of the one that awaits it.
template <class T>
class CoroAwaiter {
public:
    explicit CoroAwaiter(CoroPromise<T>* promise) noexcept : promise_(promise) {
        if (promise != nullptr) {
            frame_ = promise->self;
        }
    }

    CoroAwaiter(const CoroAwaiter&) = delete;
    CoroAwaiter& operator=(const CoroAwaiter&) = delete;

    ~CoroAwaiter() {
        if (frame_) {
            frame_.destroy();
        }
    }

    [[nodiscard]] bool await_ready() const {
        if (promise_ == nullptr) {
            throw RuntimeError("cannot await a Coro that was moved from or awaited before");
        }
        return false;
    }

    template <std::derived_from<PromiseBase> P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> parent) noexcept {
        return begin(parent.promise(), nullptr);
    }

    /// Starts the coroutine as a child of `parent`; `completion` intercepts its end.
    std::coroutine_handle<> begin(PromiseBase& parent, Completion* completion) noexcept {
        promise_->parent = &parent;
        promise_->task = parent.task;
        promise_->owner = &frame_;
        promise_->completion = completion;
        return parent.task->transfer(frame_);
    }

    T await_resume() { return promise_->slot().take(); }

    [[nodiscard]] ResultSlot<T>& slot() noexcept { return promise_->slot(); }

private:
    CoroPromise<T>* promise_;
    std::coroutine_handle<> frame_;
};

} // namespace detail

/// What an asynchronous function returns: a computation that has not begun. It runs when it is
/// awaited, inside the task that awaits it, or as a task of its own after create_task(). Awaited
/// once, and only as an rvalue. Destroying one that never ran destroys its arguments.
///
/// Its parameters live until it ends; what they refer to must live as long. Python: the coroutine
/// object that calling an `async def` gives.
template <class T>
class [[nodiscard("a Coro does nothing until it is awaited or made a task")]] Coro {
    static_assert(!std::is_rvalue_reference_v<T>,
                  "Coro<T&&> would return a reference to something that is gone: return T");

public:
    using promise_type = detail::CoroPromise<T>;
    using value_type = T;

    // Compilers show these lines where a Coro is copied.
    Coro(const Coro&) = delete;            // a Coro is not copied: write std::move(coro)
    Coro& operator=(const Coro&) = delete; // a Coro is not copied: write std::move(coro)

    Coro(Coro&& other) noexcept : promise_(std::exchange(other.promise_, nullptr)) {}

    Coro& operator=(Coro&& other) noexcept {
        if (this != &other) {
            reset();
            promise_ = std::exchange(other.promise_, nullptr);
        }
        return *this;
    }

    ~Coro() { reset(); }

    detail::CoroAwaiter<T> operator co_await() && noexcept {
        return detail::CoroAwaiter<T>(release());
    }

    /// Whether there is something to await: false after a move.
    [[nodiscard]] bool valid() const noexcept { return promise_ != nullptr; }

    /// For schedulers: gives up the coroutine, null after a move.
    [[nodiscard]] promise_type* release() noexcept { return std::exchange(promise_, nullptr); }

private:
    friend promise_type;

    explicit Coro(promise_type& promise) noexcept : promise_(&promise) {
        promise.self = std::coroutine_handle<promise_type>::from_promise(promise);
    }

    void reset() noexcept {
        if (promise_ != nullptr) {
            std::exchange(promise_, nullptr)->self.destroy();
        }
    }

    promise_type* promise_;
};

namespace detail {

template <class T>
Coro<T> CoroPromise<T>::get_return_object() noexcept {
    return Coro<T>(*this);
}

inline Coro<void> CoroPromise<void>::get_return_object() noexcept { return Coro<void>(*this); }

} // namespace detail
} // namespace muster
