#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace muster::detail {

/// First in, first out. Unlike std::deque it keeps its memory, so that a queue in its steady state
/// allocates nothing.
template <class T>
class RingBuffer {
public:
    RingBuffer() noexcept = default;
    RingBuffer(const RingBuffer&) = delete;
    RingBuffer& operator=(const RingBuffer&) = delete;

    RingBuffer(RingBuffer&& other) noexcept
        : slots_(std::exchange(other.slots_, nullptr)),
          capacity_(std::exchange(other.capacity_, 0)),
          first_(std::exchange(other.first_, 0)),
          size_(std::exchange(other.size_, 0)) {}

    ~RingBuffer() {
        for (; size_ > 0; --size_) {
            std::destroy_at(&slots_[first_]);
            first_ = (first_ + 1) & (capacity_ - 1);
        }
        if (slots_ != nullptr) {
            std::allocator<T>().deallocate(slots_, capacity_);
        }
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    void push(T&& item) {
        if (size_ == capacity_) {
            grow();
        }
        std::construct_at(&slots_[(first_ + size_) & (capacity_ - 1)], std::move(item));
        ++size_;
    }

    /// Only when there is an item.
    T pop() {
        const Removal removal{*this};
        return std::move(slots_[first_]);
    }

private:
    // Runs after the result was made of the first item.
    struct Removal {
        RingBuffer& buffer;

        ~Removal() {
            std::destroy_at(&buffer.slots_[buffer.first_]);
            buffer.first_ = (buffer.first_ + 1) & (buffer.capacity_ - 1);
            --buffer.size_;
        }
    };

    void grow() {
        static_assert(std::is_nothrow_move_constructible_v<T>,
                      "what a queue holds must move without throwing");
        const std::size_t capacity = capacity_ == 0 ? 8 : 2 * capacity_; // a power of two
        T* slots = std::allocator<T>().allocate(capacity);
        for (std::size_t i = 0; i < size_; ++i) {
            T& item = slots_[(first_ + i) & (capacity_ - 1)];
            std::construct_at(&slots[i], std::move(item));
            std::destroy_at(&item);
        }
        if (slots_ != nullptr) {
            std::allocator<T>().deallocate(slots_, capacity_);
        }
        slots_ = slots;
        capacity_ = capacity;
        first_ = 0;
    }

    T* slots_ = nullptr;
    std::size_t capacity_ = 0;
    std::size_t first_ = 0;
    std::size_t size_ = 0;
};

} // namespace muster::detail
