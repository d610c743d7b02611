#include "net/tcp_socket.hpp"

#include <muster/core/error.hpp>

#include <boost/asio/execution/context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/query.hpp>

#include <unordered_set>

namespace muster::detail {

namespace asio = boost::asio;

/// All sockets of an io_context: told when it goes.
class LoopSocket::Registry : public asio::execution_context::service {
public:
    using key_type = Registry;
    static asio::execution_context::id id;

    explicit Registry(asio::execution_context& context)
        : asio::execution_context::service(context) {}

    std::unordered_set<LoopSocket*> sockets;

private:
    void shutdown() noexcept override {
        while (!sockets.empty()) {
            LoopSocket& socket = **sockets.begin();
            socket.close();
            socket.on_loop_gone();
        }
    }
};

asio::execution_context::id LoopSocket::Registry::id;

LoopSocket::LoopSocket(asio::ip::tcp::socket connected)
    : socket_(std::move(connected)),
      registry_(&asio::use_service<Registry>(
          asio::query(socket_->get_executor(), asio::execution::context))) {
    registry_->sockets.insert(this);
}

LoopSocket::~LoopSocket() { leave(); }

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

void LoopSocket::leave() noexcept {
    if (registry_ != nullptr) {
        std::exchange(registry_, nullptr)->sockets.erase(this);
    }
}

} // namespace muster::detail
