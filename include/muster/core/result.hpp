#pragma once

#include <muster/core/error.hpp>

#include <exception>
#include <type_traits>
#include <utility>
#include <variant>

namespace muster {

/// A value or the exception that came in its place: what gather(return_exceptions, ...) gives.
template <class T>
class [[nodiscard]] Result {
    using Value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

public:
    Result(Value value) : outcome_(std::in_place_index<0>, std::move(value)) {}

    Result(std::exception_ptr error) noexcept
        : outcome_(std::in_place_index<1>, std::move(error)) {}

    [[nodiscard]] bool has_value() const noexcept { return outcome_.index() == 0; }

    explicit operator bool() const noexcept { return has_value(); }

    /// The value, or the exception thrown.
    [[nodiscard]] const Value& value() const& {
        check();
        return std::get<0>(outcome_);
    }

    [[nodiscard]] Value&& value() && {
        check();
        return std::get<0>(std::move(outcome_));
    }

    /// The exception; null when there is a value.
    [[nodiscard]] std::exception_ptr error() const noexcept {
        const auto* error = std::get_if<1>(&outcome_);
        return error != nullptr ? *error : nullptr;
    }

private:
    void check() const {
        if (const auto* error = std::get_if<1>(&outcome_)) {
            std::rethrow_exception(*error);
        }
    }

    std::variant<Value, std::exception_ptr> outcome_;
};

} // namespace muster
