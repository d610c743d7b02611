#pragma once
/// `UniqueFunction`: a callable that is owned, not copied.

#include <muster/core/error.hpp>

#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace muster {

template <class Signature>
class UniqueFunction;

namespace detail {

template <class F>
inline constexpr bool is_erased_function = false;
template <class Signature>
inline constexpr bool is_erased_function<std::function<Signature>> = true;
template <class Signature>
inline constexpr bool is_erased_function<UniqueFunction<Signature>> = true;

} // namespace detail

/// A type-erased callable that may own what can only be moved (`std::function` demands copies).
/// Callables of up to 48 bytes whose move cannot throw live inside the object; larger ones are
/// allocated. Moving never throws and leaves the source empty. Calling an empty one throws
/// `RuntimeError`. Not thread-safe.
template <class R, class... Args>
class UniqueFunction<R(Args...)> {
public:
    /// Bytes a callable may have to be stored without an allocation.
    static constexpr std::size_t inline_size = 48;

    UniqueFunction() noexcept = default;

    UniqueFunction(std::nullptr_t) noexcept {}

    /// Takes `callable`. A null function pointer and an empty function give an empty object.
    template <class F>
        requires(!std::is_same_v<std::decay_t<F>, UniqueFunction> &&
                 std::is_invocable_r_v<R, std::decay_t<F>&, Args...>)
    UniqueFunction(F&& callable) {
        using Target = std::decay_t<F>;
        using Given = std::invoke_result_t<Target&, Args...>;
        static_assert(
            !std::is_void_v<R> || !requires { typename Given::promise_type; },
            "this is a plain function, called and done: the coroutine that it gives would "
            "never run; call create_task() in it");
        if constexpr (std::is_pointer_v<std::remove_cvref_t<F>> ||
                      std::is_member_pointer_v<Target>) {
            if (callable == nullptr) {
                return;
            }
        } else if constexpr (detail::is_erased_function<Target>) {
            if (!callable) {
                return;
            }
        }
        if constexpr (fits_inline<Target>) {
            ::new (static_cast<void*>(storage_)) Target(std::forward<F>(callable));
            operations_ = &inline_operations<Target>;
        } else {
            auto target = std::make_unique<Target>(std::forward<F>(callable));
            ::new (static_cast<void*>(storage_)) Target*(target.release());
            operations_ = &heap_operations<Target>;
        }
    }

    UniqueFunction(UniqueFunction&& other) noexcept { take(other); }

    UniqueFunction& operator=(UniqueFunction&& other) noexcept {
        if (this != &other) {
            reset();
            take(other);
        }
        return *this;
    }

    UniqueFunction& operator=(std::nullptr_t) noexcept {
        reset();
        return *this;
    }

    UniqueFunction(const UniqueFunction&) = delete;
    UniqueFunction& operator=(const UniqueFunction&) = delete;

    ~UniqueFunction() { reset(); }

    /// Whether there is something to call.
    explicit operator bool() const noexcept { return operations_ != nullptr; }

    // NOLINTNEXTLINE(performance-unnecessary-value-param): as the signature says
    R operator()(Args... args) {
        if (operations_ == nullptr) {
            throw RuntimeError("an empty UniqueFunction was called");
        }
        return operations_->call(storage_, std::forward<Args>(args)...);
    }

private:
    struct Operations {
        R (*call)(void* storage, Args&&... args);
        void (*relocate)(void* from, void* to) noexcept; // null: the bytes are copied
        void (*destroy)(void* storage) noexcept;         // null: nothing to do
    };

    template <class F>
    static constexpr bool fits_inline =
        sizeof(F) <= inline_size && alignof(F) <= alignof(std::max_align_t) &&
        std::is_nothrow_move_constructible_v<F>;

    template <class F>
    static F* stored(void* storage) noexcept {
        return std::launder(static_cast<F*>(storage));
    }

    template <class F>
    static R invoke(F& callable, Args&&... args) {
        if constexpr (std::is_void_v<R>) {
            static_cast<void>(std::invoke(callable, std::forward<Args>(args)...));
        } else {
            return std::invoke(callable, std::forward<Args>(args)...);
        }
    }

    template <class F>
    static constexpr Operations inline_operations{
        [](void* storage, Args&&... args) -> R {
            return invoke(*stored<F>(storage), std::forward<Args>(args)...);
        },
        std::is_trivially_copyable_v<F> ? nullptr : +[](void* from, void* to) noexcept {
            ::new (to) F(std::move(*stored<F>(from)));
            stored<F>(from)->~F();
        },
        std::is_trivially_destructible_v<F>
            ? nullptr
            : +[](void* storage) noexcept { stored<F>(storage)->~F(); },
    };

    template <class F>
    static constexpr Operations heap_operations{
        [](void* storage, Args&&... args) -> R {
            return invoke(**stored<F*>(storage), std::forward<Args>(args)...);
        },
        nullptr,
        [](void* storage) noexcept { std::default_delete<F>()(*stored<F*>(storage)); },
    };

    void take(UniqueFunction& other) noexcept {
        operations_ = std::exchange(other.operations_, nullptr);
        if (operations_ == nullptr) {
            return;
        }
        if (operations_->relocate == nullptr) {
            std::memcpy(storage_, other.storage_, inline_size);
        } else {
            operations_->relocate(other.storage_, storage_);
        }
    }

    void reset() noexcept {
        // Emptied first, so that a destructor which looks at this object finds it empty.
        const Operations* operations = std::exchange(operations_, nullptr);
        if (operations != nullptr && operations->destroy != nullptr) {
            operations->destroy(storage_);
        }
    }

    const Operations* operations_ = nullptr;
    alignas(std::max_align_t) std::byte storage_[inline_size];
};

} // namespace muster
