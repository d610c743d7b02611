#pragma once

#include "pool.hpp"
#include "response_parser.hpp"

#include <muster/core/timeout.hpp>
#include <muster/http/client.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace muster::http::detail {

/// What a client and its requests under way share.
class ClientState {
public:
    explicit ClientState(ClientOptions given);

    const ClientOptions options;
    Pool pool;

    /// Made when the first https request asks for it.
    std::shared_ptr<TlsContext> tls;
};

/// One request from its URL to its response. Lives in the coroutine that awaits run().
class Exchange {
public:
    Exchange(ClientState& client, Request request);

    Coro<Response> run();

private:
    void prepare();
    Coro<Response> try_twice();
    Coro<std::shared_ptr<Connection>> open();
    Coro<std::shared_ptr<Connection>> secure(TcpSocket socket);
    Coro<std::optional<Response>> converse(Connection& connection, bool kept);
    Coro<Moved> send(Connection& connection);

    void enter(Phase phase, TimeLimit limit);
    [[noreturn]] void fail(Trouble trouble) const;
    [[noreturn]] void fail_timeout() const;
    [[noreturn]] void fail_connect(const ConnectError& error);
    [[noreturn]] void fail_lost(const ResponseParser& parser, const Moved& sent, const Moved& got,
                                bool kept) const;

    ClientState& client_;
    Request request_;
    Timeouts timeouts_;
    std::optional<Url> url_;
    std::string key_;
    std::string text_;
    bool keep_ = false; // the connection can serve another request

    Phase phase_ = Phase::prepare;
    TimeLimit limit_ = std::nullopt;
    bool total_is_next_ = true;
    std::optional<Clock::time_point> total_deadline_;
    Timeout* timeout_ = nullptr;
};

} // namespace muster::http::detail
