#include "net/endpoint.hpp"

#include <muster/core/error.hpp>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace muster {

namespace asio = boost::asio;

std::string SocketAddress::str() const {
    if (host.empty()) {
        return path.empty() ? "a Unix socket without a name" : path;
    }
    const bool bare = host.find(':') == std::string::npos;
    return (bare ? host : "[" + host + "]") + ":" + std::to_string(port);
}

namespace detail {

namespace {

SocketAddress unix_address(const AnyEndpoint& endpoint) {
    const auto* unix = reinterpret_cast<const sockaddr_un*>(endpoint.data());
    const std::size_t offset = offsetof(sockaddr_un, sun_path);
    SocketAddress address;
    if (endpoint.size() > offset) {
        address.path.assign(unix->sun_path, endpoint.size() - offset);
        if (address.path.front() != '\0') {
            address.path.resize(std::strlen(address.path.c_str()));
        }
    }
    return address;
}

} // namespace

SocketAddress address_of(const AnyEndpoint& endpoint) {
    if (endpoint.protocol().family() == AF_UNIX) {
        return unix_address(endpoint);
    }
    asio::ip::tcp::endpoint ip;
    SocketAddress address;
    if (endpoint.size() <= ip.capacity()) {
        std::memcpy(ip.data(), endpoint.data(), endpoint.size());
        ip.resize(endpoint.size());
        address.host = ip.address().to_string();
        address.port = ip.port();
    }
    return address;
}

AnyEndpoint endpoint_of(const SocketAddress& address) {
    if (address.host.empty()) {
        return unix_endpoint(address.path);
    }
    boost::system::error_code error;
    const auto ip = asio::ip::make_address(without_brackets(address.host), error);
    if (error) {
        throw ValueError("'" + address.host + "' is not an IP address");
    }
    return asio::ip::tcp::endpoint(ip, address.port);
}

AnyEndpoint unix_endpoint(const std::string& path) {
    sockaddr_un unix{};
    unix.sun_family = AF_UNIX;
    const bool abstract = path.starts_with('\0');
    // A name in the file system ends with a zero byte.
    const std::size_t size = path.size() + (abstract ? 0 : 1);
    if (path.empty() || size > sizeof unix.sun_path) {
        throw ValueError("the path of a Unix socket has 1 to " +
                         std::to_string(sizeof unix.sun_path - 1) + " bytes, this one has " +
                         std::to_string(path.size()) + ": '" + path + "'");
    }
    std::ranges::copy(path, unix.sun_path);
    return {&unix, offsetof(sockaddr_un, sun_path) + size};
}

int make_socket(int family) noexcept {
#ifdef SOCK_CLOEXEC
    return ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
#else
    const int fd = ::socket(family, SOCK_STREAM, 0);
    if (fd >= 0) {
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
        ::fcntl(fd, F_SETFL, O_NONBLOCK);
    }
    return fd;
#endif
}

std::string without_brackets(const std::string& host) {
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    return bracketed ? host.substr(1, host.size() - 2) : host;
}

} // namespace detail
} // namespace muster
