#pragma once
/// TcpSocket from inside, for the rooms that drive the socket with Asio themselves.

#include <muster/net/tcp.hpp>

#include <boost/asio/execution_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <optional>
#include <utility>
#include <vector>

namespace muster {

namespace detail {

/// A socket that may outlive its loop. Asio's may not outlive its io_context, but a connection that
/// is returned from run() does: the socket is closed then, and what is left is inert.
class LoopSocket {
public:
    explicit LoopSocket(boost::asio::ip::tcp::socket connected);
    LoopSocket(const LoopSocket&) = delete;
    LoopSocket& operator=(const LoopSocket&) = delete;
    virtual ~LoopSocket();

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
    class Registry;

    void leave() noexcept;

    std::optional<boost::asio::ip::tcp::socket> socket_;
    Registry* registry_;
};

} // namespace detail

struct TcpSocket::Impl : detail::LoopSocket {
    using LoopSocket::LoopSocket;
};

} // namespace muster
