#include "core/asio.hpp"
#include "net/echo_servers.hpp"
#include "net/load_client.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <memory>
#include <optional>
#include <stdexcept>

namespace bench {

namespace {

using asio::ip::tcp;
using boost::system::error_code;

/// What both have in common: a listener, and a count that stops the io_context.
class Server {
public:
    Server(Meter& meter, const EchoLoad& load)
        : client(load.connections),
          count(meter, load.requests),
          deadline(load.deadline),
          acceptor(context) {
        const tcp::endpoint any_port(asio::ip::address_v4::loopback(), 0);
        acceptor.open(any_port.protocol());
        acceptor.bind(any_port);
        acceptor.listen(echo_backlog);
        count.finish = [this] { context.stop(); };
        client.start(acceptor.local_endpoint().port());
    }

    LoadClient client;
    RequestCount count;
    std::optional<std::chrono::seconds> deadline;
    asio::io_context context = asio::io_context(1);
    tcp::acceptor acceptor;
};

class Session : public std::enable_shared_from_this<Session> {
public:
    Session(Server& server, tcp::socket socket, bool write_directly)
        : server_(server),
          socket_(std::move(socket)),
          timer_(server.context),
          write_directly_(write_directly) {
        socket_.set_option(tcp::no_delay(true));
        socket_.non_blocking(true);
    }

    void read() {
        if (server_.deadline) {
            timer_.expires_after(*server_.deadline);
            timer_.async_wait([self = shared_from_this()](error_code error) {
                if (!error) {
                    self->socket_.close();
                }
            });
        }
        socket_.async_read_some(asio::buffer(buffer_),
                                [self = shared_from_this()](error_code error, std::size_t size) {
                                    if (!error) {
                                        self->write(size);
                                    }
                                });
    }

private:
    void write(std::size_t size) {
        if (server_.deadline) {
            timer_.cancel();
        }
        const auto answer = asio::buffer(buffer_, size);
        if (write_directly_) {
            answered(socket_.write_some(answer));
            return;
        }
        asio::async_write(socket_, answer,
                          [self = shared_from_this()](error_code error, std::size_t written) {
                              if (!error) {
                                  self->answered(written);
                              }
                          });
    }

    void answered(std::size_t size) {
        if (size != echo_size) {
            throw std::runtime_error("half an answer");
        }
        server_.count.answered();
        read();
    }

    Server& server_;
    tcp::socket socket_;
    asio::steady_timer timer_;
    bool write_directly_;
    std::array<char, echo_buffer> buffer_{};
};

void accept_callbacks(Server& server, bool write_directly) {
    server.acceptor.async_accept([&server, write_directly](error_code error, tcp::socket socket) {
        if (!error) {
            std::make_shared<Session>(server, std::move(socket), write_directly)->read();
        }
        accept_callbacks(server, write_directly);
    });
}

asio::awaitable<std::size_t> read(Server& server, tcp::socket& socket, asio::mutable_buffer buffer,
                                  asio::steady_timer& timer) {
    using namespace asio::experimental::awaitable_operators;
    if (!server.deadline) {
        co_return co_await socket.async_read_some(buffer, asio::use_awaitable);
    }
    timer.expires_after(*server.deadline);
    const auto result = co_await (socket.async_read_some(buffer, asio::use_awaitable) ||
                                  timer.async_wait(asio::use_awaitable));
    co_return std::get<0>(result);
}

asio::awaitable<void> serve(Server& server, tcp::socket socket) {
    socket.set_option(tcp::no_delay(true));
    asio::steady_timer timer(server.context);
    std::array<char, echo_buffer> buffer{};
    while (true) {
        const std::size_t size = co_await read(server, socket, asio::buffer(buffer), timer);
        co_await asio::async_write(socket, asio::buffer(buffer, size), asio::use_awaitable);
        server.count.answered();
    }
}

asio::awaitable<void> accept_awaitable(Server& server) {
    while (true) {
        asio::co_spawn(server.context,
                       serve(server, co_await server.acceptor.async_accept(asio::use_awaitable)),
                       rethrow);
    }
}

} // namespace

void echo_on_callbacks(Meter& meter, const EchoLoad& load) {
    Server server(meter, load);
    accept_callbacks(server, false);
    server.context.run();
}

void echo_on_callbacks_writing(Meter& meter, const EchoLoad& load) {
    Server server(meter, load);
    accept_callbacks(server, true);
    server.context.run();
}

void echo_on_awaitable(Meter& meter, const EchoLoad& load) {
    Server server(meter, load);
    run_awaitable(server.context, accept_awaitable(server));
}

} // namespace bench
