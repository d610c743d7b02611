#include "ssh/channel_state.hpp"
#include "ssh/files.hpp"
#include "ssh/identity.hpp"
#include "ssh/login.hpp"
#include "ssh/methods.hpp"
#include "ssh/session.hpp"
#include "ssh/transport.hpp"

#include <muster/core/run_in_executor.hpp>
#include <muster/core/timeout.hpp>
#include <muster/net/tcp.hpp>
#include <muster/ssh/connection.hpp>
#include <muster/ssh/known_hosts.hpp>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace muster::ssh {

using namespace detail;

namespace detail {
std::string silence(const Engine& engine);
} // namespace detail

namespace {

std::string seconds(TimeLimit limit) {
    using Seconds = std::chrono::duration<double>;
    std::string text = std::to_string(Seconds(limit.value()).count());
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) {
        text.pop_back();
    }
    return text + " s";
}

/// One attempt to connect. It remembers where it is, for the message of a timeout.
class Attempt {
public:
    /// `carrier`: the session to go through; null: none.
    Attempt(Options options, std::shared_ptr<Session> carrier)
        : options_(std::move(options)), carrier_(std::move(carrier)) {}

    Coro<std::shared_ptr<Session>> run() {
        TimeLimit total = options_.timeouts.total;
        try {
            co_await timeout(total, [this] { return connect(); });
        } catch (const TimeoutError&) {
            throw timed_out(total, " in all");
        }
        co_return std::move(session_);
    }

private:
    Coro<void> connect() {
        check_options();
        std::vector<Identity> identities = co_await read_identities();
        const std::shared_ptr<Session> last_hop = co_await connect_hops();

        phase_ = Phase::connect;
        auto transport = co_await open_transport();
        session_ = std::make_shared<Session>(options_.host, options_.port, choose_methods(),
                                             options_.key_exchange_budget);
        session_->close_timeout = options_.timeouts.close;
        session_->carrier = last_hop;
        session_->start(std::move(transport));

        phase_ = Phase::key_exchange;
        co_await within(options_.timeouts.handshake, [this] { return handshake(); });
        phase_ = Phase::host_key;
        co_await check_host_key(*session_, options_, trusted_);

        phase_ = Phase::authentication;
        co_await within(options_.timeouts.authenticate,
                        [&] { return log_in(*session_, options_, std::move(identities)); });
        session_->engine().forget_offers();
        session_->keep_alive(options_.keepalive, options_.keepalive_tries);
    }

    template <class F>
    Coro<void> within(TimeLimit limit, F body) {
        try {
            co_await timeout(limit, std::move(body));
        } catch (const TimeoutError&) {
            throw timed_out(limit, {});
        }
    }

    void check_options() {
        if (options_.host.empty()) {
            throw error(ErrorKind::configuration, "no host was given");
        }
        if (options_.username.empty()) {
            options_.username = current_user();
        }
    }

    /// Unlocking an encrypted key takes long by design: not on the loop.
    Coro<std::vector<Identity>> read_identities() {
        const bool has_agent = agent_path(options_).has_value();
        std::vector<Identity> identities;
        for (const KeySource& source : options_.keys) {
            if (source.passphrase.empty()) {
                identities.push_back(read_identity(source, has_agent));
            } else {
                identities.push_back(co_await run_in_executor(read_identity, source, has_agent));
            }
        }
        co_return identities;
    }

    /// Connects the hosts to go through, each by the one before: the last of them.
    Coro<std::shared_ptr<Session>> connect_hops() {
        std::shared_ptr<Session> hop;
        for (Options& options : options_.proxy_jump) {
            Attempt attempt(std::move(options), carrier_);
            try {
                hop = co_await attempt.run();
            } catch (const Error& failed) {
                Failure failure{failed.host(), failed.port(),   failed.phase(),
                                failed.kind(), failed.reason(), failed.remedy()};
                failure.reason += ", on the way to " + options_.host;
                throw Error(std::move(failure));
            }
            carrier_ = hop;
        }
        co_return hop;
    }

    Coro<std::shared_ptr<Transport>> open_transport() {
        if (carrier_ == nullptr) {
            co_return make_tcp_transport(co_await open_socket());
        }
        auto channel = std::make_unique<ChannelState>(carrier_);
        const Session::Target target{options_.host, options_.port};
        try {
            co_await bounded(carrier_, CutOffEnds::nothing, options_.timeouts.connect,
                             Phase::connect, "the device did not connect to " + options_.host,
                             [&] { return channel->open_tunnel(target); });
        } catch (const Error& failed) {
            const bool refused = failed.kind() == ErrorKind::request_refused;
            throw error(refused ? ErrorKind::unreachable : failed.kind(),
                        "through " + carrier_->host() + ": " + failed.reason(), failed.remedy());
        }
        co_return make_channel_transport(std::move(channel));
    }

    Coro<TcpSocket> open_socket() {
        ConnectOptions options;
        options.timeout = options_.timeouts.connect;
        try {
            co_return co_await connect_tcp(options_.host, options_.port, options);
        } catch (const ConnectError& failed) {
            if (failed.kind() == ConnectError::Kind::resolve) {
                phase_ = Phase::resolve;
            }
            std::string remedy;
            if (failed.kind() == ConnectError::Kind::refused) {
                remedy = "is SSH enabled on the device, and on this port?";
            } else if (failed.kind() == ConnectError::Kind::timeout) {
                remedy = "is the device up, and does a firewall let this host through?";
            }
            const bool late = failed.kind() == ConnectError::Kind::timeout;
            throw error(late ? ErrorKind::timeout : ErrorKind::unreachable, failed.what(),
                        std::move(remedy));
        }
    }

    [[nodiscard]] Methods choose_methods() {
        Methods methods =
            options_.algorithms == Algorithms::legacy ? legacy_methods() : default_methods();
        if (options_.host_key_policy != HostKeyPolicy::insecure_ignore) {
            trusted_.emplace(options_);
            prefer_key_types(methods.host_key,
                             trusted_->known->key_types(trusted_->host, trusted_->port));
        }
        return methods;
    }

    Coro<void> handshake() {
        const int code =
            co_await session_->perform([this] { return session_->engine().handshake(); });
        if (code != 0) {
            throw session_->explain(Phase::key_exchange, code);
        }
    }

    [[nodiscard]] Error error(ErrorKind kind, std::string reason, std::string remedy = {}) const {
        return error(phase_, kind, std::move(reason), std::move(remedy));
    }

    [[nodiscard]] Error error(Phase phase, ErrorKind kind, std::string reason,
                              std::string remedy = {}) const {
        Failure failure;
        failure.host = options_.host;
        failure.port = options_.port;
        failure.phase = phase;
        failure.kind = kind;
        failure.reason = std::move(reason);
        failure.remedy = std::move(remedy);
        return Error(std::move(failure));
    }

    [[nodiscard]] Error timed_out(TimeLimit limit, const std::string& in_all) const {
        std::string reason = "timed out after " + seconds(limit) + in_all;
        Phase phase = phase_;
        if (phase == Phase::key_exchange) {
            reason += ": " + silence(session_->engine());
            phase = session_->engine().encrypted() ? Phase::authentication : phase;
        }
        return error(phase, ErrorKind::timeout, std::move(reason),
                     phase == Phase::key_exchange
                         ? "is the device overloaded, or is this not its SSH port? Log in by hand, "
                           "or allow more time"
                         : "the device may be waiting for its AAA server: allow more time, or "
                           "look there");
    }

    Options options_;
    std::shared_ptr<Session> carrier_;
    Phase phase_ = Phase::prepare;
    std::optional<TrustedBy> trusted_;
    std::shared_ptr<Session> session_;
};

} // namespace

Coro<Connection> connect(Options options) {
    std::shared_ptr<Session> carrier;
    if (options.via != nullptr) {
        carrier = session_of(*options.via);
        if (!carrier || !carrier->usable()) {
            Failure failure;
            failure.host = options.host;
            failure.port = options.port;
            failure.kind = ErrorKind::closed;
            failure.reason = "the connection to go through is closed";
            throw Error(std::move(failure));
        }
    }
    Attempt attempt(std::move(options), std::move(carrier));
    co_return Connection(co_await attempt.run());
}

} // namespace muster::ssh
