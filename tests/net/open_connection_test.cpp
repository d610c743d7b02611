#include "coro_test.hpp"
#include "unix_peer.hpp"

#include <muster/muster.hpp>
#include <muster/net/open_connection.hpp>
#include <muster/net/server.hpp>

#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::outcome;
using testing_support::turns;

namespace {

bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

Coro<void> greet(Stream stream) { co_await stream.write("hello\n"); }

template <class T>
Coro<ConnectError> connect_error(Coro<T> connect) {
    try {
        static_cast<void>(co_await std::move(connect));
    } catch (const ConnectError& error) {
        co_return error;
    }
    throw std::logic_error("it connected");
}

} // namespace

CO_TEST_CASE("open_connection finds a server by name and by address") {
    Server server = co_await start_server(greet, "localhost", 0);
    for (const SocketAddress& address : server.sockets()) {
        Stream stream = co_await open_connection(address.host, address.port);
        const std::string line = co_await stream.readline();
        CHECK(line == "hello\n");
        CHECK(stream.peername() == address);
    }
    Stream by_name = co_await open_connection("localhost", server.port());
    const std::string line = co_await by_name.readline();
    CHECK(line == "hello\n");
}

CO_TEST_CASE("a connection that is refused says to what") {
    Server server = co_await start_server(greet, "127.0.0.1", 0);
    const std::uint16_t port = server.port();
    server.close();
    const auto error = co_await connect_error(open_connection("127.0.0.1", port));
    CHECK(error.kind() == ConnectError::Kind::refused);
    CHECK(holds(error.what(), "127.0.0.1 port " + std::to_string(port)));
}

CO_TEST_CASE("a Unix socket without a server says what is the matter") {
    const TempFolder folder;
    const auto missing = co_await connect_error(open_unix_connection(folder.path() + "/none"));
    CHECK(missing.kind() == ConnectError::Kind::refused);
    CHECK(holds(missing.what(), folder.path() + "/none"));
    CHECK(holds(missing.what(), "is the server running"));
    std::string path;
    {
        const UnixPeer peer;
        path = folder.path() + "/left";
        std::filesystem::rename(peer.path(), path);
    }
    const auto left = co_await connect_error(open_unix_connection(path));
    CHECK(left.kind() == ConnectError::Kind::refused);
    CHECK(holds(left.what(), "left it behind"));
}

TEST_CASE("a Unix server whose backlog is full is waited for, until the time is up") {
    const UnixPeer peer; // a backlog of 8
    const auto main = [&]() -> Coro<void> {
        std::vector<Stream> queued;
        OpenOptions options;
        options.timeout = 50ms;
        bool timed_out = false;
        while (!timed_out && queued.size() < 32) {
            try {
                queued.push_back(co_await open_unix_connection(peer.path(), options));
            } catch (const ConnectError& error) {
                timed_out = error.kind() == ConnectError::Kind::timeout;
                CHECK(holds(error.what(), peer.path()));
            }
        }
        CHECK(timed_out);
        CHECK(queued.size() >= 8);
    };
    run(main());
}

CO_TEST_CASE("connecting can be cancelled before it began") {
    Server server = co_await start_server(greet, "127.0.0.1", 0);
    Task<Stream> unstarted = create_task(open_connection("127.0.0.1", server.port()));
    unstarted.cancel();
    Task<Stream> waiting = create_task(open_connection("127.0.0.1", server.port()));
    co_await turns();
    waiting.cancel();
    co_await until([&] { return waiting.done() && unstarted.done(); });
    CHECK(outcome(unstarted) == "cancelled");
    CHECK(outcome(waiting) == "cancelled");
}
