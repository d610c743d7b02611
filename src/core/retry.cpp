#include <muster/core/error.hpp>
#include <muster/core/retry.hpp>

#include <algorithm>
#include <random>

namespace muster::detail {

namespace {

double random_share() {
    static thread_local std::minstd_rand engine{std::random_device{}()};
    return std::uniform_real_distribution<double>(0, 1)(engine);
}

} // namespace

RetryAttempts::RetryAttempts(RetryPolicy policy)
    : policy_(std::move(policy)),
      stop_(policy_.stop_after.deadline(Clock::now())),
      backoff_(static_cast<double>(policy_.initial_delay.count())) {
    if (policy_.max_attempts < 1) {
        throw ValueError("retry() needs max_attempts to be 1 or more");
    }
    if (!(policy_.jitter >= 0 && policy_.jitter <= 1)) {
        throw ValueError("retry() needs jitter to be from 0 to 1");
    }
    if (!(policy_.multiplier >= 1)) {
        throw ValueError("retry() needs multiplier to be 1 or more");
    }
}

Clock::duration RetryAttempts::failed() {
    RetryState state{.attempt = ++attempt_, .error = std::current_exception()};
    if (attempt_ >= policy_.max_attempts || !worth_it(state.error)) {
        throw;
    }
    state.delay = next_delay();
    if (deadline_after(Clock::now(), state.delay) > stop_) {
        throw;
    }
    if (policy_.before_sleep) {
        policy_.before_sleep(state);
    }
    return state.delay;
}

bool RetryAttempts::worth_it(const std::exception_ptr& error) const {
    return !policy_.retry_if || policy_.retry_if(error);
}

Clock::duration RetryAttempts::next_delay() {
    const double longest = static_cast<double>(policy_.max_delay.count());
    const double delay = std::clamp(backoff_, 0.0, std::max(longest, 0.0));
    backoff_ = delay * policy_.multiplier;
    const double certain = delay * (1 - policy_.jitter);
    return to_duration(
        std::chrono::duration<double, Clock::period>(certain + (delay - certain) * random_share()));
}

} // namespace muster::detail
