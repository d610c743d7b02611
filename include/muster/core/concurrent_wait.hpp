#pragma once
/// Blocking for several futures at once (concurrent.futures.wait and as_completed).

#include <muster/core/clock.hpp>
#include <muster/core/concurrent_future.hpp>
#include <muster/core/detail/pulled_range.hpp>
#include <muster/core/detail/ranges.hpp>
#include <muster/core/return_when.hpp>

#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

namespace muster::concurrent {

/// How `wait` waits.
struct WaitOptions {
    TimeLimit timeout = std::nullopt;
    ReturnWhen return_when = ReturnWhen::all_completed;
};

/// What `wait` found, each in the order in which the futures were given, duplicates left out.
template <class F>
struct WaitResult {
    std::vector<F> done;
    std::vector<F> not_done;
};

namespace detail {

class WaitGroup;

/// One future's place in the group that waits for it.
struct WaitNode {
    WaitGroup* group = nullptr;
    FutureState* state = nullptr; // null once the group has handed it out
    std::size_t index = 0;
    WaitNode* next = nullptr; // in the future's list of waiters, then in the completed ones
    WaitNode* previous = nullptr;
    bool linked = false; // in the future's list; guarded by the future's mutex
};

/// Waits for any of several futures, which must outlive their place in the group.
class WaitGroup {
public:
    explicit WaitGroup(const std::vector<FutureState*>& states);
    WaitGroup(const WaitGroup&) = delete;
    WaitGroup& operator=(const WaitGroup&) = delete;
    ~WaitGroup();

    /// The index of the future that was completed first of those not returned yet. Nothing: the
    /// deadline passed. Must not be called more often than there are futures.
    std::optional<std::size_t> next(const Deadline& deadline);

    /// Called by a future when it is done, under its mutex.
    void completed(WaitNode& node) noexcept;

private:
    std::mutex mutex_;
    std::condition_variable ready_;
    WaitNode* first_ = nullptr;
    WaitNode* last_ = nullptr;
    std::vector<WaitNode> nodes_;
};

/// The distinct futures of a range, in order.
template <class F, class Range>
std::vector<F> distinct(Range&& futures) {
    std::vector<F> result;
    std::unordered_set<AnyFuture> seen;
    for (auto&& future : futures) {
        if (seen.insert(future).second) {
            result.push_back(future);
        }
    }
    return result;
}

template <class F>
std::vector<FutureState*> states_of(const std::vector<F>& futures) {
    std::vector<FutureState*> states;
    states.reserve(futures.size());
    for (const F& future : futures) {
        states.push_back(&StateAccess::state(future));
    }
    return states;
}

/// Blocks until `return_when` holds or the deadline passes.
void wait_for_states(const std::vector<FutureState*>& states, const Deadline& deadline,
                     ReturnWhen return_when);

[[noreturn]] void throw_unfinished(std::size_t unfinished, std::size_t total);

} // namespace detail

/// A range of futures, such as `std::vector<Future<T>>` or, for mixed ones, of `AnyFuture`.
template <class R>
concept FutureRange =
    std::ranges::input_range<R> && std::derived_from<std::ranges::range_value_t<R>, AnyFuture>;

/// Blocks until the futures are done as `options.return_when` says, or the timeout passes, which is
/// no error: `auto [done, not_done] = wait(futures, {.timeout = 5s});`. Cancels nothing.
template <FutureRange R>
WaitResult<std::ranges::range_value_t<R>> wait(R&& futures, WaitOptions options = {}) {
    using F = std::ranges::range_value_t<R>;
    const detail::Deadline deadline = detail::deadline_of(options.timeout);
    std::vector<F> all = detail::distinct<F>(futures);
    detail::wait_for_states(detail::states_of(all), deadline, options.return_when);
    WaitResult<F> result;
    for (F& future : all) {
        auto& place = future.done() ? result.done : result.not_done;
        place.push_back(std::move(future));
    }
    return result;
}

template <std::derived_from<AnyFuture> F>
WaitResult<F> wait(std::initializer_list<F> futures, WaitOptions options = {}) {
    return wait(std::vector<F>(futures), options);
}

/// What `as_completed` returns: an input range of done futures, or `next()`.
template <class F>
class [[nodiscard]] AsCompleted : public muster::detail::PulledRange<AsCompleted<F>, F> {
public:
    AsCompleted(std::vector<F> futures, detail::Deadline deadline)
        : futures_(std::move(futures)),
          deadline_(deadline),
          unfinished_(futures_.size()),
          group_(detail::states_of(futures_)) {}

    /// Waits for the next future that is done; nothing when all were given, or after a timeout.
    /// Throws TimeoutError, saying how many are unfinished.
    std::optional<F> next() {
        if (unfinished_ == 0) {
            return std::nullopt;
        }
        const std::optional<std::size_t> index = group_.next(deadline_);
        if (!index) {
            detail::throw_unfinished(std::exchange(unfinished_, 0), futures_.size());
        }
        --unfinished_;
        return std::move(futures_[*index]);
    }

private:
    std::vector<F> futures_;
    detail::Deadline deadline_;
    std::size_t unfinished_;
    detail::WaitGroup group_;
};

/// Gives the futures in the order of their completion, each once; those already done come first, in
/// the order given: `for (auto& future : as_completed(futures)) use(future.result());`. Throws
/// TimeoutError when `timeout`, counted from the call, passes while it waits.
template <FutureRange R>
AsCompleted<std::ranges::range_value_t<R>> as_completed(R&& futures,
                                                        TimeLimit timeout = std::nullopt) {
    using F = std::ranges::range_value_t<R>;
    const detail::Deadline deadline = detail::deadline_of(timeout);
    return AsCompleted<F>(detail::distinct<F>(futures), deadline);
}

template <std::derived_from<AnyFuture> F>
AsCompleted<F> as_completed(std::initializer_list<F> futures, TimeLimit timeout = std::nullopt) {
    return as_completed(std::vector<F>(futures), timeout);
}

} // namespace muster::concurrent
