#include "ssh/forward.hpp"

#include "ssh/channel_state.hpp"

#include <muster/core/gather.hpp>
#include <muster/core/task.hpp>
#include <muster/net/server.hpp>
#include <muster/ssh/forward.hpp>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace muster::ssh {

using namespace detail;

namespace {

constexpr std::size_t chunk = 32768;

/// What the connections of a forward have in common.
struct Route {
    std::shared_ptr<Session> session;
    Session::Target target;
    TimeLimit timeout;
    std::vector<AnyTask> connections;
};

/// The current task is a connection of the route.
class Registered {
public:
    explicit Registered(Route& route) : route_(route), task_(current_task()) {
        route_.connections.push_back(task_);
    }

    Registered(const Registered&) = delete;
    Registered& operator=(const Registered&) = delete;

    ~Registered() { std::erase(route_.connections, task_); }

private:
    Route& route_;
    AnyTask task_;
};

Coro<void> to_device(Stream& client, ChannelState& channel) {
    for (std::string bytes = co_await client.read(chunk); !bytes.empty();
         bytes = co_await client.read(chunk)) {
        co_await channel.write(bytes);
    }
    co_await channel.write_eof();
}

Coro<void> to_client(ChannelState& channel, Stream& client) {
    for (std::string bytes = co_await channel.read(ChannelState::From::out, chunk); !bytes.empty();
         bytes = co_await channel.read(ChannelState::From::out, chunk)) {
        co_await client.write(bytes);
    }
    client.write_eof();
}

Coro<void> carry(std::shared_ptr<Route> route, Stream client) {
    const Registered registered(*route);
    ChannelState channel(route->session);
    co_await bounded(route->session, CutOffEnds::nothing, route->timeout, Phase::channel,
                     "the device did not connect to " + route->target.host,
                     [&] { return channel.open_tunnel(route->target); });
    try {
        co_await gather(to_device(client, channel), to_client(channel, client));
    } catch (const ConnectionResetError&) {
        // The client has gone, as clients do.
    }
}

} // namespace

namespace detail {

class ForwardState {
public:
    explicit ForwardState(std::shared_ptr<Route> route) : route_(std::move(route)) {}

    ForwardState(const ForwardState&) = delete;
    ForwardState& operator=(const ForwardState&) = delete;

    ~ForwardState() { stop(); }

    Coro<void> listen(ForwardOptions options) {
        // The server and its tasks share the route, not this.
        server_.emplace(co_await start_server(
            [route = route_](Stream client) { return carry(route, std::move(client)); },
            std::move(options.bind_host), options.bind_port));
    }

    void stop() noexcept {
        if (server_) {
            server_->close();
        }
        const auto connections = route_->connections;
        for (AnyTask task : connections) {
            task.cancel();
        }
    }

    Coro<void> wait_closed() { return server_->wait_closed(); }

    [[nodiscard]] std::uint16_t port() const { return server_->port(); }

private:
    std::shared_ptr<Route> route_;
    std::optional<Server> server_;
};

Coro<LocalForward> forward_local(std::shared_ptr<Session> session, std::string host,
                                 std::uint16_t port, ForwardOptions options) {
    auto state = std::make_shared<ForwardState>(std::make_shared<Route>(
        Route{std::move(session), {std::move(host), port}, options.timeout, {}}));
    co_await state->listen(std::move(options));
    co_return LocalForward(std::move(state));
}

} // namespace detail

namespace {

Coro<void> close_forward(std::shared_ptr<ForwardState> state) {
    state->stop();
    co_await state->wait_closed();
}

} // namespace

LocalForward::LocalForward(std::shared_ptr<ForwardState> state) noexcept
    : state_(std::move(state)) {}

LocalForward::LocalForward(LocalForward&&) noexcept = default;

LocalForward& LocalForward::operator=(LocalForward&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
}

LocalForward::~LocalForward() {
    if (state_) {
        state_->stop();
    }
}

std::uint16_t LocalForward::port() const { return state_ ? state_->port() : std::uint16_t{0}; }

Coro<void> LocalForward::close() { return close_forward(state_); }

} // namespace muster::ssh
