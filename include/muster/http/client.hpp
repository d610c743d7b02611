#pragma once

#include <muster/core/coro.hpp>
#include <muster/http/message.hpp>
#include <muster/net/tls.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace muster::http {

namespace detail {
class ClientState;
}

using muster::TlsOptions;
using muster::Verify;

/// How a Client behaves.
struct ClientOptions {
    std::string base_url = {}; ///< what a request's URL that begins with "/" is appended to
    Headers headers = {};      ///< of every request
    /// For every request that has none of its own, whatever host it goes to.
    Auth auth = {};
    TlsOptions tls = {};
    Timeouts timeouts = {};
    std::size_t max_body = std::size_t{64} << 20; ///< bytes of a response's body
    /// Connections open at once to one scheme, host and port; further requests wait in order.
    std::size_t max_connections_per_host = 16;
    /// Connections kept for later requests, to all hosts together; 0: none is kept.
    std::size_t max_idle_connections = 128;
    /// How long one is kept.
    std::chrono::milliseconds keep_idle = std::chrono::seconds(60);
    std::string user_agent = {}; ///< empty: "muster/<version>"
};

/// Makes requests, and keeps connections for the next ones (requests.Session, httpx.AsyncClient).
/// Any number of tasks of one loop may use it at once; made before or outside the loop, if so
/// desired. A redirect is a response like any other.
///
/// A request that is cancelled, times out or fails closes its connection. A kept connection that
/// turns out to be dead is replaced once, unseen, if the request is idempotent (RFC 9110: GET,
/// HEAD, PUT, DELETE, OPTIONS, TRACE) and nothing of the response has come; others fail with
/// ErrorKind::connection_lost.
class Client {
public:
    explicit Client(ClientOptions options = {});
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;

    /// Closes the kept connections; requests under way go on to their end.
    ~Client();

    /// Sends a request; its response, whatever the status. Throws http::Error.
    Coro<Response> request(Request request);

    Coro<Response> get(std::string url, RequestOptions options = {});
    Coro<Response> head(std::string url, RequestOptions options = {});
    Coro<Response> post(std::string url, Body body = {}, RequestOptions options = {});
    Coro<Response> put(std::string url, Body body = {}, RequestOptions options = {});
    Coro<Response> patch(std::string url, Body body = {}, RequestOptions options = {});
    Coro<Response> del(std::string url, RequestOptions options = {});

    /// Closes the kept connections now.
    void close_idle() noexcept;

    /// Connections that are kept at present.
    [[nodiscard]] std::size_t idle_connections() const noexcept;

private:
    std::shared_ptr<detail::ClientState> state_; // requests under way hold it, too
};

/// GET `url` on a connection of its own. Throws http::Error; a status is not an error
/// (Response::raise_for_status).
Coro<Response> fetch(std::string url, ClientOptions options = {});

/// The same for any request.
Coro<Response> fetch(Request request, ClientOptions options = {});

} // namespace muster::http
