#include "net/tcp_socket.hpp"

#include <muster/asio.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/run_in_executor.hpp>
#include <muster/core/timeout.hpp>
#include <muster/net/tcp.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/write.hpp>

#include <netdb.h>
#include <sys/socket.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace muster {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

using Addresses = std::vector<asio::ip::address>;

struct FreeAddresses {
    void operator()(addrinfo* list) const noexcept { ::freeaddrinfo(list); }
};

/// Blocks: runs in an executor. Asio's own resolver has one thread for all names, so that one dead
/// name server would hold up every other name.
Addresses look_up(const std::string& host) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
    const std::unique_ptr<addrinfo, FreeAddresses> list(found);
    if (code != 0) {
        throw ConnectError(ConnectError::Kind::resolve,
                           "cannot resolve '" + host + "': " + ::gai_strerror(code));
    }
    Addresses addresses;
    for (const addrinfo* info = list.get(); info != nullptr; info = info->ai_next) {
        tcp::endpoint endpoint;
        if (info->ai_addrlen <= endpoint.capacity()) {
            std::memcpy(endpoint.data(), info->ai_addr, info->ai_addrlen);
            endpoint.resize(info->ai_addrlen);
            addresses.push_back(endpoint.address());
        }
    }
    return addresses;
}

std::string without_brackets(const std::string& host) {
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    return bracketed ? host.substr(1, host.size() - 2) : host;
}

Coro<Addresses> resolve(const std::string& host) {
    error_code error;
    const auto address = asio::ip::make_address(host, error);
    if (!error) {
        co_return Addresses(1, address);
    }
    co_return co_await run_in_executor(look_up, host);
}

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
        : host_(without_brackets(host)), port_(port), limit_(limit) {}

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
        addresses_ = co_await resolve(host_);
        for (std::size_t i = 0; i < addresses_.size(); ++i) {
            tcp::socket socket(get_running_loop().io_context());
            // The last address has all the time that is left.
            const auto tries = static_cast<Clock::rep>(addresses_.size() - i);
            const TimeLimit share = limit_.limited() && tries > 1
                                        ? TimeLimit((deadline - Clock::now()) / tries)
                                        : TimeLimit(std::nullopt);
            current_ = addresses_[i].to_string();
            const error_code error = co_await try_one(socket, addresses_[i], share);
            if (!error) {
                error_code ignored;
                socket.set_option(tcp::no_delay(true), ignored);
                co_return TcpSocket(std::make_unique<TcpSocket::Impl>(std::move(socket)));
            }
            note(addresses_[i], error);
        }
        throw ConnectError(kind_, "cannot connect: " + tried_);
    }

    Coro<error_code> try_one(tcp::socket& socket, const asio::ip::address& address,
                             TimeLimit limit) {
        const tcp::endpoint endpoint(address, port_);
        try {
            co_return co_await timeout(limit, [&]() -> Coro<error_code> {
                const auto result =
                    co_await socket.async_connect(endpoint, asio::as_tuple(use_coro));
                co_return std::get<0>(result);
            });
        } catch (const TimeoutError&) {
            co_return error_code(asio::error::timed_out);
        }
    }

    void note(const asio::ip::address& address, const error_code& error) {
        kind_ = kind_of(error);
        tried_ += tried_.empty() ? "" : "; ";
        tried_ += address.to_string() + " port " + std::to_string(port_) + ": " +
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
    Addresses addresses_;
    std::string tried_;
    std::string current_;
    ConnectError::Kind kind_ = ConnectError::Kind::other;
};

tcp::socket& open_socket(TcpSocket::Impl& impl) {
    if (impl.get() == nullptr) {
        throw Error("the connection was closed");
    }
    return *impl.get();
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
    error_code ignored;
    if (tcp::socket* socket = impl_->get(); socket != nullptr) {
        socket->shutdown(tcp::socket::shutdown_send, ignored);
    }
}

void TcpSocket::close() noexcept { impl_->close(); }

bool TcpSocket::is_open() const noexcept { return impl_ && impl_->get() != nullptr; }

std::string TcpSocket::peer_address() const {
    if (!is_open()) {
        return {};
    }
    error_code error;
    const auto endpoint = impl_->get()->remote_endpoint(error);
    return error ? std::string() : endpoint.address().to_string();
}

Coro<TcpSocket> connect_tcp(std::string host, std::uint16_t port, ConnectOptions options) {
    Connecting connecting(std::move(host), port, options.timeout);
    co_return co_await connecting.run();
}

} // namespace muster
