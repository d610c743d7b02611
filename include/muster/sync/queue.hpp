#pragma once

#include <muster/sync/detail/queue_base.hpp>
#include <muster/sync/detail/ring_buffer.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace muster {

namespace detail {

/// Last in, first out.
template <class T>
class Stack {
public:
    [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }

    void push(T&& item) { items_.push_back(std::move(item)); }

    T pop() {
        T item = std::move(items_.back());
        items_.pop_back();
        return item;
    }

private:
    std::vector<T> items_;
};

/// Least first; equal ones in the order they came.
template <class T, class Compare>
class Heap {
public:
    explicit Heap(Compare compare) : later_{std::move(compare)} {}

    [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }

    void push(T&& item) {
        items_.push_back(Entry{std::move(item), next_++});
        std::push_heap(items_.begin(), items_.end(), later_);
    }

    T pop() {
        std::pop_heap(items_.begin(), items_.end(), later_);
        T item = std::move(items_.back().item);
        items_.pop_back();
        return item;
    }

private:
    struct Entry {
        T item;
        std::uint64_t number;
    };

    // std's heaps have the greatest in front.
    struct Later {
        bool operator()(const Entry& a, const Entry& b) const {
            if (compare(b.item, a.item)) {
                return true;
            }
            return !compare(a.item, b.item) && b.number < a.number;
        }

        [[no_unique_address]] Compare compare;
    };

    std::vector<Entry> items_;
    std::uint64_t next_ = 0;
    Later later_;
};

} // namespace detail

/// Hands items from tasks to tasks, first in, first out (asyncio.Queue). T may be move-only. A get
/// or put that need not wait lets other tasks run once in a while, so that a queue which never
/// runs dry starves nobody. Not for threads: concurrent::Queue is.
template <class T>
class Queue : public detail::BasicQueue<T, detail::RingBuffer<T>> {
    using Base = detail::BasicQueue<T, detail::RingBuffer<T>>;

public:
    Queue() noexcept : Queue(0) {}

    /// Holds at most `maxsize` items; any number when that is not positive.
    template <std::integral N>
    explicit Queue(N maxsize) noexcept : Base(maxsize, {}) {}
};

/// A Queue that gives back the least item first, as `Compare` says; equal ones in the order they
/// were put (asyncio.PriorityQueue). `Compare` must not throw.
template <class T, class Compare = std::less<T>>
class PriorityQueue : public detail::BasicQueue<T, detail::Heap<T, Compare>> {
    using Base = detail::BasicQueue<T, detail::Heap<T, Compare>>;

public:
    PriorityQueue() : PriorityQueue(0) {}

    /// Holds at most `maxsize` items; any number when that is not positive.
    template <std::integral N>
    explicit PriorityQueue(N maxsize, Compare compare = {})
        : Base(maxsize, detail::Heap<T, Compare>(std::move(compare))) {}
};

/// A Queue that gives back the newest item first (asyncio.LifoQueue).
template <class T>
class LifoQueue : public detail::BasicQueue<T, detail::Stack<T>> {
    using Base = detail::BasicQueue<T, detail::Stack<T>>;

public:
    LifoQueue() noexcept : LifoQueue(0) {}

    /// Holds at most `maxsize` items; any number when that is not positive.
    template <std::integral N>
    explicit LifoQueue(N maxsize) noexcept : Base(maxsize, {}) {}
};

} // namespace muster
