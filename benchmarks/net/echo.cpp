#include "net/echo_servers.hpp"
#include "net/load_client.hpp"
#include "net/workloads.hpp"

#include <muster/asio.hpp>
#include <muster/muster.hpp>
#include <muster/net/server.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <string>

namespace bench {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::uint64_t requests = 50'000;

// --- streams ---

muster::Coro<> serve(RequestCount& count, std::optional<std::chrono::seconds> deadline,
                     muster::Stream stream) {
    while (true) {
        const std::string data =
            deadline ? co_await muster::wait_for(stream.read(echo_buffer), *deadline)
                     : co_await stream.read(echo_buffer);
        if (data.empty()) {
            break;
        }
        stream.write(data);
        co_await stream.drain();
        count.answered();
    }
}

muster::Coro<> serve_streams(const LoadClient& client, RequestCount& count, EchoLoad load) {
    muster::Event finished;
    count.finish = [&finished] { finished.set(); };
    const muster::Server server = co_await muster::start_server(
        [&count, deadline = load.deadline](muster::Stream stream) {
            return serve(count, deadline, std::move(stream));
        },
        "127.0.0.1", 0, {.backlog = echo_backlog});
    client.start(server.port());
    co_await finished.wait();
}

void on_muster(Meter& meter, const EchoLoad& load) {
    const LoadClient client(load.connections); // leaves last: connections must not break
    RequestCount count(meter, load.requests);
    muster::run(serve_streams(client, count, load));
}

// --- Asio's sockets ---

muster::Coro<> serve(RequestCount& count, tcp::socket socket) {
    socket.set_option(tcp::no_delay(true));
    std::array<char, echo_buffer> buffer{};
    while (true) {
        const std::size_t size =
            co_await socket.async_read_some(asio::buffer(buffer), muster::use_coro);
        co_await asio::async_write(socket, asio::buffer(buffer, size), muster::use_coro);
        count.answered();
    }
}

muster::Coro<> accept(RequestCount& count, tcp::acceptor acceptor) {
    while (true) {
        muster::create_task(serve(count, co_await acceptor.async_accept(muster::use_coro)));
    }
}

muster::Coro<> serve_sockets(const LoadClient& client, RequestCount& count) {
    muster::Event finished;
    count.finish = [&finished] { finished.set(); };
    tcp::acceptor acceptor(muster::get_running_loop().io_context());
    const tcp::endpoint any_port(asio::ip::address_v4::loopback(), 0);
    acceptor.open(any_port.protocol());
    acceptor.bind(any_port);
    acceptor.listen(echo_backlog);
    client.start(acceptor.local_endpoint().port());
    muster::create_task(accept(count, std::move(acceptor)));
    co_await finished.wait();
}

void on_bridge(Meter& meter, const EchoLoad& load) {
    const LoadClient client(load.connections);
    RequestCount count(meter, load.requests);
    muster::run(serve_sockets(client, count));
}

Contender contender(std::string_view name, void (*server)(Meter&, const EchoLoad&),
                    const EchoLoad& load) {
    return {name, [=](Meter& meter) {
                EchoLoad part = load;
                part.requests = meter.count(load.requests);
                server(meter, part);
            }};
}

Workload with(std::size_t connections, std::string_view name, std::string_view description) {
    const EchoLoad load{.connections = connections, .requests = requests};
    return {.name = name,
            .description = description,
            .unit = "request",
            .contenders = {contender("muster", on_muster, load),
                           contender("muster/asio.hpp", on_bridge, load),
                           contender("callbacks", echo_on_callbacks, load),
                           contender("callbacks, write_some", echo_on_callbacks_writing, load),
                           contender("awaitable", echo_on_awaitable, load),
                           contender("epoll", echo_on_epoll, load)},
            .targets = {{.most = 1.0, .of = "callbacks"},
                        {.most = 1.12, .of = "epoll"},
                        {.figure = Figure::allocations, .most = 2}}};
}

} // namespace

Workload echo(std::size_t connections) {
    switch (connections) {
    case 1:
        return with(1, "echo-1", "64 bytes there and back over TCP, 1 connection");
    case 100:
        return with(100, "echo-100", "64 bytes there and back over TCP, 100 connections");
    default:
        return with(1000, "echo-1000", "64 bytes there and back over TCP, 1,000 connections");
    }
}

Workload echo_deadline() {
    const EchoLoad load{
        .connections = 100, .requests = requests, .deadline = std::chrono::seconds(10)};
    return {.name = "echo-deadline",
            .description = "the same with 100 connections and a deadline of 10 s for each read",
            .unit = "request",
            .contenders = {contender("muster", on_muster, load),
                           contender("callbacks", echo_on_callbacks, load),
                           contender("callbacks, write_some", echo_on_callbacks_writing, load),
                           contender("awaitable", echo_on_awaitable, load),
                           contender("epoll, no deadline", echo_on_epoll, load)},
            .targets = {{.most = 1.0, .of = "callbacks"}}};
}

} // namespace bench
