#include "scripted_server.hpp"

#include <doctest/doctest.h>
#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>

namespace {

class PlainPeer : public Peer {
public:
    explicit PlainPeer(int descriptor) : descriptor_(descriptor) {}

    void be_rude() override {
        const linger now{1, 0};
        ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }

protected:
    long read(char* buffer, std::size_t size) override {
        return ::recv(descriptor_, buffer, size, 0);
    }

    long write(const char* text, std::size_t size) override {
        return ::send(descriptor_, text, size, MSG_NOSIGNAL);
    }

private:
    int descriptor_;
};

class TlsPeer final : public PlainPeer {
public:
    TlsPeer(int descriptor, SSL_CTX* context) : PlainPeer(descriptor), ssl_(SSL_new(context)) {
        SSL_set_fd(ssl_, descriptor);
    }

    TlsPeer(const TlsPeer&) = delete;
    TlsPeer& operator=(const TlsPeer&) = delete;

    ~TlsPeer() override {
        if (!rude_) {
            SSL_shutdown(ssl_);
        }
        SSL_free(ssl_);
    }

    void be_rude() override { rude_ = true; }

    bool accept() { return SSL_accept(ssl_) == 1; }

    [[nodiscard]] bool resumed() const override { return SSL_session_reused(ssl_) == 1; }

    [[nodiscard]] std::string server_name() const override {
        const char* name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name);
        return name == nullptr ? std::string() : name;
    }

protected:
    long read(char* buffer, std::size_t size) override {
        return SSL_read(ssl_, buffer, static_cast<int>(size));
    }

    long write(const char* text, std::size_t size) override {
        return SSL_write(ssl_, text, static_cast<int>(size));
    }

private:
    SSL* ssl_;
    bool rude_ = false;
};

std::size_t body_size(std::string_view header) {
    constexpr std::string_view field = "Content-Length: ";
    const std::size_t at = header.find(field);
    return at == std::string_view::npos
               ? 0
               : std::strtoul(header.data() + at + field.size(), nullptr, 10);
}

} // namespace

std::string Peer::request() {
    constexpr std::string_view end_of_header = "\r\n\r\n";
    std::array<char, 4096> buffer{};
    for (;;) {
        const std::size_t end = received_.find(end_of_header);
        if (end != std::string::npos) {
            const std::size_t size = end + end_of_header.size() + body_size(received_);
            if (received_.size() >= size) {
                std::string request = received_.substr(0, size);
                received_.erase(0, size);
                ++*requests_;
                return request;
            }
        }
        const long count = read(buffer.data(), buffer.size());
        if (count <= 0) {
            return {};
        }
        received_.append(buffer.data(), static_cast<std::size_t>(count));
    }
}

bool Peer::send(std::string_view text) {
    while (!text.empty()) {
        const long count = write(text.data(), text.size());
        if (count <= 0) {
            return false;
        }
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

bool Peer::closed_by_client() {
    char byte = 0;
    return read(&byte, 1) <= 0;
}

ScriptedServer::ScriptedServer(Script script, std::optional<Certificate> certificate)
    : script_(std::move(script)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (certificate) {
        tls_ = make_server_context(*certificate);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener_, raw, size) == 0);
    REQUIRE(::listen(listener_, 512) == 0);
    REQUIRE(::getsockname(listener_, raw, &size) == 0);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] {
        for (;;) {
            const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (descriptor < 0) {
                return;
            }
            // Nothing may hang a test: a client that is silent for so long is taken for gone.
            const timeval limit{20, 0};
            ::setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
            const int number = ++accepted_;
            const std::scoped_lock lock(mutex_);
            open_.insert(descriptor);
            workers_.emplace_back([this, descriptor, number] { serve(descriptor, number); });
        }
    });
}

ScriptedServer::~ScriptedServer() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
    {
        const std::scoped_lock lock(mutex_);
        for (const int descriptor : open_) {
            ::shutdown(descriptor, SHUT_RDWR);
        }
    }
    for (std::thread& worker : workers_) {
        worker.join();
    }
}

void ScriptedServer::serve(int descriptor, int number) {
    // OpenSSL writes without regard to SIGPIPE.
    sigset_t pipe;
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    if (tls_) {
        TlsPeer peer(descriptor, static_cast<SSL_CTX*>(tls_.get()));
        if (peer.accept()) {
            run(peer, number);
        }
    } else {
        PlainPeer peer(descriptor);
        run(peer, number);
    }
    const std::scoped_lock lock(mutex_);
    open_.erase(descriptor);
    ::close(descriptor);
    ++closed_;
}

void ScriptedServer::run(Peer& peer, int number) {
    peer.requests_ = &requests_;
    script_(peer, number);
}

std::string ScriptedServer::url(std::string_view path) const {
    return (tls_ ? "https://localhost:" : "http://127.0.0.1:") + std::to_string(port_) +
           std::string(path);
}

std::string ok(std::string_view body, std::string_view more_header) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           std::string(more_header) + "\r\n" + std::string(body);
}
