#pragma once
// The SSH side of the fleet: one connection of a client to a device.

#include "host_key.hpp"
#include "virtual_device.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

namespace muster::sim {

class SshConnection;

/// Serves SSH for all devices from one thread.
class SshServer {
public:
    SshServer(boost::asio::io_context& io, const std::vector<std::string>& authorized_keys,
              unsigned seed)
        : io_(io), authorized_keys_(authorized_keys), delays_(seed) {}

    ~SshServer();
    SshServer(const SshServer&) = delete;
    SshServer& operator=(const SshServer&) = delete;

    /// Throws ValueError when libssh does not have these key exchange methods.
    static void check_key_exchange(const std::string& methods);

    /// Takes over a connection just accepted. `device` and `key` must outlive the server.
    void serve(VirtualDevice& device, HostKey& key, boost::asio::ip::tcp::socket socket);

    /// Ends every connection. On the server's thread, or when it has ended.
    void close_all();

    [[nodiscard]] std::uint64_t open() const { return open_; }

    [[nodiscard]] std::uint64_t peak() const { return peak_; }

private:
    friend class SshConnection;

    void forget(SshConnection& connection);

    boost::asio::io_context& io_;
    AuthorizedKeys authorized_keys_;
    Delays delays_;
    std::unordered_set<std::shared_ptr<SshConnection>> connections_;
    std::atomic<std::uint64_t> open_{0};
    std::atomic<std::uint64_t> peak_{0};
};

} // namespace muster::sim
