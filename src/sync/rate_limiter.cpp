#include <muster/core/error.hpp>
#include <muster/sync/rate_limiter.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace muster {

namespace {

using Nanoseconds = std::chrono::duration<double, std::nano>;

// 73 and 146 years, so that no time point computed from them overflows.
constexpr Clock::duration longest_interval = Clock::duration::max() / 4;
constexpr Clock::duration longest_tolerance = Clock::duration::max() / 2;

Clock::duration interval_of(double per_second) {
    if (!(per_second > 0)) { // not a number, too
        throw ValueError("a RateLimiter's rate must be positive");
    }
    return std::min(detail::to_duration(std::chrono::duration<double>(1 / per_second)),
                    longest_interval);
}

// Exact: tokens come when they are due to the nanosecond.
Clock::duration tolerance_of(Clock::duration interval, std::size_t burst) {
    const std::size_t ahead = burst - 1;
    if (interval == Clock::duration::zero()) {
        return interval;
    }
    if (ahead > static_cast<std::size_t>(longest_tolerance / interval)) {
        return longest_tolerance;
    }
    return interval * static_cast<Clock::rep>(ahead);
}

} // namespace

namespace detail {

RateAwaiter::RateAwaiter(RateLimiter& limiter) noexcept
    : QueuedWaiter(limiter.waiters_, "rate limiter"), limiter_(limiter) {}

RateAwaiter::~RateAwaiter() {
    if (granted()) {
        limiter_.give_back();
    }
}

bool RateAwaiter::await_ready() const noexcept { return limiter_.try_acquire(); }

void RateAwaiter::begin(PromiseBase& leaf) {
    if (!limiter_.waiters_.has_waiting()) {
        limiter_.set_timer(*leaf.task->loop()); // first: it may throw
    }
    wait(leaf);
}

void RateAwaiter::await_resume() {
    if (!waited()) {
        return;
    }
    const Outcome outcome = leave();
    if (outcome == Outcome::granted) {
        return;
    }
    if (outcome == Outcome::declined) {
        limiter_.give_back();
    }
    limiter_.serve(Clock::now());
    throw_cancelled();
}

} // namespace detail

RateLimiter::RateLimiter(double per_second, std::size_t burst)
    : TimerNode(&RateLimiter::on_node),
      per_second_(per_second),
      burst_(burst),
      interval_(interval_of(per_second)) {
    if (burst == 0) {
        throw ValueError("a RateLimiter's burst must be positive");
    }
    tolerance_ = tolerance_of(interval_, burst);
}

RateLimiter::~RateLimiter() { stop_timer(); }

bool RateLimiter::try_acquire() noexcept {
    const Clock::time_point now = Clock::now();
    if (waiters_.has_waiting() || now < next_token()) {
        return false;
    }
    spend(now);
    return true;
}

void RateLimiter::set_rate(double per_second) {
    waiters_.check_thread();
    const Clock::duration interval = interval_of(per_second);
    const Clock::time_point now = Clock::now();
    if (full_at_ > now && interval_ > Clock::duration::zero()) {
        // What is missing in the bucket is so many tokens, whatever the rate.
        const double missing = Nanoseconds(full_at_ - now) / Nanoseconds(interval_);
        full_at_ =
            detail::deadline_after(now, detail::to_duration(Nanoseconds(interval) * missing));
    }
    per_second_ = per_second;
    interval_ = interval;
    tolerance_ = tolerance_of(interval, burst_);
    serve(now);
}

void RateLimiter::spend(Clock::time_point now) noexcept {
    full_at_ = detail::deadline_after(std::max(full_at_, now), interval_);
}

void RateLimiter::give_back() noexcept { full_at_ -= interval_; }

void RateLimiter::serve(Clock::time_point now) noexcept {
    while (waiters_.has_waiting() && now >= next_token()) {
        spend(now);
        waiters_.grant_first();
    }
    if (!waiters_.has_waiting()) {
        stop_timer();
    } else {
        set_timer(*loop_);
    }
}

void RateLimiter::set_timer(detail::LoopCore& loop) {
    loop.add_timer(*this, next_token());
    loop_ = &loop;
}

void RateLimiter::stop_timer() noexcept {
    if (loop_ != nullptr) {
        std::exchange(loop_, nullptr)->remove_timer(*this);
    }
}

detail::TaskBase* RateLimiter::on_node(detail::Node& node, detail::NodeEvent event) noexcept {
    auto& self = static_cast<RateLimiter&>(node);
    if (event == detail::NodeEvent::run) {
        self.serve(self.loop_->now());
    } else {
        self.loop_ = nullptr; // the loop goes away
    }
    return nullptr;
}

} // namespace muster
