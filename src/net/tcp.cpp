#include "net/endpoint.hpp"
#include "net/tcp_socket.hpp"

#include <muster/asio.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/timeout.hpp>
#include <muster/net/resolver.hpp>
#include <muster/net/tcp.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/write.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

namespace muster {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

ConnectError::Kind kind_of(const error_code& error) {
    if (error == asio::error::connection_refused) {
        return ConnectError::Kind::refused;
    }
    if (error == asio::error::host_unreachable || error == asio::error::network_unreachable) {
        return ConnectError::Kind::unreachable;
    }
    if (error == asio::error::timed_out) {
        return ConnectError::Kind::timeout;
    }
    return ConnectError::Kind::other;
}

std::string milliseconds(Clock::duration limit) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(limit).count()) +
           " ms";
}

/// Tries addresses in turn, each with its share of the time.
class Connecting {
public:
    Connecting(std::string host, std::uint16_t port, TimeLimit limit)
        : host_(detail::without_brackets(host)), port_(port), limit_(limit) {}

    Coro<TcpSocket> run() {
        try {
            co_return co_await timeout(limit_, [this] { return connect(); });
        } catch (const TimeoutError&) {
            throw timed_out();
        }
    }

private:
    Coro<TcpSocket> connect() {
        const auto deadline = limit_.deadline(Clock::now());
        addresses_ = co_await getaddrinfo(host_, port_);
        for (std::size_t i = 0; i < addresses_.size(); ++i) {
            const tcp::endpoint endpoint(asio::ip::make_address(addresses_[i].host), port_);
            // The last address has all the time that is left.
            const auto tries = static_cast<Clock::rep>(addresses_.size() - i);
            const TimeLimit share = limit_.limited() && tries > 1
                                        ? TimeLimit((deadline - Clock::now()) / tries)
                                        : TimeLimit(std::nullopt);
            current_ = addresses_[i].host;
            const int family = endpoint.protocol().family();
            detail::Descriptor descriptor(detail::make_socket(family));
            error_code error(errno, boost::system::system_category());
            if (descriptor.valid()) {
                const int on = 1;
                ::setsockopt(descriptor.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                auto socket = std::make_unique<TcpSocket::Impl>(get_running_loop().io_context(),
                                                                std::move(descriptor), family);
                error = co_await try_one(*socket, endpoint, share);
                if (!error) {
                    co_return TcpSocket(std::move(socket));
                }
            }
            note(addresses_[i], error);
        }
        throw ConnectError(kind_, "cannot connect: " + tried_);
    }

    Coro<error_code> try_one(detail::LoopSocket& socket, detail::AnyEndpoint endpoint,
                             TimeLimit limit) {
        try {
            co_return co_await timeout(limit, [&] { return socket.connect(endpoint); });
        } catch (const TimeoutError&) {
            co_return error_code(asio::error::timed_out);
        }
    }

    void note(const SocketAddress& address, const error_code& error) {
        kind_ = kind_of(error);
        tried_ += tried_.empty() ? "" : "; ";
        tried_ += address.host + " port " + std::to_string(port_) + ": " +
                  (kind_ == ConnectError::Kind::timeout ? "no answer" : error.message());
    }

    [[nodiscard]] ConnectError timed_out() const {
        const std::string limit = milliseconds(limit_.value());
        if (addresses_.empty()) {
            return {ConnectError::Kind::resolve,
                    "cannot resolve '" + host_ + "': no answer within " + limit};
        }
        const std::string more = tried_.empty() ? "" : "; " + tried_;
        return {ConnectError::Kind::timeout, "cannot connect: " + current_ + " port " +
                                                 std::to_string(port_) + ": no answer within " +
                                                 limit + more};
    }

    std::string host_;
    std::uint16_t port_;
    TimeLimit limit_;
    std::vector<SocketAddress> addresses_;
    std::string tried_;
    std::string current_;
    ConnectError::Kind kind_ = ConnectError::Kind::other;
};

tcp::socket& open_socket(TcpSocket::Impl& impl) {
    tcp::socket* socket = impl.asio();
    if (socket == nullptr) {
        throw Error("the connection was closed");
    }
    return *socket;
}

[[noreturn]] void fail(const char* what, const error_code& error) {
    throw Error(std::string(what) + ": " + error.message());
}

} // namespace

TcpSocket::TcpSocket(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}

TcpSocket::TcpSocket(TcpSocket&&) noexcept = default;
TcpSocket& TcpSocket::operator=(TcpSocket&&) noexcept = default;
TcpSocket::~TcpSocket() = default;

Coro<std::size_t> TcpSocket::read_some(std::span<char> buffer) {
    const auto [error, count] = co_await open_socket(*impl_).async_read_some(
        asio::buffer(buffer.data(), buffer.size()), asio::as_tuple(use_coro));
    if (error == asio::error::eof) {
        co_return 0;
    }
    if (error) {
        fail("reading from the connection failed", error);
    }
    co_return count;
}

Coro<void> TcpSocket::write_all(std::string_view text) {
    const auto [error, count] = co_await asio::async_write(
        open_socket(*impl_), asio::buffer(text.data(), text.size()), asio::as_tuple(use_coro));
    if (error) {
        fail("writing to the connection failed", error);
    }
}

void TcpSocket::shutdown_write() noexcept {
    if (impl_->is_open()) {
        ::shutdown(impl_->descriptor(), SHUT_WR);
    }
}

void TcpSocket::close() noexcept { impl_->close(); }

bool TcpSocket::is_open() const noexcept { return impl_ && impl_->is_open(); }

std::string TcpSocket::peer_address() const {
    if (!is_open()) {
        return {};
    }
    detail::AnyEndpoint peer;
    auto size = static_cast<socklen_t>(peer.capacity());
    if (::getpeername(impl_->descriptor(), peer.data(), &size) != 0) {
        return {};
    }
    peer.resize(size);
    return detail::address_of(peer).host;
}

Coro<TcpSocket> connect_tcp(std::string host, std::uint16_t port, ConnectOptions options) {
    Connecting connecting(std::move(host), port, options.timeout);
    co_return co_await connecting.run();
}

} // namespace muster
