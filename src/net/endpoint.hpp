#pragma once

#include <muster/net/address.hpp>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/system/error_code.hpp>

#include <cerrno>
#include <string>

namespace muster::detail {

/// A socket of any stream protocol: TCP or Unix.
using AnySocket = boost::asio::generic::stream_protocol::socket;
using AnyEndpoint = boost::asio::generic::stream_protocol::endpoint;

SocketAddress address_of(const AnyEndpoint& endpoint);

/// The endpoint of a numeric address. Throws ValueError when it is none.
AnyEndpoint endpoint_of(const SocketAddress& address);

/// The endpoint of a Unix socket. Throws ValueError when the path is too long for one.
AnyEndpoint unix_endpoint(const std::string& path);

/// A new non-blocking socket that no child process inherits; negative when there is none, which
/// errno explains.
int make_socket(int family) noexcept;

/// Opens `socket` with one.
template <class Socket>
boost::system::error_code open_socket(Socket& socket,
                                      const typename Socket::protocol_type& protocol) {
    boost::system::error_code error;
    const int fd = make_socket(protocol.family());
    if (fd < 0) {
        error.assign(errno, boost::system::system_category());
    } else {
        socket.assign(protocol, fd, error);
    }
    return error;
}

/// "[2001:db8::1]" without its brackets; anything else as it is.
std::string without_brackets(const std::string& host);

} // namespace muster::detail
