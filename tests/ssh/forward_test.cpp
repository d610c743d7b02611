#include "listening_sshd.hpp"

#include <muster/muster.hpp>
#include <muster/net/open_connection.hpp>
#include <muster/net/server.hpp>
#include <muster/ssh/forward.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace muster;

namespace {

/// Answers each line with itself, then says goodbye.
Coro<void> echo(Stream client) {
    while (auto line = co_await client.next_line()) {
        co_await client.write(*line);
    }
    co_await client.write("bye\n");
}

/// Runs `body(connection, port of an echo server)`.
template <class Body>
void with_echo(ListeningSshd& server, Body body) {
    run([](ssh::Options options, Body b) -> Coro<void> {
        auto echoes = co_await start_server(echo, "127.0.0.1", 0);
        auto connection = co_await ssh::connect(std::move(options));
        co_await b(connection, echoes.port());
        co_await connection.close();
    }(server.options(), std::move(body)));
}

} // namespace

TEST_CASE("the device connects to where it is told, and each side ends its half") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    with_echo(server, [](ssh::Connection& connection, std::uint16_t port) -> Coro<void> {
        auto channel = co_await connection.open_tcp("127.0.0.1", port);
        co_await channel.write("hello\n");
        std::string got = co_await channel.read();
        CHECK(got == "hello\n");
        co_await channel.write_eof();
        got = co_await channel.read();
        CHECK(got == "bye\n");
        got = co_await channel.read();
        CHECK(got == "");
        const auto end = co_await channel.wait();
        CHECK_FALSE(end.exit_status.has_value());
    });
}

TEST_CASE("a target that the device cannot reach is refused with its words") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    with_echo(server, [](ssh::Connection& connection, std::uint16_t /*port*/) -> Coro<void> {
        bool refused = false;
        try {
            co_await connection.open_tcp("127.0.0.1", 1);
        } catch (const ssh::Error& error) {
            refused = true;
            CHECK(error.kind() == ssh::ErrorKind::request_refused);
            CHECK(contains(error.reason(), "127.0.0.1 port 1"));
        }
        CHECK(refused);
        CHECK_FALSE(connection.closed());
    });
}

TEST_CASE("a local port leads through the device, for several clients at once") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    with_echo(server, [](ssh::Connection& connection, std::uint16_t port) -> Coro<void> {
        auto forward = co_await connection.forward_local("127.0.0.1", port);
        CHECK(forward.port() != 0);
        std::vector<Coro<std::string>> talks;
        for (int i = 0; i < 5; ++i) {
            talks.push_back([](std::uint16_t local, int number) -> Coro<std::string> {
                auto stream = co_await open_connection("127.0.0.1", local);
                co_await stream.write("client " + std::to_string(number) + "\n");
                stream.write_eof();
                co_return co_await stream.read();
            }(forward.port(), i));
        }
        const auto answers = co_await gather(std::move(talks));
        for (std::size_t i = 0; i < answers.size(); ++i) {
            CHECK(answers[i] == "client " + std::to_string(i) + "\nbye\n");
        }

        auto idle = co_await open_connection("127.0.0.1", forward.port());
        co_await idle.write("x\n");
        std::string got = co_await idle.readline();
        CHECK(got == "x\n");
        co_await forward.close();
        CHECK(forward.port() == 0);
        got = co_await idle.read();
        CHECK(got == "");
        CHECK_FALSE(connection.closed());
    });
}

TEST_CASE("much is carried both ways through a local port") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    with_echo(server, [](ssh::Connection& connection, std::uint16_t port) -> Coro<void> {
        auto forward = co_await connection.forward_local("127.0.0.1", port);
        auto stream = co_await open_connection("127.0.0.1", forward.port());
        const std::string line = std::string(1000, 'z') + "\n";
        std::string all;
        for (int i = 0; i < 3000; ++i) {
            all += line;
        }
        auto reading = create_task(
            [](Stream& from) -> Coro<std::string> { co_return co_await from.read(); }(stream));
        co_await stream.write(all);
        stream.write_eof();
        std::string got = co_await reading;
        CHECK(got == all + "bye\n");
    });
}
