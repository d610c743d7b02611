#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/coro.hpp>
#include <muster/core/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace muster {

/// A TCP connection that could not be made.
class ConnectError : public Error {
public:
    enum class Kind : std::uint8_t {
        resolve,     ///< the name has no address
        refused,     ///< nothing listens there
        unreachable, ///< no route, network or host down
        timeout,     ///< no answer in time
        other,
    };

    ConnectError(Kind kind, const std::string& what) : Error(what), kind_(kind) {}

    [[nodiscard]] Kind kind() const noexcept { return kind_; }

private:
    Kind kind_;
};

/// A connected TCP socket, on the loop that ran when it was made. Dropping it closes it.
class TcpSocket {
public:
    struct Impl;

    explicit TcpSocket(std::unique_ptr<Impl> impl) noexcept;
    TcpSocket(TcpSocket&&) noexcept;
    TcpSocket& operator=(TcpSocket&&) noexcept;
    ~TcpSocket();

    /// The next bytes, as soon as there are any; 0 at the end of the stream. Throws Error when the
    /// connection breaks. The buffer must live until it returns.
    Coro<std::size_t> read_some(std::span<char> buffer);

    /// Sends everything. The text must live until it returns. Cut off by cancellation, it leaves
    /// an unknown part sent.
    Coro<void> write_all(std::string_view text);

    /// Tells the other side that no more will be sent.
    void shutdown_write() noexcept;

    /// Idempotent; operations that wait end with an error.
    void close() noexcept;

    [[nodiscard]] bool is_open() const noexcept;

    /// "192.0.2.1" or "2001:db8::1"; empty once closed.
    [[nodiscard]] std::string peer_address() const;

    /// For the rooms above that drive the socket themselves.
    [[nodiscard]] Impl& impl() noexcept { return *impl_; }

private:
    std::unique_ptr<Impl> impl_;
};

/// How long making a connection may take.
struct ConnectOptions {
    /// Name resolution and all attempts together; each of several addresses gets its share.
    TimeLimit timeout = std::chrono::seconds(10);
};

/// Resolves `host` (a name or an address, IPv6 with or without brackets) and connects to the first
/// of its addresses that answers. Throws ConnectError, which names the addresses tried. Nagle's
/// algorithm is off.
Coro<TcpSocket> connect_tcp(std::string host, std::uint16_t port, ConnectOptions options = {});

} // namespace muster
