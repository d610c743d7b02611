#pragma once

#include <cstdint>
#include <string>

namespace muster {

/// One end of a connection: an IP address with a port, or the path of a Unix socket.
struct SocketAddress {
    std::string host = {};  ///< "192.0.2.1", "2001:db8::1", "fe80::1%eth0"; empty for Unix sockets
    std::uint16_t port = 0; ///< 0 for Unix sockets
    std::string path = {};  ///< empty for IP, and for a Unix socket that has no name

    /// "192.0.2.1:22", "[2001:db8::1]:22", "/run/daemon.sock", or "a Unix socket without a name".
    [[nodiscard]] std::string str() const;

    friend bool operator==(const SocketAddress&, const SocketAddress&) = default;
};

} // namespace muster
