#include "harness/allocations.hpp"
#include "harness/bench.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>
#include <limits>
#include <string>

namespace bench {

namespace {

/// A line of /proc/self/status, in bytes: VmRSS is the resident set, VmHWM its peak.
std::int64_t resident(std::string_view line) {
    std::ifstream status("/proc/self/status");
    std::string key;
    while (status >> key) {
        std::int64_t kilobytes = 0;
        if (key == line && status >> kilobytes) {
            return kilobytes * 1024;
        }
        status.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    }
    return 0;
}

} // namespace

std::uint64_t Meter::count(std::uint64_t full) const {
    return std::max<std::uint64_t>(
        1, static_cast<std::uint64_t>(std::llround(static_cast<double>(full) * scale_)));
}

std::int64_t Meter::now() const {
    timespec time{};
    ::clock_gettime(clock_ == Clock::cpu ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

void Meter::start() {
    resident_ = resident("VmRSS:");
    allocations_ = allocation_count();
    started_ = now();
}

void Meter::stop(std::uint64_t operations) {
    const auto ended = now();
    const auto each = static_cast<double>(operations);
    sample_.nanoseconds = static_cast<double>(ended - started_) / each;
    sample_.allocations = static_cast<double>(allocation_count() - allocations_) / each;
    sample_.bytes =
        static_cast<double>(std::max<std::int64_t>(0, resident("VmHWM:") - resident_)) / each;
}

} // namespace bench
