#pragma once

#include <array>
#include <cstddef>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#    define MUSTER_POOL_OFF 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define MUSTER_POOL_OFF 1
#    endif
#endif

namespace muster::detail {

/// Memory of coroutine frames, task blocks and callbacks: free lists by size class, one set per
/// thread, capped, so that a program in its steady state allocates nothing.
///
/// What is usual is inline: a frame's size is known where it is made, so that taking a block costs
/// a load, a test and a store. Trivially destructible on purpose: frames may be freed after this
/// thread's destructors have run.
struct FramePool {
    static constexpr std::size_t granule = 16;
    static constexpr std::size_t class_count = 128; // blocks of up to 2 KiB; larger ones are rare

    struct FreeBlock {
        FreeBlock* next;
    };

    [[nodiscard]] static constexpr std::size_t class_of(std::size_t size) noexcept {
        return (size + granule / 2 - 1) / granule;
    }

    /// The size of a class's blocks: eight bytes are left for what malloc keeps before each, so
    /// that together they fill whole granules.
    [[nodiscard]] static constexpr std::size_t size_of(std::size_t index) noexcept {
        return index * granule + granule / 2;
    }

    std::array<FreeBlock*, class_count> free;
    std::size_t room; ///< bytes that may still be kept; none before the first block comes back
};

// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): one for each thread
extern constinit thread_local FramePool frame_pool;

/// When no block is kept.
[[nodiscard]] void* pool_allocate_fresh(std::size_t size);

/// When there is no room to keep a block.
void pool_free_full(void* memory, std::size_t size) noexcept;

[[nodiscard]] inline void* pool_allocate(std::size_t size) {
#ifndef MUSTER_POOL_OFF
    const std::size_t index = FramePool::class_of(size);
    if (index < FramePool::class_count) [[likely]] {
        FramePool& pool = frame_pool;
        if (FramePool::FreeBlock* block = pool.free[index]) [[likely]] {
            pool.free[index] = block->next;
            pool.room += FramePool::size_of(index);
            return block;
        }
    }
#endif
    return pool_allocate_fresh(size);
}

inline void pool_free(void* memory, std::size_t size) noexcept {
#ifndef MUSTER_POOL_OFF
    const std::size_t index = FramePool::class_of(size);
    const std::size_t bytes = FramePool::size_of(index);
    FramePool& pool = frame_pool;
    if (index < FramePool::class_count && bytes <= pool.room) [[likely]] {
        pool.room -= bytes;
        pool.free[index] = ::new (memory) FramePool::FreeBlock{pool.free[index]};
        return;
    }
#endif
    pool_free_full(memory, size);
}

/// Base of classes whose objects live in the pool.
struct Pooled {
    static void* operator new(std::size_t size) { return pool_allocate(size); }

    static void operator delete(void* memory, std::size_t size) noexcept {
        pool_free(memory, size);
    }

    // The pool's blocks are aligned as malloc's are.
    static void* operator new(std::size_t size, std::align_val_t alignment) {
        return ::operator new(size, alignment);
    }

    static void operator delete(void* memory, std::size_t size,
                                std::align_val_t alignment) noexcept {
        ::operator delete(memory, size, alignment);
    }
};

} // namespace muster::detail
