#include "net/echo_servers.hpp"
#include "net/load_client.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <vector>

namespace bench {

namespace {

class Server {
public:
    Server(Meter& meter, const EchoLoad& load)
        : client_(load.connections), count_(meter, load.requests) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        if (::bind(listener_, generic, size) != 0 || ::listen(listener_, echo_backlog) != 0 ||
            ::getsockname(listener_, generic, &size) != 0) {
            throw std::runtime_error("cannot listen");
        }
        watch(listener_);
        count_.finish = [this] { done_ = true; };
        client_.start(ntohs(address.sin_port));
    }

    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    ~Server() {
        for (const int fd : connections_) {
            ::close(fd);
        }
        ::close(listener_);
        ::close(set_);
    }

    void run() {
        std::array<epoll_event, 256> events{};
        while (!done_) {
            const int count =
                ::epoll_wait(set_, events.data(), static_cast<int>(events.size()), -1);
            for (int i = 0; i < count && !done_; ++i) {
                const int fd = events[static_cast<std::size_t>(i)].data.fd;
                if (fd == listener_) {
                    accept();
                } else {
                    serve(fd);
                }
            }
        }
    }

private:
    void watch(int fd) const {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        ::epoll_ctl(set_, EPOLL_CTL_ADD, fd, &event);
    }

    void accept() {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            const int on = 1;
            ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            connections_.push_back(fd);
            watch(fd);
        }
    }

    void serve(int fd) {
        const ssize_t size = ::read(fd, buffer_.data(), buffer_.size());
        if (size <= 0 || ::write(fd, buffer_.data(), static_cast<std::size_t>(size)) != size) {
            throw std::runtime_error("the client has gone");
        }
        count_.answered();
    }

    LoadClient client_;
    RequestCount count_;
    int set_ = ::epoll_create1(EPOLL_CLOEXEC);
    int listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    std::vector<int> connections_;
    std::array<char, echo_buffer> buffer_{};
    bool done_ = false;
};

} // namespace

void echo_on_epoll(Meter& meter, const EchoLoad& load) { Server(meter, load).run(); }

} // namespace bench
