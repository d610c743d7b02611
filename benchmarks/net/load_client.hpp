#pragma once
/// Drives an echo server that runs in the measured process.

#include "harness/bench.hpp"

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>

namespace bench {

/// What each request consists of, and its answer.
inline constexpr std::size_t echo_size = 64;

/// A process on another processor that keeps `connections` busy until it is destroyed: each sends a
/// request, waits for the answer, sends the next. It has its own limit of time, as has the process
/// that made it.
class LoadClient {
public:
    explicit LoadClient(std::size_t connections);
    LoadClient(const LoadClient&) = delete;
    LoadClient& operator=(const LoadClient&) = delete;
    ~LoadClient();

    /// The server listens now, on the loopback address.
    void start(std::uint16_t port) const;

private:
    pid_t process_;
    int port_;
};

/// Counts answered requests: measures some of them after others that warm up, then has the server
/// end.
class RequestCount {
public:
    RequestCount(Meter& meter, std::uint64_t requests)
        : meter_(meter), warm_up_(requests / 10 + 1), all_(warm_up_ + requests) {}

    /// What ends the server.
    std::function<void()> finish;

    void answered() {
        ++answered_;
        if (answered_ == warm_up_) {
            meter_.start();
        } else if (answered_ == all_) {
            meter_.stop(all_ - warm_up_);
            finish();
        }
    }

private:
    Meter& meter_;
    std::uint64_t warm_up_;
    std::uint64_t all_;
    std::uint64_t answered_ = 0;
};

} // namespace bench
