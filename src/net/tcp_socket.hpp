#pragma once
/// TcpSocket from inside, for the rooms that drive the socket with Asio themselves.

#include <muster/net/tcp.hpp>

#include <boost/asio/ip/tcp.hpp>

#include <utility>

namespace muster {

struct TcpSocket::Impl {
    explicit Impl(boost::asio::ip::tcp::socket connected) : socket(std::move(connected)) {}

    boost::asio::ip::tcp::socket socket;
};

namespace detail {

/// Takes Asio's socket out.
inline boost::asio::ip::tcp::socket release(TcpSocket socket) {
    return std::move(socket.impl().socket);
}

} // namespace detail
} // namespace muster
