#pragma once

#include <muster/core/detail/future_base.hpp>
#include <muster/core/error.hpp>
#include <muster/sync/detail/channel_state.hpp>
#include <muster/sync/detail/wait_list.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

namespace muster {

template <class T>
class Sender;
template <class T>
class Receiver;

/// What statistics() of a channel's ends tells.
struct ChannelStatistics {
    std::size_t size;                  ///< items in the channel
    std::size_t capacity;              ///< how many it holds before senders wait
    std::size_t open_senders;          ///< open sending ends, and sends under way
    std::size_t open_receivers;        ///< the same for receiving
    std::size_t tasks_waiting_send;    ///< tasks that wait for room
    std::size_t tasks_waiting_receive; ///< tasks that wait for an item
};

namespace detail {

/// An end that an awaiter keeps open: a base, so that it goes after the place in the line.
template <class End>
struct HeldEnd {
    End end;
};

/// Waits until its item is sent.
template <class T>
class SendAwaiter final : private HeldEnd<Sender<T>>, public QueuedSender<T> {
    using typename QueuedWaiter::Outcome;

public:
    /// Throws ClosedResourceError.
    SendAwaiter(Sender<T>&& end, T&& item)
        : HeldEnd<Sender<T>>{std::move(end)},
          QueuedSender<T>(this->end.state().senders(), std::move(item)) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<PromiseBase> Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
        PromiseBase& leaf = handle.promise();
        ChannelState<T>& channel = this->end.state();
        if (channel.open_receivers() == 0) {
            throw BrokenResourceError();
        }
        if (!channel.can_send()) {
            this->wait(leaf);
            return true;
        }
        const bool yields = leaf.task->spend_ready();
        if (yields && leaf.task->take_cancel()) [[unlikely]] {
            leaf.task->throw_cancelled(); // a suspension: the place for what came before
        }
        channel.send(std::move(this->item_));
        if (yields) [[unlikely]] {
            leaf.task->yield(leaf);
        }
        return yields;
    }

    void await_resume() {
        if (!this->waited()) {
            return;
        }
        const Outcome outcome = this->leave();
        if (this->sent_) {
            if (outcome != Outcome::granted) {
                this->keep_cancelled();
            }
            return;
        }
        if (outcome != Outcome::granted) {
            this->throw_cancelled();
        }
        throw BrokenResourceError();
    }
};

/// Waits for an item.
template <class T>
class ReceiveAwaiter final : private HeldEnd<Receiver<T>>, public QueuedWaiter {
public:
    /// Throws ClosedResourceError.
    explicit ReceiveAwaiter(Receiver<T>&& end)
        : HeldEnd<Receiver<T>>{std::move(end)},
          QueuedWaiter(this->end.state().receivers(), "channel receive") {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<PromiseBase> Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
        PromiseBase& leaf = handle.promise();
        ChannelState<T>& channel = this->end.state();
        if (!channel.can_receive() && !channel.at_end()) {
            wait(leaf);
            return true;
        }
        if (!leaf.task->spend_ready()) [[likely]] {
            return false;
        }
        channel.stock();
        pass(leaf);
        return true;
    }

    std::optional<T> await_resume() {
        ChannelState<T>& channel = this->end.state();
        if (!waited()) {
            return channel.can_receive() ? std::optional<T>(channel.receive()) : std::nullopt;
        }
        const Outcome outcome = leave();
        if (outcome == Outcome::declined) {
            channel.wake_receiver();
        }
        if (outcome != Outcome::granted) {
            throw_cancelled();
        }
        return channel.size() > 0 ? std::optional<T>(channel.receive()) : std::nullopt;
    }
};

/// What send() gives: it holds the item, and the end open. Movable, so that wait_for() and gather()
/// can take it. Awaited once.
template <class T>
class [[nodiscard("nothing is sent until this is awaited")]] Send {
public:
    Send(const Sender<T>& end, T&& item) noexcept : end_(end), item_(std::move(item)) {}

    SendAwaiter<T> operator co_await() && { return {std::move(end_), std::move(item_)}; }

private:
    Sender<T> end_;
    T item_;
};

/// What receive() gives: it holds the end open.
template <class T>
class [[nodiscard("nothing is received until this is awaited")]] Receive {
public:
    explicit Receive(const Receiver<T>& end) noexcept : end_(end) {}

    ReceiveAwaiter<T> operator co_await() && { return ReceiveAwaiter<T>(std::move(end_)); }

private:
    Receiver<T> end_;
};

/// A counted end of a channel. `Derived` says what opening and closing it means.
template <class Derived, class T>
class ChannelEnd {
public:
    ChannelEnd& operator=(ChannelEnd other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }

    ~ChannelEnd() { close(); }

    /// Closes this end, as its destructor does; a send() or receive() of it that is under way goes
    /// on. Harmless when it is closed.
    void close() noexcept {
        if (state_) {
            const Ref<ChannelState<T>> state = std::exchange(state_, {});
            Derived::closed(*state);
        }
    }

    /// Whether it is open: neither closed nor moved from.
    explicit operator bool() const noexcept { return static_cast<bool>(state_); }

    /// Throws ClosedResourceError.
    [[nodiscard]] ChannelStatistics statistics() const {
        ChannelState<T>& channel = state();
        return {.size = channel.size(),
                .capacity = channel.capacity(),
                .open_senders = channel.open_senders(),
                .open_receivers = channel.open_receivers(),
                .tasks_waiting_send = channel.senders().count_waiting(),
                .tasks_waiting_receive = channel.receivers().count_waiting()};
    }

protected:
    [[nodiscard]] ChannelState<T>& state() const {
        if (!state_) {
            throw ClosedResourceError();
        }
        return *state_;
    }

private:
    friend Derived;

    explicit ChannelEnd(Ref<ChannelState<T>> state) noexcept : state_(std::move(state)) {
        Derived::opened(*state_);
    }

    ChannelEnd(const ChannelEnd& other) noexcept : state_(other.state_) {
        if (state_) {
            Derived::opened(*state_);
        }
    }

    ChannelEnd(ChannelEnd&& other) noexcept = default;

    Ref<ChannelState<T>> state_;
};

} // namespace detail

/// The sending end of a channel (anyio's MemoryObjectSendStream). A copy is one more end (clone()
/// in anyio): the channel ends when all have been closed or destroyed.
template <class T>
class Sender : public detail::ChannelEnd<Sender<T>, T> {
    using Base = detail::ChannelEnd<Sender<T>, T>;

public:
    /// Awaiting it sends `item`, after waiting for room, or for a receiver if the channel holds
    /// nothing. Throws BrokenResourceError when no receiver is left, ClosedResourceError when this
    /// end is closed. A task that is cancelled while it waits has not sent the item, which is gone;
    /// once a receiver has it, the cancellation is kept for the next suspension.
    detail::Send<T> send(T item) const noexcept { return {*this, std::move(item)}; }

    /// Sends `item` if that needs no waiting; otherwise leaves it as it is (send_nowait in anyio).
    /// Throws as send() does.
    [[nodiscard]] bool try_send(T&& item) const {
        detail::ChannelState<T>& channel = this->state();
        channel.receivers().check_thread();
        if (channel.open_receivers() == 0) {
            throw BrokenResourceError();
        }
        if (!channel.can_send()) {
            return false;
        }
        channel.send(std::move(item));
        return true;
    }

    [[nodiscard]] bool try_send(const T& item) const
        requires std::copy_constructible<T>
    {
        return try_send(T(item));
    }

private:
    friend Base;
    friend class detail::SendAwaiter<T>;
    template <class>
    friend struct Channel;

    explicit Sender(detail::Ref<detail::ChannelState<T>> state) noexcept : Base(std::move(state)) {}

    static void opened(detail::ChannelState<T>& state) noexcept { state.open_sender(); }

    static void closed(detail::ChannelState<T>& state) noexcept { state.close_sender(); }
};

/// The receiving end of a channel (anyio's MemoryObjectReceiveStream). A copy is one more end; each
/// item goes to one of them.
template <class T>
class Receiver : public detail::ChannelEnd<Receiver<T>, T> {
    using Base = detail::ChannelEnd<Receiver<T>, T>;

public:
    /// Awaiting it takes an item, after waiting for one; nothing when all senders are closed and no
    /// items are left:
    ///
    ///     while (auto item = co_await receiver.receive()) { ... }
    ///
    /// Throws ClosedResourceError when this end is closed. When the task is cancelled meanwhile, no
    /// item is lost.
    detail::Receive<T> receive() const noexcept { return detail::Receive<T>(*this); }

    /// Takes an item if that needs no waiting (receive_nowait in anyio); at_end() tells whether
    /// there will be one later. Throws ClosedResourceError when this end is closed.
    [[nodiscard]] std::optional<T> try_receive() const {
        detail::ChannelState<T>& channel = this->state();
        channel.senders().check_thread();
        return channel.can_receive() ? std::optional<T>(channel.receive()) : std::nullopt;
    }

    /// Whether all senders are closed and no items are left. Throws ClosedResourceError when this
    /// end is closed.
    [[nodiscard]] bool at_end() const { return this->state().at_end(); }

private:
    friend Base;
    friend class detail::ReceiveAwaiter<T>;
    template <class>
    friend struct Channel;

    explicit Receiver(detail::Ref<detail::ChannelState<T>> state) noexcept
        : Base(std::move(state)) {}

    static void opened(detail::ChannelState<T>& state) noexcept { state.open_receiver(); }

    static void closed(detail::ChannelState<T>& state) noexcept { state.close_receiver(); }
};

/// The two ends of a new channel, which hands items from tasks to tasks, first in, first out, until
/// its senders are closed (anyio's memory object stream). T may be move-only. A send or receive
/// that need not wait lets other tasks run once in a while. Not for threads.
///
///     auto [sender, receiver] = make_channel<int>(10);
template <class T>
struct Channel {
    static_assert(std::is_object_v<T> && std::is_nothrow_move_constructible_v<T>,
                  "what a channel hands on must move without throwing");

    /// As capacity: senders never wait.
    static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

    /// Holds at most `capacity` items; with 0 a sender waits until a receiver has its item.
    explicit Channel(std::size_t capacity = 0)
        : Channel(detail::Ref(new detail::ChannelState<T>(capacity))) {}

    Sender<T> sender;
    Receiver<T> receiver;

private:
    explicit Channel(const detail::Ref<detail::ChannelState<T>>& state) noexcept
        : sender(state), receiver(state) {}
};

/// A new channel (anyio.create_memory_object_stream); see Channel.
template <class T>
[[nodiscard]] Channel<T> make_channel(std::size_t capacity = 0) {
    return Channel<T>(capacity);
}

} // namespace muster
