#include <muster/asio.hpp>
#include <muster/core/error.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/net/readiness.hpp>

#include <boost/asio/posix/stream_descriptor.hpp>

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace muster {

namespace asio = boost::asio;

namespace {

[[noreturn]] void fail(int fd) {
    throw Error("cannot wait for descriptor " + std::to_string(fd) + ": " +
                boost::system::error_code(errno, boost::system::system_category()).message());
}

/// Asio makes the descriptors it waits for non-blocking, which would concern everybody who shares
/// them. So it is given a set that has the descriptor in it.
Coro<void> ready(int fd, std::uint32_t events) {
    asio::posix::stream_descriptor set(get_running_loop().io_context());
    const int number = ::epoll_create1(EPOLL_CLOEXEC);
    if (number < 0) {
        fail(fd);
    }
    set.assign(number);
    epoll_event event{};
    event.events = events;
    if (::epoll_ctl(number, EPOLL_CTL_ADD, fd, &event) != 0) {
        fail(fd);
    }
    co_await set.async_wait(asio::posix::stream_descriptor::wait_read, use_coro);
}

} // namespace

Coro<void> readable(int fd) { return ready(fd, EPOLLIN | EPOLLRDHUP); }

Coro<void> writable(int fd) { return ready(fd, EPOLLOUT); }

} // namespace muster
