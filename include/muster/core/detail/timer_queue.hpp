#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/detail/list.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace muster::detail {

/// A node that becomes ready at a point in time. Lives in an awaiter or a handle; allocates
/// nothing.
class TimerNode : public Node {
public:
    using Node::Node;

    [[nodiscard]] Clock::time_point when() const noexcept { return when_; }

private:
    friend class TimerQueue;

    static constexpr std::size_t not_set = static_cast<std::size_t>(-1);
    static constexpr std::size_t fresh = static_cast<std::size_t>(-2);

    Clock::time_point when_{};
    std::uint64_t sequence_ = 0;
    std::size_t position_ = not_set; // in the heap, or one of the two above
};

/// Deadlines in order; equal ones in the order they were set.
///
/// Most deadlines are cancelled long before they are due, so a new one first goes on an unsorted
/// list, at the cost of a list insertion; it enters the heap only when the list's earliest deadline
/// matters.
class TimerQueue {
public:
    TimerQueue() = default;
    TimerQueue(const TimerQueue&) = delete;
    TimerQueue& operator=(const TimerQueue&) = delete;
    ~TimerQueue();

    /// Throws std::bad_alloc; later steps never allocate.
    void add(TimerNode& timer, Clock::time_point when);

    /// Harmless when the timer isn't set. Takes it off the ready list too.
    void remove(TimerNode& timer) noexcept;

    /// The earliest deadline, or the far end of time. Sorts what is new.
    [[nodiscard]] Clock::time_point next_deadline() noexcept;

    /// Never later than the earliest deadline; costs nothing.
    [[nodiscard]] Clock::time_point earliest_guess() const noexcept {
        return heap_.empty() || fresh_minimum_ < heap_.front().when ? fresh_minimum_
                                                                    : heap_.front().when;
    }

    /// Takes the next timer that is due at `now`, or null.
    TimerNode* pop_due(Clock::time_point now) noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return heap_.size() + fresh_count_; }

    [[nodiscard]] bool empty() const noexcept { return size() == 0; }

    void clear() noexcept;

private:
    // Deadline and order lie beside the pointer, so that sifting does not touch the nodes.
    struct Entry {
        Clock::time_point when;
        std::uint64_t sequence;
        TimerNode* timer;
    };

    static bool before(const Entry& a, const Entry& b) noexcept {
        return a.when != b.when ? a.when < b.when : a.sequence < b.sequence;
    }

    void sort_fresh() noexcept;
    void place(std::size_t position, const Entry& entry) noexcept;
    void sift_up(std::size_t position, const Entry& entry) noexcept;
    void sift_down(std::size_t position, const Entry& entry) noexcept;
    void erase(std::size_t position) noexcept;

    std::vector<Entry> heap_; // 4-ary: half the depth of a binary one, children in one cache line
    NodeList fresh_;
    std::size_t fresh_count_ = 0;
    Clock::time_point fresh_minimum_ = Clock::time_point::max();
    std::uint64_t next_sequence_ = 0;
};

} // namespace muster::detail
