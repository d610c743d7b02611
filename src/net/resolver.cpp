#include "net/endpoint.hpp"

#include <muster/core/run_in_executor.hpp>
#include <muster/core/thread_pool.hpp>
#include <muster/net/resolver.hpp>

#include <boost/asio/ip/address.hpp>

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>

namespace muster {

namespace {

constexpr int max_threads = 64;

struct FreeAddresses {
    void operator()(addrinfo* list) const noexcept { ::freeaddrinfo(list); }
};

/// Asio's own resolver has one thread for all names, so that one dead name server would hold up
/// every other name; the default executor is the program's. Never destroyed: a lookup can't be
/// interrupted, and the end of the program should not wait for one.
concurrent::Executor& resolving_threads() {
    static auto* const pool =
        new concurrent::ThreadPoolExecutor(max_threads, {.thread_name_prefix = "resolve"});
    return *pool;
}

int number_of(AddressFamily family) {
    switch (family) {
    case AddressFamily::ipv4:
        return AF_INET;
    case AddressFamily::ipv6:
        return AF_INET6;
    case AddressFamily::any:
        break;
    }
    return AF_UNSPEC;
}

const char* null_if_empty(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

std::vector<SocketAddress> look_up(const std::string& host, const std::string& service,
                                   ResolveOptions options) {
    addrinfo hints{};
    hints.ai_family = number_of(options.family);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = (host.empty() ? 0 : AI_ADDRCONFIG) | (options.passive ? AI_PASSIVE : 0) |
                     (options.numeric_host ? AI_NUMERICHOST : 0);
    // At least one of the two has to be there.
    const std::string port = host.empty() && service.empty() ? "0" : service;
    addrinfo* found = nullptr;
    const int code = ::getaddrinfo(null_if_empty(host), null_if_empty(port), &hints, &found);
    const std::unique_ptr<addrinfo, FreeAddresses> list(found);
    if (code != 0) {
        const bool bad_service = code == EAI_SERVICE;
        throw ResolveError(code, std::string("cannot resolve ") +
                                     (bad_service ? "the service '" + service : "'" + host) +
                                     "': " + ::gai_strerror(code));
    }
    std::vector<SocketAddress> addresses;
    for (const addrinfo* info = list.get(); info != nullptr; info = info->ai_next) {
        SocketAddress address =
            detail::address_of(detail::AnyEndpoint(info->ai_addr, info->ai_addrlen));
        if (std::ranges::find(addresses, address) == addresses.end()) {
            addresses.push_back(std::move(address));
        }
    }
    return addresses;
}

NameInfo look_up_name(const SocketAddress& address, NameInfoOptions options) {
    const detail::AnyEndpoint endpoint = detail::endpoint_of(address);
    const int flags = (options.numeric_host ? NI_NUMERICHOST : 0) |
                      (options.numeric_service ? NI_NUMERICSERV : 0) |
                      (options.name_required ? NI_NAMEREQD : 0);
    std::array<char, NI_MAXHOST> host{};
    std::array<char, NI_MAXSERV> service{};
    const int code = ::getnameinfo(endpoint.data(), static_cast<socklen_t>(endpoint.size()),
                                   host.data(), host.size(), service.data(), service.size(), flags);
    if (code != 0) {
        throw ResolveError(code,
                           "cannot find the name of " + address.host + ": " + ::gai_strerror(code));
    }
    return {host.data(), service.data()};
}

/// Whether `host` is an address already, of a family that is wanted.
bool is_address(const std::string& host, AddressFamily family) {
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(host, error);
    return !error &&
           (family == AddressFamily::any || address.is_v4() == (family == AddressFamily::ipv4));
}

} // namespace

Coro<std::vector<SocketAddress>> getaddrinfo(std::string host, std::uint16_t port,
                                             ResolveOptions options) {
    host = detail::without_brackets(host);
    if (is_address(host, options.family)) {
        // As the system writes it, but without a thread.
        SocketAddress address = detail::address_of(detail::endpoint_of({host, port, {}}));
        co_return std::vector<SocketAddress>(1, std::move(address));
    }
    co_return co_await getaddrinfo(std::move(host), std::to_string(port), options);
}

Coro<std::vector<SocketAddress>> getaddrinfo(std::string host, std::string service,
                                             ResolveOptions options) {
    host = detail::without_brackets(host);
    co_return co_await run_in_executor(resolving_threads(), look_up, std::move(host),
                                       std::move(service), options);
}

Coro<NameInfo> getnameinfo(SocketAddress address, NameInfoOptions options) {
    if (address.host.empty()) {
        throw ValueError("getnameinfo() needs an IP address, and was given " + address.str());
    }
    co_return co_await run_in_executor(resolving_threads(), look_up_name, std::move(address),
                                       options);
}

} // namespace muster
