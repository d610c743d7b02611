#pragma once

#include <cstdint>

namespace muster::detail {

/// Base of what can be a member of one List at a time. Leaves its list when destroyed.
class Link {
public:
    Link() noexcept = default;
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    ~Link() { unlink(); }

    [[nodiscard]] bool linked() const noexcept { return next_ != nullptr; }

    void unlink() noexcept {
        if (next_ != nullptr) {
            prev_->next_ = next_;
            next_->prev_ = prev_;
            next_ = nullptr;
        }
    }

private:
    template <class T>
    friend class List;

    Link* prev_ = nullptr; // of value only while there is a next one
    Link* next_ = nullptr;
};

/// First-in, first-out list of objects it does not own; `T` derives from Link.
template <class T>
class List {
public:
    List() noexcept { head_.prev_ = head_.next_ = &head_; }

    List(const List&) = delete;
    List& operator=(const List&) = delete;

    ~List() {
        clear();
        head_.next_ = nullptr;
    }

    [[nodiscard]] bool empty() const noexcept { return head_.next_ == &head_; }

    [[nodiscard]] T& front() const noexcept { return static_cast<T&>(*head_.next_); }

    [[nodiscard]] T& back() const noexcept { return static_cast<T&>(*head_.prev_); }

    void push_back(T& item) noexcept { insert(head_, item); }

    void push_front(T& item) noexcept { insert(*head_.next_, item); }

    T& pop_front() noexcept {
        Link* item = head_.next_;
        head_.next_ = item->next_;
        item->next_->prev_ = &head_;
        item->next_ = nullptr;
        return static_cast<T&>(*item);
    }

    /// Moves everything in `other` behind this list's own.
    void splice_back(List& other) noexcept {
        if (other.empty()) {
            return;
        }
        Link* first = other.head_.next_;
        Link* last = other.head_.prev_;
        first->prev_ = head_.prev_;
        head_.prev_->next_ = first;
        last->next_ = &head_;
        head_.prev_ = last;
        other.head_.prev_ = other.head_.next_ = &other.head_;
    }

    void clear() noexcept {
        while (!empty()) {
            head_.next_->unlink();
        }
    }

    /// Calls `visit(T&)` for each, in order; `visit` may unlink the one it is given.
    template <class F>
    void for_each(F&& visit) const {
        for (Link* link = head_.next_; link != &head_;) {
            Link* next = link->next_;
            visit(static_cast<T&>(*link));
            link = next;
        }
    }

private:
    static void insert(Link& before, Link& item) noexcept {
        item.prev_ = before.prev_;
        item.next_ = &before;
        before.prev_->next_ = &item;
        before.prev_ = &item;
    }

    mutable Link head_;
};

class TaskBase;

/// Why a node's function is called.
enum class NodeEvent : std::uint8_t {
    fire, ///< the future this node waits on has finished
    run,  ///< its turn in the ready list has come
    drop, ///< the loop goes away: release what the node owns, run nothing
    who,  ///< asks which task waits on the future, for those who look in
};

/// What lies among the waiters of a future, then in the ready list of a loop, never in both: what
/// waits and what is about to run are the same objects, so that waking allocates nothing.
class Node : public Link {
public:
    /// Gives the task that waits when it is asked `who`, else null.
    using Function = TaskBase* (*)(Node&, NodeEvent) noexcept;

    explicit Node(Function function) noexcept : function_(function) {}

    void notify(NodeEvent event) noexcept { static_cast<void>(function_(*this, event)); }

    [[nodiscard]] TaskBase* awaiting_task() noexcept { return function_(*this, NodeEvent::who); }

    void set_function(Function function) noexcept { function_ = function; }

    /// Whether this is the kind of node that `function` serves.
    [[nodiscard]] bool runs(Function function) const noexcept { return function_ == function; }

private:
    Function function_;
};

using NodeList = List<Node>;

} // namespace muster::detail
