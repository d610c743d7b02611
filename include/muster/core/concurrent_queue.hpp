#pragma once
/// Queues between threads and tasks (Python's queue module, and janus).

#include <muster/core/clock.hpp>
#include <muster/core/detail/queue_line.hpp>
#include <muster/core/error.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <type_traits>
#include <utility>

namespace muster::concurrent {

namespace detail {

/// An item and its number in the order of the puts, by which one that comes back finds its place.
template <class T>
struct QueueEntry {
    explicit QueueEntry(T&& given) noexcept : item(std::move(given)) {}

    T item;
    std::uint64_t number = 0;
};

/// Items in the order of the puts, or the other way round. Each lies in a node of its own: made
/// before the queue is locked, and handed from the queue to a waiter and back without a throw.
template <class T, bool newest_first>
class ListedItems {
public:
    using Held = std::list<QueueEntry<T>>; ///< of one item, or none

    [[nodiscard]] Held hold(T&& item) const {
        Held held;
        held.emplace_back(std::move(item));
        return held;
    }

    static QueueEntry<T>& entry(Held& held) noexcept { return held.front(); }

    [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }

    void push(Held& held) noexcept { items_.splice(items_.end(), held); }

    Held pop() noexcept {
        Held held;
        held.splice(held.end(), items_, newest_first ? std::prev(items_.end()) : items_.begin());
        return held;
    }

    /// Puts back what was popped.
    void restore(Held& held) noexcept {
        const std::uint64_t number = held.front().number;
        auto place = newest_first ? items_.end() : items_.begin();
        if constexpr (newest_first) {
            while (place != items_.begin() && std::prev(place)->number > number) {
                --place;
            }
        } else {
            while (place != items_.end() && place->number < number) {
                ++place;
            }
        }
        items_.splice(place, held);
    }

    void clear() noexcept { items_.clear(); }

private:
    Held items_;
};

/// Least first; equal ones in the order of the puts.
template <class T, class Compare>
class SortedItems {
    struct Before {
        bool operator()(const QueueEntry<T>& a, const QueueEntry<T>& b) const {
            if (compare(a.item, b.item)) {
                return true;
            }
            return !compare(b.item, a.item) && a.number < b.number;
        }

        [[no_unique_address]] Compare compare;
    };

    using Tree = std::set<QueueEntry<T>, Before>;

public:
    using Held = typename Tree::node_type;

    explicit SortedItems(Compare compare) : items_(Before{std::move(compare)}) {}

    [[nodiscard]] Held hold(T&& item) const {
        Tree one(items_.key_comp());
        return one.extract(one.emplace(std::move(item)).first);
    }

    static QueueEntry<T>& entry(Held& held) noexcept { return held.value(); }

    [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }

    void push(Held& held) noexcept { items_.insert(std::move(held)); }

    Held pop() noexcept { return items_.extract(items_.begin()); }

    void restore(Held& held) noexcept { push(held); }

    void clear() noexcept { items_.clear(); }

private:
    Tree items_;
};

/// A queue's items and lines. Nobody waits for an item while there is one, nor for room while there
/// is some: who comes later finds either a line to join or no line to overtake.
template <class T, class Items>
class QueueState final : public QueueBase {
public:
    using value_type = T;
    using Held = typename Items::Held;
    using Waiting = ItemPlace<Held>;

    QueueState(std::size_t maxsize, Items items) : QueueBase(maxsize), items_(std::move(items)) {}

    [[nodiscard]] std::size_t size() const {
        const std::lock_guard lock(mutex_);
        return items_.size();
    }

    [[nodiscard]] Held hold(T&& item) const { return items_.hold(std::move(item)); }

    static T open(Held& held) noexcept {
        Held mine;
        mine.swap(held);
        return std::move(Items::entry(mine).item);
    }

    void put(Held held, const TimeLimit& timeout) {
        Waiting place; // outlives the lock: what is not put is destroyed with it
        place.item.swap(held);
        std::unique_lock lock(mutex_);
        if (!shut_down_) {
            check(timeout);
        }
        if (!try_put(place) && !block(lock, putters_, place, timeout, "put")) {
            throw QueueFull();
        }
        if (place.turn() != Turn::served) {
            throw QueueShutDown();
        }
    }

    Held get(const TimeLimit& timeout) {
        Waiting place;
        std::unique_lock lock(mutex_);
        if (!shut_down_ || items_.size() > 0) {
            check(timeout);
        }
        if (!try_get(place) && !block(lock, getters_, place, timeout, "get")) {
            throw QueueEmpty();
        }
        if (place.turn() != Turn::served) {
            throw QueueShutDown();
        }
        return std::move(place.item);
    }

    /// What a task got and does not want: for the next in line, or back in its place.
    void give_back(Held held) noexcept {
        const std::lock_guard lock(mutex_);
        if (dropping_) {
            count_done(1);
        } else if (!getters_.empty()) {
            serve_getter(held);
        } else {
            items_.restore(held);
        }
    }

    void shutdown(bool immediate) noexcept { stop(immediate, Turn::shut_down); }

    /// The queue is being destroyed: so are its items, and who waits is told.
    void orphan() noexcept {
        {
            const std::lock_guard lock(mutex_);
            end_all(joiners_, Turn::orphaned);
            unfinished_ = 0; // who asks later need not wait
        }
        stop(true, Turn::orphaned);
    }

    // --- under the mutex ---

    [[nodiscard]] Line& getters() noexcept { return getters_; }

    [[nodiscard]] Line& putters() noexcept { return putters_; }

    /// Ends the wait of `place` before it begins, if it can be.
    bool try_get(Waiting& place) noexcept {
        if (items_.size() > 0) {
            place.item = items_.pop();
            place.end(Turn::served);
            admit_putters();
        } else if (shut_down_) {
            place.end(Turn::shut_down);
        } else {
            return false;
        }
        return true;
    }

    bool try_put(Waiting& place) noexcept {
        if (shut_down_) {
            place.end(Turn::shut_down);
        } else if (has_room()) {
            add(place.item);
            place.end(Turn::served);
        } else {
            return false;
        }
        return true;
    }

private:
    [[nodiscard]] bool has_room() const noexcept {
        return maxsize_ == 0 || items_.size() < maxsize_;
    }

    void add(Held& held) noexcept {
        ++unfinished_;
        Items::entry(held).number = next_number_++;
        if (getters_.empty()) {
            items_.push(held);
        } else {
            serve_getter(held);
        }
    }

    void serve_getter(Held& held) noexcept {
        auto& getter = static_cast<Waiting&>(getters_.front());
        getter.item.swap(held);
        getter.end(Turn::served);
    }

    void admit_putters() noexcept {
        while (!putters_.empty() && has_room()) {
            auto& putter = static_cast<Waiting&>(putters_.front());
            add(putter.item);
            putter.end(Turn::served);
        }
    }

    void stop(bool immediate, Turn how) noexcept {
        // Destroyed after the mutex is released: a destructor may look at the queue.
        std::optional<Items> dropped;
        const std::lock_guard lock(mutex_);
        shut_down_ = true;
        if (immediate) {
            dropping_ = true;
            count_done(items_.size());
            dropped.emplace(std::move(items_));
            items_.clear();
        }
        end_all(getters_, how);
        end_all(putters_, how);
    }

    Items items_;
};

/// A task's wait for an item.
template <class State>
class QueueGetAwaiter final : public TaskSleeper {
public:
    explicit QueueGetAwaiter(std::shared_ptr<State> queue) noexcept
        : TaskSleeper(std::move(queue), place_, "queue get") {}

    ~QueueGetAwaiter() {
        leave();
        give_back();
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<muster::detail::PromiseBase> Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
        State& state = static_cast<State&>(queue());
        {
            const std::lock_guard lock(state.mutex());
            if (!state.try_get(place_)) {
                line_up(state.getters(), handle.promise());
            }
        }
        return suspend(handle.promise());
    }

    typename State::value_type await_resume() {
        const Turn turn = leave();
        const bool cancelled = take_cancel(turn);
        if (cancelled) {
            give_back();
        }
        check(turn, cancelled);
        return State::open(place_.item);
    }

private:
    void give_back() noexcept {
        if (!place_.item.empty()) {
            static_cast<State&>(queue()).give_back(std::move(place_.item));
        }
    }

    typename State::Waiting place_;
};

/// A task's wait for room.
template <class State>
class QueuePutAwaiter final : public TaskSleeper {
public:
    QueuePutAwaiter(const std::shared_ptr<State>& queue, typename State::value_type&& item)
        : TaskSleeper(queue, place_, "queue put") {
        place_.item = queue->hold(std::move(item));
    }

    ~QueuePutAwaiter() { leave(); }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<muster::detail::PromiseBase> Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
        State& state = static_cast<State&>(queue());
        {
            const std::lock_guard lock(state.mutex());
            if (!state.try_put(place_)) {
                line_up(state.putters(), handle.promise());
            }
        }
        return suspend(handle.promise());
    }

    void await_resume() {
        const Turn turn = leave();
        // What was put may be with somebody else by now: that it was is not denied.
        if (turn != Turn::served) {
            check(turn, take_cancel(turn));
        }
    }

private:
    typename State::Waiting place_;
};

/// A task's wait for the last task_done().
class QueueJoinAwaiter final : public TaskSleeper {
public:
    explicit QueueJoinAwaiter(std::shared_ptr<QueueBase> queue) noexcept
        : TaskSleeper(std::move(queue), place_, "queue join") {}

    ~QueueJoinAwaiter() { leave(); }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<muster::detail::PromiseBase> Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
        return begin(handle.promise());
    }

    void await_resume() {
        const Turn turn = leave();
        check(turn, take_cancel(turn));
    }

private:
    bool begin(muster::detail::PromiseBase& leaf);

    Place place_;
};

/// What async_get() and async_join() give: movable, so that wait_for() and gather() can take it.
/// Awaited once.
template <class State, class A>
class [[nodiscard("nothing happens until this is awaited")]] QueueWait {
public:
    explicit QueueWait(std::shared_ptr<State> queue) noexcept : queue_(std::move(queue)) {}

    A operator co_await() && noexcept { return A(std::move(queue_)); }

private:
    std::shared_ptr<State> queue_;
};

/// What async_put() gives: it holds the item until then.
template <class State>
class [[nodiscard("nothing is put into the queue until this is awaited")]] QueuePut {
public:
    QueuePut(std::shared_ptr<State> queue, typename State::value_type&& item) noexcept
        : queue_(std::move(queue)), item_(std::move(item)) {}

    QueuePutAwaiter<State> operator co_await() && { return {queue_, std::move(item_)}; }

private:
    std::shared_ptr<State> queue_;
    typename State::value_type item_;
};

/// A queue of T in the order in which `Items` gives them back.
template <class T, class Items>
class BasicQueue {
    static_assert(std::is_object_v<T> && std::is_nothrow_move_constructible_v<T>,
                  "what a queue holds must move without throwing");

    using State = QueueState<T, Items>;

public:
    using value_type = T;

    BasicQueue(const BasicQueue&) = delete;
    BasicQueue& operator=(const BasicQueue&) = delete;

    /// Tasks that still wait get a CancelledError that says so; they may outlive the queue. Threads
    /// must have left it.
    ~BasicQueue() { state_->orphan(); }

    // --- for threads: these may block, except in a thread that runs an event loop ---

    /// Puts `item` in, after waiting for room if the queue is full. Throws QueueFull when there is
    /// none within `timeout`, QueueShutDown, ValueError for a negative timeout; `item` is gone
    /// then. In a thread that runs a loop, RuntimeError instead of waiting: async_put() is for
    /// tasks.
    void put(T item, TimeLimit timeout = std::nullopt) {
        state_->put(state_->hold(std::move(item)), timeout);
    }

    /// Takes an item, after waiting for one if the queue is empty. Throws QueueEmpty when none
    /// comes within `timeout`, QueueShutDown when there is none and will be none, ValueError for a
    /// negative timeout. In a thread that runs a loop, RuntimeError instead of waiting:
    /// async_get() is for tasks.
    T get(TimeLimit timeout = std::nullopt) {
        typename State::Held held = state_->get(timeout);
        return State::open(held);
    }

    /// Blocks until every item that was put has been dealt with (see task_done). Throws
    /// TimeoutError, ValueError for a negative timeout. In a thread that runs a loop, RuntimeError
    /// instead of waiting: async_join() is for tasks.
    void join(TimeLimit timeout = std::nullopt) { state_->join(timeout); }

    // --- for tasks of any loop, several loops at once ---

    /// Awaiting it puts `item` in, after waiting for room if the queue is full. Throws
    /// QueueShutDown. When the task is cancelled while it waits, the item isn't put in, and is
    /// gone; a cancellation that comes after the item was put in is kept for the next suspension.
    QueuePut<State> async_put(T item) noexcept { return {state_, std::move(item)}; }

    /// Awaiting it takes an item, after waiting for one if the queue is empty. Throws
    /// QueueShutDown when there is none and will be none. When the task is cancelled meanwhile, or
    /// its loop is closed, no item is lost: one that was meant for it goes to the next in line, or
    /// back to where it was, even if the queue then holds more than `maxsize()`.
    QueueWait<State, QueueGetAwaiter<State>> async_get() noexcept {
        return QueueWait<State, QueueGetAwaiter<State>>(state_);
    }

    /// Awaiting it waits until every item that was put has been dealt with.
    QueueWait<QueueBase, QueueJoinAwaiter> async_join() noexcept {
        return QueueWait<QueueBase, QueueJoinAwaiter>(state_);
    }

    // --- for both: these never wait ---

    /// Throws QueueFull when there is no room, QueueShutDown; `item` is gone then.
    void put_nowait(T item) { put(std::move(item), Clock::duration::zero()); }

    /// Throws QueueEmpty, or QueueShutDown when there will be no items any more.
    T get_nowait() { return get(Clock::duration::zero()); }

    /// An item that was got has been dealt with. Throws ValueError when called more often than
    /// items were put.
    void task_done() { state_->task_done(); }

    /// From now on put() throws QueueShutDown, for those that wait too, and get() does when no
    /// items are left. `immediate`: the items that are left are dropped and count as dealt with.
    /// May be called again.
    void shutdown(bool immediate = false) noexcept { state_->shutdown(immediate); }

    [[nodiscard]] bool is_shutdown() const { return state_->is_shutdown(); }

    /// The number of items that nobody was given yet. Like empty() and full() it may be out of date
    /// by the time it is looked at.
    [[nodiscard]] std::size_t qsize() const { return state_->size(); }

    [[nodiscard]] bool empty() const { return qsize() == 0; }

    /// Whether put() would wait for room; never, for a queue without a limit.
    [[nodiscard]] bool full() const { return maxsize() != 0 && qsize() >= maxsize(); }

    /// The limit; 0 when there is none.
    [[nodiscard]] std::size_t maxsize() const noexcept { return state_->maxsize(); }

protected:
    template <std::integral N>
    BasicQueue(N maxsize, Items items)
        : state_(std::make_shared<State>(maxsize > 0 ? static_cast<std::size_t>(maxsize) : 0,
                                         std::move(items))) {}

    const std::shared_ptr<State> state_; // shared with the tasks that wait
};

} // namespace detail

/// Hands items, first in, first out, from threads to threads, from threads to tasks and back, and
/// between tasks of several loops (Python's queue.Queue, janus.Queue). T may be move-only. There is
/// no SimpleQueue: this one does what it does.
///
/// Who waits is served in the order of arrival, threads and tasks in one line: the first in line
/// gets the first item, and nobody who comes later is faster, not even get_nowait(). A task that
/// was given an item keeps it until its loop comes to run it; a loop that stands still keeps its
/// tasks' items as well.
///
/// Each operation locks a mutex, and each item takes an allocation. To wake a task of another
/// thread's loop costs as much as call_soon_threadsafe(). Between tasks of one loop muster::Queue
/// does the same without all that.
template <class T>
class Queue : public detail::BasicQueue<T, detail::ListedItems<T, false>> {
    using Base = detail::BasicQueue<T, detail::ListedItems<T, false>>;

public:
    Queue() : Queue(0) {}

    /// Holds at most `maxsize` items; any number when that is not positive.
    template <std::integral N>
    explicit Queue(N maxsize) : Base(maxsize, {}) {}
};

/// A Queue that gives back the least item first, as `Compare` says; equal ones in the order they
/// were put (queue.PriorityQueue). `Compare` is called with the queue locked: it must not throw,
/// nor use the queue.
template <class T, class Compare = std::less<T>>
class PriorityQueue : public detail::BasicQueue<T, detail::SortedItems<T, Compare>> {
    using Base = detail::BasicQueue<T, detail::SortedItems<T, Compare>>;

public:
    PriorityQueue() : PriorityQueue(0) {}

    /// Holds at most `maxsize` items; any number when that is not positive.
    template <std::integral N>
    explicit PriorityQueue(N maxsize, Compare compare = {})
        : Base(maxsize, detail::SortedItems<T, Compare>(std::move(compare))) {}
};

/// A Queue that gives back the newest item first (queue.LifoQueue).
template <class T>
class LifoQueue : public detail::BasicQueue<T, detail::ListedItems<T, true>> {
    using Base = detail::BasicQueue<T, detail::ListedItems<T, true>>;

public:
    LifoQueue() : LifoQueue(0) {}

    /// Holds at most `maxsize` items; any number when that is not positive.
    template <std::integral N>
    explicit LifoQueue(N maxsize) : Base(maxsize, {}) {}
};

} // namespace muster::concurrent
