#include "net/listener.hpp"

#include <muster/net/server.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace muster::detail {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::chrono::seconds rest_time{1};

int accept_client(int listener) noexcept {
#ifdef SOCK_CLOEXEC
    return ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
#else
    const int fd = ::accept(listener, nullptr, nullptr);
    if (fd >= 0) {
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return fd;
#endif
}

[[noreturn]] void fail(const SocketAddress& address, int error) {
    auto kind = ListenError::Kind::other;
    std::string remedy;
    const bool unix = address.host.empty();
    switch (error) {
    case EADDRINUSE:
        kind = ListenError::Kind::in_use;
        remedy = unix ? " (another server listens there, or the path is no socket)"
                      : " (another program listens there: choose another port, or 0 for any free "
                        "one)";
        break;
    case EACCES:
    case EPERM:
        kind = ListenError::Kind::denied;
        remedy = unix ? " (this user may not create files there)"
                      : " (ports below 1024 are for root: choose a higher one)";
        break;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        kind = ListenError::Kind::address;
        remedy = " (this machine has no such address)";
        break;
    default:
        break;
    }
    const std::string where = unix ? "the Unix socket '" + address.path + "'"
                                   : address.host + " port " + std::to_string(address.port);
    throw ListenError(kind, "cannot listen on " + where + ": " +
                                error_code(error, boost::system::system_category()).message() +
                                remedy);
}

/// Removes a socket that nobody listens on any more.
void remove_stale(const SocketAddress& address, const AnyEndpoint& endpoint) {
    struct stat status{};
    if (::stat(address.path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return;
    }
    const int probe = make_socket(AF_UNIX);
    if (probe < 0) {
        return;
    }
    const int result = ::connect(probe, endpoint.data(), static_cast<socklen_t>(endpoint.size()));
    const bool stale = result != 0 && errno == ECONNREFUSED;
    ::close(probe);
    if (stale) {
        ::unlink(address.path.c_str());
    }
}

void enable(int fd, int level, int option) noexcept {
    const int on = 1;
    ::setsockopt(fd, level, option, &on, sizeof on);
}

} // namespace

Listener::Listener(asio::io_context& context, const AnyEndpoint& endpoint, ListenerOptions options)
    : LoopResident(context), acceptor_(context), address_(address_of(endpoint)), options_(options) {
    const int family = endpoint.protocol().family();
    error_code error = open_socket(*acceptor_, endpoint.protocol());
    if (error) {
        fail(address_, error.value());
    }
    const int fd = acceptor_->native_handle();
    const bool in_files = family == AF_UNIX && !address_.path.starts_with('\0');
    if (family == AF_UNIX) {
        if (in_files) {
            remove_stale(address_, endpoint);
        }
    } else {
        enable(fd, SOL_SOCKET, SO_REUSEADDR);
        if (family == AF_INET6) {
            enable(fd, IPPROTO_IPV6, IPV6_V6ONLY);
        }
    }
    if (options.reuse_port) {
        enable(fd, SOL_SOCKET, SO_REUSEPORT);
    }
    if (::bind(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0) {
        fail(address_, errno);
    }
    struct stat status{};
    if (in_files && ::stat(address_.path.c_str(), &status) == 0) {
        inode_ = status.st_ino;
    }
    if (const AnyEndpoint bound = acceptor_->local_endpoint(error); !error) {
        address_ = address_of(bound);
    }
}

Listener::~Listener() { close(); }

void Listener::start(Accepted accepted, Failed failed) {
    accepted_ = std::move(accepted);
    failed_ = std::move(failed);
    if (::listen(acceptor_->native_handle(), options_.backlog) != 0) {
        fail(address_, errno);
    }
    wait();
}

void Listener::close() noexcept {
    if (!acceptor_) {
        return;
    }
    struct stat status{};
    // Another server may have taken the path over.
    if (inode_ && ::stat(address_.path.c_str(), &status) == 0 && status.st_ino == *inode_) {
        ::unlink(address_.path.c_str());
    }
    error_code ignored;
    acceptor_->close(ignored);
    acceptor_.reset();
    timer_.reset();
    leave();
}

void Listener::wait() {
    acceptor_->async_wait(Acceptor::wait_read, [self = shared_from_this()](error_code error) {
        if (!error && self->acceptor_) {
            self->accept_all();
        }
    });
}

void Listener::accept_all() {
    const auto kind = address_.host.empty() ? Transport::Kind::unix_socket : Transport::Kind::tcp;
    // Others should have their turn, too.
    for (int i = 0; i <= options_.backlog && acceptor_; ++i) {
        const int fd = accept_client(acceptor_->native_handle());
        if (fd >= 0) {
            accepted_(Transport(acceptor_->get_executor().context(), Descriptor(fd), kind));
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            rest(errno);
            return;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        }
        // What else accept() says concerns one client that has gone again.
    }
    if (acceptor_) {
        wait();
    }
}

void Listener::rest(int error) {
    failed_("accepting clients on " + address_.str() + " failed: " +
            error_code(error, boost::system::system_category()).message() + "; it goes on in 1 s");
    if (!acceptor_) {
        return;
    }
    timer_.emplace(acceptor_->get_executor(), rest_time);
    timer_->async_wait([self = shared_from_this()](error_code ended) {
        if (!ended && self->acceptor_) {
            self->accept_all();
        }
    });
}

} // namespace muster::detail
