#pragma once

#include <cstddef>

namespace muster::detail {

/// Memory of coroutine frames, task blocks and callbacks: free lists by size class, one set per
/// thread, capped, so that a program in its steady state allocates nothing. Under AddressSanitizer
/// it is plain operator new, so that a use after free is seen.
[[nodiscard]] void* pool_allocate(std::size_t size);
void pool_free(void* memory, std::size_t size) noexcept;

/// Base of classes whose objects live in the pool.
struct Pooled {
    static void* operator new(std::size_t size) { return pool_allocate(size); }

    static void operator delete(void* memory, std::size_t size) noexcept {
        pool_free(memory, size);
    }
};

} // namespace muster::detail
