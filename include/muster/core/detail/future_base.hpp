#pragma once

#include <muster/core/detail/frame_pool.hpp>
#include <muster/core/detail/list.hpp>
#include <muster/core/detail/result_slot.hpp>
#include <muster/core/error.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace muster::detail {

class LoopCore;
class TaskBase;

/// What a Future and a Task have in common: a state that is left once, and those who wait for it.
/// Counted by its handles, on the loop's thread only.
class FutureBase : public Pooled, public Link {
public:
    explicit FutureBase(LoopCore& loop) noexcept;

    void retain() noexcept { ++references_; }

    void release() noexcept {
        if (--references_ == 0) {
            dispose();
        }
    }

    [[nodiscard]] bool last_reference() const noexcept { return references_ == 1; }

    [[nodiscard]] State state() const noexcept { return state_; }

    [[nodiscard]] bool done() const noexcept { return state_ != State::pending; }

    /// The loop, or null once it is gone.
    [[nodiscard]] LoopCore* loop() const noexcept { return loop_; }

    /// In debug mode throws RuntimeError on a thread that is not the loop's.
    void check_thread() const;

    /// Future.cancel / Task.cancel; false when it is done already.
    virtual bool cancel(const std::string& message) noexcept = 0;

    /// This, when it is a task.
    virtual TaskBase* as_task() noexcept { return nullptr; }

    /// Fires `node` when this is done; not called when it is done already.
    void add_waiter(Node& node) noexcept { waiters_.push_back(node); }

    [[nodiscard]] const NodeList& waiters() const noexcept { return waiters_; }

    /// A failure that somebody has been told of is not reported as "never retrieved".
    void mark_retrieved() noexcept { retrieved_ = true; }

    [[nodiscard]] bool retrieved() const noexcept { return retrieved_; }

    /// The name of a task.
    [[nodiscard]] virtual std::string label() const { return {}; }

    /// The exception of a failed or cancelled one.
    [[nodiscard]] std::exception_ptr error() const;

    /// Throws the exception of a failed or cancelled one.
    [[noreturn]] void rethrow();

    void finish_value() noexcept { finish(State::value); }

    void finish_error(std::exception_ptr error) noexcept {
        error_ = std::move(error);
        finish(State::failed);
    }

    /// `error` is the CancelledError that ended it; null when it was cancelled from outside.
    void finish_cancelled(std::exception_ptr error) noexcept {
        error_ = std::move(error);
        finish(State::cancelled);
    }

    /// The loop is going away: done, and nobody is told.
    void orphan() noexcept;

protected:
    /// For a task, which its loop keeps elsewhere than other futures.
    struct Task {};

    FutureBase(LoopCore& loop, Task) noexcept : loop_(&loop) {}

    virtual ~FutureBase();

    /// With what message it is cancelled.
    void set_cancel_message(const std::string& message) noexcept {
        cancel_message_ = message.empty() ? nullptr : std::make_unique<std::string>(message);
    }

    [[nodiscard]] const std::string* cancel_message() const noexcept {
        return cancel_message_.get();
    }

    /// Throws the CancelledError that the message belongs to.
    [[noreturn]] void throw_cancelled_error() const;

    /// "Task" or "Future", for the never-retrieved report.
    virtual const char* kind() const noexcept = 0;

private:
    void finish(State state) noexcept;
    void drop_waiters() noexcept;
    void dispose() noexcept;

    std::uint32_t references_ = 0;
    State state_ = State::pending;
    bool retrieved_ = false;
    LoopCore* loop_;
    NodeList waiters_;
    std::exception_ptr error_;
    std::unique_ptr<std::string> cancel_message_;
};

/// Throws InvalidStateError: somebody uses a handle that refers to nothing.
[[noreturn]] void throw_empty_handle();

/// Counting handle of a FutureBase or of one of its kinds.
template <class T>
class Ref {
public:
    Ref() noexcept = default;

    explicit Ref(T* object) noexcept : object_(object) {
        if (object_ != nullptr) {
            object_->retain();
        }
    }

    Ref(const Ref& other) noexcept : Ref(other.object_) {}

    Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}

    template <class U>
        requires std::convertible_to<U*, T*>
    Ref(const Ref<U>& other) noexcept : Ref(other.get()) {}

    Ref& operator=(Ref other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }

    ~Ref() {
        if (object_ != nullptr) {
            object_->release();
        }
    }

    [[nodiscard]] T* get() const noexcept { return object_; }

    T& operator*() const noexcept { return *object_; }

    T* operator->() const noexcept { return object_; }

    explicit operator bool() const noexcept { return object_ != nullptr; }

private:
    T* object_ = nullptr;
};

/// The value of a finished Future or Task.
template <class T, class Base>
class WithValue : public Base {
public:
    using Base::Base;

    [[nodiscard]] ValuePlace<T>& slot() noexcept { return slot_; }

protected:
    ~WithValue() override {
        if (this->state() == State::value) {
            slot_.destroy();
        }
    }

private:
    [[no_unique_address]] ValuePlace<T> slot_;
};

/// The state of a Future<T>.
class PlainFuture : public FutureBase {
public:
    using FutureBase::FutureBase;

    bool cancel(const std::string& message) noexcept override {
        if (done()) {
            mark_retrieved(); // as in asyncio: who cancels it does not mind what it ended with
            return false;
        }
        set_cancel_message(message);
        finish_cancelled(nullptr);
        return true;
    }

protected:
    ~PlainFuture() override = default;

    const char* kind() const noexcept override { return "Future"; }
};

} // namespace muster::detail
