#pragma once
/// The echo server that muster is compared with, on other foundations.

#include "harness/bench.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace bench {

/// How many clients there are, and how many requests are to be answered.
struct EchoLoad {
    std::size_t connections = 1;
    std::uint64_t requests = 0;
    /// Set: the most that a client may keep the server waiting.
    std::optional<std::chrono::seconds> deadline = {};
};

/// What is read at once, at most.
inline constexpr std::size_t echo_buffer = 4096;

/// Clients that wait to be accepted, at most.
inline constexpr int echo_backlog = 1024;

/// epoll_wait, read, write. Knows no deadlines.
void echo_on_epoll(Meter& meter, const EchoLoad& load);

/// async_read_some and async_write with callbacks.
void echo_on_callbacks(Meter& meter, const EchoLoad& load);

/// The same, but for what the socket takes at once: it is written with write_some.
void echo_on_callbacks_writing(Meter& meter, const EchoLoad& load);

/// async_read_some and async_write in asio::awaitable.
void echo_on_awaitable(Meter& meter, const EchoLoad& load);

} // namespace bench
