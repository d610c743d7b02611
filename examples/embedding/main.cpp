// A service that has an io_context already: muster's loop runs inside it, on the same thread,
// beside the service's own Asio work.

#include <muster/asio.hpp>
#include <muster/muster.hpp>

#include <boost/asio.hpp>

#include <cstdio>
#include <string>

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;

namespace {

// The service: a line-echo server written with Asio's callbacks, as it was before muster came.
class EchoServer {
public:
    explicit EchoServer(asio::io_context& context)
        : acceptor_(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
        accept();
    }

    [[nodiscard]] tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }

    void close() { acceptor_.close(); }

private:
    struct Session : std::enable_shared_from_this<Session> {
        explicit Session(tcp::socket peer) : socket(std::move(peer)) {}

        void echo() {
            asio::async_read_until(
                socket, asio::dynamic_buffer(line), '\n',
                [self = shared_from_this()](boost::system::error_code error, std::size_t size) {
                    if (error) {
                        return;
                    }
                    asio::async_write(self->socket, asio::buffer(self->line, size),
                                      [self, size](boost::system::error_code failed, std::size_t) {
                                          self->line.erase(0, size);
                                          if (!failed) {
                                              self->echo();
                                          }
                                      });
                });
        }

        tcp::socket socket;
        std::string line;
    };

    void accept() {
        acceptor_.async_accept([this](boost::system::error_code error, tcp::socket peer) {
            if (!error) {
                std::make_shared<Session>(std::move(peer))->echo();
                accept();
            }
        });
    }

    tcp::acceptor acceptor_;
};

// What muster adds: coroutines that talk to the service, several at once, with deadlines.
muster::Coro<std::string> ask(asio::io_context& context, tcp::endpoint server, std::string line) {
    tcp::socket socket(context);
    co_await socket.async_connect(server, muster::use_coro);
    line += '\n';
    co_await asio::async_write(socket, asio::buffer(line), muster::use_coro);
    std::string reply;
    const std::size_t size = co_await asio::async_read_until(socket, asio::dynamic_buffer(reply),
                                                             '\n', muster::use_coro);
    co_return reply.substr(0, size - 1);
}

muster::Coro<void> client(asio::io_context& context, tcp::endpoint server) {
    const auto both = [&]() -> muster::Coro<void> {
        auto replies =
            co_await muster::gather(ask(context, server, "first"), ask(context, server, "second"));
        std::printf("replies: %s, %s\n", std::get<0>(replies).c_str(),
                    std::get<1>(replies).c_str());
    };
    co_await muster::timeout(5s, both);
    co_await muster::async_sleep(10ms); // the host's heartbeat goes on meanwhile
}

} // namespace

int main() {
    asio::io_context context;
    EchoServer server(context);
    int ticks = 0;
    bool ending = false; // a beat that is due already can't be cancelled
    asio::steady_timer heartbeat(context);
    const auto beat = [&](auto& again) -> void {
        heartbeat.expires_after(1ms);
        heartbeat.async_wait([&](boost::system::error_code error) {
            if (!error && !ending) {
                ++ticks;
                again(again);
            }
        });
    };
    beat(beat);

    muster::EventLoop loop(context); // embedded: the host runs the context, the loop never stops it
    const auto watch = []() -> muster::Coro<void> { co_await muster::async_sleep(1h); };
    loop.create_task(watch()); // a task that would run on for long

    int status = 1;
    muster::co_spawn(loop, client(context, server.endpoint()), [&](std::exception_ptr error) {
        status = error == nullptr ? 0 : 1;
        // The end of the service: its own work first, then muster's tasks.
        server.close();
        muster::async_shutdown(loop, [&](std::exception_ptr) {
            ending = true;
            heartbeat.cancel();
        });
    });

    context.run();
    std::printf("heartbeats beside it: %s\n", ticks > 0 ? "yes" : "none");
    return status;
}
