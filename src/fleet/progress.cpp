#include <muster/fleet/progress.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

namespace muster::fleet {
namespace {

using Seconds = std::chrono::duration<double>;

double in_seconds(Clock::duration time) { return Seconds(time).count(); }

// At most `digits` behind the point.
std::string number(double value, int digits) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.*f", digits, value);
    return text.data();
}

} // namespace

void Progress::observe(const Event& event) {
    if (event.kind == Event::Kind::started) {
        started();
    } else if (event.kind == Event::Kind::finished) {
        finished(event.outcome->ending, event.at);
    }
}

void Progress::started() { ++running_; }

void Progress::finished(Ending ending, Clock::duration at) {
    ++counts_[static_cast<std::size_t>(ending)];
    ++done_;
    if (ending == Ending::not_started) {
        return;
    }
    --running_;
    const auto second = std::chrono::duration_cast<std::chrono::seconds>(at).count();
    Bucket& bucket = buckets_[static_cast<std::size_t>(second % window)];
    if (bucket.second != second) {
        bucket = {second, 0};
    }
    ++bucket.count;
}

double Progress::rate(Clock::duration now) const {
    const auto second = std::chrono::duration_cast<std::chrono::seconds>(now).count();
    const std::int64_t oldest = second - window + 1;
    std::size_t recent = 0;
    for (const Bucket& bucket : buckets_) {
        if (bucket.second >= 0 && bucket.second >= oldest && bucket.second <= second) {
            recent += bucket.count;
        }
    }
    const double span = in_seconds(now) - static_cast<double>(std::max<std::int64_t>(oldest, 0));
    return recent == 0 || span <= 0 ? 0 : static_cast<double>(recent) / span;
}

std::optional<Clock::duration> Progress::time_left(Clock::duration now) const {
    const double speed = rate(now);
    if (speed <= 0) {
        return std::nullopt;
    }
    const Seconds left(static_cast<double>(total_ - done_) / speed);
    return std::chrono::duration_cast<Clock::duration>(left);
}

std::string Progress::line(Clock::duration now) const {
    std::string text = std::to_string(done_) + "/" + std::to_string(total_) + " done";
    if (const std::size_t failed = count(Ending::failed); failed > 0) {
        text += ", " + std::to_string(failed) + " failed";
    }
    if (running_ > 0) {
        text += ", " + std::to_string(running_) + " running";
    }
    const auto left = time_left(now);
    if (left && done_ < total_) {
        text += ", " + number(rate(now), 1) + "/s, " + to_words(*left) + " left";
    }
    return text;
}

std::string to_words(Clock::duration time) {
    const double seconds = std::max(0.0, in_seconds(time));
    if (seconds < 9.95) {
        return number(seconds, 1) + " s";
    }
    const long long whole = std::llround(seconds);
    if (whole < 60) {
        return std::to_string(whole) + " s";
    }
    if (whole < 3600) {
        return std::to_string(whole / 60) + " min " + std::to_string(whole % 60) + " s";
    }
    return std::to_string(whole / 3600) + " h " + std::to_string(whole % 3600 / 60) + " min";
}

} // namespace muster::fleet
