#pragma once

#include <muster/core/coro.hpp>
#include <muster/core/detail/frame_pool.hpp>
#include <muster/core/detail/promise.hpp>
#include <muster/core/error.hpp>

#include <concepts>
#include <coroutine>
#include <exception>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

namespace muster {

/// Thrown at the co_yield where an AsyncGenerator stands when it is closed by `aclose()` (Python:
/// GeneratorExit). Like CancelledError it derives from nothing.
class GeneratorExit {};

template <class T>
class AsyncGenerator;

namespace detail {

/// What an AsyncGenerator and those who wait for its next item share: its frame outlives none of
/// them, and whoever goes last frees it.
class GeneratorState : public Pooled {
public:
    void retain() noexcept { ++references_; }

    void release() noexcept {
        if (--references_ == 0) {
            drop_frame();
            delete this;
        }
    }

    void drop_frame() noexcept {
        if (frame) {
            std::exchange(frame, nullptr).destroy();
        }
    }

    std::coroutine_handle<> frame;
    PromiseBase* promise = nullptr;
    bool begun = false;   // the first next() was awaited
    bool running = false; // somebody waits for the next item
    bool closing = false; // the co_yield where it stands throws GeneratorExit

private:
    unsigned references_ = 0;
};

template <class T>
class GeneratorPromise final : public CoroutinePromise {
public:
    explicit GeneratorPromise(std::source_location here = std::source_location::current()) noexcept
        : CoroutinePromise(here) {}

    AsyncGenerator<T> get_return_object();

    /// Hands the item to who waits for it.
    class Yield {
    public:
        explicit Yield(GeneratorState& state) noexcept : state_(state) {}

        [[nodiscard]] bool await_ready() const noexcept { return false; }

        std::coroutine_handle<> await_suspend(std::coroutine_handle<GeneratorPromise> handle) {
            PromiseBase& promise = handle.promise();
            return promise.task->transfer(promise.parent->self);
        }

        void await_resume() const {
            if (state_.closing) {
                throw GeneratorExit();
            }
        }

    private:
        GeneratorState& state_;
    };

    template <class U = T>
        requires std::constructible_from<T, U>
    Yield yield_value(U&& value) {
        item_.emplace(std::forward<U>(value));
        return Yield(*state_);
    }

    void return_void() const noexcept {}

    void unhandled_exception() noexcept { error_ = std::current_exception(); }

    [[nodiscard]] std::optional<T> take_item() { return std::exchange(item_, std::nullopt); }

    [[nodiscard]] std::exception_ptr take_error() noexcept {
        return std::exchange(error_, nullptr);
    }

private:
    GeneratorState* state_ = nullptr; // which owns the frame
    std::optional<T> item_;
    std::exception_ptr error_;
};

/// Runs a generator to its next co_yield or its end, inside the task that awaits.
template <class T>
class GeneratorAwaiter {
public:
    GeneratorAwaiter(Ref<GeneratorState> state, bool close) noexcept
        : state_(std::move(state)), close_(close) {}

    GeneratorAwaiter(const GeneratorAwaiter&) = delete;
    GeneratorAwaiter& operator=(const GeneratorAwaiter&) = delete;

    ~GeneratorAwaiter() {
        if (begun_) {
            state_->running = false;
        }
    }

    [[nodiscard]] bool await_ready() const {
        if (!state_) {
            throw RuntimeError("cannot iterate an AsyncGenerator that was moved from");
        }
        if (state_->running) {
            throw RuntimeError("this AsyncGenerator is running already: another task waits for its "
                               "next item");
        }
        return !state_->frame;
    }

    template <std::derived_from<PromiseBase> P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> handle) noexcept {
        PromiseBase& parent = handle.promise();
        PromiseBase& generator = *state_->promise;
        begun_ = true;
        state_->begun = true;
        state_->running = true;
        state_->closing = close_;
        generator.parent = &parent;
        generator.task = parent.task;
        generator.owner = &state_->frame;
        return parent.task->transfer(state_->frame);
    }

    std::optional<T> await_resume() {
        if (!std::exchange(begun_, false)) {
            return std::nullopt; // it has ended before
        }
        state_->running = false; // now: this awaiter may live on, beside the next one's
        auto& promise = static_cast<GeneratorPromise<T>&>(*state_->promise);
        std::optional<T> item = promise.take_item();
        if (item) {
            return item;
        }
        const std::exception_ptr error = promise.take_error();
        state_->drop_frame();
        if (error != nullptr) {
            std::rethrow_exception(error);
        }
        return std::nullopt;
    }

private:
    Ref<GeneratorState> state_;
    bool close_;
    bool begun_ = false;
};

/// What next() gives: movable, so that wait_for() can take it. Awaited once.
template <class T>
class [[nodiscard("the generator only goes on when this is awaited")]] GeneratorNext {
public:
    explicit GeneratorNext(Ref<GeneratorState> state) noexcept : state_(std::move(state)) {}

    GeneratorAwaiter<T> operator co_await() && noexcept {
        return GeneratorAwaiter<T>(std::move(state_), false);
    }

private:
    Ref<GeneratorState> state_;
};

template <class T>
Coro<void> close_generator(Ref<GeneratorState> state);

} // namespace detail

/// A coroutine that gives many values, one by one, with `co_yield` (Python: an async generator):
///
///     while (auto item = co_await lines.next()) {
///         use(*item);
///     }
///
/// Its body runs inside the task that awaits next(), and only then; a cancellation of that task is
/// thrown where the body waits. Dropping a generator destroys its frame where it stands, locals and
/// all; `aclose()` lets the body clean up with co_await.
template <class T>
class [[nodiscard("an AsyncGenerator does nothing until it is iterated")]] AsyncGenerator {
    static_assert(std::is_object_v<T> && std::move_constructible<T>,
                  "an AsyncGenerator gives values: to give references, give pointers");

public:
    using promise_type = detail::GeneratorPromise<T>;
    using value_type = T;

    AsyncGenerator(AsyncGenerator&&) noexcept = default;
    AsyncGenerator& operator=(AsyncGenerator&&) noexcept = default;

    /// Awaiting it gives the next value as a std::optional, or nothing after the last one. Throws
    /// what the body throws, after which there are no more; RuntimeError while another task waits
    /// for the next value.
    detail::GeneratorNext<T> next() noexcept { return detail::GeneratorNext<T>(state_); }

    /// Ends the generator: GeneratorExit is thrown at the co_yield where it stands, so that it can
    /// clean up, which is waited for. What else the body throws is thrown here; RuntimeError when
    /// it yields once more instead. Harmless when it has ended or never began.
    Coro<void> aclose() { return detail::close_generator<T>(state_); }

    /// For the promise.
    explicit AsyncGenerator(detail::Ref<detail::GeneratorState> state) noexcept
        : state_(std::move(state)) {}

private:
    detail::Ref<detail::GeneratorState> state_;
};

namespace detail {

template <class T>
AsyncGenerator<T> GeneratorPromise<T>::get_return_object() {
    const auto handle = std::coroutine_handle<GeneratorPromise>::from_promise(*this);
    self = handle;
    state_ = new GeneratorState();
    state_->frame = handle;
    state_->promise = this;
    return AsyncGenerator<T>(Ref<GeneratorState>(state_));
}

template <class T>
Coro<void> close_generator(Ref<GeneratorState> state) {
    if (!state) {
        throw RuntimeError("cannot close an AsyncGenerator that was moved from");
    }
    if (state->frame && !state->begun) {
        state->drop_frame(); // no statement of it runs
        co_return;
    }
    bool yielded = false;
    try {
        const std::optional<T> item = co_await GeneratorAwaiter<T>(state, true);
        yielded = item.has_value();
    } catch (const GeneratorExit&) {
        co_return;
    }
    if (yielded) {
        state->drop_frame();
        throw RuntimeError("the AsyncGenerator ignored GeneratorExit: it yielded a value while it "
                           "was being closed");
    }
}

} // namespace detail

} // namespace muster
