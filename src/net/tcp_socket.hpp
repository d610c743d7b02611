#pragma once
/// TcpSocket from inside, for the rooms that drive the socket themselves.

#include "net/descriptor.hpp"
#include "net/endpoint.hpp"
#include "net/loop_resident.hpp"
#include "net/reactor.hpp"
#include "net/transport.hpp"

#include <muster/core/coro.hpp>
#include <muster/net/tcp.hpp>
#include <muster/sync/detail/wait_list.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include <optional>

namespace muster {

namespace detail {

/// A TCP socket that may outlive its loop. It waits with the reactor; Asio gets it only when
/// somebody wants Asio's.
class LoopSocket : private LoopResident, private Watch {
public:
    /// Takes over a non-blocking socket of this address family.
    LoopSocket(boost::asio::io_context& context, Descriptor socket, int family);

    /// Waits until it is connected; what went wrong, if something did.
    Coro<boost::system::error_code> connect(AnyEndpoint endpoint);

    [[nodiscard]] bool is_open() noexcept { return descriptor() >= 0; }

    /// Negative once closed, here or with its loop.
    [[nodiscard]] int descriptor() noexcept;

    /// Asio's socket; null once closed.
    [[nodiscard]] boost::asio::ip::tcp::socket* asio();

    /// Idempotent.
    void close() noexcept;

    /// Takes it out, for the reactor's watches; only while it is open.
    [[nodiscard]] Transport release();

    /// Takes Asio's socket out; only while it is open.
    [[nodiscard]] boost::asio::ip::tcp::socket release_asio();

private:
    void context_gone() noexcept override { close(); }

    void on_edge(std::uint32_t /*events*/) override { connecting_.grant_all(); }

    void check_open();

    boost::asio::io_context& context_;
    int family_;
    Descriptor descriptor_; // until Asio has it
    std::optional<boost::asio::ip::tcp::socket> asio_;
    WaitList connecting_;
};

} // namespace detail

struct TcpSocket::Impl : detail::LoopSocket {
    using LoopSocket::LoopSocket;
};

} // namespace muster
