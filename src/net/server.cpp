#include "net/listener.hpp"
#include "net/stream_impl.hpp"

#include <muster/core/event_loop.hpp>
#include <muster/core/future.hpp>
#include <muster/core/task.hpp>
#include <muster/net/resolver.hpp>
#include <muster/net/server.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <unordered_set>
#include <utility>

namespace muster {

namespace detail {

/// A Server from inside. Handlers' tasks hold it.
class ServerState : public std::enable_shared_from_this<ServerState> {
public:
    ServerState(ClientHandler handler, ServerOptions options)
        : handler_(std::move(handler)),
          options_(std::move(options)),
          loop_(get_running_loop().create_future<void>()) {
        if (options_.limit == 0) {
            throw ValueError("Limit cannot be <= 0");
        }
        if (options_.tls) {
            tls_ = TlsContext::server(*options_.tls);
        }
    }

    /// Binds `endpoint`; its address.
    const SocketAddress& bind(const AnyEndpoint& endpoint) {
        const ListenerOptions options{options_.backlog, options_.reuse_port};
        listeners_.push_back(
            std::make_shared<Listener>(get_running_loop().io_context(), endpoint, options));
        return listeners_.back()->address();
    }

    /// Takes back what was bound.
    void unbind() noexcept { listeners_.clear(); }

    void begin() {
        if (options_.start_serving) {
            start_serving();
        }
    }

    [[nodiscard]] std::vector<SocketAddress> sockets() const {
        std::vector<SocketAddress> addresses;
        for (const auto& listener : listeners_) {
            addresses.push_back(listener->address());
        }
        return addresses;
    }

    void start_serving() {
        check_open();
        if (std::exchange(serving_, true)) {
            return;
        }
        try {
            listen();
        } catch (...) {
            close(); // those that listen by now would go on without a server
            throw;
        }
    }

    [[nodiscard]] bool is_serving() const noexcept { return serving_ && loop() != nullptr; }

    static Coro<void> serve_forever(std::shared_ptr<ServerState> self) {
        self->check_open();
        if (self->forever_.valid()) {
            throw RuntimeError("server is already being awaited on serve_forever()");
        }
        self->start_serving();
        self->forever_ = get_running_loop().create_future<void>();
        std::exception_ptr cancelled;
        try {
            co_await self->forever_;
        } catch (const CancelledError&) {
            cancelled = std::current_exception();
        }
        self->forever_ = Future<void>();
        self->close();
        self->for_clients([](StreamImpl& client) { client.close(); });
        co_await wait_closed(self);
        std::rethrow_exception(cancelled);
    }

    void close() noexcept {
        if (std::exchange(closed_, true)) {
            return;
        }
        serving_ = false;
        for (const auto& listener : listeners_) {
            listener->close();
        }
        listeners_.clear();
        if (forever_.valid()) {
            forever_.cancel();
        }
        tell_if_over();
    }

    static Coro<void> wait_closed(std::shared_ptr<ServerState> self) {
        if (!self->over()) {
            co_await SocketWait(self->waiters_, "server to close");
        } else {
            co_await FairTurn();
        }
    }

    template <class F>
    void for_clients(F action) {
        const std::unordered_set<StreamImpl*> clients = clients_; // it loses some meanwhile
        for (StreamImpl* client : clients) {
            action(*client);
        }
    }

private:
    void check_open() const {
        if (closed_) {
            throw RuntimeError("server is closed");
        }
    }

    void listen() {
        for (const auto& listener : listeners_) {
            listener->start(
                [self = weak_from_this()](Transport socket) {
                    if (const auto state = self.lock()) {
                        state->accepted(std::move(socket));
                    }
                },
                [self = weak_from_this()](const std::string& why) {
                    const auto state = self.lock();
                    if (EventLoop* loop = state ? state->loop() : nullptr) {
                        ExceptionContext context;
                        context.message = why;
                        loop->call_exception_handler(context);
                    }
                });
        }
    }

    /// Null once it is gone.
    [[nodiscard]] EventLoop* loop() const noexcept {
        LoopCore* core = loop_.state()->loop();
        return core == nullptr || core->closed() ? nullptr : &core->loop();
    }

    [[nodiscard]] bool over() const noexcept { return closed_ && clients_.empty(); }

    void tell_if_over() noexcept {
        if (over()) {
            waiters_.grant_all();
        }
    }

    void accepted(Transport socket) {
        EventLoop* loop = this->loop();
        if (loop == nullptr) {
            return;
        }
        const int on = 1;
        ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on,
                     sizeof on); // a Unix socket has none
        std::shared_ptr<StreamImpl> client;
        try {
            client = std::make_shared<StreamImpl>(std::move(socket), options_.limit, "");
        } catch (const Error&) { // the system has no room for one more
            ExceptionContext context;
            context.message = "a client was turned away";
            context.exception = std::current_exception();
            loop->call_exception_handler(context);
            return;
        }
        clients_.insert(client.get());
        client->on_closed([self = weak_from_this(), gone = client.get()] {
            if (const auto state = self.lock()) {
                state->clients_.erase(gone);
                state->tell_if_over();
            }
        });
        TaskOptions task;
        task.name = "client " + client->who();
        loop->create_task(serve(shared_from_this(), std::move(client)), std::move(task));
        run_woken();
    }

    /// One client's task.
    static Coro<void> serve(std::shared_ptr<ServerState> self, std::shared_ptr<StreamImpl> client) {
        Stream stream(client);
        const bool debug = get_running_loop().get_debug();
        if (self->tls_ != nullptr) {
            try {
                TlsPeer peer;
                peer.context = self->tls_;
                co_await StreamImpl::secure(client, std::move(peer),
                                            self->options_.tls->handshake_timeout);
            } catch (const Error&) {
                // Anybody can connect and talk nonsense: no reason to alarm who runs the server.
                if (debug) {
                    report("TLS handshake failed", *client);
                }
                co_return;
            }
        }
        try {
            co_await self->handler_(std::move(stream));
        } catch (const CancelledError&) {
            throw;
        } catch (const KeyboardInterrupt&) { // ends the loop, not the client
            throw;
        } catch (...) { // a client's trouble must not end the server
            report("Unhandled exception in a server's handler", *client);
        }
    }

    static void report(const char* what, const StreamImpl& client) {
        ExceptionContext context;
        context.message = std::string(what) + " (client " + client.who() + ")";
        context.exception = std::current_exception();
        get_running_loop().call_exception_handler(context);
    }

    ClientHandler handler_;
    ServerOptions options_;
    std::shared_ptr<TlsContext> tls_;
    Future<void> loop_; // never done: it knows whether the loop is still there
    std::vector<std::shared_ptr<Listener>> listeners_;
    std::unordered_set<StreamImpl*> clients_; // connected ones; they take themselves out
    WaitList waiters_;
    Future<void> forever_; // serve_forever() waits for it
    bool serving_ = false;
    bool closed_ = false;
};

} // namespace detail

namespace {

constexpr int most_port_attempts = 16;

/// Binds all of them, on the same port. A port that was free on the first address and is not on
/// another is left for a different one, if any will do.
void bind_all(detail::ServerState& state, const std::vector<SocketAddress>& addresses,
              bool last_attempt) {
    std::uint16_t port = addresses.front().port;
    const bool any_port = port == 0;
    std::exception_ptr missing;
    bool bound = false;
    for (SocketAddress address : addresses) {
        address.port = port;
        try {
            port = state.bind(detail::endpoint_of(address)).port;
            bound = true;
        } catch (const ListenError& error) {
            // A name may have an address of a kind that this machine does not use.
            if (error.kind() == ListenError::Kind::address) {
                missing = std::current_exception();
                continue;
            }
            const bool taken = error.kind() == ListenError::Kind::in_use && any_port && bound;
            if (!taken || last_attempt) {
                throw;
            }
            state.unbind();
            return;
        }
    }
    if (!bound) {
        std::rethrow_exception(missing);
    }
}

/// Throws instead of crashing when the server was moved from.
const std::shared_ptr<detail::ServerState>&
there(const std::shared_ptr<detail::ServerState>& state) {
    if (state == nullptr) {
        throw RuntimeError("this Server was moved from");
    }
    return state;
}

} // namespace

Server::Server(std::shared_ptr<detail::ServerState> state) noexcept : state_(std::move(state)) {}

Server::Server(Server&&) noexcept = default;

Server& Server::operator=(Server&& other) noexcept {
    if (this != &other) {
        close();
        state_ = std::move(other.state_);
    }
    return *this;
}

Server::~Server() { close(); }

std::vector<SocketAddress> Server::sockets() const { return there(state_)->sockets(); }

std::uint16_t Server::port() const {
    const auto addresses = there(state_)->sockets();
    return addresses.empty() ? std::uint16_t{0} : addresses.front().port;
}

void Server::start_serving() { there(state_)->start_serving(); }

bool Server::is_serving() const noexcept { return state_ && state_->is_serving(); }

Coro<void> Server::serve_forever() { return detail::ServerState::serve_forever(there(state_)); }

void Server::close() noexcept {
    if (state_) {
        state_->close();
    }
}

Coro<void> Server::wait_closed() { return detail::ServerState::wait_closed(there(state_)); }

void Server::close_clients() noexcept {
    if (state_) {
        state_->for_clients([](detail::StreamImpl& client) { client.close(); });
    }
}

void Server::abort_clients() noexcept {
    if (state_) {
        state_->for_clients([](detail::StreamImpl& client) { client.abort(); });
    }
}

Coro<Server> start_server(ClientHandler handler, std::string host, std::uint16_t port,
                          ServerOptions options) {
    std::vector<std::string> hosts;
    hosts.push_back(std::move(host));
    return start_server(std::move(handler), std::move(hosts), port, std::move(options));
}

Coro<Server> start_server(ClientHandler handler, std::vector<std::string> hosts, std::uint16_t port,
                          ServerOptions options) {
    const auto state =
        std::make_shared<detail::ServerState>(std::move(handler), std::move(options));
    std::vector<SocketAddress> addresses;
    for (const std::string& host : hosts) {
        ResolveOptions passive;
        passive.passive = true;
        for (SocketAddress& address : co_await getaddrinfo(host, port, passive)) {
            addresses.push_back(std::move(address));
        }
    }
    if (addresses.empty()) {
        throw ValueError("start_server() needs a host; \"\" means all of this machine");
    }
    for (int attempt = 1; state->sockets().empty(); ++attempt) {
        bind_all(*state, addresses, attempt == most_port_attempts);
    }
    state->begin();
    co_return Server(state);
}

Coro<Server> start_unix_server(ClientHandler handler, std::string path, ServerOptions options) {
    const auto state =
        std::make_shared<detail::ServerState>(std::move(handler), std::move(options));
    state->bind(detail::unix_endpoint(path));
    state->begin();
    co_return Server(state);
}

} // namespace muster
