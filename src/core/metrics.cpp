#include <muster/core/metrics.hpp>

#include <algorithm>
#include <bit>
#include <cmath>

namespace muster {

namespace {

// Each power of two has this many buckets.
constexpr unsigned parts_bits = 2;
constexpr unsigned parts = 1U << parts_bits;

std::size_t bucket_of(std::uint64_t nanoseconds) noexcept {
    if (nanoseconds < parts) {
        return nanoseconds;
    }
    const auto shift = static_cast<unsigned>(std::bit_width(nanoseconds)) - 1 - parts_bits;
    return shift * parts + static_cast<std::size_t>(nanoseconds >> shift);
}

// What lies in a bucket is less than this.
Clock::duration end_of(std::size_t bucket) noexcept {
    if (bucket < parts) {
        return Clock::duration(bucket + 1);
    }
    const std::size_t shift = bucket / parts - 1;
    return Clock::duration((parts + bucket % parts + 1) << shift);
}

} // namespace

void DurationHistogram::record(Clock::duration took) noexcept {
    took = std::max(took, Clock::duration::zero());
    ++buckets_[std::min(bucket_of(static_cast<std::uint64_t>(took.count())), bucket_count - 1)];
    ++count_;
    sum_ += took;
    max_ = std::max(max_, took);
}

Clock::duration DurationHistogram::percentile(double percent) const {
    if (!(percent >= 0 && percent <= 100)) {
        throw ValueError("a percentile is from 0 to 100");
    }
    const auto wanted =
        static_cast<std::uint64_t>(std::ceil(percent * static_cast<double>(count_) / 100));
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < bucket_count - 1; ++bucket) {
        seen += buckets_[bucket];
        if (seen > 0 && seen >= wanted) {
            return std::min(end_of(bucket), max_);
        }
    }
    return max_;
}

std::uint64_t DurationHistogram::count_below(Clock::duration bound) const noexcept {
    if (bound > max_) {
        return count_;
    }
    std::uint64_t below = 0;
    for (std::size_t bucket = 0; bucket < bucket_count - 1 && end_of(bucket) <= bound; ++bucket) {
        below += buckets_[bucket];
    }
    return below;
}

} // namespace muster
