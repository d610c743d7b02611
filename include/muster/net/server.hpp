#pragma once

#include <muster/core/coro.hpp>
#include <muster/core/error.hpp>
#include <muster/core/function.hpp>
#include <muster/net/address.hpp>
#include <muster/net/resolver.hpp>
#include <muster/net/stream.hpp>
#include <muster/net/tls.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace muster {

namespace detail {
class ServerState;
}

/// A server that could not listen (Python: OSError).
class ListenError : public Error {
public:
    enum class Kind : std::uint8_t {
        in_use,  ///< another program listens there
        denied,  ///< this user may not listen there
        address, ///< this machine has no such address
        other,
    };

    ListenError(Kind kind, const std::string& what) : Error(what), kind_(kind) {}

    [[nodiscard]] Kind kind() const noexcept { return kind_; }

private:
    Kind kind_;
};

/// What is run for each client: in a task of its own, with the stream to it. What it throws goes
/// to the loop's exception handler; when it ends, the stream is closed. The function lives as long
/// as its tasks: a capturing lambda is safe.
using ClientHandler = UniqueFunction<Coro<void>(Stream)>;

/// How a server listens.
struct ServerOptions {
    /// Set: with TLS. The handler runs after the handshake; a client that fails it is dropped, and
    /// reported in debug mode only.
    std::optional<TlsServerOptions> tls = {};
    /// Connections that the system keeps for the server until it accepts them.
    int backlog = 100;
    /// The most bytes that readline() and readuntil() take from a client.
    std::size_t limit = default_stream_limit;
    bool reuse_port = false;   ///< several servers may share the port (SO_REUSEPORT)
    bool start_serving = true; ///< false: accepts nobody until start_serving()
};

/// Listens for clients (asyncio.Server). Movable. Dropping it closes it as close() does; its
/// clients stay.
class Server {
public:
    /// For start_server() and start_unix_server().
    explicit Server(std::shared_ptr<detail::ServerState> state) noexcept;
    Server(Server&&) noexcept;
    Server& operator=(Server&&) noexcept;
    ~Server();

    /// Where it listens: the addresses with the ports that were bound, or the Unix socket's path.
    /// Empty once closed.
    [[nodiscard]] std::vector<SocketAddress> sockets() const;

    /// The port it listens on, the one that was found for port 0; 0 once closed and for Unix.
    [[nodiscard]] std::uint16_t port() const;

    /// Begins to accept clients, if it does not yet. Throws ListenError when another program has
    /// come first, and the server is closed then; RuntimeError once closed.
    void start_serving();

    [[nodiscard]] bool is_serving() const noexcept;

    /// Accepts clients until it is cancelled; then closes the server and its clients, waits until
    /// they are gone, and throws CancelledError. close() ends it with CancelledError, too, as in
    /// asyncio. Throws RuntimeError once closed, and when another task is in it.
    [[nodiscard]] Coro<void> serve_forever();

    /// Listens no more, and removes the Unix socket. Clients that are connected stay. Idempotent.
    void close() noexcept;

    /// Waits until it is closed and all connections of its clients are.
    [[nodiscard]] Coro<void> wait_closed();

    /// Closes the connections of all clients, after what was written to them has been sent.
    void close_clients() noexcept;

    /// Closes them at once.
    void abort_clients() noexcept;

private:
    std::shared_ptr<detail::ServerState> state_; // handlers' tasks hold it, too
};

/// Listens on all addresses of `host` (a name or an address; empty: all of this machine) and calls
/// `handler(Stream)` for each client, as a task (asyncio.start_server). Port 0 is any free one, the
/// same on all addresses: see Server::port(). Throws ListenError, which names host, port and
/// remedy, ResolveError, TlsError.
Coro<Server> start_server(ClientHandler handler, std::string host, std::uint16_t port,
                          ServerOptions options = {});

/// The same for several hosts.
Coro<Server> start_server(ClientHandler handler, std::vector<std::string> hosts, std::uint16_t port,
                          ServerOptions options = {});

/// The same on a Unix socket (asyncio.start_unix_server). A socket that an earlier server has left
/// behind is replaced, one that a server listens on is not. A path that begins with a zero byte is
/// an abstract name.
Coro<Server> start_unix_server(ClientHandler handler, std::string path, ServerOptions options = {});

} // namespace muster
