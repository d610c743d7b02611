#pragma once

#include <muster/core/error.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <variant>

namespace muster::detail {

/// How a coroutine, task or future stands.
enum class State : std::uint8_t { pending, value, failed, cancelled };

/// Whether the exception being handled is a CancelledError; asks its type, throws nothing.
[[nodiscard]] bool handling_cancelled_error() noexcept;

[[nodiscard]] bool is_keyboard_interrupt(const std::exception_ptr& error) noexcept;

/// What a result of type T is stored as: references as pointers, void as nothing.
template <class T>
using Stored = std::conditional_t<
    std::is_void_v<T>, std::monostate,
    std::conditional_t<std::is_reference_v<T>, std::add_pointer_t<T>, std::remove_cv_t<T>>>;

/// A place for one value. Whether it is there, the owner knows, who destroys it then.
template <class T>
class ValuePlace {
public:
    ValuePlace() noexcept {}

    ValuePlace(const ValuePlace&) = delete;
    ValuePlace& operator=(const ValuePlace&) = delete;

    ~ValuePlace() {} // NOLINT(modernize-use-equals-default): of a union

    template <class... Args>
    void emplace(Args&&... args) {
        ::new (static_cast<void*>(std::addressof(value_))) Stored<T>(std::forward<Args>(args)...);
    }

    void destroy() noexcept { std::destroy_at(&value_); }

    [[nodiscard]] Stored<T>& value() noexcept { return value_; }

private:
    union {
        Stored<T> value_;
    };
};

/// Nothing needs no place.
template <>
class ValuePlace<void> {
public:
    void emplace(std::monostate = {}) noexcept {}

    void destroy() noexcept {}
};

/// A place for one value or one exception, empty at first.
template <class T>
class ResultSlot {
public:
    ResultSlot() noexcept {}

    ResultSlot(const ResultSlot&) = delete;
    ResultSlot& operator=(const ResultSlot&) = delete;

    ~ResultSlot() {
        if (state_ == State::value) {
            std::destroy_at(&value_);
        } else if (state_ != State::pending) {
            std::destroy_at(&error_);
        }
    }

    [[nodiscard]] State state() const noexcept { return state_; }

    template <class... Args>
    void emplace(Args&&... args) {
        ::new (static_cast<void*>(std::addressof(value_))) Stored<T>(std::forward<Args>(args)...);
        state_ = State::value;
    }

    /// `cancelled` tells that the exception is a CancelledError.
    void fail(std::exception_ptr error, bool cancelled) noexcept {
        ::new (static_cast<void*>(std::addressof(error_))) std::exception_ptr(std::move(error));
        state_ = cancelled ? State::cancelled : State::failed;
    }

    /// The value; only in state `value`.
    [[nodiscard]] Stored<T>& value() noexcept { return value_; }

    /// The exception; only in states `failed` and `cancelled`.
    [[nodiscard]] const std::exception_ptr& error() const noexcept { return error_; }

    /// The value moved out, or the exception thrown.
    T take() {
        if (state_ != State::value) {
            std::rethrow_exception(error_);
        }
        if constexpr (std::is_void_v<T>) {
            return;
        } else if constexpr (std::is_reference_v<T>) {
            return static_cast<T>(*value_);
        } else {
            return std::move(value_);
        }
    }

private:
    union {
        Stored<T> value_;
        std::exception_ptr error_;
    };

    State state_ = State::pending;
};

} // namespace muster::detail
