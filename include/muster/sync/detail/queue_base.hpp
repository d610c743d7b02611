#pragma once

#include <muster/core/error.hpp>
#include <muster/sync/detail/wait_list.hpp>
#include <muster/sync/event.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace muster::detail {

/// What all queues do, whatever they hold: how many items there are, who waits for them and for
/// room. An item or a free place that a waiting task was woken for is its own until it resumes and
/// takes it, against other tasks that wait; only get_nowait() and put_nowait() are faster.
class QueueBase {
public:
    QueueBase(const QueueBase&) = delete;
    QueueBase& operator=(const QueueBase&) = delete;

    /// The number of items.
    [[nodiscard]] std::size_t qsize() const noexcept { return size_; }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

    /// Whether put() would wait for room; never, for a queue without a limit.
    [[nodiscard]] bool full() const noexcept { return maxsize_ != 0 && size_ >= maxsize_; }

    /// The limit; 0 when there is none.
    [[nodiscard]] std::size_t maxsize() const noexcept { return maxsize_; }

    /// An item that was got has been dealt with. Throws ValueError when called more often than
    /// items were put.
    void task_done();

    /// Awaiting it waits until every item that was put has been dealt with.
    EventWait join() noexcept { return {finished_, "queue join"}; }

protected:
    template <std::integral N>
    explicit QueueBase(N maxsize) noexcept
        : maxsize_(maxsize > 0 ? static_cast<std::size_t>(maxsize) : 0) {
        finished_.set();
    }

    ~QueueBase() = default;

    /// Wakes everybody; `immediate`: counts all items as dealt with, and as gone.
    void begin_shutdown(bool immediate);

    [[nodiscard]] bool is_shut_down() const noexcept { return shut_down_; }

    [[nodiscard]] WaitList& getters() noexcept { return getters_; }

    [[nodiscard]] WaitList& putters() noexcept { return putters_; }

    /// Whether an item is left that no waiting task was woken for.
    [[nodiscard]] bool can_get() const noexcept { return size_ > getters_.granted(); }

    /// The same for a free place.
    [[nodiscard]] bool can_put() const noexcept {
        return maxsize_ == 0 || size_ + putters_.granted() < maxsize_;
    }

    /// An item came: counts it, and wakes who waits for one.
    void item_added() noexcept {
        ++size_;
        ++unfinished_;
        finished_.clear();
        wake_getters();
        if (maxsize_ != 0 && size_ + putters_.granted() > maxsize_ && putters_.granted() > 0) {
            putters_.revoke_last(); // put_nowait() took the place that was kept for it
        }
    }

    /// An item went: the same the other way round.
    void item_removed() noexcept {
        --size_;
        wake_putters();
        if (shut_down_) {
            if (size_ == 0) {
                getters_.grant_all(); // who stood behind others that were to have the last items
            }
        } else if (getters_.granted() > size_) {
            getters_.revoke_last(); // get_nowait() took the item that was kept for it
        }
    }

    void wake_getters() noexcept {
        while (getters_.has_waiting() && can_get()) {
            getters_.grant_first();
        }
    }

    void wake_putters() noexcept {
        while (putters_.has_waiting() && can_put()) {
            putters_.grant_first();
        }
    }

private:
    std::size_t maxsize_;
    std::size_t size_ = 0;
    std::size_t unfinished_ = 0;
    bool shut_down_ = false;
    Event finished_;
    WaitList getters_;
    WaitList putters_;
};

/// Waits for an item.
template <class Q>
class GetAwaiter final : public QueuedWaiter {
public:
    explicit GetAwaiter(Q& queue) noexcept
        : QueuedWaiter(queue.getters(), "queue get"), queue_(queue) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<PromiseBase> Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
        PromiseBase& leaf = handle.promise();
        if (queue_.can_get() || (queue_.is_shut_down() && queue_.empty())) [[likely]] {
            if (!leaf.task->spend_ready()) [[likely]] {
                return false;
            }
            pass(leaf);
        } else {
            wait(leaf);
        }
        return true;
    }

    typename Q::value_type await_resume() {
        if (waited()) {
            const Outcome outcome = leave();
            if (outcome == Outcome::declined) {
                queue_.wake_getters();
            }
            if (outcome != Outcome::granted) {
                throw_cancelled();
            }
        }
        if (queue_.empty()) [[unlikely]] {
            throw QueueShutDown();
        }
        return queue_.take();
    }

private:
    Q& queue_;
};

/// Waits for room.
template <class Q>
class PutAwaiter final : public QueuedWaiter {
public:
    PutAwaiter(Q& queue, typename Q::value_type&& item) noexcept
        : QueuedWaiter(queue.putters(), "queue put"), queue_(queue), item_(std::move(item)) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<PromiseBase> Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
        PromiseBase& leaf = handle.promise();
        if (queue_.can_put() || queue_.is_shut_down()) [[likely]] {
            if (!leaf.task->spend_ready()) [[likely]] {
                return false;
            }
            pass(leaf);
        } else {
            wait(leaf);
        }
        return true;
    }

    void await_resume() {
        if (waited()) {
            const Outcome outcome = leave();
            if (outcome == Outcome::declined) {
                queue_.wake_putters();
            }
            if (outcome != Outcome::granted) {
                throw_cancelled();
            }
        }
        if (queue_.is_shut_down()) [[unlikely]] {
            throw QueueShutDown();
        }
        try {
            queue_.insert(std::move(item_));
        } catch (...) {
            queue_.wake_putters(); // no memory: the place is still free
            throw;
        }
    }

private:
    Q& queue_;
    typename Q::value_type item_;
};

/// What get() gives: movable, so that wait_for() and gather() can take it. Awaited once.
template <class Q>
class [[nodiscard("nothing is taken from the queue until this is awaited")]] Get {
public:
    explicit Get(Q& queue) noexcept : queue_(&queue) {}

    GetAwaiter<Q> operator co_await() && noexcept { return GetAwaiter<Q>(*queue_); }

private:
    Q* queue_;
};

/// What put() gives: it holds the item until then.
template <class Q>
class [[nodiscard("nothing is put into the queue until this is awaited")]] Put {
public:
    Put(Q& queue, typename Q::value_type&& item) noexcept
        : queue_(&queue), item_(std::move(item)) {}

    PutAwaiter<Q> operator co_await() && noexcept { return {*queue_, std::move(item_)}; }

private:
    Q* queue_;
    typename Q::value_type item_;
};

/// A queue of T in the order that `Items` gives them back: `size() push(T&&) pop()`.
template <class T, class Items>
class BasicQueue : public QueueBase {
    static_assert(std::is_object_v<T> && std::is_nothrow_move_constructible_v<T>,
                  "what a queue holds must move without throwing");

public:
    using value_type = T;

    explicit BasicQueue(Items items) noexcept : BasicQueue(0, std::move(items)) {}

    template <std::integral N>
    BasicQueue(N maxsize, Items items) noexcept : QueueBase(maxsize), items_(std::move(items)) {}

    /// Awaiting it puts `item` in, after waiting for room if the queue is full. Throws
    /// QueueShutDown. When the task is cancelled meanwhile, the item isn't put in, and is gone.
    Put<BasicQueue> put(T item) noexcept { return {*this, std::move(item)}; }

    /// Awaiting it takes an item, after waiting for one if the queue is empty. Throws
    /// QueueShutDown when there is none and will be none. When the task is cancelled meanwhile,
    /// no item is lost.
    Get<BasicQueue> get() noexcept { return Get<BasicQueue>(*this); }

    /// Throws QueueFull when there is no room, QueueShutDown; `item` is gone then.
    void put_nowait(T item) {
        getters().check_thread();
        if (is_shut_down()) {
            throw QueueShutDown();
        }
        if (full()) {
            throw QueueFull();
        }
        insert(std::move(item));
    }

    /// Throws QueueEmpty, or QueueShutDown when there will be no items any more.
    T get_nowait() {
        putters().check_thread();
        if (empty()) {
            if (is_shut_down()) {
                throw QueueShutDown();
            }
            throw QueueEmpty();
        }
        return take();
    }

    /// From now on put() throws QueueShutDown, for those that wait too, and get() does when no
    /// items are left. `immediate`: the items that are left are dropped and count as dealt with.
    void shutdown(bool immediate = false) {
        begin_shutdown(immediate);
        if (immediate) {
            // Out of the queue first: a destructor may look at it.
            const Items dropped = std::move(items_);
        }
    }

private:
    friend class GetAwaiter<BasicQueue>;
    friend class PutAwaiter<BasicQueue>;

    void insert(T&& item) {
        items_.push(std::move(item));
        item_added();
    }

    T take() {
        T item = items_.pop();
        item_removed();
        return item;
    }

    Items items_;
};

} // namespace muster::detail
