#pragma once

#include <muster/core/detail/context_cell.hpp>
#include <muster/core/error.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace muster {

namespace detail {

[[nodiscard]] std::uint64_t next_context_variable() noexcept;

/// The value in the current context; null when there is none.
[[nodiscard]] std::shared_ptr<const void> context_value(std::uint64_t variable) noexcept;

/// Sets it, or with null takes it out; what was there.
std::shared_ptr<const void> set_context_value(std::uint64_t variable,
                                              std::shared_ptr<const void> value);

[[noreturn]] void throw_no_context_value(const std::string& name);

} // namespace detail

/// The values of all context variables at one time and place (contextvars.Context): a handle,
/// copies of it share the values. Tasks started with `TaskOptions::context` share them, too.
class Context {
public:
    /// An empty one.
    Context() : cell_(new detail::ContextCell()) {}

    /// Calls `function()` in this context: it sees these values, and what it sets stays here.
    /// Throws RuntimeError when it is entered already.
    template <std::invocable F>
    std::invoke_result_t<F> run(F&& function) const {
        const Entry entry(cell_);
        return std::invoke(std::forward<F>(function));
    }

    /// A context of its own with the values of now.
    [[nodiscard]] Context copy() const {
        return Context(detail::ContextRef(new detail::ContextCell(cell_->values)));
    }

    friend bool operator==(const Context& a, const Context& b) noexcept {
        return a.cell_.get() == b.cell_.get();
    }

    /// For the library.
    explicit Context(detail::ContextRef cell) noexcept : cell_(std::move(cell)) {}

    [[nodiscard]] const detail::ContextRef& cell() const noexcept { return cell_; }

private:
    class Entry {
    public:
        explicit Entry(const detail::ContextRef& cell);
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;
        ~Entry();

    private:
        detail::ContextRef cell_;
        std::optional<detail::ContextScope> scope_;
    };

    detail::ContextRef cell_;
};

/// A copy of the current context (contextvars.copy_context).
[[nodiscard]] Context copy_context();

/// A variable that each task has a value of its own of (contextvars.ContextVar): which device is
/// being worked on, which request is being served. A task begins with its creator's values at
/// that moment; what it sets later is seen by itself, by coroutines that it awaits, and by tasks
/// and threads (to_thread) that it starts. Usually `inline const ContextVar<T>` at namespace scope.
template <class T>
class ContextVar {
    static_assert(std::is_object_v<T> && std::copy_constructible<T>,
                  "get() gives a copy: for what can't be copied use a shared_ptr");

public:
    /// What set() gives, to undo it; used once.
    class Token {
    public:
        Token(Token&&) noexcept = default;
        Token& operator=(Token&&) noexcept = default;

    private:
        friend class ContextVar;

        Token(std::uint64_t variable, std::shared_ptr<const void> old, detail::ContextRef context)
            : variable_(variable), old_(std::move(old)), context_(std::move(context)) {}

        std::uint64_t variable_;
        std::shared_ptr<const void> old_;
        detail::ContextRef context_;
        bool used_ = false;
    };

    explicit ContextVar(std::string name) : name_(std::move(name)) {}

    ContextVar(std::string name, T default_value)
        : name_(std::move(name)), default_(std::move(default_value)) {}

    ContextVar(const ContextVar&) = delete;
    ContextVar& operator=(const ContextVar&) = delete;

    /// The value in the current context, else the default. Throws LookupError when there is none.
    [[nodiscard]] T get() const {
        if (const auto value = detail::context_value(variable_)) {
            return *static_cast<const T*>(value.get());
        }
        if (!default_) {
            detail::throw_no_context_value(name_);
        }
        return *default_;
    }

    /// The value in the current context, else `fallback`.
    [[nodiscard]] T get(T fallback) const {
        const auto value = detail::context_value(variable_);
        return value ? *static_cast<const T*>(value.get()) : std::move(fallback);
    }

    /// Sets the value in the current context; keep the token to undo it.
    Token set(T value) const {
        auto old =
            detail::set_context_value(variable_, std::make_shared<const T>(std::move(value)));
        return Token(variable_, std::move(old), detail::current_context());
    }

    /// Undoes the set() that gave `token`. Throws ValueError for a token of another variable or
    /// context, RuntimeError when it was used before.
    void reset(Token& token) const {
        if (token.used_) {
            throw RuntimeError("the token of ContextVar '" + name_ + "' has been used already");
        }
        if (token.variable_ != variable_) {
            throw ValueError("the token was made by a different ContextVar than '" + name_ + "'");
        }
        if (token.context_.get() != detail::current_context().get()) {
            throw ValueError("the token of ContextVar '" + name_ +
                             "' was made in a different Context");
        }
        token.used_ = true;
        detail::set_context_value(variable_, std::move(token.old_));
    }

    void reset(Token&& token) const { reset(token); }

    [[nodiscard]] const std::string& name() const noexcept { return name_; }

private:
    std::uint64_t variable_ = detail::next_context_variable();
    std::string name_;
    std::optional<T> default_;
};

} // namespace muster
