#include "http_server.hpp"

#include "certificate.hpp"
#include "rest_api.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/system/error_code.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace muster::sim {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::uint64_t body_limit = 1 << 20;
constexpr std::string_view garbage = "\x16\x7f not HTTP\r\n\x01\x02\r\n";

} // namespace

class HttpServer::Tls {
public:
    [[nodiscard]] const std::string& pem() const { return pem_; }

    // A device's context is made when its first client comes: a thousand of them take a while.
    asio::ssl::context& context(const VirtualDevice& device) {
        auto [at, added] = contexts_.try_emplace(&device, asio::ssl::context::tls_server);
        if (added) {
            authority_.equip(at->second.native_handle(), device.spec.hostname, device.host);
        }
        return at->second;
    }

private:
    CertificateAuthority authority_;
    std::string pem_ = authority_.pem(); // other threads ask for it
    std::unordered_map<const VirtualDevice*, asio::ssl::context> contexts_;
};

template <class Stream>
class HttpServer::Connection : public HttpConnection,
                               public std::enable_shared_from_this<Connection<Stream>> {
public:
    template <class... Args>
    Connection(HttpServer& server, VirtualDevice& device, Args&&... args)
        : server_(server),
          device_(device),
          stream_(std::forward<Args>(args)...),
          timer_(stream_.get_executor()) {}

    void start() {
        const auto& fault = device_.spec.fault;
        if (fault.failure != Failure::none && fault.after == Step::accept) {
            fail();
            return;
        }
        after(device_.spec.latency.connect, [this] { begin(); });
    }

    void close() override {
        error_code ignored;
        timer_.cancel();
        socket().close(ignored);
    }

private:
    void begin() {
        error_code ignored;
        socket().set_option(tcp::no_delay(true), ignored);
        if (device_.spec.fault.garbage_banner) {
            asio::async_write(socket(), asio::buffer(garbage),
                              [self = self()](error_code, std::size_t) { self->finish(); });
            return;
        }
        if constexpr (std::is_same_v<Stream, tcp::socket>) {
            read();
        } else {
            stream_.async_handshake(asio::ssl::stream_base::server,
                                    [self = self()](error_code error) {
                                        if (error) {
                                            self->finish();
                                        } else {
                                            self->read();
                                        }
                                    });
        }
    }

    void read() {
        parser_ = std::make_unique<http::request_parser<http::string_body>>();
        parser_->body_limit(body_limit);
        http::async_read(stream_, buffer_, *parser_,
                         [self = self()](error_code error, std::size_t) {
                             if (error) {
                                 self->finish();
                             } else {
                                 self->respond();
                             }
                         });
    }

    void respond() {
        const auto& fault = device_.spec.fault;
        if (fault.failure != Failure::none && fault.after != Step::line) {
            fail();
            return;
        }
        after(device_.spec.latency.command, [this] { write(); });
    }

    void write() {
        const auto& request = parser_->get();
        const auto method = request.method_string();
        const auto target = request.target();
        const auto authorization = request[http::field::authorization];
        const auto answered = answer(device_, {{method.data(), method.size()},
                                               {target.data(), target.size()},
                                               {authorization.data(), authorization.size()},
                                               request.body()});
        response_ = {static_cast<http::status>(answered.status), request.version()};
        response_.set(http::field::server, "muster-virtual-fleet");
        response_.set(http::field::content_type, "application/json");
        if (answered.status == static_cast<unsigned>(http::status::unauthorized)) {
            response_.set(http::field::www_authenticate, "Basic realm=\"device\"");
        }
        if (!answered.allow.empty()) {
            response_.set(http::field::allow, answered.allow);
        }
        response_.keep_alive(request.keep_alive());
        if (request.method() == http::verb::head) {
            response_.content_length(answered.body.size());
        } else {
            response_.body() = answered.body;
            response_.prepare_payload();
        }
        serializer_.emplace(response_);
        serializer_->split(false);
        auto done = [self = self()](error_code error, std::size_t) {
            if (error || !self->response_.keep_alive()) {
                self->finish();
            } else {
                self->read();
            }
        };
        if (request.method() == http::verb::head) {
            http::async_write_header(stream_, *serializer_, std::move(done));
        } else {
            http::async_write(stream_, *serializer_, std::move(done));
        }
    }

    // Silence is kept by doing nothing more; the client, or the end of the fleet, ends it.
    void fail() {
        const auto failure = device_.spec.fault.failure;
        if (failure == Failure::hang) {
            wait_for_end();
            return;
        }
        if (failure == Failure::reset) {
            error_code ignored;
            socket().set_option(asio::socket_base::linger(true, 0), ignored);
        }
        finish();
    }

    void wait_for_end() {
        socket().async_receive(asio::buffer(silence_),
                               [self = self()](error_code error, std::size_t) {
                                   if (error) {
                                       self->finish();
                                   } else {
                                       self->wait_for_end();
                                   }
                               });
    }

    void finish() {
        close();
        server_.connections_.erase(self());
    }

    template <class Then>
    void after(std::chrono::milliseconds delay, Then then) {
        const auto wait = server_.delays_.draw(delay, device_.spec.latency);
        if (wait.count() == 0) {
            then();
            return;
        }
        timer_.expires_after(wait);
        timer_.async_wait([self = self(), then](error_code error) {
            if (!error) {
                then();
            }
        });
    }

    tcp::socket& socket() {
        if constexpr (std::is_same_v<Stream, tcp::socket>) {
            return stream_;
        } else {
            return stream_.next_layer();
        }
    }

    std::shared_ptr<Connection> self() { return this->shared_from_this(); }

    HttpServer& server_;
    VirtualDevice& device_;
    Stream stream_;
    asio::steady_timer timer_;
    boost::beast::flat_buffer buffer_;
    std::unique_ptr<http::request_parser<http::string_body>> parser_; // one for each request
    http::response<http::string_body> response_;
    std::optional<http::response_serializer<http::string_body>> serializer_;
    std::array<char, 512> silence_{};
};

HttpServer::HttpServer(unsigned seed) : delays_(seed) {}

HttpServer::~HttpServer() { close_all(); }

void HttpServer::enable_tls() { tls_ = std::make_unique<Tls>(); }

std::string HttpServer::ca_certificate() const { return tls_ ? tls_->pem() : std::string(); }

void HttpServer::serve(VirtualDevice& device, tcp::socket socket) {
    auto connection = std::make_shared<Connection<tcp::socket>>(*this, device, std::move(socket));
    connections_.insert(connection);
    connection->start();
}

void HttpServer::serve_tls(VirtualDevice& device, tcp::socket socket) {
    auto connection = std::make_shared<Connection<asio::ssl::stream<tcp::socket>>>(
        *this, device, std::move(socket), tls_->context(device));
    connections_.insert(connection);
    connection->start();
}

void HttpServer::close_all() {
    for (const auto& connection : std::exchange(connections_, {})) {
        connection->close();
    }
}

} // namespace muster::sim
