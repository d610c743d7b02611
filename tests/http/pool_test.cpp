// Which requests share a connection, and which must not.
#include "scripted_server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <optional>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using http::Client;
using http::ClientOptions;
using http::ErrorKind;
using http::Response;

namespace {

/// Answers every request with its number on the connection.
void answer_all(Peer& peer, int /*connection*/) {
    for (int i = 1; !peer.request().empty(); ++i) {
        peer.send(ok(std::to_string(i)));
    }
}

Coro<std::string> body_of(Client& client, std::string url) {
    const Response response = co_await client.get(std::move(url));
    co_return response.body;
}

} // namespace

TEST_CASE("requests one after the other share a connection") {
    ScriptedServer server(answer_all);
    const auto main = [&]() -> Coro<void> {
        Client client;
        CHECK(co_await body_of(client, server.url("/a")) == "1");
        CHECK(client.idle_connections() == 1);
        CHECK(co_await body_of(client, server.url("/b")) == "2");
        const Response posted = co_await client.post(server.url("/c"), "text");
        CHECK(posted.body == "3");
        CHECK(client.idle_connections() == 1);
    };
    run(main());
    CHECK(server.connections() == 1);
}

TEST_CASE("a connection is not reused when the server says so, or cannot") {
    const std::vector<std::string> answers{
        ok("x", "Connection: close\r\n"),
        "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\n\r\nx",      // ends with the connection
        ok("x") + "more than was asked", // whose answer is that?
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    };
    for (const std::string& answer : answers) {
        CAPTURE(answer);
        ScriptedServer server([&](Peer& peer, int) {
            peer.request();
            peer.send(answer);
        });
        const auto main = [&]() -> Coro<void> {
            Client client;
            const Response first = co_await client.get(server.url());
            CHECK(client.idle_connections() == 0);
            const Response second = co_await client.get(server.url());
        };
        run(main());
        CHECK(server.connections() == 2);
    }
}

TEST_CASE("a kept connection that the server has closed is not used, by a POST either") {
    ScriptedServer server([](Peer& peer, int) {
        peer.request();
        peer.send(ok("x"));
    });
    const auto main = [&]() -> Coro<void> {
        Client client;
        const Response first = co_await client.get(server.url());
        co_await until([&] { return server.closed() == 1; });
        const Response second = co_await client.post(server.url(), "text");
        CHECK(second.ok());
    };
    run(main());
    CHECK(server.connections() == 2);
    CHECK(server.requests() == 2);
}

TEST_CASE("a kept connection that dies under an idempotent request is replaced once") {
    ScriptedServer server([](Peer& peer, int connection) {
        peer.request();
        peer.send(ok("x"));
        if (connection == 1) {
            peer.request(); // and not a word
        } else {
            answer_all(peer, connection);
        }
    });
    const auto main = [&]() -> Coro<void> {
        Client client;
        const Response first = co_await client.get(server.url());
        const Response second = co_await client.put(server.url(), "text");
        CHECK(second.body == "x");
    };
    run(main());
    CHECK(server.connections() == 2);
    CHECK(server.requests() == 3);
}

TEST_CASE("a request is made no third time, and on a new connection no second time") {
    ScriptedServer server([](Peer& peer, int connection) {
        peer.request();
        if (connection == 1) {
            peer.send(ok("x"));
            peer.request();
        }
    });
    const auto main = [&]() -> Coro<void> {
        Client client;
        const Response first = co_await client.get(server.url());
        const http::Error error = co_await error_of(client.get(server.url()));
        CHECK(error.kind() == ErrorKind::connection_lost);
        CHECK(server.connections() == 2);
        const http::Error again = co_await error_of(client.get(server.url()));
        CHECK(again.kind() == ErrorKind::connection_lost);
        CHECK(server.connections() == 3);
    };
    run(main());
}

TEST_CASE("a POST on a kept connection that dies is not repeated, and says so") {
    ScriptedServer server([](Peer& peer, int) {
        peer.request();
        peer.send(ok("x"));
        peer.request();
        peer.be_rude();
    });
    const auto main = [&]() -> Coro<void> {
        Client client;
        const Response first = co_await client.get(server.url());
        const http::Error error = co_await error_of(client.post(server.url(), "text"));
        CHECK(error.kind() == ErrorKind::connection_lost);
        CHECK(error.phase() == http::Phase::response);
        CHECK(holds(error.remedy(), "not repeated"));
        CHECK(client.idle_connections() == 0);
    };
    run(main());
    CHECK(server.connections() == 1);
    CHECK(server.requests() == 2);
}

TEST_CASE("an answer that has begun is never asked for again") {
    ScriptedServer server([](Peer& peer, int) {
        peer.request();
        peer.send(ok("x"));
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    const auto main = [&]() -> Coro<void> {
        Client client;
        const Response first = co_await client.get(server.url());
        const http::Error error = co_await error_of(client.get(server.url()));
        CHECK(error.kind() == ErrorKind::connection_lost);
        CHECK(holds(error.reason(), "after 4 bytes"));
    };
    run(main());
    CHECK(server.connections() == 1);
}

TEST_CASE("two hundred requests at once share as many connections as are allowed") {
    ScriptedServer server(answer_all);
    const auto main = [&]() -> Coro<void> {
        ClientOptions options;
        options.max_connections_per_host = 5;
        Client client(options);
        std::vector<Coro<std::string>> requests;
        for (int i = 0; i < 200; ++i) {
            requests.push_back(body_of(client, server.url()));
        }
        const std::vector<std::string> bodies = co_await gather(std::move(requests));
        CHECK(bodies.size() == 200);
        CHECK(client.idle_connections() <= 5);
    };
    run(main());
    CHECK(server.connections() <= 5);
    CHECK(server.requests() == 200);
}

TEST_CASE("a request that is cancelled closes its connection, wherever it stands") {
    enum class At { header, body, place };

    for (const At at : {At::header, At::body, At::place}) {
        CAPTURE(static_cast<int>(at));
        std::atomic<bool> go = false;
        std::atomic<bool> client_closed = false;
        ScriptedServer server([&](Peer& peer, int connection) {
            peer.request();
            if (connection > 1) {
                peer.send(ok("x"));
                return;
            }
            if (at == At::body) {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
            }
            go = true;
            client_closed = peer.closed_by_client();
        });
        const auto main = [&]() -> Coro<void> {
            ClientOptions options;
            options.max_connections_per_host = 1;
            Client client(options);
            Task<Response> first = create_task(client.get(server.url()));
            co_await until([&] { return go.load(); });
            if (at == At::place) {
                const Task<Response> second = create_task(client.get(server.url()));
                co_await async_sleep(0s);
                co_await async_sleep(0s);
                second.cancel();
                co_await until([&] { return second.done(); });
                CHECK(second.cancelled());
            }
            first.cancel();
            bool cancelled = false;
            try {
                const Response response = co_await std::move(first);
            } catch (const CancelledError&) {
                cancelled = true;
            }
            CHECK(cancelled);
            CHECK(client.idle_connections() == 0);
            co_await until([&] { return client_closed.load(); });
            // Its place is free again.
            CHECK(co_await body_of(client, server.url()) == "x");
        };
        run(main());
        CHECK(server.connections() == 2);
    }
}

TEST_CASE("a kept connection is closed when its time is up, and when there are too many") {
    ScriptedServer server(answer_all);
    ScriptedServer other(answer_all);
    const auto main = [&]() -> Coro<void> {
        ClientOptions options;
        options.max_idle_connections = 1;
        options.keep_idle = 200ms;
        Client client(options);
        const Response first = co_await client.get(server.url());
        CHECK(client.idle_connections() == 1);
        const Response second = co_await client.get(other.url());
        CHECK(client.idle_connections() == 1);
        co_await until([&] { return server.closed() == 1; });
        CHECK(other.closed() == 0);
        co_await until([&] { return other.closed() == 1; });
        CHECK(client.idle_connections() == 0);
    };
    run(main());
}

TEST_CASE("a client that goes closes what it keeps, a request under way goes on") {
    std::atomic<bool> asked = false;
    std::atomic<bool> go = false;
    ScriptedServer server([&](Peer& peer, int connection) {
        peer.request();
        if (connection == 2) {
            asked = true;
            while (!go) {
                std::this_thread::yield();
            }
        }
        peer.send(ok("x"));
        peer.closed_by_client();
    });
    const auto main = [&]() -> Coro<void> {
        Task<Response> under_way;
        {
            Client client;
            const auto both = [&]() -> Coro<void> {
                const Response first = co_await client.get(server.url());
            };
            co_await both();
            Client moved = std::move(client);
            client = Client();
            CHECK(moved.idle_connections() == 1);
            moved.close_idle();
            CHECK(moved.idle_connections() == 0);
            co_await until([&] { return server.closed() == 1; });
            under_way = create_task(moved.get(server.url()));
            co_await until([&] { return asked.load(); });
        }
        go = true;
        const Response response = co_await std::move(under_way);
        CHECK(response.body == "x");
        co_await until([&] { return server.closed() == 2; });
    };
    run(main());
}

TEST_CASE("a client outlives its loop, and works on the next one") {
    ScriptedServer server(answer_all);
    Client client;
    const auto main = [&]() -> Coro<void> {
        CHECK(co_await body_of(client, server.url()) == "1");
        CHECK(client.idle_connections() == 1);
    };
    run(main());
    CHECK(client.idle_connections() == 0);
    run(main());
    CHECK(server.connections() == 2);
}

TEST_CASE("a loop that goes away with requests under way closes their connections") {
    std::atomic<int> closed = 0;
    ScriptedServer server([&](Peer& peer, int) {
        peer.request();
        closed += peer.closed_by_client() ? 1 : 0;
    });
    ClientOptions options;
    options.max_connections_per_host = 1;
    Client client(options);
    {
        EventLoop loop;
        const auto main = [&]() -> Coro<void> {
            for (int i = 0; i < 3; ++i) {
                create_task(client.get(server.url()));
            }
            co_await until([&] { return server.requests() == 1; });
        };
        loop.run_until_complete(main());
    }
    const auto afterwards = [&]() -> Coro<void> {
        co_await until([&] { return closed == 1; });
        Task<Response> next = create_task(client.get(server.url()));
        co_await until([&] { return server.requests() == 2; });
        next.cancel();
    };
    run(afterwards());
}
