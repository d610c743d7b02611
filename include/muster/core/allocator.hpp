#pragma once

#include <muster/core/coro.hpp>

#include <coroutine>
#include <cstddef>
#include <memory>
#include <new>
#include <source_location>
#include <type_traits>

namespace muster::detail {

/// In place of the object, for a function that is no member.
struct NoObject {};

/// The promise of a coroutine whose first parameter is std::allocator_arg: its frame comes from the
/// allocator behind it, of which a copy lies behind the frame.
///
/// `Object`: of a member function, `Args`: the further parameters. Neither operator new is a
/// template, or GCC does not see that operator delete belongs to it.
template <class T, class Allocator, class Object, class... Args>
class AllocatedCoroPromise final : public CoroPromise<T> {
    struct alignas(__STDCPP_DEFAULT_NEW_ALIGNMENT__) Block {
        std::byte bytes[__STDCPP_DEFAULT_NEW_ALIGNMENT__];
    };

    using Blocks = typename std::allocator_traits<Allocator>::template rebind_alloc<Block>;

    static constexpr std::size_t rounded(std::size_t size, std::size_t to) noexcept {
        return (size + to - 1) / to * to;
    }

    static Blocks* allocator_behind(void* frame, std::size_t size) noexcept {
        return std::launder(reinterpret_cast<Blocks*>(static_cast<std::byte*>(frame) +
                                                      rounded(size, alignof(Blocks))));
    }

    static constexpr std::size_t block_count(std::size_t size) noexcept {
        return rounded(rounded(size, alignof(Blocks)) + sizeof(Blocks), sizeof(Block)) /
               sizeof(Block);
    }

    static void* allocate(std::size_t size, Blocks blocks) {
        static_assert(alignof(Blocks) <= alignof(Block));
        void* frame =
            std::to_address(std::allocator_traits<Blocks>::allocate(blocks, block_count(size)));
        std::byte* behind = static_cast<std::byte*>(frame) + rounded(size, alignof(Blocks));
        ::new (static_cast<void*>(behind)) Blocks(std::move(blocks));
        return frame;
    }

public:
    /// A coroutine that has not begun stands at its own beginning.
    explicit AllocatedCoroPromise(
        std::source_location here = std::source_location::current()) noexcept
        : CoroPromise<T>(here) {}

    static void* operator new(std::size_t size, std::allocator_arg_t, const Allocator& allocator,
                              const std::remove_reference_t<Args>&...) {
        return allocate(size, Blocks(allocator));
    }

    /// Of member functions; for lambdas, compilers differ.
    static void* operator new(std::size_t size, const std::remove_reference_t<Object>&,
                              std::allocator_arg_t, const Allocator& allocator,
                              const std::remove_reference_t<Args>&...) {
        return allocate(size, Blocks(allocator));
    }

    static void operator delete(void* frame, std::size_t size) noexcept {
        Blocks* behind = allocator_behind(frame, size);
        Blocks blocks(std::move(*behind));
        std::destroy_at(behind);
        std::allocator_traits<Blocks>::deallocate(
            blocks,
            std::pointer_traits<typename std::allocator_traits<Blocks>::pointer>::pointer_to(
                *static_cast<Block*>(frame)),
            block_count(size));
    }

    Coro<T> get_return_object() noexcept {
        this->self = std::coroutine_handle<AllocatedCoroPromise>::from_promise(*this);
        return this->coro();
    }
};

} // namespace muster::detail

/// `Coro<> f(std::allocator_arg_t, Allocator allocator, ...)` has its frame allocated by
/// `allocator`, as do member functions and lambdas with these parameters; other coroutines have
/// theirs from muster's pool.
template <class T, class Allocator, class... Args>
struct std::coroutine_traits<muster::Coro<T>, std::allocator_arg_t, Allocator, Args...> {
    using promise_type = muster::detail::AllocatedCoroPromise<T, std::remove_cvref_t<Allocator>,
                                                              muster::detail::NoObject, Args...>;
};

template <class T, class Self, class Allocator, class... Args>
    requires(!std::is_same_v<Self, std::allocator_arg_t>)
struct std::coroutine_traits<muster::Coro<T>, Self, std::allocator_arg_t, Allocator, Args...> {
    using promise_type =
        muster::detail::AllocatedCoroPromise<T, std::remove_cvref_t<Allocator>, Self, Args...>;
};
