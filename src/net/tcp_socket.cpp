#include "net/tcp_socket.hpp"

#include <muster/core/error.hpp>

#include <boost/asio/execution/context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/query.hpp>

namespace muster::detail {

namespace asio = boost::asio;

LoopSocket::LoopSocket(asio::ip::tcp::socket connected)
    : LoopResident(asio::query(connected.get_executor(), asio::execution::context)),
      socket_(std::move(connected)) {}

void LoopSocket::close() noexcept {
    if (socket_) {
        boost::system::error_code ignored;
        socket_->close(ignored);
        socket_.reset();
    }
    leave();
}

asio::ip::tcp::socket LoopSocket::release() {
    if (!socket_) {
        throw Error("the connection was closed");
    }
    asio::ip::tcp::socket socket = std::move(*socket_);
    socket_.reset();
    leave();
    return socket;
}

void LoopSocket::context_gone() noexcept {
    close();
    on_loop_gone();
}

} // namespace muster::detail
