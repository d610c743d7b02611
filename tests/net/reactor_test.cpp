// How streams are told of what happens to their sockets: on the edge, so that one which is missed
// does not come again.

#include "coro_test.hpp"
#include "unix_peer.hpp"

#include <muster/muster.hpp>
#include <muster/net/server.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using testing_support::outcome;
using testing_support::turns;

namespace {

/// A client over TCP: plain POSIX.
class TcpPeer {
public:
    explicit TcpPeer(std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port);
        REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }

    TcpPeer(const TcpPeer&) = delete;
    TcpPeer& operator=(const TcpPeer&) = delete;

    ~TcpPeer() { ::close(fd_); }

    void say(std::string_view text, int flags = 0) const {
        REQUIRE(::send(fd_, text.data(), text.size(), flags | MSG_NOSIGNAL) ==
                static_cast<ssize_t>(text.size()));
    }

    void end() const { ::shutdown(fd_, SHUT_WR); }

private:
    int fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

/// A server that hands its one client over.
class OneClient {
public:
    Coro<void> listen() {
        server_ = co_await start_server(
            [this](Stream stream) -> Coro<void> {
                stream_.emplace(std::move(stream));
                come_.set();
                co_return;
            },
            "127.0.0.1", 0);
    }

    [[nodiscard]] std::uint16_t port() const { return server_->port(); }

    Coro<Stream> client() {
        co_await come_.wait();
        co_return std::move(*stream_);
    }

private:
    std::optional<Server> server_;
    std::optional<Stream> stream_;
    Event come_;
};

Coro<void> echo(Stream stream) {
    while (true) {
        const std::string data = co_await stream.read(100);
        if (data.empty()) {
            break;
        }
        co_await stream.write(data);
    }
}

/// Asks an echo server again and again.
Coro<void> ask(std::string path, const bool& enough) {
    Stream stream = co_await open_unix_connection(std::move(path));
    while (!enough) {
        co_await stream.write("ping");
        const std::string answer = co_await stream.readexactly(4);
        CHECK(answer == "ping");
    }
}

} // namespace

CO_TEST_CASE("data and the end that come at once are both told") {
    OneClient server;
    co_await server.listen();
    const TcpPeer peer(server.port());
    Stream stream = co_await server.client();
    Task<std::string> first = create_task(stream.read(100));
    co_await turns(3);
    peer.say("last words");
    peer.end();
    const std::string words = co_await first;
    CHECK(words == "last words");
    const std::string end = co_await stream.read(100);
    CHECK(end.empty());
}

CO_TEST_CASE("data behind TCP's urgent mark is read without waiting for more") {
    OneClient server;
    co_await server.listen();
    const TcpPeer peer(server.port());
    Stream stream = co_await server.client();
    peer.say("before");
    peer.say("!", MSG_OOB); // as telnet does to interrupt
    peer.say("after");
    const std::string all = co_await stream.readexactly(11);
    CHECK(all == "beforeafter");
}

CO_TEST_CASE("what comes while nobody reads is not forgotten") {
    OneClient server;
    co_await server.listen();
    const TcpPeer peer(server.port());
    Stream stream = co_await server.client();
    UnixPeer other; // its reader has the edges of all collected
    Stream watcher = co_await other.connect();
    Task<std::string> watching = create_task(watcher.read(100));
    peer.say("early");
    other.say("now");
    co_await watching;
    const std::string early = co_await stream.read(100);
    CHECK(early == "early");
}

CO_TEST_CASE("a read that was cancelled leaves the data, and the next one gets it") {
    OneClient server;
    co_await server.listen();
    const TcpPeer peer(server.port());
    Stream stream = co_await server.client();
    Task<std::string> reader = create_task(stream.read(100));
    co_await turns(3);
    peer.say("kept");
    reader.cancel();
    co_await turns(3);
    CHECK(outcome(reader) == "cancelled");
    const std::string data = co_await stream.read(100);
    CHECK(data == "kept");
}

CO_TEST_CASE("a descriptor that lives on elsewhere tells nobody when its stream is gone") {
    UnixPeer first;
    UnixPeer second;
    Stream watcher = co_await second.connect();
    Task<std::string> watching = create_task(watcher.read(100));
    int twin = -1;
    {
        Stream gone = co_await first.connect();
        twin = ::dup(gone.fileno());
    }
    Stream successor = co_await second.connect(); // in its place
    Task<std::string> reader = create_task(successor.read(100));
    co_await turns(3);
    first.say("for nobody");
    co_await turns(3);
    CHECK_FALSE(reader.done());
    second.say("for the successor");
    const std::string data = co_await reader;
    CHECK(data == "for the successor");
    ::close(twin);
    watching.cancel();
}

CO_TEST_CASE("streams that are never at rest leave the io_context its turn") {
    const TempFolder folder;
    const std::string path = folder.path() + "/echo";
    Server server = co_await start_unix_server(echo, path);
    bool turn_came = false;
    std::vector<Coro<void>> clients;
    for (int i = 0; i < 8; ++i) {
        clients.push_back(ask(path, turn_came));
    }
    asio::io_context& context = get_running_loop().io_context();
    int hops = 5;
    UniqueFunction<void()> hop = [&] {
        if (--hops > 0) {
            asio::post(context, [&] { hop(); });
        } else {
            turn_came = true;
        }
    };
    asio::post(context, [&] { hop(); });
    co_await gather(std::move(clients));
    CHECK(hops == 0);
}

TEST_CASE("embedding: a stream is work for the host while somebody waits for it") {
    asio::io_context host;
    EventLoop loop(host, {.keep_alive = false});
    UnixPeer peer;
    std::optional<Stream> stream;
    std::string got;
    const auto connect = [&]() -> Coro<> { stream.emplace(co_await peer.connect()); };
    const auto read = [&]() -> Coro<> { got = co_await stream->read(100); };
    const Task<> connecting = loop.create_task(connect());
    host.run();
    REQUIRE(connecting.done());

    Task<> reader = loop.create_task(read());
    host.restart();
    host.poll();
    CHECK_FALSE(host.stopped());
    peer.say("data");
    host.run();
    CHECK(got == "data");

    reader = loop.create_task(read());
    host.restart();
    host.poll();
    CHECK_FALSE(host.stopped());
    reader.cancel();
    host.run(); // nobody waits any more
    CHECK(reader.cancelled());
    CHECK(stream->fileno() >= 0);
}

TEST_CASE("embedding: a forked child has its own edges, and takes none from its parent") {
    asio::io_context host;
    EventLoop loop(host);
    UnixPeer first;
    UnixPeer second;
    std::vector<Stream> streams;
    std::vector<std::string> got(2);
    const auto connect = [&](UnixPeer& peer) -> Coro<> {
        streams.push_back(co_await peer.connect());
    };
    const auto read = [&](std::size_t i) -> Coro<> { got[i] = co_await streams[i].read(100); };
    for (UnixPeer* peer : {&first, &second}) {
        const Task<> connecting = loop.create_task(connect(*peer));
        host.restart();
        host.run();
        REQUIRE(connecting.done());
    }
    const Task<> readers[] = {loop.create_task(read(0)), loop.create_task(read(1))};
    host.restart();
    host.poll();
    second.say("for the parent"); // which learns of it after the child has run

    host.notify_fork(asio::execution_context::fork_prepare);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        host.notify_fork(asio::execution_context::fork_child);
        readers[1].cancel();
        first.say("for the child");
        host.run();
        std::_Exit(got[0] == "for the child" ? 0 : 1);
    }
    host.notify_fork(asio::execution_context::fork_parent);
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    first.say("for the parent, too");
    host.run();
    CHECK(got[0] == "for the parent, too");
    CHECK(got[1] == "for the parent");
}
