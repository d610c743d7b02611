#pragma once
// Accepts connections for the devices of a fleet on loopback, and tells whose they are.

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace muster::sim {

/// The address of device `index` where each has its own.
std::string device_address(int index);

/// One listening service of the whole fleet. Lives on the server's io_context.
class Listener {
public:
    using Accepted = std::function<void(int device, boost::asio::ip::tcp::socket socket)>;

    /// Devices by address: one socket for all of 127.0.0.0/8, bound to the loopback interface.
    /// Throws boost::system::system_error with `operation_not_permitted` where that needs
    /// privileges.
    static std::unique_ptr<Listener> by_address(boost::asio::io_context& io, std::uint16_t port,
                                                int devices, Accepted accepted);

    /// Devices by port of 127.0.0.1, from `first` on; 0: any free ones.
    static std::unique_ptr<Listener> by_port(boost::asio::io_context& io, std::uint16_t first,
                                             int devices, Accepted accepted);

    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    [[nodiscard]] std::uint16_t port(int device) const;

    void start();
    void stop();

private:
    using Acceptor = boost::asio::ip::tcp::acceptor;

    explicit Listener(boost::asio::io_context& io, Accepted accepted)
        : io_(io), accepted_(std::move(accepted)) {}

    void accept(std::size_t index);
    void retry(std::size_t index);
    [[nodiscard]] int device_of(std::size_t index,
                                const boost::asio::ip::tcp::socket& socket) const;

    boost::asio::io_context& io_;
    Accepted accepted_;
    std::vector<Acceptor> acceptors_;
    std::unordered_map<std::uint32_t, int> devices_; // by address; empty: by port
};

/// A port of 127.0.0.1 (or `host`) that refuses connections as long as this lives.
class ClosedPort {
public:
    ClosedPort(boost::asio::io_context& io, const std::string& host);

    [[nodiscard]] std::uint16_t port() const;

private:
    boost::asio::ip::tcp::acceptor bound_; // bound, never listening
};

} // namespace muster::sim
