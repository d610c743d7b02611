#pragma once
// The HTTP side of the fleet.

#include "virtual_device.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <memory>
#include <string>
#include <unordered_set>

namespace muster::sim {

/// A connection, of whichever kind.
class HttpConnection {
public:
    virtual ~HttpConnection() = default;
    virtual void close() = 0;
};

/// Serves the REST API of all devices from one thread.
class HttpServer {
public:
    explicit HttpServer(unsigned seed);
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    /// Makes the authority whose certificates `serve_tls` shows.
    void enable_tls();

    /// The authority's certificate; empty without TLS.
    [[nodiscard]] std::string ca_certificate() const;

    /// Take over a connection just accepted. `device` must outlive the server.
    void serve(VirtualDevice& device, boost::asio::ip::tcp::socket socket);
    void serve_tls(VirtualDevice& device, boost::asio::ip::tcp::socket socket);

    /// Ends every connection. On the server's thread, or when it has ended.
    void close_all();

private:
    class Tls;
    template <class Stream>
    class Connection;

    Delays delays_;
    std::unique_ptr<Tls> tls_;
    std::unordered_set<std::shared_ptr<HttpConnection>> connections_;
};

} // namespace muster::sim
