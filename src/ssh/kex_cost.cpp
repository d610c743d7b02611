#include "ssh/kex_cost.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>

namespace muster::ssh::detail {

using namespace std::chrono_literals;

KexCost& KexCost::of(std::string_view method) noexcept {
    // Measured with libssh2 1.11 on a server of 2023; only the order of magnitude matters.
    static std::array<KexCost, 13> costs{{{"curve25519-sha256", 500us},
                                          {"curve25519-sha256@libssh.org", 500us},
                                          {"ecdh-sha2-nistp256", 900us},
                                          {"ecdh-sha2-nistp384", 4ms},
                                          {"ecdh-sha2-nistp521", 3ms},
                                          {"diffie-hellman-group1-sha1", 1500us},
                                          {"diffie-hellman-group14-sha1", 8ms},
                                          {"diffie-hellman-group14-sha256", 8ms},
                                          {"diffie-hellman-group-exchange-sha1", 24ms},
                                          {"diffie-hellman-group-exchange-sha256", 24ms},
                                          {"diffie-hellman-group16-sha512", 28ms},
                                          {"diffie-hellman-group18-sha512", 180ms},
                                          {"", 10ms}}};
    auto* const found = std::find_if(costs.begin(), costs.end() - 1,
                                     [&](const KexCost& cost) { return cost.method_ == method; });
    return *found;
}

// A step that took long by chance, as the first one of a process does, must not count for much; nor
// the short steps between the long ones.
void KexCost::note(Clock::duration taken) noexcept {
    const Clock::rep now = estimate_.load(std::memory_order_relaxed);
    const Clock::rep seen = taken.count();
    const Clock::rep next = seen > now ? now + (seen - now) / 16 : now - (now - seen) / 64;
    estimate_.store(next, std::memory_order_relaxed);
}

Clock::duration CpuTimer::now() noexcept {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

} // namespace muster::ssh::detail
