#include "looks_with_descriptors.hpp"

#include <muster/muster.hpp>
#include <muster/net/tcp.hpp>

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string>
#include <thread>

using namespace muster;
using namespace std::chrono_literals;

namespace {

/// A listening socket of plain POSIX, so that only one side is under test.
class Listener {
public:
    Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        REQUIRE(::bind(fd_, generic, length) == 0);
        REQUIRE(::listen(fd_, 8) == 0);
        REQUIRE(::getsockname(fd_, generic, &length) == 0);
        port_ = ntohs(address.sin_port);
    }

    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    ~Listener() { ::close(fd_); }

    [[nodiscard]] std::uint16_t port() const { return port_; }

    /// Takes one connection and sends back all it gets, until the end.
    void echo() const {
        const int connection = ::accept(fd_, nullptr, nullptr);
        std::array<char, 4096> buffer{};
        ssize_t got = 0;
        while ((got = ::read(connection, buffer.data(), buffer.size())) > 0) {
            for (ssize_t sent = 0; sent < got;) {
                sent +=
                    ::write(connection, buffer.data() + sent, static_cast<std::size_t>(got - sent));
            }
        }
        ::close(connection);
    }

private:
    int fd_;
    std::uint16_t port_ = 0;
};

ConnectError connect_error(const std::string& host, std::uint16_t port, TimeLimit limit = 5s) {
    try {
        ConnectOptions options;
        options.timeout = limit;
        run(connect_tcp(host, port, options));
    } catch (const ConnectError& error) {
        return error;
    }
    FAIL("it connected");
    std::abort();
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("bytes go out and come back, to the end of the stream") {
    const Listener listener;
    std::thread server([&] { listener.echo(); });
    for (const std::string host : {"127.0.0.1"}) {
        run([](std::string name, std::uint16_t port) -> Coro<void> {
            TcpSocket socket = co_await connect_tcp(std::move(name), port);
            CHECK(socket.is_open());
            CHECK(socket.peer_address() == "127.0.0.1");
            const std::string text(1'000'000, 'x');
            std::size_t seen = 0;
            auto reading = create_task([](TcpSocket& from, std::size_t& count) -> Coro<void> {
                std::array<char, 10'000> buffer{};
                while (const std::size_t got = co_await from.read_some(buffer)) {
                    count += got;
                }
            }(socket, seen));
            co_await socket.write_all(text);
            socket.shutdown_write();
            co_await reading;
            CHECK(seen == text.size());
            socket.close();
            CHECK_FALSE(socket.is_open());
            CHECK(socket.peer_address().empty());
        }(host, listener.port()));
    }
    server.join();
}

TEST_CASE("a name is resolved, and all its addresses are tried") {
    const Listener listener; // on IPv4 only, while localhost may begin with IPv6
    std::thread server([&] { listener.echo(); });
    run([](std::uint16_t port) -> Coro<void> {
        TcpSocket socket = co_await connect_tcp("localhost", port);
        CHECK(socket.peer_address() == "127.0.0.1");
    }(listener.port()));
    server.join();
}

TEST_CASE("a refused connection names the address and the port") {
    std::uint16_t port = 0;
    {
        const Listener gone;
        port = gone.port();
    }
    const auto error = connect_error("127.0.0.1", port);
    CHECK(error.kind() == ConnectError::Kind::refused);
    CHECK(contains(error.what(), "127.0.0.1 port " + std::to_string(port)));
}

#ifndef MUSTER_LOOKS_WITH_DESCRIPTORS
TEST_CASE("a connection that the system has no descriptor to wait for is no connection") {
    const Listener listener;
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const auto connect = [&]() -> Coro<std::string> {
        const int lowest = ::dup(STDERR_FILENO);
        ::close(lowest);
        rlimit one_more = limit; // for the socket
        one_more.rlim_cur = static_cast<rlim_t>(lowest) + 1;
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &one_more) == 0);
        std::string text;
        try {
            co_await connect_tcp("127.0.0.1", listener.port());
        } catch (const ConnectError& error) {
            text = error.what();
        }
        ::setrlimit(RLIMIT_NOFILE, &limit);
        co_return text;
    };
    const std::string text = run(connect());
    CHECK(contains(text, "127.0.0.1 port " + std::to_string(listener.port())));
    CHECK(contains(text, "Too many open files"));
}
#endif

TEST_CASE("a name that has no address is named") {
    const auto error = connect_error("no-such-host.invalid", 22);
    CHECK(error.kind() == ConnectError::Kind::resolve);
    CHECK(contains(error.what(), "no-such-host.invalid"));
}

TEST_CASE("a connection that gets no answer ends in time") {
    // A full backlog drops further SYNs: the kernel's own silence.
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(fd, generic, length) == 0);
    REQUIRE(::listen(fd, 0) == 0);
    REQUIRE(::getsockname(fd, generic, &length) == 0);
    const std::uint16_t port = ntohs(address.sin_port);
    run([](std::uint16_t busy) -> Coro<void> {
        ConnectOptions options;
        options.timeout = 100ms;
        std::vector<TcpSocket> queued;
        bool timed_out = false;
        while (!timed_out && queued.size() < 16) {
            try {
                queued.push_back(co_await connect_tcp("127.0.0.1", busy, options));
            } catch (const ConnectError& error) {
                timed_out = true;
                CHECK(error.kind() == ConnectError::Kind::timeout);
                CHECK(contains(error.what(), "127.0.0.1 port " + std::to_string(busy)));
            }
        }
        CHECK(timed_out);
    }(port));
    ::close(fd);
}

TEST_CASE("connecting and reading can be cancelled") {
    const Listener listener;
    std::thread server([&] { listener.echo(); });
    run([](std::uint16_t port) -> Coro<void> {
        TcpSocket socket = co_await connect_tcp("127.0.0.1", port);
        std::array<char, 10> buffer{};
        bool timed_out = false;
        try {
            co_await wait_for(socket.read_some(buffer), 20ms);
        } catch (const TimeoutError&) {
            timed_out = true;
        }
        CHECK(timed_out);
        // The socket is none the worse for it.
        co_await socket.write_all("hello");
        CHECK(co_await socket.read_some(buffer) == 5);
    }(listener.port()));
    server.join();
}

TEST_CASE("a socket that outlives its loop is closed, and harmless") {
    const Listener listener;
    std::thread server([&] { listener.echo(); });
    TcpSocket socket = run(connect_tcp("127.0.0.1", listener.port()));
    CHECK_FALSE(socket.is_open());
    CHECK(socket.peer_address().empty());
    socket.close();
    server.join();
}
