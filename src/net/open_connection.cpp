#include "net/stream_impl.hpp"
#include "net/tcp_socket.hpp"

#include <muster/core/event_loop.hpp>
#include <muster/core/sleep.hpp>
#include <muster/core/timeout.hpp>
#include <muster/net/open_connection.hpp>
#include <muster/net/tcp.hpp>

#include <boost/asio/error.hpp>

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <utility>

namespace muster {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::chrono::milliseconds full_backlog_pause{10};

void check_limit(const OpenOptions& options) {
    if (options.limit == 0) {
        throw ValueError("Limit cannot be <= 0");
    }
}

/// A stream on `socket`, with TLS if that is wanted, before `deadline`.
Coro<Stream> opened(detail::Transport socket, std::string host, OpenOptions options,
                    Clock::time_point deadline) {
    Stream stream(
        std::make_shared<detail::StreamImpl>(std::move(socket), options.limit, std::move(host)));
    if (options.tls) {
        const TimeLimit rest = options.timeout.limited() ? TimeLimit(deadline - Clock::now())
                                                         : TimeLimit(std::nullopt);
        co_await stream.start_tls(*std::move(options.tls), rest);
    }
    co_return stream;
}

ConnectError unix_error(const std::string& path, const error_code& error) {
    std::string what = "cannot connect to the Unix socket '" + path + "': " + error.message();
    auto kind = ConnectError::Kind::other;
    if (error == asio::error::connection_refused) {
        kind = ConnectError::Kind::refused;
        what += " (its server has ended and left it behind)";
    } else if (error == boost::system::errc::no_such_file_or_directory) {
        kind = ConnectError::Kind::refused;
        what += " (is the server running, and is this its path?)";
    }
    return {kind, what};
}

Coro<void> connect_unix(detail::AnySocket& socket, const std::string& path) {
    const detail::AnyEndpoint endpoint = detail::unix_endpoint(path);
    if (const error_code error = detail::open_socket(socket, endpoint.protocol())) {
        throw unix_error(path, error);
    }
    // It connects at once, or can't: Asio would take a full backlog for a connection under way, and
    // the system does not tell when there is room.
    while (::connect(socket.native_handle(), endpoint.data(),
                     static_cast<socklen_t>(endpoint.size())) != 0) {
        const int error = errno;
        if (error != EAGAIN) {
            throw unix_error(path, error_code(error, boost::system::system_category()));
        }
        co_await async_sleep(full_backlog_pause);
    }
}

} // namespace

Coro<Stream> open_connection(std::string host, std::uint16_t port, OpenOptions options) {
    check_limit(options);
    const auto deadline = options.timeout.deadline(Clock::now());
    ConnectOptions connect;
    connect.timeout = options.timeout;
    TcpSocket socket = co_await connect_tcp(host, port, connect);
    co_return co_await opened(socket.impl().release(), std::move(host), std::move(options),
                              deadline);
}

Coro<Stream> open_unix_connection(std::string path, OpenOptions options) {
    check_limit(options);
    const auto deadline = options.timeout.deadline(Clock::now());
    detail::AnySocket socket(get_running_loop().io_context());
    try {
        co_await timeout(options.timeout, [&] { return connect_unix(socket, path); });
    } catch (const TimeoutError&) {
        throw ConnectError(ConnectError::Kind::timeout,
                           "cannot connect to the Unix socket '" + path + "': no answer in time");
    }
    co_return co_await opened(detail::Transport(std::move(socket)), {}, std::move(options),
                              deadline);
}

} // namespace muster
