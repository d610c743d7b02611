#include "coro_test.hpp"
#include "looks_with_descriptors.hpp"
#include "loop_reports.hpp"
#include "temp_folder.hpp"
#include "unix_peer.hpp"

#include <muster/muster.hpp>
#include <muster/net/open_connection.hpp>
#include <muster/net/server.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::LoopReports;
using testing_support::outcome;
using testing_support::turns;

namespace {

const std::string here = "127.0.0.1";

/// Answers every line with itself.
Coro<void> echo(Stream stream) {
    while (auto line = co_await stream.next_line()) {
        co_await stream.write(*line);
    }
}

/// Sends `line` over a new connection; the answer.
Coro<std::string> ask(std::uint16_t port, std::string line, std::string host = here) {
    Stream stream = co_await open_connection(std::move(host), port);
    stream.write(line);
    std::string answer = co_await stream.readline();
    stream.close();
    co_await stream.wait_closed();
    co_return answer;
}

bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

} // namespace

CO_TEST_CASE("a server runs its handler for each client") {
    Server server = co_await start_server(echo, here, 0);
    CHECK(server.is_serving());
    CHECK(server.port() != 0);
    REQUIRE(server.sockets().size() == 1);
    CHECK(server.sockets().front() == SocketAddress{here, server.port(), {}});
    auto answers = co_await gather(ask(server.port(), "a\n"), ask(server.port(), "b\n"),
                                   ask(server.port(), "c\n"));
    CHECK(std::get<0>(answers) == "a\n");
    CHECK(std::get<1>(answers) == "b\n");
    CHECK(std::get<2>(answers) == "c\n");
    server.close();
    server.close(); // harmless
    co_await server.wait_closed();
    CHECK_FALSE(server.is_serving());
    CHECK(server.sockets().empty());
    CHECK(server.port() == 0);
    CHECK_THROWS_AS(server.start_serving(), RuntimeError);
}

CO_TEST_CASE("both ends know both addresses") {
    SocketAddress seen_peer;
    SocketAddress seen_self;
    std::string task_name;
    bool inherited = true;
    bool slow = true;
    const auto look = [&](Stream stream) -> Coro<void> {
        seen_peer = stream.peername();
        seen_self = stream.sockname();
        task_name = current_task().name();
        inherited = (::fcntl(stream.fileno(), F_GETFD) & FD_CLOEXEC) == 0;
        int value = 0;
        socklen_t size = sizeof value;
        ::getsockopt(stream.fileno(), IPPROTO_TCP, TCP_NODELAY, &value, &size);
        slow = value == 0;
        co_return;
    };
    Server server = co_await start_server(look, here, 0);
    Stream stream = co_await open_connection(here, server.port());
    const std::string end = co_await stream.read();
    CHECK(end.empty());
    CHECK(stream.peername() == SocketAddress{here, server.port(), {}});
    CHECK(seen_self == stream.peername());
    CHECK(seen_peer == stream.sockname());
    CHECK(task_name == "client " + seen_peer.str());
    CHECK_FALSE(inherited);
    CHECK_FALSE(slow);
    CHECK_FALSE(stream.tls_info());
}

CO_TEST_CASE("a name with several addresses is served on all of them, on one port") {
    Server server = co_await start_server(echo, "localhost", 0);
    for (const SocketAddress& address : server.sockets()) {
        CHECK(address.port == server.port());
        const std::string answer = co_await ask(address.port, "hello\n", address.host);
        CHECK(answer == "hello\n");
    }
    Server everywhere = co_await start_server(echo, "", 0);
    const std::string answer = co_await ask(everywhere.port(), "hello\n");
    CHECK(answer == "hello\n");
    std::vector<std::string> hosts{"127.0.0.2", "127.0.0.3"};
    Server two = co_await start_server(echo, std::move(hosts), 0);
    REQUIRE(two.sockets().size() == 2);
    CHECK(two.sockets().back() == SocketAddress{"127.0.0.3", two.port(), {}});
    const std::string third = co_await ask(two.port(), "hello\n", "127.0.0.3");
    CHECK(third == "hello\n");
}

CO_TEST_CASE("what a handler throws is reported, and concerns nobody else") {
    LoopReports reports(get_running_loop());
    const auto fail = [](Stream stream) -> Coro<void> {
        const std::string line = co_await stream.readline();
        if (line == "bad\n") {
            throw Error("what a line");
        }
        stream.write(line);
        co_await stream.drain();
    };
    Server server = co_await start_server(fail, here, 0);
    const std::string nothing = co_await ask(server.port(), "bad\n");
    CHECK(nothing.empty()); // its stream was closed
    const std::string answer = co_await ask(server.port(), "good\n");
    CHECK(answer == "good\n");
    REQUIRE(reports.texts().size() == 1);
    CHECK(holds(reports.texts()[0], "server's handler (client 127.0.0.1:"));
    CHECK(holds(reports.texts()[0], "what a line"));
}

TEST_CASE("a KeyboardInterrupt in a handler ends the loop") {
    const auto interrupt = [](Stream) -> Coro<void> {
        throw KeyboardInterrupt();
        co_return;
    };
    const auto main = [&]() -> Coro<void> {
        Server server = co_await start_server(interrupt, here, 0);
        Stream stream = co_await open_connection(here, server.port());
        co_await server.serve_forever();
    };
    CHECK_THROWS_AS(run(main()), KeyboardInterrupt);
}

CO_TEST_CASE("a closed server refuses, keeps its clients, and wait_closed waits for them") {
    Server server = co_await start_server(echo, here, 0);
    const std::uint16_t port = server.port();
    Stream stream = co_await open_connection(here, port);
    co_await stream.write("before\n");
    const std::string before = co_await stream.readline();
    CHECK(before == "before\n");
    Task<void> closed = create_task(server.wait_closed());
    server.close();
    co_await turns(3);
    CHECK_FALSE(closed.done());
    bool refused = false;
    try {
        static_cast<void>(co_await open_connection(here, port));
    } catch (const ConnectError& error) {
        refused = error.kind() == ConnectError::Kind::refused;
    }
    CHECK(refused);
    co_await stream.write("after\n");
    const std::string after = co_await stream.readline();
    CHECK(after == "after\n");
    CHECK_FALSE(closed.done());
    stream.close();
    co_await closed;
}

CO_TEST_CASE("close_clients ends the connections in order, abort_clients at once") {
    const std::string much(std::size_t{4} << 20, 'x');
    const auto send_much = [&](Stream stream) -> Coro<void> {
        stream.write(much);
        static_cast<void>(co_await stream.readline());
    };
    const TempFolder folder; // a Unix socket keeps little of what was written
    const std::string path = folder.path() + "/server";
    Server server = co_await start_unix_server(send_much, path);
    Stream first = co_await open_unix_connection(path);
    const std::string some = co_await first.readexactly(100);
    server.close_clients();
    const std::string rest = co_await first.read();
    CHECK(rest.size() == much.size() - 100);
    Stream second = co_await open_unix_connection(path);
    const std::string again = co_await second.readexactly(100);
    server.abort_clients();
    std::size_t got = 0;
    try {
        while (!second.at_eof()) {
            const std::string more = co_await second.read(100'000);
            got += more.size();
        }
    } catch (const ConnectionResetError&) {
        got += 0; // as good an end
    }
    CHECK(got < much.size() - 100);
    server.close();
    co_await server.wait_closed();
}

CO_TEST_CASE("serve_forever closes the server and its clients when it is cancelled") {
    Server server = co_await start_server(echo, here, 0);
    Stream stream = co_await open_connection(here, server.port());
    co_await stream.write("x\n");
    static_cast<void>(co_await stream.readline());
    Task<void> forever = create_task(server.serve_forever());
    co_await turns(2);
    Task<void> second = create_task(server.serve_forever());
    co_await turns(2);
    CHECK(holds(ending(second), "already being awaited"));
    forever.cancel();
    const std::string end = co_await stream.read();
    CHECK(end.empty());
    stream.close();
    co_await until([&] { return forever.done(); });
    CHECK(outcome(forever) == "cancelled");
    CHECK_FALSE(server.is_serving());
    Task<void> late = create_task(server.serve_forever());
    co_await turns(2);
    CHECK(ending(late) == "server is closed");
}

CO_TEST_CASE("close ends serve_forever as a cancellation does") {
    Server server = co_await start_server(echo, here, 0);
    Task<void> forever = create_task(server.serve_forever());
    co_await turns(2);
    server.close();
    co_await turns(3);
    CHECK(outcome(forever) == "cancelled");
}

CO_TEST_CASE("serve_forever and wait_closed can be cancelled at any moment") {
    Server server = co_await start_server(echo, here, 0);
    Task<void> waiting = create_task(server.wait_closed());
    Task<void> unstarted = create_task(server.wait_closed());
    unstarted.cancel();
    co_await turns(2);
    waiting.cancel();
    co_await turns(2);
    CHECK(outcome(waiting) == "cancelled");
    CHECK(outcome(unstarted) == "cancelled");
    Task<void> never = create_task(server.serve_forever());
    never.cancel();
    co_await turns(2);
    CHECK(outcome(never) == "cancelled");
    CHECK(server.is_serving()); // it was never in it
    Task<void> before = create_task([](Server& served) -> Coro<void> {
        current_task().cancel();
        co_await served.serve_forever();
    }(server));
    co_await turns(3);
    CHECK(outcome(before) == "cancelled");
    CHECK_FALSE(server.is_serving());
}

CO_TEST_CASE("a server may be told to serve later") {
    ServerOptions options;
    options.start_serving = false;
    Server server = co_await start_server(echo, here, 0, options);
    CHECK_FALSE(server.is_serving());
    CHECK(server.port() != 0);
    bool refused = false;
    try {
        static_cast<void>(co_await open_connection(here, server.port()));
    } catch (const ConnectError&) {
        refused = true;
    }
    CHECK(refused);
    server.start_serving();
    server.start_serving(); // harmless
    const std::string answer = co_await ask(server.port(), "x\n");
    CHECK(answer == "x\n");
}

CO_TEST_CASE("a server that cannot listen on one of its addresses is closed") {
    ServerOptions later;
    later.start_serving = false;
    Server other = co_await start_server(echo, "127.0.0.2", 0, later);
    const std::uint16_t port = other.port();
    std::vector<std::string> hosts;
    hosts.push_back(here);
    hosts.emplace_back("127.0.0.2");
    Server both = co_await start_server(echo, hosts, port, later);
    other.start_serving();
    CHECK_THROWS_AS(both.start_serving(), ListenError);
    CHECK_FALSE(both.is_serving());
    CHECK(both.sockets().empty());
    bool refused = false;
    try {
        static_cast<void>(co_await open_connection(here, port));
    } catch (const ConnectError&) {
        refused = true;
    }
    CHECK(refused);
    co_await both.wait_closed();
}

CO_TEST_CASE("a server that is dropped or assigned to listens no more") {
    std::uint16_t port = 0;
    {
        const Server server = co_await start_server(echo, here, 0);
        port = server.port();
    }
    Server again = co_await start_server(echo, here, port); // the port is free
    again = co_await start_server(echo, here, 0);
    Server third = co_await start_server(echo, here, port);
    CHECK(third.port() == port);
}

CO_TEST_CASE("a port that is taken is an error that says which, and what to do") {
    Server first = co_await start_server(echo, here, 0);
    std::string text;
    auto kind = ListenError::Kind::other;
    try {
        static_cast<void>(co_await start_server(echo, here, first.port()));
    } catch (const ListenError& error) {
        text = error.what();
        kind = error.kind();
    }
    CHECK(kind == ListenError::Kind::in_use);
    CHECK(holds(text, "127.0.0.1 port " + std::to_string(first.port())));
    CHECK(holds(text, "or 0 for any free one"));
    ServerOptions shared;
    shared.reuse_port = true;
    Server one = co_await start_server(echo, here, 0, shared);
    Server two = co_await start_server(echo, here, one.port(), shared);
    CHECK(one.port() == two.port());
    try {
        static_cast<void>(co_await start_server(echo, "192.0.2.1", 0));
        FAIL("it listens on an address of somebody else");
    } catch (const ListenError& error) {
        kind = error.kind();
    }
    CHECK(kind == ListenError::Kind::address);
}

CO_TEST_CASE("a Unix server's socket goes with it") {
    const TempFolder folder;
    const std::string path = folder.path() + "/server";
    Server server = co_await start_unix_server(echo, path);
    REQUIRE(server.sockets().size() == 1);
    CHECK(server.sockets().front().str() == path);
    CHECK(server.port() == 0);
    Stream stream = co_await open_unix_connection(path);
    CHECK(stream.peername().path == path);
    CHECK(stream.sockname().str() == "a Unix socket without a name");
    co_await stream.write("hello\n");
    const std::string answer = co_await stream.readline();
    CHECK(answer == "hello\n");
    // Nobody takes the path from a server that lives.
    auto kind = ListenError::Kind::other;
    try {
        static_cast<void>(co_await start_unix_server(echo, path));
    } catch (const ListenError& error) {
        kind = error.kind();
    }
    CHECK(kind == ListenError::Kind::in_use);
    server.close();
    CHECK_FALSE(std::filesystem::exists(path));
}

CO_TEST_CASE("a Unix socket that was left behind is replaced, a file is not, a successor's stays") {
    const TempFolder folder;
    const std::string path = folder.path() + "/server";
    {
        Server dead = co_await start_unix_server(echo, path);
        std::filesystem::rename(path, path + ".kept");
    }
    std::filesystem::rename(path + ".kept", path);
    Server server = co_await start_unix_server(echo, path);
    std::filesystem::remove(path);
    Server successor = co_await start_unix_server(echo, path);
    server.close();
    CHECK(std::filesystem::exists(path)); // the successor's
    successor.close();
    CHECK_FALSE(std::filesystem::exists(path));
    std::ofstream(path) << "a file";
    bool refused = false;
    try {
        static_cast<void>(co_await start_unix_server(echo, path));
    } catch (const ListenError& error) {
        refused = error.kind() == ListenError::Kind::in_use;
    }
    CHECK(refused);
    CHECK(std::filesystem::exists(path));
}

CO_TEST_CASE("paths that no Unix socket can have are refused, abstract names are not paths") {
    bool refused = false;
    try {
        static_cast<void>(co_await start_unix_server(echo, std::string(200, 'x')));
    } catch (const ValueError&) {
        refused = true;
    }
    CHECK(refused);
    std::string name("\0muster-test-", 13);
    name += std::to_string(::getpid());
    Server server = co_await start_unix_server(echo, name);
    CHECK(server.sockets().front().path == name);
    Stream stream = co_await open_unix_connection(name);
    co_await stream.write("hello\n");
    const std::string answer = co_await stream.readline();
    CHECK(answer == "hello\n");
}

#ifndef MUSTER_LOOKS_WITH_DESCRIPTORS
TEST_CASE("a server that has no descriptor left says so, and goes on when there is one") {
    const auto main = []() -> Coro<void> {
        LoopReports reports(get_running_loop());
        Server server = co_await start_server(echo, here, 0);
        co_await ask(server.port(), "what streams need of the loop is there then\n");
        rlimit limit{};
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
        const int lowest = ::dup(STDERR_FILENO);
        ::close(lowest);
        rlimit one_more = limit; // for the client
        one_more.rlim_cur = static_cast<rlim_t>(lowest) + 1;
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &one_more) == 0);
        Task<std::string> client = create_task(ask(server.port(), "hello\n"));
        co_await until([&] { return !reports.texts().empty(); });
        ::setrlimit(RLIMIT_NOFILE, &limit);
        CHECK(holds(reports.texts().front(), "accepting clients on 127.0.0.1:"));
        CHECK(holds(reports.texts().front(), "Too many open files"));
        const std::string answer = co_await client;
        CHECK(answer == "hello\n");
        get_running_loop().set_exception_handler(nullptr);
    };
    run(main());
}

#endif

TEST_CASE("a loop that is destroyed with a server and its clients leaves nothing behind") {
    EventLoop loop;
    bool serving = false;
    const auto serve = [&]() -> Coro<void> {
        Server server = co_await start_server(echo, here, 0);
        Stream stream = co_await open_connection(here, server.port());
        co_await stream.write("hello\n");
        static_cast<void>(co_await stream.readline());
        serving = true;
        co_await server.serve_forever();
    };
    const auto main = [&]() -> Coro<void> {
        create_task(serve());
        co_await until([&] { return serving; });
        co_await turns(2);
    };
    loop.run_until_complete(main());
}

TEST_CASE("a server that outlives its loop is closed") {
    Server server = run(start_server(echo, here, 0));
    CHECK_FALSE(server.is_serving());
    server.close();
}
