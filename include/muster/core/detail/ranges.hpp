#pragma once
/// The range concepts. What <ranges> has besides, the views, would be a tenth of the memory and of
/// the time that a program takes to compile.

#include <version>

#if defined(__GLIBCXX__) && __has_include(<bits/ranges_base.h>)
#    include <bits/ranges_base.h>
#else
#    include <ranges>
#endif

#include <memory>
#include <type_traits>
#include <utility>

namespace muster::detail {

/// A range that somebody else keeps.
template <class R>
class BorrowedRange {
public:
    explicit BorrowedRange(R& range) noexcept : range_(std::addressof(range)) {}

    [[nodiscard]] auto begin() const { return std::ranges::begin(*range_); }

    [[nodiscard]] auto end() const { return std::ranges::end(*range_); }

private:
    R* range_;
};

/// What a function that goes on with the range it was given keeps of it (std::views::all_t): views
/// and temporaries themselves, of anything else a reference.
template <class R>
using HeldRange =
    std::conditional_t<std::is_lvalue_reference_v<R> && !std::ranges::view<std::remove_cvref_t<R>>,
                       BorrowedRange<std::remove_reference_t<R>>, std::remove_cvref_t<R>>;

} // namespace muster::detail
