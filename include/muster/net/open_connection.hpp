#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/coro.hpp>
#include <muster/net/stream.hpp>
#include <muster/net/tcp.hpp>
#include <muster/net/tls.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace muster {

/// How open_connection() and open_unix_connection() connect.
struct OpenOptions {
    /// Set: with TLS, and the certificate checked unless it says otherwise: `.tls = TlsOptions{}`.
    std::optional<TlsOptions> tls = {};
    /// Name resolution, all attempts and the TLS handshake together.
    TimeLimit timeout = std::chrono::seconds(10);
    /// The most bytes that readline() and readuntil() take.
    std::size_t limit = default_stream_limit;
};

/// A connection to `host` (a name or an address, IPv6 with or without brackets), to the first of
/// its addresses that answers (asyncio.open_connection). With TLS the certificate has to be for
/// `host`, unless a server_name is given. Throws ConnectError, TlsError, TimeoutError for the
/// handshake, ConnectionResetError, and ValueError for a limit of 0.
Coro<Stream> open_connection(std::string host, std::uint16_t port, OpenOptions options = {});

/// A connection to the Unix socket `path`; one that begins with a zero byte is an abstract name
/// (asyncio.open_unix_connection). With TLS a server_name is needed. Throws as open_connection().
Coro<Stream> open_unix_connection(std::string path, OpenOptions options = {});

} // namespace muster
