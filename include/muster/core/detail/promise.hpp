#pragma once

#include <muster/core/detail/frame_pool.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <source_location>
#include <type_traits>
#include <utility>

namespace muster {

template <class T = void>
class Coro;

namespace detail {

class TaskBase;
class PromiseBase;

/// Told when a coroutine that was awaited ends, in place of its parent; says what to resume.
class Completion {
public:
    virtual std::coroutine_handle<> completed(PromiseBase& child) noexcept = 0;

protected:
    ~Completion() = default;
};

/// What all of muster's coroutine promises share: who runs them, who waits for them, and who owns
/// their frame, so that a suspended chain can be destroyed from its innermost frame outwards
/// without recursion.
class PromiseBase {
public:
    PromiseBase() = default;
    PromiseBase(const PromiseBase&) = delete;
    PromiseBase& operator=(const PromiseBase&) = delete;

    static void* operator new(std::size_t size) { return pool_allocate(size); }

    static void operator delete(void* frame, std::size_t size) noexcept { pool_free(frame, size); }

    std::coroutine_handle<> self;             ///< this coroutine
    PromiseBase* parent = nullptr;            ///< the coroutine that awaits this one
    TaskBase* task = nullptr;                 ///< the task this coroutine runs in
    std::coroutine_handle<>* owner = nullptr; ///< the variable that destroys this frame
    Completion* completion = nullptr;         ///< resumed in place of `parent`
    std::source_location where;               ///< the co_await it is suspended at

protected:
    ~PromiseBase() = default;
};

/// Specialise for a type that is not an awaiter to make it awaitable: `static auto get(T&&)`.
template <class T>
struct AwaitAdapter;

template <class T>
concept Awaiter = requires(T& awaiter) {
    { awaiter.await_ready() } -> std::convertible_to<bool>;
    awaiter.await_resume();
};
template <class T>
concept HasMemberAwait = requires(T&& value) { std::forward<T>(value).operator co_await(); };
template <class T>
concept HasFreeAwait = requires(T&& value) { operator co_await(std::forward<T>(value)); };
template <class T>
concept HasAdapter =
    requires(T&& value) { AwaitAdapter<std::remove_cvref_t<T>>::get(std::forward<T>(value)); };

template <class T>
inline constexpr bool is_coro = false;
template <class T>
inline constexpr bool is_coro<Coro<T>> = true;

/// What co_await awaits for `value`: itself, or what its operator co_await gives.
template <class T>
decltype(auto) get_awaiter(T&& value) {
    static_assert(!(std::is_lvalue_reference_v<T> && is_coro<std::remove_cvref_t<T>>),
                  "a Coro is awaited once: write co_await std::move(coro), or make it a task with "
                  "create_task(std::move(coro)) to await it several times");
    static_assert(!(std::is_lvalue_reference_v<T> && !HasMemberAwait<T> &&
                    HasMemberAwait<std::remove_cvref_t<T>> && !is_coro<std::remove_cvref_t<T>>),
                  "this is awaited once, as an rvalue: write co_await std::move(...)");
    if constexpr (HasMemberAwait<T>) {
        return std::forward<T>(value).operator co_await();
    } else if constexpr (HasFreeAwait<T>) {
        return operator co_await(std::forward<T>(value));
    } else if constexpr (HasAdapter<T>) {
        return AwaitAdapter<std::remove_cvref_t<T>>::get(std::forward<T>(value));
    } else {
        static_assert(Awaiter<std::remove_reference_t<T>> || is_coro<std::remove_cvref_t<T>>,
                      "this is not awaitable: co_await takes a Coro, Task, Future or another "
                      "awaitable of muster");
        return std::forward<T>(value);
    }
}

} // namespace detail

/// A type that can be awaited inside a Coro.
template <class T>
concept Awaitable = detail::HasMemberAwait<T> || detail::HasFreeAwait<T> || detail::HasAdapter<T> ||
                    detail::Awaiter<std::remove_reference_t<T>>;

/// What `co_await std::declval<T>()` gives.
template <class T>
using await_result_t =
    decltype(std::declval<
                 std::remove_reference_t<decltype(detail::get_awaiter(std::declval<T>()))>&>()
                 .await_resume());

} // namespace muster
