#include <muster/core/detail/timer_queue.hpp>

#include <algorithm>

namespace muster::detail {

namespace {

constexpr std::size_t arity = 4;

} // namespace

TimerQueue::~TimerQueue() { clear(); }

void TimerQueue::make_room() {
    heap_.reserve(std::max<std::size_t>(64, 2 * size() + 1));
    room_ = heap_.capacity() - size();
}

Clock::time_point TimerQueue::next_deadline() noexcept {
    sort_fresh();
    return heap_.empty() ? Clock::time_point::max() : heap_.front().when;
}

TimerNode* TimerQueue::pop_due(Clock::time_point now) noexcept {
    if (earliest_guess() > now) {
        return nullptr;
    }
    sort_fresh();
    if (heap_.empty() || heap_.front().when > now) {
        return nullptr;
    }
    TimerNode* timer = heap_.front().timer;
    erase(0);
    return timer;
}

void TimerQueue::clear() noexcept {
    sort_fresh();
    for (const Entry& entry : heap_) {
        entry.timer->position_ = TimerNode::not_set;
    }
    room_ += heap_.size();
    heap_.clear();
}

void TimerQueue::sort_fresh() noexcept {
    while (!fresh_.empty()) {
        auto& timer = static_cast<TimerNode&>(fresh_.pop_front());
        const Entry entry{timer.when_, next_sequence_++, &timer}; // in the order they were set
        heap_.push_back(entry); // within the capacity reserved by add()
        sift_up(heap_.size() - 1, entry);
    }
    fresh_count_ = 0;
    fresh_minimum_ = Clock::time_point::max();
}

void TimerQueue::place(std::size_t position, const Entry& entry) noexcept {
    heap_[position] = entry;
    entry.timer->position_ = static_cast<std::uint32_t>(position);
}

void TimerQueue::sift_up(std::size_t position, const Entry& entry) noexcept {
    while (position > 0) {
        const std::size_t above = (position - 1) / arity;
        if (!before(entry, heap_[above])) {
            break;
        }
        place(position, heap_[above]);
        position = above;
    }
    place(position, entry);
}

void TimerQueue::sift_down(std::size_t position, const Entry& entry) noexcept {
    for (;;) {
        const std::size_t first = position * arity + 1;
        if (first >= heap_.size()) {
            break;
        }
        const std::size_t last = std::min(first + arity, heap_.size());
        std::size_t least = first;
        for (std::size_t i = first + 1; i < last; ++i) {
            if (before(heap_[i], heap_[least])) {
                least = i;
            }
        }
        if (!before(heap_[least], entry)) {
            break;
        }
        place(position, heap_[least]);
        position = least;
    }
    place(position, entry);
}

void TimerQueue::erase(std::size_t position) noexcept {
    heap_[position].timer->position_ = TimerNode::not_set;
    const Entry last = heap_.back();
    heap_.pop_back();
    ++room_;
    if (position == heap_.size()) {
        return;
    }
    if (position > 0 && before(last, heap_[(position - 1) / arity])) {
        sift_up(position, last);
    } else {
        sift_down(position, last);
    }
}

} // namespace muster::detail
