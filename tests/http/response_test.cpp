// What is read off a connection, and what is written to it.
#include "scripted_server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <mutex>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using http::Client;
using http::ClientOptions;
using http::ErrorKind;
using http::Phase;
using http::Response;

namespace {

/// A server that says `answer` to the first request of each connection, in pieces of `piece` bytes.
ScriptedServer::Script saying(std::string answer, std::size_t piece = std::string::npos) {
    return [answer = std::move(answer), piece](Peer& peer, int) {
        peer.request();
        for (std::size_t at = 0; at < answer.size(); at += std::min(piece, answer.size() - at)) {
            if (!peer.send(std::string_view(answer).substr(at, piece))) {
                return;
            }
        }
    };
}

Response get(const std::string& answer, std::size_t piece = std::string::npos,
             const std::string& method = "GET") {
    ScriptedServer server(saying(answer, piece));
    http::Request request;
    request.method = method;
    request.url = server.url();
    return run(http::fetch(std::move(request)));
}

http::Error failure(const std::string& answer, ClientOptions options = {}) {
    ScriptedServer server(saying(answer));
    return run(error_of(http::fetch(server.url(), std::move(options))));
}

} // namespace

TEST_CASE("bodies come by length, in chunks, to the end of the connection, and not at all") {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::string::npos}) {
        CAPTURE(piece);
        CHECK(get("HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", piece).reason == "OK");
        CHECK(get("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", piece).body == "hello");
        const std::string chunks = "5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: z\r\n\r\n";
        CHECK(get("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, piece).body ==
              "hello world");
        CHECK(get("HTTP/1.0 200 OK\r\n\r\nhello", piece).body == "hello");
        CHECK(get("HTTP/1.1 204 No Content\r\n\r\n", piece).status == 204);
        CHECK(get("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", piece, "HEAD").body.empty());
        CHECK(get("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                  "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
                  piece)
                  .body == "ok");
    }
}

TEST_CASE("status, reason and fields are there, repeated fields too") {
    const Response response = get("HTTP/1.1 207 Multi Status\r\nSet-Cookie: a=1\r\n"
                                  "set-cookie:   b=2  \r\nEmpty:\r\nContent-Length: 0\r\n\r\n");
    CHECK(response.status == 207);
    CHECK(response.reason == "Multi Status");
    CHECK(response.headers.get_all("Set-Cookie") == std::vector<std::string>{"a=1", "b=2"});
    CHECK(response.headers.contains("empty"));
    CHECK(response.method == "GET");
    CHECK(holds(response.url, "http://127.0.0.1:"));
}

TEST_CASE("a response that ends too early is an error that says where") {
    const http::Error nothing = failure("");
    CHECK(nothing.kind() == ErrorKind::connection_lost);
    CHECK(nothing.phase() == Phase::response);
    CHECK(holds(nothing.what(), "without an answer"));
    CHECK(holds(failure("HTTP/1.1 200 OK\r\nContent-Le").what(), "in the middle of the header"));
    CHECK(holds(failure("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello").what(),
                "in the middle of the body, after 5 bytes"));
    CHECK(holds(failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello").what(),
                "in the middle of the body"));
    CHECK(holds(failure("HTTP/1.1 100 Continue\r\n\r\n").what(), "in the middle of the header"));
}

TEST_CASE("what is not HTTP is shown, without what could harm a terminal") {
    const http::Error ssh = failure("SSH-2.0-OpenSSH_9.2\r\n\x1b[2J\r\n\r\n");
    CHECK(ssh.kind() == ErrorKind::protocol);
    CHECK(holds(ssh.what(), "\"SSH-2.0-OpenSSH_9.2\""));
    CHECK(holds(ssh.remedy(), "web server on this port"));
    CHECK_FALSE(holds(failure("\x1b]0;x\a\r\n\r\n").what(), "\x1b"));
    CHECK(holds(failure("\x15\x03\x01\x00\x02\x02\x46").remedy(), "https://"));
    CHECK(failure("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n").kind() == ErrorKind::protocol);
    CHECK(failure("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy").kind() ==
          ErrorKind::protocol);
    CHECK(failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n").kind() ==
          ErrorKind::protocol);
}

TEST_CASE("a response that is too large is refused as soon as that is known") {
    ClientOptions options;
    options.max_body = 10;
    const http::Error stated = failure("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", options);
    CHECK(stated.kind() == ErrorKind::too_large);
    CHECK(holds(stated.what(), "limit of 10 bytes"));
    CHECK(failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world", options)
              .kind() == ErrorKind::too_large);
    CHECK(failure("HTTP/1.0 200 OK\r\n\r\nhello world", options).kind() == ErrorKind::too_large);
    CHECK(failure("HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'x')).kind() ==
          ErrorKind::too_large);
}

TEST_CASE("a body of exactly the limit passes, and a request may set a limit of its own") {
    ScriptedServer server(saying(ok("hello worl")));
    const auto main = [&]() -> Coro<void> {
        ClientOptions options;
        options.max_body = 10;
        Client client(options);
        const Response response = co_await client.get(server.url());
        CHECK(response.body.size() == 10);
        http::RequestOptions less;
        less.max_body = 9;
        const http::Error error = co_await error_of(client.get(server.url(), less));
        CHECK(error.kind() == ErrorKind::too_large);
    };
    run(main());
}

TEST_CASE("json() parses, and tells what came in place of JSON") {
    CHECK(get(ok("{\"a\": [1, 2]}")).json()["a"][1] == 2);
    const Response page = get(ok("<html>", "Content-Type: text/html\r\n"));
    try {
        static_cast<void>(page.json());
        FAIL("parsed");
    } catch (const http::Error& error) {
        CHECK(error.kind() == ErrorKind::decode);
        CHECK(holds(error.what(), "text/html"));
        CHECK(holds(error.what(), "status 200"));
        CHECK(error.host() == "127.0.0.1");
    }
}

TEST_CASE("raise_for_status throws for what is not 2xx, with the response") {
    CHECK(get(ok("x")).raise_for_status().body == "x");
    const Response missing = get("HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such");
    CHECK_FALSE(missing.ok());
    try {
        missing.raise_for_status();
        FAIL("passed");
    } catch (const http::StatusError& error) {
        CHECK(error.status() == 404);
        CHECK(error.kind() == ErrorKind::status);
        CHECK(error.response().body == "no such");
        CHECK(holds(error.what(), "404 Not Found"));
    }
    const Response moved = get("HTTP/1.1 302 Found\r\nLocation: https://a:hunter2@r2/x?token=t1\r\n"
                               "Content-Length: 0\r\n\r\n");
    try {
        moved.raise_for_status();
        FAIL("passed");
    } catch (const http::StatusError& error) {
        CHECK(holds(error.what(), "redirect to https://r2/x?token=***"));
    }
}

TEST_CASE("a server that refuses a request early is heard") {
    ScriptedServer server([](Peer& peer, int) {
        peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!");
    });
    const auto main = [&]() -> Coro<void> {
        Client client;
        const Response response =
            co_await client.post(server.url(), std::string(std::size_t{16} << 20, 'x'));
        CHECK(response.status == 413);
        CHECK(response.body == "no!");
        CHECK(client.idle_connections() == 0);
    };
    run(main());
}

TEST_CASE("a request says what it has to, and what it was told to") {
    std::mutex mutex;
    std::vector<std::string> seen;
    ScriptedServer server([&](Peer& peer, int) {
        for (std::string request = peer.request(); !request.empty(); request = peer.request()) {
            const std::scoped_lock lock(mutex);
            seen.push_back(request);
            peer.send(ok(""));
        }
    });
    const auto main = [&]() -> Coro<void> {
        ClientOptions options;
        options.base_url = server.url("/api/");
        options.headers = {{"X-Client", "1"}, {"Accept", "text/plain"}};
        options.auth = http::BearerAuth{"t0ken"};
        Client client(options);
        http::RequestOptions more;
        more.params = {{"q", "a b"}};
        more.headers = {{"accept", "application/json"}};
        more.auth = http::BasicAuth{"Aladdin", "open sesame"};
        const Response first = co_await client.get("/x", more);
        const Response second = co_await client.post("/y", nlohmann::json{{"a", 1}});
        const Response third = co_await client.post(server.url("/z"));
        const http::Params fields{{"user", "a&b"}};
        more.auth = http::NoAuth{};
        const Response fourth = co_await client.put("/f", http::Body::form(fields), more);
        const std::string with_user =
            "http://u:p@127.0.0.1:" + std::to_string(server.port()) + "/d";
        const Response fifth = co_await client.del(with_user);
        const Response last = co_await http::fetch(with_user);
    };
    run(main());
    const std::scoped_lock lock(mutex);
    REQUIRE(seen.size() == 6);
    CHECK(seen[0].starts_with("GET /api/x?q=a%20b HTTP/1.1\r\nHost: 127.0.0.1:" +
                              std::to_string(server.port()) + "\r\n"));
    CHECK(holds(seen[0], "\r\nX-Client: 1\r\n"));
    CHECK(holds(seen[0], "\r\naccept: application/json\r\n"));
    CHECK_FALSE(holds(seen[0], "text/plain"));
    CHECK(holds(seen[0], "\r\nUser-Agent: muster/0."));
    CHECK(holds(seen[0], "\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
    CHECK_FALSE(holds(seen[0], "Content-Length"));
    CHECK(seen[1].starts_with("POST /api/y HTTP/1.1\r\n"));
    CHECK(holds(seen[1], "\r\nAuthorization: Bearer t0ken\r\n"));
    CHECK(
        holds(seen[1], "\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}"));
    CHECK(seen[2].starts_with("POST /z HTTP/1.1\r\n"));
    CHECK(holds(seen[2], "\r\nContent-Length: 0\r\n"));
    CHECK_FALSE(holds(seen[2], "Content-Type"));
    CHECK(seen[3].ends_with("\r\n\r\nuser=a%26b"));
    CHECK_FALSE(holds(seen[3], "Authorization"));
    CHECK(holds(seen[4], "\r\nAuthorization: Basic dTpw\r\n"));
    CHECK(holds(seen[5], "\r\nConnection: close\r\n"));
}

TEST_CASE("what cannot be sent is refused before anything is") {
    ScriptedServer server(saying(ok("")));
    const auto refused = [&](http::Request request) {
        request.url = server.url();
        const http::Error error = run(error_of(http::fetch(std::move(request))));
        CHECK(error.kind() == ErrorKind::configuration);
        CHECK(error.phase() == Phase::prepare);
        CHECK_FALSE(holds(error.what(), "hunter2"));
    };
    http::Request request;
    request.method = "GET /x";
    refused(request);
    request.method = "GET";
    request.options.headers = {{"Content-Length", "7"}};
    refused(request);
    request.options.headers = {};
    request.options.auth = http::BearerAuth{"hunter2\r\nX: y"};
    refused(request);
    request.options.auth = http::BasicAuth{"a:b", "hunter2"};
    refused(request);
    CHECK(server.connections() == 0);
    CHECK(run(error_of(http::fetch("r1/api"))).kind() == ErrorKind::configuration);
}
