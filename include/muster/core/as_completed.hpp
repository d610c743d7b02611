#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/detail/future_wait.hpp>
#include <muster/core/detail/task_base.hpp>
#include <muster/core/detail/timer_queue.hpp>
#include <muster/core/error.hpp>
#include <muster/core/task.hpp>
#include <muster/core/wait.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace muster {

/// How `as_completed` waits.
struct AsCompletedOptions {
    TimeLimit timeout = std::nullopt; ///< for all together, counted from the call
};

namespace detail {

/// Puts futures in the order of their completion.
class Completions : private TimerNode {
public:
    /// Throws RuntimeError where no loop runs.
    Completions(const std::vector<FutureBase*>& futures, TimeLimit timeout);
    Completions(const Completions&) = delete;
    Completions& operator=(const Completions&) = delete;
    ~Completions();

    /// Waits for the next one.
    class Wait : public Waiter, public Link {
    public:
        explicit Wait(std::shared_ptr<Completions> completions) noexcept
            : completions_(std::move(completions)) {}

        Wait(const Wait&) = delete;
        Wait& operator=(const Wait&) = delete;

        [[nodiscard]] bool ready() const noexcept { return completions_->available(); }

        void begin(PromiseBase& leaf);

        /// The position of the next one among the futures. Throws TimeoutError, CancelledError.
        std::size_t end();

        bool cancel(const std::string& message) noexcept override;

        [[nodiscard]] std::string describe() const override { return "as_completed"; }

    private:
        friend class Completions;

        std::shared_ptr<Completions> completions_;
        TaskBase* task_ = nullptr;
        bool cancelled_ = false;
    };

private:
    struct Item : Node {
        Item() noexcept : Node(&Completions::on_item) {}

        Completions* completions = nullptr;
    };

    static TaskBase* on_item(Node& node, NodeEvent event) noexcept;
    static TaskBase* on_timer(Node& node, NodeEvent event) noexcept;

    /// Whether there is an answer for one more wait than those that were woken.
    [[nodiscard]] bool available() const noexcept {
        return timed_out_ || completed_.size() - given_ > woken_;
    }

    void completed(std::size_t position) noexcept;
    void wake_waits() noexcept;
    void stop_timer() noexcept;

    std::unique_ptr<Item[]> items_;
    LoopCore* core_ = nullptr;           // while the timer is set
    std::vector<std::size_t> completed_; // in that order; room for all was made before
    std::size_t total_;
    std::size_t given_ = 0;
    std::size_t woken_ = 0;
    bool timed_out_ = false;
    List<Wait> waits_;
};

template <class Handle>
struct CompletedHandles {
    CompletedHandles(std::vector<Handle>&& all, const std::vector<FutureBase*>& futures,
                     TimeLimit timeout)
        : handles(std::move(all)), completions(futures, timeout) {}

    std::vector<Handle> handles;
    Completions completions;
};

/// Gives the next task that is done, or its value.
template <class Handle, bool Value>
class CompletedAwaiter final : public Completions::Wait {
public:
    explicit CompletedAwaiter(std::shared_ptr<CompletedHandles<Handle>> shared)
        : Wait(completions_of(shared)), shared_(std::move(shared)) {}

    [[nodiscard]] bool await_ready() const noexcept { return ready(); }

    template <std::derived_from<PromiseBase> P>
    void await_suspend(std::coroutine_handle<P> handle) {
        begin(handle.promise());
    }

    auto await_resume() {
        if constexpr (Value) {
            using Outcome = std::remove_cvref_t<decltype(*std::declval<Handle>().state())>;
            // This handle goes first: a value is moved out if it was the last one.
            const Ref<Outcome> state = take().state();
            return take_result<typename Handle::value_type, false>(*state);
        } else {
            return std::optional<Handle>(take());
        }
    }

private:
    static std::shared_ptr<Completions>
    completions_of(const std::shared_ptr<CompletedHandles<Handle>>& shared) {
        if (shared == nullptr) {
            throw RuntimeError("cannot await what as_completed() gave after it was moved from");
        }
        return {shared, &shared->completions};
    }

    Handle take() { return std::move(shared_->handles[end()]); }

    std::shared_ptr<CompletedHandles<Handle>> shared_;
};

} // namespace detail

/// Tasks in the order of their completion: what as_completed() gives. Every element is awaited once
/// and gives the value of the next task that is done:
///
///     for (auto next : as_completed(tasks, {.timeout = 5s})) {
///         T value = co_await next;
///     }
///
/// or, to learn which task it was: `while (auto task = co_await completed.next()) ...`.
template <class Handle>
class [[nodiscard]] AsCompleted {
    using Shared = std::shared_ptr<detail::CompletedHandles<Handle>>;

public:
    /// The value of the task that is done next. Throws what that task threw, TimeoutError,
    /// CancelledError, which cancels none of the tasks. Awaited once.
    class [[nodiscard("the next value is only taken when this is awaited")]] Next {
    public:
        detail::CompletedAwaiter<Handle, true> operator co_await() const {
            if (std::exchange(awaited_, true)) {
                throw RuntimeError("this element of as_completed() was awaited before: each gives "
                                   "the value of one task, once");
            }
            return detail::CompletedAwaiter<Handle, true>(shared_);
        }

    private:
        friend class AsCompleted;

        explicit Next(Shared shared) noexcept : shared_(std::move(shared)) {}

        Shared shared_;
        mutable bool awaited_ = false;
    };

    class iterator {
    public:
        using iterator_concept = std::input_iterator_tag;
        using value_type = Next;
        using difference_type = std::ptrdiff_t;

        Next operator*() const { return Next(completed_->shared_); }

        iterator& operator++() noexcept {
            claim();
            return *this;
        }

        void operator++(int) noexcept { claim(); }

        bool operator==(std::default_sentinel_t) const noexcept { return completed_ == nullptr; }

    private:
        friend class AsCompleted;

        explicit iterator(AsCompleted& completed) noexcept : completed_(&completed) { claim(); }

        void claim() noexcept {
            if (completed_->left_ == 0) {
                completed_ = nullptr;
            } else {
                --completed_->left_;
            }
        }

        AsCompleted* completed_; // null at the end
    };

    /// Goes on where an earlier loop was left, with the element after the one it was left at.
    iterator begin() noexcept { return iterator(*this); }

    std::default_sentinel_t end() const noexcept { return {}; }

    /// The task that is done next; nothing when all were given. Throws TimeoutError,
    /// CancelledError; never what the task threw.
    Coro<std::optional<Handle>> next() {
        if (left_ == 0) {
            co_return std::nullopt;
        }
        --left_;
        co_return co_await NextHandle{shared_};
    }

    /// For as_completed().
    explicit AsCompleted(Shared shared) noexcept
        : shared_(std::move(shared)), left_(shared_->handles.size()) {}

private:
    struct NextHandle {
        Shared shared;

        detail::CompletedAwaiter<Handle, false> operator co_await() const {
            return detail::CompletedAwaiter<Handle, false>(shared);
        }
    };

    Shared shared_;
    std::size_t left_;
};

/// Gives the results of `tasks`, a range of Task<T> or Future<T>, in the order in which they are
/// done; duplicates count once (asyncio.as_completed). When the timeout passes, those that are done
/// are still given, then TimeoutError is thrown for each that is left. Cancels nothing. Throws
/// RuntimeError where no loop runs, and for tasks of another loop.
template <class R>
auto as_completed(R&& tasks, AsCompletedOptions options = {}) {
    static_assert(
        detail::FutureLikeRange<R>,
        "as_completed() takes a range of Task or Future: it starts nothing, so make tasks "
        "of coroutines with create_task() first");
    using One = std::remove_cvref_t<decltype(*std::begin(tasks))>;
    std::vector<One> handles = detail::distinct_handles<One>(std::forward<R>(tasks));
    std::vector<detail::FutureBase*> futures;
    futures.reserve(handles.size());
    for (const One& handle : handles) {
        futures.push_back(handle.state().get());
    }
    return AsCompleted<One>(std::make_shared<detail::CompletedHandles<One>>(
        std::move(handles), futures, options.timeout));
}

template <detail::FutureLike Handle>
auto as_completed(std::initializer_list<Handle> tasks, AsCompletedOptions options = {}) {
    return as_completed(std::vector<Handle>(tasks), options);
}

} // namespace muster
