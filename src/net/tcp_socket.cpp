#include "net/tcp_socket.hpp"

#include "net/socket_wait.hpp"

#include <muster/core/error.hpp>

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace muster::detail {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

/// Whether the attempt to connect is over. An edge alone does not say so: it may be for another
/// socket that had the same number.
bool decided(int fd) noexcept {
    pollfd now{.fd = fd, .events = POLLOUT, .revents = 0};
    return ::poll(&now, 1, 0) > 0;
}

error_code system_error(int number) noexcept { return {number, boost::system::system_category()}; }

} // namespace

LoopSocket::LoopSocket(asio::io_context& context, Descriptor socket, int family)
    : LoopResident(context), context_(context), family_(family), descriptor_(std::move(socket)) {}

Coro<error_code> LoopSocket::connect(AnyEndpoint endpoint) {
    const int fd = descriptor_.get();
    if (::connect(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0) {
        co_return error_code();
    }
    if (errno != EINPROGRESS && errno != EINTR) {
        co_return system_error(errno);
    }
    try {
        watch(context_, fd, true);
    } catch (const Error&) {
        co_return system_error(errno); // the system has no room
    }
    set_waiting(true);
    do {
        co_await SocketWait(connecting_, "connection");
    } while (is_open() && !decided(fd));
    set_waiting(false);
    int error = ECANCELED;
    socklen_t size = sizeof error;
    ::getsockopt(descriptor(), SOL_SOCKET, SO_ERROR, &error, &size);
    co_return system_error(error);
}

int LoopSocket::descriptor() noexcept { return asio_ ? asio_->native_handle() : descriptor_.get(); }

asio::ip::tcp::socket* LoopSocket::asio() {
    if (!asio_ && descriptor_.valid()) {
        leave_set();
        const auto protocol = family_ == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4();
        asio_.emplace(context_, protocol, descriptor_.get());
        static_cast<void>(descriptor_.release());
    }
    return asio_ ? &*asio_ : nullptr;
}

void LoopSocket::close() noexcept {
    unwatch();
    descriptor_.close();
    if (asio_) {
        error_code ignored;
        asio_->close(ignored);
        asio_.reset();
    }
    leave();
}

void LoopSocket::check_open() {
    if (!is_open()) {
        throw Error("the connection was closed");
    }
}

Transport LoopSocket::release() {
    check_open();
    unwatch();
    leave();
    if (asio_) {
        descriptor_ = Descriptor(asio_->release());
        asio_.reset();
    }
    return {context_, std::move(descriptor_), Transport::Kind::tcp};
}

asio::ip::tcp::socket LoopSocket::release_asio() {
    check_open();
    asio::ip::tcp::socket socket = std::move(*asio());
    asio_.reset();
    leave();
    return socket;
}

} // namespace muster::detail
