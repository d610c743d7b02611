#pragma once

#include <muster/core/detail/frame_pool.hpp>
#include <muster/sync/detail/ring_buffer.hpp>
#include <muster/sync/detail/wait_list.hpp>

#include <cstddef>
#include <utility>

namespace muster::detail {

/// A place in the line of those that send, with the item.
template <class T>
class QueuedSender : public QueuedWaiter {
protected:
    QueuedSender(WaitList& list, T&& item) noexcept
        : QueuedWaiter(list, "channel send"), item_(std::move(item)) {}

    template <class>
    friend class ChannelState;

    T item_;
    bool sent_ = false;
};

/// What the ends of a channel share: its items, those that wait, and how many ends are open. It
/// lives as long as an end does, open or closed.
///
/// A receiver that is woken for an item takes it when it resumes; until then the item is kept for
/// one that was woken, and is no part of what fills the buffer. A sender that waits has its item
/// taken out of its hands: it need not have resumed.
template <class T>
class ChannelState : public Pooled {
public:
    explicit ChannelState(std::size_t capacity) noexcept : capacity_(capacity) {}

    ChannelState(const ChannelState&) = delete;
    ChannelState& operator=(const ChannelState&) = delete;

    void retain() noexcept { ++references_; }

    void release() noexcept {
        if (--references_ == 0) {
            delete this;
        }
    }

    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

    [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }

    [[nodiscard]] WaitList& senders() noexcept { return senders_; }

    [[nodiscard]] WaitList& receivers() noexcept { return receivers_; }

    [[nodiscard]] std::size_t open_senders() const noexcept { return open_senders_; }

    [[nodiscard]] std::size_t open_receivers() const noexcept { return open_receivers_; }

    void open_sender() noexcept { ++open_senders_; }

    void open_receiver() noexcept { ++open_receivers_; }

    void close_sender() noexcept {
        if (--open_senders_ == 0) {
            receivers_.grant_all(); // there will be no more than there is
        }
    }

    void close_receiver() noexcept {
        if (--open_receivers_ == 0) {
            senders_.grant_all(); // with their items still in their hands
            // Out of the channel first: a destructor may look at it.
            const RingBuffer<T> dropped = std::move(items_);
        }
    }

    /// Whether an item can be sent without waiting for somebody to take one.
    [[nodiscard]] bool can_send() const noexcept {
        return receivers_.has_waiting() || free_items() < capacity_;
    }

    /// Only when can_send().
    void send(T&& item) {
        items_.push(std::move(item));
        wake_receiver();
    }

    /// Whether there is an item that is not kept for a receiver that was woken.
    [[nodiscard]] bool can_receive() const noexcept {
        return free_items() > 0 || senders_.has_waiting();
    }

    /// Whether there are no items and will be none.
    [[nodiscard]] bool at_end() const noexcept { return open_senders_ == 0 && items_.size() == 0; }

    /// Only when can_receive(), or for a receiver that was woken, when there are items. The oldest
    /// item comes first, whoever it was kept for.
    [[nodiscard]] T receive() {
        if (items_.size() == 0) {
            return take_from_sender(); // hand to hand
        }
        T item = items_.pop();
        while (senders_.has_waiting() &&
               (items_.size() < receivers_.granted() || free_items() < capacity_)) {
            items_.push(take_from_sender()); // needs no memory: one has just gone
        }
        if (at_end()) {
            receivers_.grant_all(); // who stood behind others that were to have the last items
        }
        return item;
    }

    /// Makes sure that the item which receive() would give can be kept for a receiver.
    void stock() {
        if (free_items() == 0 && senders_.has_waiting()) {
            items_.push(take_from_sender());
        }
    }

    /// A receiver that was woken did not take its item: the next one may.
    void wake_receiver() noexcept {
        if (receivers_.has_waiting() && free_items() > 0) {
            receivers_.grant_first();
        }
    }

private:
    ~ChannelState() = default;

    // When the last sender has closed, more were woken than there are items.
    [[nodiscard]] std::size_t free_items() const noexcept {
        return items_.size() > receivers_.granted() ? items_.size() - receivers_.granted() : 0;
    }

    T take_from_sender() noexcept {
        auto& sender = static_cast<QueuedSender<T>&>(senders_.first());
        sender.sent_ = true;
        senders_.grant_first();
        return std::move(sender.item_);
    }

    std::size_t references_ = 0;
    std::size_t capacity_;
    std::size_t open_senders_ = 0;
    std::size_t open_receivers_ = 0;
    RingBuffer<T> items_;
    WaitList senders_;
    WaitList receivers_;
};

} // namespace muster::detail
