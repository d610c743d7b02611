#pragma once

#include <muster/core/result.hpp>
#include <muster/core/task.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace muster {

/// gather(return_exceptions, ...): give a Result for each instead of throwing the first error.
struct ReturnExceptions {};

inline constexpr ReturnExceptions return_exceptions{};

namespace detail {

/// One awaited thing of a gather.
struct GatherChild : Node {
    GatherChild() noexcept : Node(nullptr) {}

    FutureBase* future = nullptr;
    class GatherWait* gather = nullptr;
    bool owned = false; // a coroutine that this gather started, not a task of somebody else
};

/// The wait for several futures at once.
class GatherWait : public Waiter {
public:
    explicit GatherWait(bool keep_exceptions) noexcept : keep_exceptions_(keep_exceptions) {}

    GatherWait(const GatherWait&) = delete;
    GatherWait& operator=(const GatherWait&) = delete;

    /// Waits for `children`, whose futures are set. False when all is done already. Throws
    /// RuntimeError for a future of another loop.
    bool begin(PromiseBase& leaf, std::span<GatherChild> children);

    /// After the wait: throws what the gather as a whole throws.
    void end();

    bool cancel(const std::string& message) noexcept override;

    [[nodiscard]] std::string describe() const override { return "gather"; }

    /// Cancels and forgets children that were started, when starting a later one has failed.
    static void abandon(std::span<GatherChild> children) noexcept;

private:
    friend struct GatherNode;

    [[nodiscard]] bool complete() const noexcept {
        return pending_ == 0 || (failed_ != nullptr && owned_pending_ == 0);
    }

    void settle(GatherChild& child) noexcept;

    std::span<GatherChild> children_;
    TaskBase* task_ = nullptr;
    GatherChild* failed_ = nullptr;
    std::size_t pending_ = 0;
    std::size_t owned_pending_ = 0;
    bool keep_exceptions_;
    bool cancel_requested_ = false;
    bool cancelled_after_failure_ = false;
    bool suspended_ = false;
};

/// How an argument of gather becomes a future: coroutines become tasks, tasks and futures stay.
template <class A>
struct Gatherable {
    static_assert(Awaitable<A>, "gather() takes awaitables: Coro, Task, Future, ...");
    using value_type = std::remove_cvref_t<await_result_t<A>>;
    using State = TaskState<value_type>;
    static constexpr bool owned = true;

    static Ref<State> start(LoopCore& core, A&& awaitable) {
        return make_task(core, awaited(std::move(awaitable)));
    }
};

template <class T>
struct Gatherable<Coro<T>> {
    using value_type = T;
    using State = TaskState<T>;
    static constexpr bool owned = true;

    static Ref<State> start(LoopCore& core, Coro<T>&& coro) {
        return make_task(core, std::move(coro));
    }
};

template <class T>
struct Gatherable<Task<T>> {
    using value_type = T;
    using State = TaskState<T>;
    static constexpr bool owned = false;

    static Ref<State> start(LoopCore&, Task<T>&& task) {
        const Task<T> taken = std::move(task); // a value can be moved out of the last handle
        return taken.state();
    }
};

template <class T>
struct Gatherable<Future<T>> {
    using value_type = T;
    using State = WithValue<T, PlainFuture>;
    static constexpr bool owned = false;

    static Ref<State> start(LoopCore&, Future<T>&& future) {
        const Future<T> taken = std::move(future);
        return taken.state();
    }
};

template <class T>
using GatherValue = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

/// What one place of the outcome holds.
template <class T, bool KeepExceptions>
using GatherPlace = std::conditional_t<KeepExceptions, Result<T>, GatherValue<T>>;

template <class T, bool Owned, bool KeepExceptions, class State>
GatherPlace<T, KeepExceptions> gather_place(State& state) {
    if constexpr (KeepExceptions) {
        if (state.state() != detail::State::value) {
            state.mark_retrieved();
            return state.error();
        }
    }
    if constexpr (std::is_void_v<T>) {
        return std::monostate{};
    } else if constexpr (std::is_reference_v<T>) {
        return *state.slot().value();
    } else if constexpr (Owned) {
        return std::move(state.slot().value());
    } else {
        return take_result<T, false>(state);
    }
}

/// Waits for the children of gather(a, b, c), which it starts.
template <bool KeepExceptions, class... As>
class GatherAllAwaiter {
    static constexpr std::size_t count = sizeof...(As);
    static constexpr bool all_void = !KeepExceptions && count > 0 &&
                                     (std::is_void_v<typename Gatherable<As>::value_type> && ...);

public:
    explicit GatherAllAwaiter(std::tuple<As...>&& awaitables) noexcept
        : awaitables_(std::move(awaitables)), wait_(KeepExceptions) {}

    GatherAllAwaiter(const GatherAllAwaiter&) = delete;
    GatherAllAwaiter& operator=(const GatherAllAwaiter&) = delete;

    [[nodiscard]] bool await_ready() const noexcept { return count == 0; }

    template <std::derived_from<PromiseBase> P>
    bool await_suspend(std::coroutine_handle<P> handle) {
        LoopCore& core = *handle.promise().task->loop();
        try {
            start(core, std::index_sequence_for<As...>());
            return wait_.begin(handle.promise(), children_);
        } catch (...) {
            GatherWait::abandon(children_);
            throw;
        }
    }

    auto await_resume() {
        if constexpr (count > 0) {
            wait_.end();
        }
        if constexpr (!all_void) {
            return collect(std::index_sequence_for<As...>());
        }
    }

private:
    template <std::size_t... I>
    void start(LoopCore& core, std::index_sequence<I...>) {
        (start_one<I>(core), ...);
    }

    template <std::size_t I>
    void start_one(LoopCore& core) {
        using Kind = Gatherable<std::tuple_element_t<I, std::tuple<As...>>>;
        std::get<I>(states_) = Kind::start(core, std::move(std::get<I>(awaitables_)));
        children_[I].future = std::get<I>(states_).get();
        children_[I].owned = Kind::owned;
    }

    template <std::size_t... I>
    auto collect(std::index_sequence<I...>) {
        return std::tuple<GatherPlace<typename Gatherable<As>::value_type, KeepExceptions>...>{
            gather_place<typename Gatherable<As>::value_type, Gatherable<As>::owned,
                         KeepExceptions>(*std::get<I>(states_))...};
    }

    std::tuple<As...> awaitables_;
    std::tuple<Ref<typename Gatherable<As>::State>...> states_;
    std::array<GatherChild, count> children_;
    GatherWait wait_;
};

/// What gather(a, b, c) gives: movable, so that wait_for() and another gather() can take it.
template <bool KeepExceptions, class... As>
class [[nodiscard("gather() does nothing until it is awaited")]] GatherAll {
public:
    template <class... Us>
    explicit GatherAll(std::in_place_t, Us&&... awaitables)
        : awaitables_(std::forward<Us>(awaitables)...) {}

    GatherAllAwaiter<KeepExceptions, As...> operator co_await() && noexcept {
        return GatherAllAwaiter<KeepExceptions, As...>(std::move(awaitables_));
    }

private:
    std::tuple<As...> awaitables_;
};

/// The same for a number of children known at run time.
template <bool KeepExceptions, class A>
class GatherVectorAwaiter {
    using Kind = Gatherable<A>;
    using T = typename Kind::value_type;

public:
    explicit GatherVectorAwaiter(std::vector<A>&& awaitables) noexcept
        : awaitables_(std::move(awaitables)), wait_(KeepExceptions) {}

    GatherVectorAwaiter(const GatherVectorAwaiter&) = delete;
    GatherVectorAwaiter& operator=(const GatherVectorAwaiter&) = delete;

    [[nodiscard]] bool await_ready() const noexcept { return awaitables_.empty(); }

    template <std::derived_from<PromiseBase> P>
    bool await_suspend(std::coroutine_handle<P> handle) {
        LoopCore& core = *handle.promise().task->loop();
        const std::size_t count = awaitables_.size();
        states_.reserve(count);
        children_ = std::make_unique<GatherChild[]>(count);
        const std::span<GatherChild> children(children_.get(), count);
        try {
            for (std::size_t i = 0; i < count; ++i) {
                states_.push_back(Kind::start(core, std::move(awaitables_[i])));
                children[i].future = states_.back().get();
                children[i].owned = Kind::owned;
            }
            return wait_.begin(handle.promise(), children);
        } catch (...) {
            GatherWait::abandon(children);
            throw;
        }
    }

    auto await_resume() {
        if (!states_.empty()) {
            wait_.end();
        }
        if constexpr (KeepExceptions || !std::is_void_v<T>) {
            std::vector<GatherPlace<T, KeepExceptions>> results;
            results.reserve(states_.size());
            for (auto& state : states_) {
                results.push_back(gather_place<T, Kind::owned, KeepExceptions>(*state));
            }
            return results;
        }
    }

private:
    std::vector<A> awaitables_;
    std::vector<Ref<typename Kind::State>> states_;
    std::unique_ptr<GatherChild[]> children_;
    GatherWait wait_;
};

/// What gather(std::vector<...>) gives.
template <bool KeepExceptions, class A>
class [[nodiscard("gather() does nothing until it is awaited")]] GatherVector {
public:
    explicit GatherVector(std::vector<A> awaitables) noexcept
        : awaitables_(std::move(awaitables)) {}

    GatherVectorAwaiter<KeepExceptions, A> operator co_await() && noexcept {
        return GatherVectorAwaiter<KeepExceptions, A>(std::move(awaitables_));
    }

private:
    std::vector<A> awaitables_;
};

template <class A>
inline constexpr bool is_vector = false;
template <class A>
inline constexpr bool is_vector<std::vector<A>> = true;
template <class A>
concept GatherArgument =
    !std::is_same_v<std::remove_cvref_t<A>, ReturnExceptions> && !is_vector<std::remove_cvref_t<A>>;

template <class A>
constexpr void check_gatherable() {
    static_assert(!(std::is_lvalue_reference_v<A> && is_coro<std::remove_cvref_t<A>>),
                  "gather() takes a Coro over: write gather(std::move(coro)), so that none is "
                  "awaited twice");
    static_assert(Awaitable<std::remove_cvref_t<A>>,
                  "gather() takes awaitables: Coro, Task, Future, ...");
}

} // namespace detail

/// Runs awaitables concurrently; the results in argument order, as a std::tuple in which void is
/// std::monostate; void when all are (asyncio.gather).
///
/// Coroutines given to it belong to it: when one fails, the others are cancelled and waited for,
/// then the first error is thrown. Tasks and futures belong to whoever made them: they run on.
/// Cancelling the waiting task cancels all children; CancelledError is thrown when they have ended.
template <class... As>
    requires(detail::GatherArgument<As> && ...)
auto gather(As&&... awaitables) {
    (detail::check_gatherable<As>(), ...);
    return detail::GatherAll<false, std::decay_t<As>...>(std::in_place,
                                                         std::forward<As>(awaitables)...);
}

// Compilers show this line where a vector of Coros is not handed over.
template <class T>
void gather(std::vector<Coro<T>>&) = delete; // write gather(std::move(coros))

/// The same with a Result in each place; errors cancel nothing.
template <class... As>
    requires(detail::GatherArgument<As> && ...)
auto gather(ReturnExceptions, As&&... awaitables) {
    (detail::check_gatherable<As>(), ...);
    return detail::GatherAll<true, std::decay_t<As>...>(std::in_place,
                                                        std::forward<As>(awaitables)...);
}

/// The same for any number: gives a std::vector in the same order, or void.
template <class A>
auto gather(std::vector<A> awaitables) {
    detail::check_gatherable<A>();
    return detail::GatherVector<false, A>(std::move(awaitables));
}

template <class A>
auto gather(ReturnExceptions, std::vector<A> awaitables) {
    detail::check_gatherable<A>();
    return detail::GatherVector<true, A>(std::move(awaitables));
}

} // namespace muster
