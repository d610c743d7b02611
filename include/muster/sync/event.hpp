#pragma once

#include <muster/sync/detail/line_awaiter.hpp>
#include <muster/sync/detail/wait_list.hpp>

namespace muster {

class Event;

namespace detail {

class EventAwaiter final : public LineAwaiter {
public:
    EventAwaiter(Event& event, const char* what) noexcept;

    [[nodiscard]] bool await_ready() const noexcept;

private:
    const Event& event_;
};

/// What Event::wait() gives: movable, so that wait_for() and gather() can take it. Awaited once.
class [[nodiscard("nothing is waited for until this is awaited")]] EventWait {
public:
    EventWait(Event& event, const char* what) noexcept : event_(&event), what_(what) {}

    EventAwaiter operator co_await() && noexcept { return {*event_, what_}; }

private:
    Event* event_;
    const char* what_;
};

} // namespace detail

/// A flag that tasks wait for (asyncio.Event). Not for threads.
class Event {
public:
    Event() noexcept = default;
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    /// Awaiting it waits until the flag is set; not at all when it is.
    detail::EventWait wait() noexcept { return {*this, "event"}; }

    /// Sets the flag. All tasks that wait now go on, in the order they came, even when the flag is
    /// cleared before they do.
    void set() {
        waiters_.check_thread();
        set_ = true;
        waiters_.grant_all();
    }

    void clear() noexcept { set_ = false; }

    [[nodiscard]] bool is_set() const noexcept { return set_; }

private:
    friend class detail::EventAwaiter;

    bool set_ = false;
    detail::WaitList waiters_;
};

inline detail::EventAwaiter::EventAwaiter(Event& event, const char* what) noexcept
    : LineAwaiter(event.waiters_, what), event_(event) {}

inline bool detail::EventAwaiter::await_ready() const noexcept { return event_.is_set(); }

} // namespace muster
