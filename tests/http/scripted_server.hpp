#pragma once
/// A server that says byte for byte what a test tells it to say, in clear text or TLS.

#include "certificates.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

/// One connection, from the server's side. Blocks its own thread; ends when the server does.
class Peer {
public:
    virtual ~Peer() = default;

    /// A whole request, header and body of the stated length; empty when the client has gone.
    std::string request();

    /// False when the client has gone.
    bool send(std::string_view text);

    /// Waits until the client closes its side. True if it sent nothing before.
    bool closed_by_client();

    /// At the end, no goodbye: a TCP reset; in TLS, an end without close_notify.
    virtual void be_rude() = 0;

    /// The request came over a resumed TLS session.
    [[nodiscard]] virtual bool resumed() const { return false; }

    /// What SNI the client asked for.
    [[nodiscard]] virtual std::string server_name() const { return {}; }

protected:
    virtual long read(char* buffer, std::size_t size) = 0;
    virtual long write(const char* text, std::size_t size) = 0;

private:
    friend class ScriptedServer;

    std::string received_;
    std::atomic<int>* requests_ = nullptr;
};

/// Listens on a free port of 127.0.0.1 and runs `script` for each connection, in a thread of its
/// own; the connection is closed when the script returns.
class ScriptedServer {
public:
    using Script = std::function<void(Peer& peer, int connection)>;

    explicit ScriptedServer(Script script, std::optional<Certificate> certificate = {});
    ScriptedServer(const ScriptedServer&) = delete;
    ScriptedServer& operator=(const ScriptedServer&) = delete;
    ~ScriptedServer();

    [[nodiscard]] std::uint16_t port() const { return port_; }

    [[nodiscard]] std::string url(std::string_view path = "/") const;

    /// Connections accepted, and closed again, so far.
    [[nodiscard]] int connections() const { return accepted_; }

    [[nodiscard]] int closed() const { return closed_; }

    /// Whole requests read so far.
    [[nodiscard]] int requests() const { return requests_; }

private:
    void serve(int descriptor, int number);
    void run(Peer& peer, int number);

    Script script_;
    std::shared_ptr<void> tls_;
    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::atomic<int> accepted_ = 0;
    std::atomic<int> closed_ = 0;
    std::atomic<int> requests_ = 0;
    std::mutex mutex_;
    std::set<int> open_;
    std::vector<std::thread> workers_;
    std::thread acceptor_;
};

/// "HTTP/1.1 200 OK" with a body of stated length.
std::string ok(std::string_view body, std::string_view more_header = {});
