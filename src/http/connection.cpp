#include "connection.hpp"

#include "net/tcp_socket.hpp"

#include <muster/asio.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/consign.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>

#include <sys/socket.h>

#include <new>
#include <utility>

namespace muster::http::detail {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

Moved moved(const error_code& error, std::size_t count) {
    Moved result;
    result.count = count;
    if (error == asio::error::eof) {
        result.end = Moved::End::closed;
    } else if (error == asio::ssl::error::stream_truncated) {
        result.end = Moved::End::truncated;
    } else if (error) {
        result.end = Moved::End::broken;
        result.reason = error.message();
    }
    return result;
}

template <class Stream>
class StreamConnection : public Connection,
                         public std::enable_shared_from_this<StreamConnection<Stream>> {
public:
    Coro<Moved> read_some(std::span<char> buffer) override {
        const auto result =
            co_await stream().async_read_some(asio::buffer(buffer.data(), buffer.size()), token());
        co_return moved(std::get<0>(result), std::get<1>(result));
    }

    Coro<Moved> write_some(std::string_view text) override {
        const auto result =
            co_await stream().async_write_some(asio::buffer(text.data(), text.size()), token());
        co_return moved(std::get<0>(result), std::get<1>(result));
    }

    [[nodiscard]] bool quiet() noexcept override {
        // Anything to read is the server's end, its goodbye, or an answer that nobody asked for.
        char byte = 0;
        const ssize_t count = ::recv(socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }

protected:
    virtual Stream& stream() noexcept = 0;
    virtual tcp::socket& socket() noexcept = 0;

    /// An operation of TLS goes on inside Asio for a while when its coroutine is destroyed, so it
    /// holds what it works on.
    auto token() { return asio::as_tuple(asio::consign(use_coro, this->shared_from_this())); }
};

class PlainConnection final : public StreamConnection<tcp::socket> {
public:
    explicit PlainConnection(tcp::socket socket) : socket_(std::move(socket)) {}

private:
    tcp::socket& stream() noexcept override { return socket_; }

    tcp::socket& socket() noexcept override { return socket_; }

    tcp::socket socket_;
};

class TlsConnection final : public StreamConnection<asio::ssl::stream<tcp::socket>> {
public:
    TlsConnection(tcp::socket socket, TlsPeer peer)
        : peer_(std::move(peer)), stream_(std::move(socket), new_ssl()) {}

    ~TlsConnection() override {
        // Without a goodbye OpenSSL would take the session for broken, and not resume it.
        SSL_set_shutdown(stream_.native_handle(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }

    TlsConnection(const TlsConnection&) = delete;
    TlsConnection& operator=(const TlsConnection&) = delete;

    Coro<std::optional<Trouble>> handshake() {
        const auto result =
            co_await stream_.async_handshake(asio::ssl::stream_base::client, token());
        const error_code error = std::get<0>(result);
        if (!error) {
            co_return std::nullopt;
        }
        if (peer_.refusal) {
            co_return trouble_of(*peer_.refusal);
        }
        if (error.category() == asio::error::get_ssl_category()) {
            co_return trouble_of(muster::detail::handshake_error(
                static_cast<unsigned long>(error.value()), error.message()));
        }
        Trouble trouble;
        trouble.kind = ErrorKind::connection_lost;
        const bool closed =
            error == asio::error::eof || error == asio::ssl::error::stream_truncated;
        trouble.reason = closed ? "the server closed the connection during the handshake"
                                : "the connection broke during the handshake: " + error.message();
        co_return trouble;
    }

private:
    SSL* new_ssl() {
        SSL* ssl = peer_.context->make(peer_);
        if (ssl == nullptr) {
            throw std::bad_alloc();
        }
        return ssl;
    }

    asio::ssl::stream<tcp::socket>& stream() noexcept override { return stream_; }

    tcp::socket& socket() noexcept override { return stream_.next_layer(); }

    TlsPeer peer_; // before the stream: its SSL refers to it
    asio::ssl::stream<tcp::socket> stream_;
};

} // namespace

std::shared_ptr<Connection> make_connection(TcpSocket socket) {
    return std::make_shared<PlainConnection>(socket.impl().release_asio());
}

Coro<Secured> make_tls_connection(TcpSocket socket, TlsPeer peer) {
    const auto connection =
        std::make_shared<TlsConnection>(socket.impl().release_asio(), std::move(peer));
    Secured secured;
    secured.trouble = co_await connection->handshake();
    if (!secured.trouble) {
        secured.connection = connection;
    }
    co_return secured;
}

} // namespace muster::http::detail
