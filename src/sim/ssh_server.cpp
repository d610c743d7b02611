#include "ssh_server.hpp"

#include "ssh_connection.hpp"

#include <muster/core/error.hpp>

#include <libssh/libssh.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace muster::sim {

using boost::asio::ip::tcp;

SshServer::~SshServer() { close_all(); }

void SshServer::check_key_exchange(const std::string& methods) {
    const std::unique_ptr<ssh_session_struct, void (*)(ssh_session)> session(ssh_new(), ssh_free);
    if (!methods.empty() &&
        ssh_options_set(session.get(), SSH_OPTIONS_KEY_EXCHANGE, methods.c_str()) != SSH_OK) {
        throw ValueError("virtual fleet: libssh has no key exchange method of these: " + methods);
    }
}

void SshServer::serve(VirtualDevice& device, HostKey& key, tcp::socket socket) {
    std::shared_ptr<SshConnection> connection;
    try {
        connection = std::make_shared<SshConnection>(*this, device, key, std::move(socket));
    } catch (const std::exception&) {
        return; // the system has no room for it: the client finds it closed
    }
    connections_.insert(connection);
    ++device.sessions;
    peak_ = std::max<std::uint64_t>(peak_, ++open_);
    connection->start();
}

void SshServer::close_all() {
    for (const auto& connection : std::exchange(connections_, {})) {
        connection->destroy();
    }
    open_ = 0;
}

void SshServer::forget(SshConnection& connection) {
    if (connections_.erase(connection.shared_from_this()) > 0) {
        --open_;
    }
}

} // namespace muster::sim
