#include <muster/core/detail/frame_pool.hpp>

#include <array>
#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#    define MUSTER_POOL_OFF 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define MUSTER_POOL_OFF 1
#    endif
#endif

namespace muster::detail {

#ifdef MUSTER_POOL_OFF

void* pool_allocate(std::size_t size) { return ::operator new(size); }

void pool_free(void* memory, std::size_t size) noexcept { ::operator delete(memory, size); }

#else

namespace {

constexpr std::size_t granule = 64;
constexpr std::size_t class_count = 64; // blocks of up to 4 KiB; larger ones are rare
constexpr std::size_t max_cached_bytes = std::size_t{64} << 20U;

struct FreeBlock {
    FreeBlock* next;
};

// Trivially destructible on purpose: frames may be freed after this thread's destructors have run.
struct Pool {
    std::array<FreeBlock*, class_count> free;
    std::size_t cached_bytes;
    bool guarded;
    bool closed;
};

constinit thread_local Pool pool{};

// Hands the cached blocks back when the thread ends.
struct PoolGuard {
    ~PoolGuard() {
        pool.closed = true;
        for (std::size_t i = 0; i < class_count; ++i) {
            while (pool.free[i] != nullptr) {
                FreeBlock* block = pool.free[i];
                pool.free[i] = block->next;
                ::operator delete(block, (i + 1) * granule);
            }
        }
    }
};

void guard_pool() {
    thread_local const PoolGuard guard;
    static_cast<void>(guard);
    pool.guarded = true;
}

} // namespace

void* pool_allocate(std::size_t size) {
    const std::size_t index = (size - 1) / granule;
    if (index >= class_count) {
        return ::operator new(size);
    }
    FreeBlock*& head = pool.free[index];
    if (head != nullptr) {
        FreeBlock* block = head;
        head = block->next;
        pool.cached_bytes -= (index + 1) * granule;
        return block;
    }
    return ::operator new((index + 1) * granule);
}

void pool_free(void* memory, std::size_t size) noexcept {
    const std::size_t index = (size - 1) / granule;
    if (index >= class_count) {
        ::operator delete(memory, size);
        return;
    }
    const std::size_t bytes = (index + 1) * granule;
    if (pool.closed || pool.cached_bytes + bytes > max_cached_bytes) {
        ::operator delete(memory, bytes);
        return;
    }
    if (!pool.guarded) {
        guard_pool();
    }
    auto* block = ::new (memory) FreeBlock{pool.free[index]};
    pool.free[index] = block;
    pool.cached_bytes += bytes;
}

#endif

} // namespace muster::detail
