#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/detail/list.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace muster::detail {

/// A node that becomes ready at a point in time. Lives in an awaiter or a handle; allocates
/// nothing.
class TimerNode : public Node {
public:
    /// `when` is what when() tells until the timer is set.
    explicit TimerNode(Function function, Clock::time_point when = {}) noexcept
        : Node(function), when_(when) {}

    [[nodiscard]] Clock::time_point when() const noexcept { return when_; }

    /// Whether it is set, or due and in the ready list.
    [[nodiscard]] bool active() const noexcept { return linked() || position_ != not_set; }

private:
    friend class TimerQueue;

    static constexpr std::uint32_t not_set = static_cast<std::uint32_t>(-1);
    static constexpr std::uint32_t fresh = static_cast<std::uint32_t>(-2);

    Clock::time_point when_;
    std::uint32_t position_ = not_set; // in the heap, or one of the two above
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
    void add(TimerNode& timer, Clock::time_point when) {
        remove(timer);
        // Room in the heap is made here, where throwing is possible.
        if (room_ == 0) [[unlikely]] {
            make_room();
        }
        --room_;
        timer.when_ = when;
        timer.position_ = TimerNode::fresh;
        fresh_.push_back(timer);
        ++fresh_count_;
        fresh_minimum_ = std::min(fresh_minimum_, when);
    }

    /// Harmless when the timer isn't set. Takes it off the ready list too.
    void remove(TimerNode& timer) noexcept {
        if (timer.position_ == TimerNode::not_set) {
            timer.unlink(); // it may be due: in the ready list
        } else if (timer.position_ == TimerNode::fresh) {
            timer.position_ = TimerNode::not_set;
            timer.unlink();
            ++room_;
            if (--fresh_count_ == 0) {
                fresh_minimum_ = Clock::time_point::max();
            }
        } else {
            erase(timer.position_);
        }
    }

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

    [[nodiscard]] bool empty() const noexcept { return heap_.empty() && fresh_count_ == 0; }

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

    void make_room();
    void sort_fresh() noexcept;
    void place(std::size_t position, const Entry& entry) noexcept;
    void sift_up(std::size_t position, const Entry& entry) noexcept;
    void sift_down(std::size_t position, const Entry& entry) noexcept;
    void erase(std::size_t position) noexcept;

    std::vector<Entry> heap_; // 4-ary: half the depth of a binary one, children in one cache line
    NodeList fresh_;
    std::size_t fresh_count_ = 0;
    std::size_t room_ = 0; // in the heap, for timers that are not set yet
    Clock::time_point fresh_minimum_ = Clock::time_point::max();
    std::uint64_t next_sequence_ = 0;
};

} // namespace muster::detail
