#include <muster/core/detail/frame_pool.hpp>

namespace muster::detail {

constinit thread_local FramePool frame_pool{};

#ifdef MUSTER_POOL_OFF

// Plain operator new, so that AddressSanitizer sees a use after free. No room is ever given, so
// that code which was compiled without it keeps no block either.

void* pool_allocate_fresh(std::size_t size) { return ::operator new(size); }

void pool_free_full(void* memory, std::size_t size) noexcept { ::operator delete(memory, size); }

#else

namespace {

constexpr std::size_t most_kept = std::size_t{64} << 20U;

enum class Guard : unsigned char { none, set, gone };

constinit thread_local Guard guard = Guard::none;

// Hands the kept blocks back when the thread ends.
struct KeptBlocks {
    KeptBlocks() {
        guard = Guard::set;
        frame_pool.room = most_kept;
    }

    KeptBlocks(const KeptBlocks&) = delete;
    KeptBlocks& operator=(const KeptBlocks&) = delete;

    ~KeptBlocks() {
        guard = Guard::gone;
        frame_pool.room = 0;
        for (std::size_t i = 0; i < FramePool::class_count; ++i) {
            while (FramePool::FreeBlock* block = frame_pool.free[i]) {
                frame_pool.free[i] = block->next;
                ::operator delete(block, FramePool::size_of(i));
            }
        }
    }
};

} // namespace

void* pool_allocate_fresh(std::size_t size) {
    const std::size_t index = FramePool::class_of(size);
    return ::operator new(index < FramePool::class_count ? FramePool::size_of(index) : size);
}

void pool_free_full(void* memory, std::size_t size) noexcept {
    const std::size_t index = FramePool::class_of(size);
    if (index >= FramePool::class_count) {
        ::operator delete(memory, size);
        return;
    }
    if (guard == Guard::none) {
        thread_local const KeptBlocks kept;
        static_cast<void>(kept);
        pool_free(memory, size);
        return;
    }
    ::operator delete(memory, FramePool::size_of(index));
}

#endif

} // namespace muster::detail
