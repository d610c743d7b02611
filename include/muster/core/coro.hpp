#pragma once

#include <muster/core/detail/foreign_awaiter.hpp>
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
        promise.task->root_ended(promise);
        return std::noop_coroutine();
    }

    void await_resume() const noexcept {}
};

/// What coroutines of all kinds do alike: begin when they are asked to, and know where they stand.
class CoroutinePromise : public PromiseBase {
public:
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }

    [[nodiscard]] FinalAwaiter final_suspend() const noexcept { return {}; }

    template <class A>
    decltype(auto) await_transform(A&& awaitable,
                                   std::source_location here = std::source_location::current()) {
        where = here;
        using Given = decltype(get_awaiter(std::forward<A>(awaitable)));
        if constexpr (Foreign<std::remove_reference_t<Given>>) {
            return ForeignAwaiter<Given>(get_awaiter(std::forward<A>(awaitable)));
        } else {
            return get_awaiter(std::forward<A>(awaitable));
        }
    }

protected:
    explicit CoroutinePromise(std::source_location here) noexcept { where = here; }

    ~CoroutinePromise() = default;
};

template <class T>
class CoroPromiseBase : public CoroutinePromise {
public:
    void unhandled_exception() noexcept {
        slot_.fail(std::current_exception(), handling_cancelled_error());
    }

    [[nodiscard]] ResultSlot<T>& slot() noexcept { return slot_; }

protected:
    using CoroutinePromise::CoroutinePromise;

    /// The handle of this coroutine, whose own promise, of a derived class, has set `self`.
    Coro<T> coro() noexcept;

    ~CoroPromiseBase() = default;

    ResultSlot<T> slot_;
};

template <class T>
class CoroPromise : public CoroPromiseBase<T> {
public:
    /// A coroutine that has not begun stands at its own beginning.
    explicit CoroPromise(std::source_location here = std::source_location::current()) noexcept
        : CoroPromiseBase<T>(here) {}

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
class CoroPromise<void> : public CoroPromiseBase<void> {
public:
    explicit CoroPromise(std::source_location here = std::source_location::current()) noexcept
        : CoroPromiseBase<void>(here) {}

    Coro<void> get_return_object() noexcept;

    void return_void() { slot_.emplace(); }
};

/// Reports a coroutine that is thrown away before it began, in debug mode.
void never_awaited(const std::source_location& coroutine) noexcept;

/// Owns a coroutine that runs inside the task of the one that awaits it.
template <class T>
class CoroAwaiter {
public:
    explicit CoroAwaiter(CoroPromise<T>* promise) noexcept {
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
        if (!frame_) {
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
        PromiseBase& child = promise();
        child.parent = &parent;
        child.task = parent.task;
        child.owner = &frame_;
        child.completion = completion;
        return parent.task->transfer(frame_);
    }

    T await_resume() { return slot().take(); }

    [[nodiscard]] ResultSlot<T>& slot() noexcept { return promise().slot(); }

private:
    // The frame may be one of a derived promise: it lies in the same place, and has no other size.
    [[nodiscard]] CoroPromise<T>& promise() const noexcept {
        return std::coroutine_handle<CoroPromise<T>>::from_address(frame_.address()).promise();
    }

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

    /// Throws the coroutine away unused, arguments and all, and means to (coroutine.close()).
    void close() noexcept {
        if (promise_ != nullptr) {
            std::exchange(promise_, nullptr)->self.destroy();
        }
    }

    /// Whether there is something to await: false after a move.
    [[nodiscard]] bool valid() const noexcept { return promise_ != nullptr; }

    /// For schedulers: gives up the coroutine, null after a move.
    [[nodiscard]] promise_type* release() noexcept { return std::exchange(promise_, nullptr); }

private:
    friend detail::CoroPromiseBase<T>;

    explicit Coro(promise_type& promise) noexcept : promise_(&promise) {}

    void reset() noexcept {
        if (promise_ != nullptr) {
            detail::never_awaited(promise_->where);
            close();
        }
    }

    promise_type* promise_;
};

namespace detail {

template <class T>
Coro<T> CoroPromiseBase<T>::coro() noexcept {
    return Coro<T>(static_cast<CoroPromise<T>&>(*this));
}

template <class T>
Coro<T> CoroPromise<T>::get_return_object() noexcept {
    this->self = std::coroutine_handle<CoroPromise>::from_promise(*this);
    return this->coro();
}

inline Coro<void> CoroPromise<void>::get_return_object() noexcept {
    self = std::coroutine_handle<CoroPromise>::from_promise(*this);
    return coro();
}

} // namespace detail
} // namespace muster
