#pragma once

#include "net/endpoint.hpp"
#include "net/loop_resident.hpp"
#include "net/transport.hpp"

#include <muster/core/function.hpp>
#include <muster/net/address.hpp>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

namespace muster::detail {

/// How a Listener is set up.
struct ListenerOptions {
    int backlog = 100;
    bool reuse_port = false;
};

/// A listening socket.
class Listener final : public std::enable_shared_from_this<Listener>, private LoopResident {
public:
    using Accepted = UniqueFunction<void(Transport)>;
    using Failed = UniqueFunction<void(const std::string& why)>;

    /// Binds it. Throws ListenError.
    Listener(boost::asio::io_context& context, const AnyEndpoint& endpoint,
             ListenerOptions options);
    ~Listener() override;

    /// Listens, and calls `accepted` for each client; `failed` when the system had no descriptor
    /// for one, whereupon it rests for a second. Throws ListenError.
    void start(Accepted accepted, Failed failed);

    /// Idempotent. A Unix socket is removed, if it is still this one.
    void close() noexcept;

    [[nodiscard]] const SocketAddress& address() const noexcept { return address_; }

private:
    using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol,
                                                        boost::asio::io_context::executor_type>;

    void context_gone() noexcept override { close(); }

    void wait();
    void accept_all();
    void rest(int error);

    std::optional<Acceptor> acceptor_;               // until it is closed
    std::optional<boost::asio::steady_timer> timer_; // while it rests
    SocketAddress address_;
    ListenerOptions options_;
    std::optional<ino_t> inode_; // of the Unix socket
    Accepted accepted_;
    Failed failed_;
};

} // namespace muster::detail
