#pragma once
/// TcpSocket from inside, for the rooms that drive the socket with Asio themselves.

#include "net/loop_resident.hpp"

#include <muster/net/tcp.hpp>

#include <boost/asio/ip/tcp.hpp>

#include <optional>
#include <utility>

namespace muster {

namespace detail {

/// A TCP socket that may outlive its loop.
class LoopSocket : private LoopResident {
public:
    explicit LoopSocket(boost::asio::ip::tcp::socket connected);

    /// Null once closed, here or with its loop.
    [[nodiscard]] boost::asio::ip::tcp::socket* get() noexcept {
        return socket_ ? &*socket_ : nullptr;
    }

    /// Idempotent.
    void close() noexcept;

    /// Takes Asio's socket out; only while it is open.
    [[nodiscard]] boost::asio::ip::tcp::socket release();

protected:
    /// The io_context is being destroyed, and the socket was closed.
    virtual void on_loop_gone() noexcept {}

private:
    void context_gone() noexcept override;

    std::optional<boost::asio::ip::tcp::socket> socket_;
};

} // namespace detail

struct TcpSocket::Impl : detail::LoopSocket {
    using LoopSocket::LoopSocket;
};

} // namespace muster
