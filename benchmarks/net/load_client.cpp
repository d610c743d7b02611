#include "net/load_client.hpp"

#include "harness/processor.hpp"

#include <muster/net/descriptor_limit.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <vector>

namespace bench {

namespace {

constexpr unsigned most_seconds = 120;

void check(bool done) {
    if (!done) {
        std::_Exit(1);
    }
}

int connect_to(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    check(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/// Never returns: it is ended with the server, or by its alarm.
[[noreturn]] void be_client(int ports, std::size_t connections) {
    std::uint16_t port = 0;
    check(::read(ports, &port, sizeof port) == sizeof port);
    const std::array<char, echo_size> request{};
    const int set = ::epoll_create1(EPOLL_CLOEXEC);
    std::vector<std::size_t> missing;
    for (std::size_t i = 0; i < connections; ++i) {
        const int fd = connect_to(port);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        check(::epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0);
        missing.resize(static_cast<std::size_t>(fd) + 1, echo_size);
        check(::send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
              static_cast<ssize_t>(request.size()));
    }
    std::array<epoll_event, 256> events{};
    std::array<char, 4096> answer{};
    while (true) {
        const int count = ::epoll_wait(set, events.data(), static_cast<int>(events.size()), -1);
        for (int i = 0; i < count; ++i) {
            const int fd = events[static_cast<std::size_t>(i)].data.fd;
            std::size_t& left = missing[static_cast<std::size_t>(fd)];
            const ssize_t got = ::recv(fd, answer.data(), answer.size(), 0);
            check(got > 0 && static_cast<std::size_t>(got) <= left);
            left -= static_cast<std::size_t>(got);
            if (left == 0) {
                left = echo_size;
                check(::send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
                      static_cast<ssize_t>(request.size()));
            }
        }
    }
}

} // namespace

LoadClient::LoadClient(std::size_t connections) {
    muster::require_descriptors(connections, "echo");
    ::alarm(most_seconds);
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) {
        throw std::runtime_error("no pipe");
    }
    process_ = ::fork();
    if (process_ < 0) {
        throw std::runtime_error("no process");
    }
    if (process_ == 0) {
        ::close(ends[1]);
        ::alarm(most_seconds); // a child inherits none
        go_elsewhere();
        be_client(ends[0], connections);
    }
    ::close(ends[0]);
    port_ = ends[1];
}

LoadClient::~LoadClient() {
    ::close(port_);
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    ::alarm(0);
}

void LoadClient::start(std::uint16_t port) const {
    if (::write(port_, &port, sizeof port) != sizeof port) {
        throw std::runtime_error("the client has gone");
    }
}

} // namespace bench
