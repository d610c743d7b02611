// Much data in both directions, where the socket takes little at a time.
#include "sshd.hpp"

#include <muster/muster.hpp>
#include <muster/ssh/connection.hpp>

#include <doctest/doctest.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <string>
#include <utility>

using namespace muster;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t size = 20'000'000;

/// Different for each seed, and never the same twice in a row of packets.
std::string some_bytes(unsigned seed) {
    std::string text(size, '\0');
    unsigned value = seed;
    for (char& c : text) {
        value = value * 1'664'525U + 1'013'904'223U;
        c = static_cast<char>(value >> 24U);
    }
    return text;
}

/// Shrinks the send buffer of this process's socket that is connected to the port.
int shrink_send_buffer(std::uint16_t port) {
    int shrunk = 0;
    constexpr int most_descriptors = 1024;
    for (int fd = 0; fd < most_descriptors; ++fd) {
        sockaddr_in peer{};
        socklen_t length = sizeof peer;
        if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) == 0 &&
            peer.sin_family == AF_INET && ntohs(peer.sin_port) == port) {
            const int two_kilobytes = 2048;
            shrunk +=
                ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &two_kilobytes, sizeof two_kilobytes) == 0
                    ? 1
                    : 0;
        }
    }
    return shrunk;
}

} // namespace

TEST_CASE("20 MB each way on two channels at once, through a send buffer of 2 KB") {
    if (!Sshd::available()) {
        MESSAGE("skipped: no sshd on this machine");
        return;
    }
    Sshd sshd;
    const std::uint16_t port = sshd.listen();
    ssh::Options options;
    options.host = "127.0.0.1";
    options.port = port;
    options.username = sshd.user();
    options.keys = {{.path = sshd.user_key()}};
    options.host_key_policy = ssh::HostKeyPolicy::insecure_ignore;
    run([](ssh::Options with) -> Coro<void> {
        const std::uint16_t to = with.port;
        ssh::Connection connection = co_await ssh::connect(std::move(with));
        REQUIRE(shrink_send_buffer(to) == 1);
        const std::string first = some_bytes(1);
        const std::string second = some_bytes(2);
        const auto echo = [](ssh::Connection& over, const std::string& bytes) -> Coro<bool> {
            const ssh::Completed done = co_await over.run("cat", {.timeout = 90s, .input = bytes});
            co_return done.exit_status == 0 && done.err.empty() && done.out == bytes;
        };
        const auto [one, other] =
            co_await gather(echo(connection, first), echo(connection, second));
        CHECK(one);
        CHECK(other);
        co_await connection.close();
    }(options));
}
