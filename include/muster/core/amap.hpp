#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/detail/ranges.hpp>
#include <muster/core/gather.hpp>
#include <muster/core/sleep.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace muster {

/// How `amap` bounds its work.
struct AmapOptions {
    /// Coroutines that run at the same time; nothing: all. ValueError for 0.
    std::optional<std::size_t> max_at_once = std::nullopt;
    /// Coroutines that are started in a second, evenly spaced; nothing: as many as there are.
    /// ValueError unless positive.
    std::optional<double> max_per_second = std::nullopt;
};

namespace detail {

/// The time between two starts. Throws ValueError.
[[nodiscard]] Clock::duration amap_spacing(const AmapOptions& options);

/// The work of one amap(): several coroutines take item after item from it.
template <class View, class F>
class AmapWork {
    using Item = std::ranges::range_reference_t<View>;
    using T = typename std::invoke_result_t<F&, Item>::value_type;

public:
    static constexpr bool gives_values = !std::is_void_v<T>;
    using Value = std::conditional_t<gives_values, std::remove_cvref_t<T>, std::monostate>;

    AmapWork(View& view, F& function, Clock::duration spacing)
        : position_(std::ranges::begin(view)),
          end_(std::ranges::end(view)),
          function_(function),
          spacing_(spacing),
          next_start_(Clock::now()) {}

    /// Works until there are no items left.
    Coro<void> work() {
        while (position_ != end_) {
            const std::size_t index = results_.size();
            results_.emplace_back();
            Item item = *position_; // a reference into the range, or what the range has made
            ++position_;
            const Clock::time_point start = next_start_;
            if (spacing_ > Clock::duration::zero()) {
                next_start_ = deadline_after(std::max(start, Clock::now()), spacing_);
                if (start > Clock::now()) {
                    co_await async_sleep_until(start);
                }
            }
            if constexpr (gives_values) {
                Value value = co_await std::invoke(function_, std::forward<Item>(item));
                results_[index].emplace(std::move(value));
            } else {
                co_await std::invoke(function_, std::forward<Item>(item));
            }
        }
    }

    std::vector<Value> results() {
        std::vector<Value> values;
        values.reserve(results_.size());
        for (std::optional<Value>& result : results_) {
            // NOLINTNEXTLINE(bugprone-unchecked-optional-access): all have succeeded
            values.push_back(*std::move(result));
        }
        return values;
    }

private:
    std::ranges::iterator_t<View> position_;
    std::ranges::sentinel_t<View> end_;
    F& function_;
    Clock::duration spacing_;
    Clock::time_point next_start_;
    std::vector<std::optional<Value>> results_;
};

template <class View, class F>
auto run_amap(View view, F function, AmapOptions options)
    -> Coro<std::conditional_t<AmapWork<View, F>::gives_values,
                               std::vector<typename AmapWork<View, F>::Value>, void>> {
    const Clock::duration spacing = amap_spacing(options);
    AmapWork<View, F> work(view, function, spacing);
    const auto size = static_cast<std::size_t>(std::ranges::distance(view));
    const std::size_t count = std::min(size, options.max_at_once.value_or(size));
    std::vector<Coro<void>> workers;
    workers.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        workers.push_back(work.work());
    }
    co_await gather(std::move(workers));
    if constexpr (AmapWork<View, F>::gives_values) {
        co_return work.results();
    }
}

} // namespace detail

/// Awaits `function(item)`, which gives a Coro, for every item of `range`, at most
/// `options.max_at_once` at a time; the results in the order of the items, or void. When one fails,
/// the others are cancelled and waited for, then its error is thrown, as by gather() (anyio.amap,
/// aiometer.amap).
///
/// A range given as an lvalue must live until the end, one given as an rvalue is kept; function
/// arguments that refer to items are good until the end. The function is kept, too: a capturing
/// lambda is safe.
template <std::ranges::forward_range R, class F>
    requires std::invocable<std::decay_t<F>&, std::ranges::range_reference_t<R>>
auto amap(R&& range, F&& function, AmapOptions options = {}) {
    static_assert(
        detail::is_coro<std::invoke_result_t<std::decay_t<F>&, std::ranges::range_reference_t<R>>>,
        "amap() takes a function that gives a Coro for an item");
    return detail::run_amap<detail::HeldRange<R>, std::decay_t<F>>(
        detail::HeldRange<R>(std::forward<R>(range)), std::forward<F>(function), options);
}

} // namespace muster
