#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/detail/task_base.hpp>
#include <muster/core/detail/timer_queue.hpp>
#include <muster/core/return_when.hpp>
#include <muster/core/task.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace muster {

/// How `wait` waits.
struct WaitOptions {
    TimeLimit timeout = std::nullopt;
    ReturnWhen return_when = ReturnWhen::all_completed;
};

/// What `wait` found, each in the order in which the tasks were given, duplicates left out.
template <class Handle>
struct WaitResult {
    std::vector<Handle> done;
    std::vector<Handle> pending;
};

namespace detail {

/// Task<T>, Future<T> and AnyTask: what already runs by itself.
template <class H>
concept FutureLike = std::copyable<H> && requires(const H& handle) {
    { handle.state().get() } -> std::convertible_to<FutureBase*>;
};

template <class R>
concept FutureLikeRange = requires(R&& range) {
    std::begin(range);
    std::end(range);
    requires FutureLike<std::remove_cvref_t<decltype(*std::begin(range))>>;
};

/// The distinct futures of a range, in order.
[[nodiscard]] std::vector<std::size_t> distinct(const std::vector<FutureBase*>& futures);

template <class Handle, class R>
std::vector<Handle> distinct_handles(R&& handles) {
    std::vector<Handle> all;
    if constexpr (std::is_same_v<R, std::vector<Handle>>) {
        all = std::forward<R>(
            handles); // the caller's handles go: a value can be moved out of the last one
    } else {
        all.assign(std::begin(handles), std::end(handles));
    }
    std::vector<FutureBase*> futures;
    futures.reserve(all.size());
    for (const Handle& handle : all) {
        futures.push_back(handle.state().get());
    }
    std::vector<Handle> result;
    for (const std::size_t index : distinct(futures)) {
        result.push_back(std::move(all[index]));
    }
    return result;
}

/// Waits for several futures, and cancels none.
class ManyWait : public Waiter, public TimerNode {
public:
    explicit ManyWait(WaitOptions options) noexcept
        : TimerNode(&ManyWait::on_timer), options_(options) {}

    ManyWait(const ManyWait&) = delete;
    ManyWait& operator=(const ManyWait&) = delete;

    /// Throws ValueError for no futures, RuntimeError for those of another loop.
    void begin(PromiseBase& leaf, const std::vector<FutureBase*>& futures);

    /// After the wait: throws CancelledError if the task was cancelled.
    void end();

    bool cancel(const std::string& message) noexcept override;

    [[nodiscard]] std::string describe() const override { return "wait"; }

protected:
    ~ManyWait();

private:
    struct Item : Node {
        Item() noexcept : Node(&ManyWait::on_item) {}

        ManyWait* wait = nullptr;
        FutureBase* future = nullptr;
    };

    static TaskBase* on_item(Node& node, NodeEvent event) noexcept;
    static TaskBase* on_timer(Node& node, NodeEvent event) noexcept;

    /// Counts a future that is done; whether the wait is over.
    bool completed(FutureBase& future) noexcept;
    void finish() noexcept;

    WaitOptions options_;
    TaskBase* task_ = nullptr;
    std::unique_ptr<Item[]> items_;
    std::size_t pending_ = 0;
    bool over_ = false;
    bool cancelled_ = false;
};

template <class Handle>
class WaitAwaiter final : public ManyWait {
public:
    WaitAwaiter(std::vector<Handle>&& handles, WaitOptions options) noexcept
        : ManyWait(options), handles_(std::move(handles)) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<PromiseBase> P>
    void await_suspend(std::coroutine_handle<P> handle) {
        std::vector<FutureBase*> futures;
        futures.reserve(handles_.size());
        for (const Handle& one : handles_) {
            futures.push_back(one.state().get());
        }
        begin(handle.promise(), futures);
    }

    WaitResult<Handle> await_resume() {
        end();
        WaitResult<Handle> result;
        for (Handle& handle : handles_) {
            auto& place = handle.done() ? result.done : result.pending;
            place.push_back(std::move(handle));
        }
        return result;
    }

private:
    std::vector<Handle> handles_;
};

/// What wait() gives: movable, so that gather() and wait_for() can take it. Awaited once.
template <class Handle>
class [[nodiscard("wait() does nothing until it is awaited")]] Wait {
public:
    Wait(std::vector<Handle> handles, WaitOptions options) noexcept
        : handles_(std::move(handles)), options_(options) {}

    WaitAwaiter<Handle> operator co_await() && noexcept {
        return WaitAwaiter<Handle>(std::move(handles_), options_);
    }

private:
    std::vector<Handle> handles_;
    WaitOptions options_;
};

} // namespace detail

/// Waits until the tasks are done as `options.return_when` says, or the timeout, counted from the
/// await, passes, which is no error: `auto [done, pending] = co_await wait(tasks, {.timeout =
/// 5s})`. `tasks`: a range of Task<T>, Future<T>, or for mixed ones AnyTask. Cancels nothing, and
/// throws nothing that a task ended with (asyncio.wait). Throws ValueError for an empty range,
/// CancelledError when cancelled: the tasks then run on.
template <class R>
auto wait(R&& tasks, WaitOptions options = {}) {
    static_assert(
        detail::FutureLikeRange<R>,
        "wait() takes a range of Task, Future or AnyTask: it starts nothing, so make tasks "
        "of coroutines with create_task() first");
    using One = std::remove_cvref_t<decltype(*std::begin(tasks))>;
    return detail::Wait<One>(detail::distinct_handles<One>(std::forward<R>(tasks)), options);
}

template <detail::FutureLike Handle>
auto wait(std::initializer_list<Handle> tasks, WaitOptions options = {}) {
    return detail::Wait<Handle>(detail::distinct_handles<Handle>(tasks), options);
}

/// The same for tasks of several types: wait({poll, stop}).
inline auto wait(std::initializer_list<AnyTask> tasks, WaitOptions options = {}) {
    return detail::Wait<AnyTask>(detail::distinct_handles<AnyTask>(tasks), options);
}

} // namespace muster
