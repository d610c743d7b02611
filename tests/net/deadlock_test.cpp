// What may come from the io_context is no deadlock; see tests/core/deadlock_test.cpp for the
// others.

#include "watched_loop.hpp"

#include <muster/asio.hpp>
#include <muster/muster.hpp>
#include <muster/net.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::WatchedLoop;

namespace asio = boost::asio;

TEST_CASE("a task that waits for the I/O of others is not deadlocked") {
    std::function<Coro<>()> waits;
    SUBCASE("a timer of Asio's") {
        waits = []() -> Coro<> {
            asio::steady_timer timer(get_running_loop().io_context(), 1ms);
            co_await timer.async_wait(use_coro);
        };
    }
    SUBCASE("a timer of Asio's with a callback") {
        waits = []() -> Coro<> {
            const Future<> future = get_running_loop().create_future();
            asio::steady_timer timer(get_running_loop().io_context(), 1ms);
            timer.async_wait([future](boost::system::error_code) { future.set_result(); });
            co_await future;
        };
    }
    SUBCASE("an acceptor with a callback") {
        waits = []() -> Coro<> {
            using asio::ip::tcp;
            asio::io_context& context = get_running_loop().io_context();
            const Future<> accepted = get_running_loop().create_future();
            tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
            acceptor.async_accept(
                [accepted](boost::system::error_code, tcp::socket) { accepted.set_result(); });
            const auto endpoint = acceptor.local_endpoint();
            std::jthread thread([endpoint] {
                asio::io_context other;
                tcp::socket socket(other);
                socket.connect(endpoint);
            });
            co_await accepted;
        };
    }
    SUBCASE("work that the program says it has") {
        waits = []() -> Coro<> {
            asio::io_context& context = get_running_loop().io_context();
            const Future<> future = get_running_loop().create_future();
            std::jthread thread([&future, &context, work = asio::make_work_guard(context)] {
                asio::post(context, [&future] { future.set_result(); });
            });
            co_await future;
        };
    }
    SUBCASE("a server that nobody has connected to") {
        waits = []() -> Coro<> {
            const Future<> served = get_running_loop().create_future();
            const auto serve = [served](Stream stream) -> Coro<> {
                served.set_result();
                stream.close();
                co_return;
            };
            Server server = co_await start_server(serve, "127.0.0.1", 0);
            std::jthread thread([port = server.port()] {
                asio::io_context other;
                asio::ip::tcp::socket socket(other);
                socket.connect({asio::ip::address_v4::loopback(), port});
            });
            co_await served;
        };
    }
    SUBCASE("a child process") {
        waits = []() -> Coro<> {
            std::vector<std::string> arguments;
            auto child = co_await create_subprocess_exec("true", arguments);
            co_await child.wait();
        };
    }
    SUBCASE("a name that is looked up") {
        waits = []() -> Coro<> { static_cast<void>(co_await getaddrinfo("localhost", 80)); };
    }
    SUBCASE("an io_context that was stopped") {
        waits = []() -> Coro<> {
            asio::io_context& context = get_running_loop().io_context();
            const Future<> future = get_running_loop().create_future();
            asio::steady_timer timer(context, 2ms);
            timer.async_wait([future](boost::system::error_code) { future.set_result(); });
            asio::post(context, [&context] { context.stop(); });
            co_await future;
        };
    }
    WatchedLoop watched;
    REQUIRE(waits);
    watched.run(waits);
    CHECK(watched.reports.empty());
}

TEST_CASE("a deadlock is seen beside a connection that nobody reads from, and after lookups") {
    WatchedLoop watched;
    watched.run([]() -> Coro<> {
        std::vector<Stream> accepted;
        const auto keep = [&](Stream stream) -> Coro<> {
            accepted.push_back(std::move(stream));
            co_return;
        };
        Server server = co_await start_server(keep, "localhost", 0);
        const Stream client = co_await open_connection("localhost", server.port());
        while (accepted.empty()) {
            co_await async_sleep(0s);
        }
        server.close();
        co_await Event().wait();
    });
    CHECK(watched.reports.size() == 1);
}
