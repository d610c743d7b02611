// Servers that are slow, silent, or not there.
#include "scripted_server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using http::ClientOptions;
using http::ErrorKind;
using http::Phase;
using http::Response;

namespace {

/// A port that takes no connection and refuses none: its queue is full.
class FullPort {
public:
    FullPort() {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        auto* raw = reinterpret_cast<sockaddr*>(&address);
        socklen_t size = sizeof address;
        const int listener = add();
        REQUIRE(::bind(listener, raw, size) == 0);
        REQUIRE(::listen(listener, 0) == 0);
        REQUIRE(::getsockname(listener, raw, &size) == 0);
        port_ = ntohs(address.sin_port);
        for (int i = 0; i < 4; ++i) {
            ::connect(add(), raw, size);
        }
    }

    FullPort(const FullPort&) = delete;
    FullPort& operator=(const FullPort&) = delete;

    ~FullPort() {
        for (const int descriptor : descriptors_) {
            ::close(descriptor);
        }
    }

    [[nodiscard]] std::string url() const {
        return "http://127.0.0.1:" + std::to_string(port_) + "/";
    }

private:
    int add() {
        descriptors_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        return descriptors_.back();
    }

    std::vector<int> descriptors_;
    std::uint16_t port_ = 0;
};

std::uint16_t closed_port() {
    const ScriptedServer server([](Peer&, int) {});
    return server.port();
}

} // namespace

TEST_CASE("a closed port is told from a name that does not exist") {
    const std::uint16_t port = closed_port();
    const http::Error refused =
        run(error_of(http::fetch("http://127.0.0.1:" + std::to_string(port) + "/x?key=k1")));
    CHECK(refused.kind() == ErrorKind::unreachable);
    CHECK(refused.phase() == Phase::connect);
    CHECK(refused.host() == "127.0.0.1");
    CHECK(refused.port() == port);
    CHECK(refused.url() == "http://127.0.0.1:" + std::to_string(port) + "/x?key=***");
    CHECK(holds(refused.what(), "GET http://127.0.0.1"));
    CHECK(holds(refused.what(), "refused"));
    CHECK_FALSE(refused.remedy().empty());
    const http::Error unknown = run(error_of(http::fetch("http://u:hunter2@r1.invalid/")));
    CHECK(unknown.kind() == ErrorKind::unreachable);
    CHECK(unknown.phase() == Phase::resolve);
    CHECK(holds(unknown.what(), "r1.invalid"));
    CHECK_FALSE(holds(unknown.what(), "hunter2"));
}

TEST_CASE("a server that takes no connection uses up the time for connecting") {
    const FullPort full;
    ClientOptions options;
    options.timeouts.connect = 50ms;
    const http::Error error = run(error_of(http::fetch(full.url(), options)));
    CHECK(error.kind() == ErrorKind::timeout);
    CHECK(error.phase() == Phase::connect);
    CHECK(holds(error.what(), "50 ms"));
}

TEST_CASE("a server that is silent in the handshake uses up the time for TLS") {
    const ScriptedServer server([](Peer& peer, int) { peer.request(); });
    ClientOptions options;
    options.timeouts.tls = 50ms;
    const http::Error error =
        run(error_of(http::fetch("https://127.0.0.1:" + std::to_string(server.port()), options)));
    CHECK(error.kind() == ErrorKind::timeout);
    CHECK(error.phase() == Phase::tls);
    CHECK(holds(error.what(), "50 ms"));
}

TEST_CASE("a server that does not answer uses up the time for the response, and is hung up on") {
    std::atomic<bool> closed = false;
    const ScriptedServer server([&](Peer& peer, int) {
        peer.request();
        closed = peer.closed_by_client();
    });
    ClientOptions options;
    options.timeouts.response = 50ms;
    const auto main = [&]() -> Coro<void> {
        http::Client client(options);
        const http::Error error = co_await error_of(client.get(server.url()));
        CHECK(error.kind() == ErrorKind::timeout);
        CHECK(error.phase() == Phase::response);
        CHECK(client.idle_connections() == 0);
        co_await until([&] { return closed.load(); });
        // A request may have a limit of its own.
        http::RequestOptions shorter;
        shorter.timeouts = http::Timeouts{};
        shorter.timeouts->response = 1ms;
        const http::Error again = co_await error_of(client.get(server.url(), shorter));
        CHECK(holds(again.what(), "within 1 ms"));
    };
    run(main());
}

TEST_CASE("a header that drips does not stretch the time for the response") {
    const ScriptedServer server([](Peer& peer, int) {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nX: ");
        while (peer.send("x")) {
            std::this_thread::sleep_for(1ms);
        }
    });
    ClientOptions options;
    options.timeouts.response = 100ms;
    const http::Error error = run(error_of(http::fetch(server.url(), options)));
    CHECK(error.kind() == ErrorKind::timeout);
    CHECK(error.phase() == Phase::response);
    CHECK(holds(error.what(), "100 ms"));
}

TEST_CASE("a body that stops uses up the time of silence, one that drips, the whole time") {
    std::atomic<bool> drip = false;
    const ScriptedServer server([&](Peer& peer, int) {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        while (drip && peer.send("x")) {
            std::this_thread::sleep_for(1ms);
        }
        peer.closed_by_client();
    });
    ClientOptions options;
    options.timeouts.idle = 60ms;
    const http::Error stopped = run(error_of(http::fetch(server.url(), options)));
    CHECK(stopped.kind() == ErrorKind::timeout);
    CHECK(holds(stopped.what(), "60 ms"));
    drip = true;
    options.timeouts.idle = 10s;
    options.timeouts.total = 150ms;
    const http::Error dripped = run(error_of(http::fetch(server.url(), options)));
    CHECK(dripped.kind() == ErrorKind::timeout);
    CHECK(holds(dripped.what(), "150 ms"));
    CHECK(holds(dripped.remedy(), "Timeouts::total"));
}

TEST_CASE("a server that does not read uses up the time of silence while sending") {
    std::atomic<bool> done = false;
    const ScriptedServer server([&](Peer&, int) {
        while (!done) {
            std::this_thread::sleep_for(1ms);
        }
    });
    const auto main = [&]() -> Coro<void> {
        ClientOptions options;
        options.timeouts.idle = 60ms;
        http::Client client(options);
        const http::Error error =
            co_await error_of(client.post(server.url(), std::string(std::size_t{64} << 20, 'x')));
        CHECK(error.kind() == ErrorKind::timeout);
        CHECK(error.phase() == Phase::request);
    };
    run(main());
    done = true;
}

TEST_CASE("waiting for a free connection is part of the whole time") {
    const ScriptedServer server([](Peer& peer, int) { peer.request(), peer.closed_by_client(); });
    const auto main = [&]() -> Coro<void> {
        ClientOptions options;
        options.max_connections_per_host = 1;
        http::Client client(options);
        const Task<Response> first = create_task(client.get(server.url()));
        co_await until([&] { return server.requests() == 1; });
        http::RequestOptions hurried;
        hurried.timeouts = http::Timeouts{};
        hurried.timeouts->total = 50ms;
        const http::Error error = co_await error_of(client.get(server.url(), hurried));
        CHECK(error.kind() == ErrorKind::timeout);
        CHECK(error.phase() == Phase::connect);
        CHECK_FALSE(first.done());
        first.cancel();
    };
    run(main());
}

TEST_CASE("no limits at all is possible, and a limit that has passed ends a request at once") {
    const ScriptedServer server([](Peer& peer, int) {
        peer.request();
        peer.send(ok("x"));
    });
    ClientOptions options;
    options.timeouts.connect = options.timeouts.tls = options.timeouts.response =
        options.timeouts.idle = options.timeouts.total = std::nullopt;
    CHECK(run(http::fetch(server.url(), options)).body == "x");
    options.timeouts.total = 0s;
    CHECK(run(error_of(http::fetch(server.url(), options))).kind() == ErrorKind::timeout);
}

TEST_CASE("cancelling while connecting or in the handshake leaves nothing open") {
    const FullPort full;
    std::atomic<bool> closed = false;
    std::atomic<bool> greeted = false;
    const ScriptedServer server([&](Peer& peer, int) {
        greeted = !peer.closed_by_client(); // the client's greeting has begun
        while (!peer.closed_by_client()) {
        }
        closed = true;
    });
    const auto main = [&]() -> Coro<void> {
        const Task<Response> connecting = create_task(http::fetch(full.url()));
        const Task<Response> securing =
            create_task(http::fetch("https://127.0.0.1:" + std::to_string(server.port()) + "/"));
        co_await until([&] { return greeted.load(); });
        connecting.cancel();
        securing.cancel();
        co_await until([&] { return connecting.done() && securing.done(); });
        CHECK(connecting.cancelled());
        CHECK(securing.cancelled());
        co_await until([&] { return closed.load(); });
    };
    run(main());
}
