#include "exchange.hpp"

#include "request_text.hpp"
#include "response_parser.hpp"
#include "text.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <span>
#include <utility>

namespace muster::http::detail {

namespace {

constexpr std::size_t read_size = 8 * 1024;
constexpr std::size_t write_size = 64 * 1024; // as much as may be silent for Timeouts::idle

std::string duration_text(Clock::duration duration) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) +
           " ms";
}

} // namespace

ClientState::ClientState(ClientOptions given)
    : options(std::move(given)),
      pool(options.max_connections_per_host, options.max_idle_connections, options.keep_idle) {}

Exchange::Exchange(ClientState& client, Request request)
    : client_(client),
      request_(std::move(request)),
      timeouts_(request_.options.timeouts.value_or(client.options.timeouts)) {}

Coro<Response> Exchange::run() {
    prepare();
    if (timeouts_.total.limited()) {
        total_deadline_ = timeouts_.total.deadline(Clock::now());
    }
    try {
        co_return co_await timeout_at(total_deadline_, [this](Timeout& timeout) {
            timeout_ = &timeout;
            return try_twice();
        });
    } catch (const TimeoutError&) {
        fail_timeout();
    }
}

void Exchange::prepare() {
    std::string text = request_.url;
    if (text.starts_with('/') && !client_.options.base_url.empty()) {
        std::string base = client_.options.base_url;
        if (base.ends_with('/')) {
            base.pop_back();
        }
        text.insert(0, base);
    }
    url_ = Url::parse(text, request_.options.params);
    key_ = (url_->tls() ? "https " : "http ") + url_->host() + " " + std::to_string(url_->port());
    try {
        text_ = request_text(*url_, request_, client_.options);
    } catch (const ValueError& error) {
        fail({ErrorKind::configuration, error.what(), {}});
    }
    if (url_->tls() && !client_.tls) {
        try {
            client_.tls = TlsContext::client(client_.options.tls);
        } catch (const TlsError& error) {
            fail(trouble_of(error));
        }
    }
}

Coro<Response> Exchange::try_twice() {
    enter(Phase::connect, std::nullopt);
    const auto place = co_await client_.pool.places(key_).guard();
    std::optional<Response> response;
    std::shared_ptr<Connection> connection = client_.pool.take(key_);
    if (connection) {
        response = co_await converse(*connection, true);
    }
    if (!response) {
        connection = co_await open();
        response = co_await converse(*connection, false);
    }
    if (keep_) {
        client_.pool.give(key_, std::move(connection));
    }
    co_return std::move(*response);
}

Coro<std::shared_ptr<Connection>> Exchange::open() {
    enter(Phase::connect, std::nullopt); // it keeps the limit itself, and knows more about it
    ConnectOptions options;
    options.timeout = timeouts_.connect;
    try {
        TcpSocket socket = co_await connect_tcp(url_->host(), url_->port(), options);
        if (!url_->tls()) {
            co_return make_connection(std::move(socket));
        }
        co_return co_await secure(std::move(socket));
    } catch (const ConnectError& error) {
        fail_connect(error);
    }
}

Coro<std::shared_ptr<Connection>> Exchange::secure(TcpSocket socket) {
    enter(Phase::tls, timeouts_.tls);
    TlsPeer peer;
    peer.context = client_.tls;
    peer.name = muster::detail::certificate_name(url_->host(), client_.options.tls);
    peer.session_key = key_ + " " + peer.name;
    peer.protocol = "http/1.1";
    Secured secured = co_await make_tls_connection(std::move(socket), std::move(peer));
    if (secured.trouble) {
        fail(std::move(*secured.trouble));
    }
    co_return std::move(secured.connection);
}

/// Sends the request and reads its response. Nothing: the kept connection was dead, and the request
/// may be made again.
Coro<std::optional<Response>> Exchange::converse(Connection& connection, bool kept) {
    const Moved sent = co_await send(connection);
    // Even where sending failed: a server that refuses a request early says why, and closes.
    enter(Phase::response, timeouts_.response);
    ResponseParser parser(request_.method == "HEAD",
                          request_.options.max_body.value_or(client_.options.max_body));
    std::string buffer(read_size, '\0');
    while (!parser.complete()) {
        const Moved got = co_await connection.read_some(std::span<char>(buffer));
        parser.feed(std::string_view(buffer).substr(0, got.count));
        if (got.end != Moved::End::none) {
            if (!parser.started() && kept && is_idempotent(request_.method)) {
                co_return std::nullopt;
            }
            const bool old_manners = got.end == Moved::End::truncated && client_.options.tls.legacy;
            if (got.end == Moved::End::closed || old_manners) {
                parser.end_of_stream();
            }
            if (!parser.complete() && !parser.trouble()) {
                fail_lost(parser, sent, got, kept);
            }
        }
        if (parser.trouble()) {
            fail(*parser.trouble());
        }
        if (parser.header_done()) {
            enter(Phase::response, timeouts_.idle);
        }
    }
    keep_ = parser.keep_alive() && sent.end == Moved::End::none;
    Response response = parser.take();
    response.method = request_.method;
    response.url = url_->str();
    co_return response;
}

Coro<Moved> Exchange::send(Connection& connection) {
    std::string_view rest = text_;
    Moved sent;
    while (!rest.empty() && sent.end == Moved::End::none) {
        enter(Phase::request, timeouts_.idle);
        sent = co_await connection.write_some(rest.substr(0, write_size));
        rest.remove_prefix(sent.count);
    }
    co_return sent;
}

/// Begins a phase that may take as long as `limit`, or what is left of the whole request's time.
void Exchange::enter(Phase phase, TimeLimit limit) {
    phase_ = phase;
    limit_ = limit;
    std::optional<Clock::time_point> deadline;
    if (limit.limited()) {
        deadline = limit.deadline(Clock::now());
    }
    total_is_next_ = !deadline || (total_deadline_ && *total_deadline_ <= *deadline);
    if (!timeout_->expired()) {
        timeout_->reschedule(total_is_next_ ? total_deadline_ : deadline);
    }
}

void Exchange::fail(Trouble trouble) const {
    Failure failure;
    failure.method = request_.method;
    failure.url = url_->str();
    failure.host = url_->host();
    failure.port = url_->port();
    failure.phase = phase_;
    failure.kind = trouble.kind;
    failure.reason = std::move(trouble.reason);
    failure.remedy = std::move(trouble.remedy);
    throw Error(std::move(failure));
}

void Exchange::fail_timeout() const {
    Trouble trouble;
    trouble.kind = ErrorKind::timeout;
    const TimeLimit& limit = total_is_next_ ? timeouts_.total : limit_;
    trouble.reason =
        (total_is_next_ ? "the whole request's time was up after " : "no answer within ") +
        duration_text(limit.value());
    trouble.remedy = total_is_next_ ? "raise Timeouts::total if that is not enough" : "";
    fail(std::move(trouble));
}

void Exchange::fail_connect(const ConnectError& error) {
    Trouble trouble;
    trouble.kind = ErrorKind::unreachable;
    trouble.reason = error.what();
    switch (error.kind()) {
    case ConnectError::Kind::resolve:
        phase_ = Phase::resolve;
        trouble.remedy = "check the name";
        break;
    case ConnectError::Kind::refused:
        trouble.remedy = "is the web server running, and is this its port?";
        break;
    case ConnectError::Kind::timeout:
        trouble.kind = ErrorKind::timeout;
        trouble.remedy = "check address, route and firewalls";
        break;
    default:
        break;
    }
    fail(std::move(trouble));
}

void Exchange::fail_lost(const ResponseParser& parser, const Moved& sent, const Moved& got,
                         bool kept) const {
    Trouble trouble;
    trouble.kind = ErrorKind::connection_lost;
    const std::string how = got.end == Moved::End::broken
                                ? "the connection broke (" + got.reason + ")"
                                : "the server closed the connection";
    if (!parser.started()) {
        trouble.reason = how + " without an answer";
        if (sent.end == Moved::End::broken) {
            trouble.reason += "; sending had failed: " + sent.reason;
        }
        if (kept) {
            trouble.remedy = "the connection was a kept one, and " + request_.method +
                             " is not repeated unasked: find out whether it was done";
        }
    } else if (!parser.header_done()) {
        trouble.reason = how + " in the middle of the header";
    } else {
        trouble.reason = how + " in the middle of the body, after " +
                         std::to_string(parser.body_size()) + " bytes";
        if (got.end == Moved::End::truncated) {
            trouble.remedy = "if it always ends so, it is an old server: see TlsOptions::legacy";
        }
    }
    fail(std::move(trouble));
}

} // namespace muster::http::detail
