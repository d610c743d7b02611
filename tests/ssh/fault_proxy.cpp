#include "fault_proxy.hpp"

#include <muster/core/gather.hpp>
#include <muster/core/sleep.hpp>
#include <muster/net/open_connection.hpp>
#include <muster/net/server.hpp>
#include <muster/sync/event.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

using namespace muster;
using namespace std::chrono_literals;

const char* to_string(Direction direction) {
    return direction == Direction::to_client ? "to the client" : "to the server";
}

const char* to_string(Harm::Kind kind) {
    switch (kind) {
    case Harm::Kind::none:
        return "none";
    case Harm::Kind::close:
        return "close";
    case Harm::Kind::reset:
        return "reset";
    case Harm::Kind::truncate:
        return "truncate";
    case Harm::Kind::stall:
        return "stall";
    case Harm::Kind::corrupt:
        return "corrupt";
    case Harm::Kind::delay:
        return "delay";
    case Harm::Kind::drip:
        return "drip";
    }
    return "?";
}

/// Held by the tasks that serve, too.
class FaultProxy::State : public std::enable_shared_from_this<State> {
public:
    State(std::string host, std::uint16_t port, Harm harm)
        : host_(std::move(host)), port_(port), harm_(harm) {}

    Coro<std::uint16_t> listen() {
        server_ = co_await start_server(
            [self = shared_from_this()](Stream client) { return serve(self, std::move(client)); },
            "127.0.0.1", 0);
        co_return server_->port();
    }

    void stop() noexcept {
        if (server_) {
            server_->close();
            server_->abort_clients();
            server_.reset();
        }
    }

    void plan(Harm harm) noexcept { harm_ = harm; }

    [[nodiscard]] std::string& seen(Direction direction) noexcept {
        return seen_[static_cast<std::size_t>(direction)];
    }

    Event harmed;
    Event over;
    std::string greeting;
    std::vector<Passage> passages;

private:
    static Coro<void> serve(std::shared_ptr<State> self, Stream client) {
        self->server_->close();
        Stream server = co_await open_connection(self->host_, self->port_);
        send_at_once(client);
        send_at_once(server);
        send(client, self->greeting);
        co_await gather(self->pump(server, client, Direction::to_client),
                        self->pump(client, server, Direction::to_server));
        self->over.set();
    }

    Coro<void> pump(Stream& from, Stream& to, Direction direction) {
        for (;;) {
            std::string bytes;
            bool broken = false;
            try {
                bytes = co_await from.read(65536);
            } catch (const ConnectionResetError&) {
                broken = true;
            }
            if (broken || bytes.empty()) {
                finish(to);
                co_return;
            }
            std::string& seen = this->seen(direction);
            passages.push_back({direction, {seen_[0].size(), seen_[1].size()}});
            const std::size_t before = seen.size();
            seen += bytes;
            if (dropping_[static_cast<std::size_t>(direction)]) {
                continue;
            }
            std::string_view rest = bytes;
            if (is_due(direction, before + bytes.size())) {
                const std::size_t unharmed = harm_.at - before;
                send(to, rest.substr(0, unharmed));
                rest.remove_prefix(unharmed);
                harmed.set();
                if (harm_.kind == Harm::Kind::corrupt) {
                    bytes[unharmed] = static_cast<char>(~bytes[unharmed]);
                } else if (harm_.kind == Harm::Kind::delay) {
                    co_await async_sleep(20ms);
                } else if (harm_.kind == Harm::Kind::drip) {
                    dripping_ = true;
                } else {
                    cut(from, to, direction);
                    continue;
                }
            }
            if (dripping_ && direction == harm_.direction) {
                for (std::size_t i = 0; i < rest.size(); ++i) {
                    send(to, rest.substr(i, 1));
                    co_await async_sleep(0s);
                }
            } else {
                send(to, rest);
            }
        }
    }

    [[nodiscard]] bool is_due(Direction direction, std::size_t count) const noexcept {
        return harm_.kind != Harm::Kind::none && direction == harm_.direction && !harmed.is_set() &&
               count > harm_.at;
    }

    void cut(Stream& from, Stream& to, Direction direction) {
        dropping_[static_cast<std::size_t>(direction)] = true;
        switch (harm_.kind) {
        case Harm::Kind::close:
            dropping_ = {true, true};
            finish(from);
            finish(to);
            break;
        case Harm::Kind::reset:
            reset(from);
            reset(to);
            break;
        case Harm::Kind::truncate:
            finish(to);
            break;
        default:
            break;
        }
    }

    static void send(Stream& to, std::string_view bytes) {
        if (!bytes.empty() && !to.is_closing()) {
            to.write(bytes);
        }
    }

    // Only the sending half: closing a socket with unread bytes would be a reset.
    static void finish(Stream& stream) {
        if (!stream.is_closing()) {
            stream.write_eof();
        }
    }

    // Every piece on its own, without waiting for an acknowledgement of the one before.
    static void send_at_once(const Stream& stream) {
        const int on = 1;
        ::setsockopt(stream.fileno(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }

    static void reset(Stream& stream) {
        const struct linger at_once{1, 0};

        ::setsockopt(stream.fileno(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        stream.abort();
    }

    std::string host_;
    std::uint16_t port_;
    Harm harm_;
    std::optional<Server> server_;
    std::array<std::string, 2> seen_;
    std::array<bool, 2> dropping_{};
    bool dripping_ = false;
};

FaultProxy::FaultProxy(std::string host, std::uint16_t port, Harm harm)
    : state_(std::make_shared<State>(std::move(host), port, harm)) {}

FaultProxy::FaultProxy(FaultProxy&&) noexcept = default;

FaultProxy& FaultProxy::operator=(FaultProxy&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
}

FaultProxy::~FaultProxy() {
    if (state_) {
        state_->stop();
    }
}

void FaultProxy::plan(Harm harm) noexcept { state_->plan(harm); }

void FaultProxy::greet(std::string text) { state_->greeting = std::move(text); }

Coro<std::uint16_t> FaultProxy::listen() { return state_->listen(); }

Coro<void> FaultProxy::harmed() { co_await state_->harmed.wait(); }

Coro<void> FaultProxy::over() { co_await state_->over.wait(); }

bool FaultProxy::is_harmed() const noexcept { return state_->harmed.is_set(); }

const std::vector<FaultProxy::Passage>& FaultProxy::passages() const noexcept {
    return state_->passages;
}

const std::string& FaultProxy::seen(Direction direction) const noexcept {
    return state_->seen(direction);
}
