#pragma once

#include <muster/core/coro.hpp>
#include <muster/net/address.hpp>
#include <muster/net/tcp.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace muster {

/// A name that has no address, or an address that has no name (Python: socket.gaierror).
class ResolveError : public ConnectError {
public:
    ResolveError(int code, const std::string& what)
        : ConnectError(Kind::resolve, what), code_(code) {}

    /// The system's EAI_* number; 0 when there is none.
    [[nodiscard]] int code() const noexcept { return code_; }

private:
    int code_;
};

/// Which addresses are wanted.
enum class AddressFamily : std::uint8_t { any, ipv4, ipv6 };

/// What getaddrinfo() asks for.
struct ResolveOptions {
    AddressFamily family = AddressFamily::any;
    bool passive = false;      ///< addresses to listen on; an empty host means all of this machine
    bool numeric_host = false; ///< `host` has to be an address: no name server is asked
};

/// The addresses of `host` (a name or an address, IPv6 with or without brackets), in the order in
/// which they should be tried, each with `port` (loop.getaddrinfo, for stream sockets). An empty
/// host means loopback. Throws ResolveError. Runs on one of 64 threads that only resolve names:
/// slow name servers hold up neither other names nor the executors. Cancelling it returns at once.
Coro<std::vector<SocketAddress>> getaddrinfo(std::string host, std::uint16_t port = 0,
                                             ResolveOptions options = {});

/// The same with the name of a service: "https". An empty one is port 0.
Coro<std::vector<SocketAddress>> getaddrinfo(std::string host, std::string service,
                                             ResolveOptions options = {});

/// What getnameinfo() gives.
struct NameInfo {
    std::string host;
    std::string service;
};

/// How getnameinfo() asks.
struct NameInfoOptions {
    bool numeric_host = false;    ///< the address as text: no name server is asked
    bool numeric_service = false; ///< the port as text
    bool name_required = false;   ///< an address without a name is an error, not its own name
};

/// The names of an address and its port (loop.getnameinfo). Throws ResolveError, and ValueError
/// when `address` has no IP address.
Coro<NameInfo> getnameinfo(SocketAddress address, NameInfoOptions options = {});

} // namespace muster
