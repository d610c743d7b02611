#pragma once

#include "net/tls_context.hpp"
#include "trouble.hpp"

#include <muster/core/coro.hpp>
#include <muster/net/tcp.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace muster::http::detail {

using muster::detail::TlsContext;
using muster::detail::TlsPeer;

/// What reading or writing once came to.
struct Moved {
    enum class End : std::uint8_t {
        none,
        closed,    ///< in order
        truncated, ///< TLS without its goodbye: what was cut off, nobody knows
        broken,
    };

    std::size_t count = 0;
    End end = End::none;
    std::string reason; ///< for `broken`
};

/// A connection to a server, in clear text or TLS. Dropping it closes it. What it is asked to read
/// or write must live until that has ended; its own parts stay until Asio lets go of them.
class Connection {
public:
    Connection() = default;
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    virtual ~Connection() = default;

    virtual Coro<Moved> read_some(std::span<char> buffer) = 0;
    virtual Coro<Moved> write_some(std::string_view text) = 0;

    /// Whether it can serve another request: open, and the server has said nothing since.
    [[nodiscard]] virtual bool quiet() noexcept = 0;
};

std::shared_ptr<Connection> make_connection(TcpSocket socket);

/// A TLS connection, or why there is none.
struct Secured {
    std::shared_ptr<Connection> connection;
    std::optional<Trouble> trouble;
};

/// The TLS handshake; whom to expect, says `peer`.
Coro<Secured> make_tls_connection(TcpSocket socket, TlsPeer peer);

} // namespace muster::http::detail
