#include "net/transport.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <utility>

namespace muster::detail {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

/// Keeps SIGPIPE from this thread, and takes it back.
class NoSigpipe {
public:
    NoSigpipe() noexcept {
        sigset_t pending;
        ::sigpending(&pending);
        was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
        ::sigemptyset(&sigpipe_);
        ::sigaddset(&sigpipe_, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
    }

    NoSigpipe(const NoSigpipe&) = delete;
    NoSigpipe& operator=(const NoSigpipe&) = delete;

    ~NoSigpipe() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

    void take_back() const noexcept {
        const timespec at_once{};
        if (!was_pending_) {
            while (::sigtimedwait(&sigpipe_, nullptr, &at_once) < 0 && errno == EINTR) {
            }
        }
    }

private:
    sigset_t sigpipe_{};
    sigset_t before_{};
    bool was_pending_ = false;
};

ssize_t write_to_pipe(int fd, std::string_view bytes) noexcept {
    const NoSigpipe guard;
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EPIPE) {
        guard.take_back();
        errno = EPIPE;
    }
    return count;
}

/// Calls a function of the system until no signal interrupts it.
template <class F>
std::size_t call(F function, error_code& error) noexcept {
    ssize_t count = 0;
    do {
        count = function();
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        error.assign(errno, boost::system::system_category());
        return 0;
    }
    error.clear();
    return static_cast<std::size_t>(count);
}

SocketAddress address(int fd, int (*get)(int, sockaddr*, socklen_t*)) {
    AnyEndpoint endpoint;
    auto size = static_cast<socklen_t>(endpoint.capacity());
    if (get(fd, endpoint.data(), &size) != 0) {
        return {};
    }
    endpoint.resize(size);
    return address_of(endpoint);
}

Transport::Kind kind_of(int socket) noexcept {
    int family = AF_UNSPEC;
    socklen_t size = sizeof family;
    ::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &size);
    return family == AF_UNIX ? Transport::Kind::unix_socket : Transport::Kind::tcp;
}

} // namespace

Transport::Transport(asio::io_context& context, Descriptor descriptor, Kind kind) noexcept
    : context_(&context), descriptor_(std::move(descriptor)), kind_(kind) {
    int on = 1;
    ::ioctl(descriptor_.get(), FIONBIO, &on);
}

Transport::Transport(AnySocket socket)
    : context_(&static_cast<asio::io_context&>(
          asio::query(socket.get_executor(), asio::execution::context))),
      descriptor_(socket.release()),
      kind_(kind_of(descriptor_.get())) {}

SocketAddress Transport::peername() const { return address(native_handle(), ::getpeername); }

SocketAddress Transport::sockname() const { return address(native_handle(), ::getsockname); }

std::size_t Transport::read_some(std::span<char> buffer, error_code& error) noexcept {
    std::size_t count = 0;
    error.clear();
    if (kind_ == Kind::read_end) {
        count = call([&] { return ::read(native_handle(), buffer.data(), buffer.size()); }, error);
    } else if (kind_ != Kind::write_end) {
        count =
            call([&] { return ::recv(native_handle(), buffer.data(), buffer.size(), 0); }, error);
    }
    if (count == 0 && !error) {
        error = asio::error::eof;
    }
    return count;
}

std::size_t Transport::write_some(std::string_view bytes, error_code& error) noexcept {
    return call([&] { return send(bytes); }, error);
}

ssize_t Transport::send(std::string_view bytes) const noexcept {
    return is_pipe() ? write_to_pipe(native_handle(), bytes)
                     : ::send(native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

std::span<char> scratch() noexcept {
    constexpr std::size_t large_read = 65536;
    static thread_local std::array<char, large_read> bytes;
    return bytes;
}

bool would_wait(const error_code& error) noexcept {
    return error == asio::error::would_block || error == asio::error::try_again;
}

void Transport::shut_down_writing() noexcept {
    if (is_pipe()) {
        descriptor_.close();
    } else {
        ::shutdown(native_handle(), SHUT_WR);
    }
}

} // namespace muster::detail
