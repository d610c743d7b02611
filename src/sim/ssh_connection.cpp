#include "ssh_connection.hpp"

#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

namespace muster::sim {

namespace asio = boost::asio;
using asio::ip::tcp;
using muster::detail::Descriptor;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view version_line = "SSH-2.0-Cisco-1.25\r\n";
constexpr int password_attempts = 3;
constexpr std::size_t write_size = 16384;

// How long a client may take to notice that the device has ended the connection.
constexpr auto farewell = 2s;

} // namespace

SshConnection::SshConnection(SshServer& server, VirtualDevice& device, HostKey& key,
                             tcp::socket socket)
    : server_(server), device_(device), key_(key), io_(server.io_), timer_(io_) {
    socket.native_non_blocking(true);
    socket_ = Descriptor(socket.release());
    watch(io_, socket_.get());
    set_waiting(true);
}

SshConnection::~SshConnection() { destroy(); }

void SshConnection::start() {
    if (device_.spec.fault.one_session && device_.sessions > 1) {
        fail(Failure::close);
        return;
    }
    if (fails_after(Step::accept)) {
        return;
    }
    after(device_.spec.latency.connect, &SshConnection::begin);
}

void SshConnection::begin() {
    const int on = 1;
    ::setsockopt(descriptor(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const auto& fault = device_.spec.fault;
    // Before the version line there is nothing libssh is needed for; without it no byte more goes
    // out than the fault allows.
    if (fault.garbage_banner) {
        constexpr std::string_view garbage =
            "\x7f\x45\x4c\x46 220 not an SSH server\r\n\x01\x02\r\n";
        ::send(descriptor(), garbage.data(), garbage.size(), MSG_NOSIGNAL);
        fail(Failure::close);
        return;
    }
    if (fault.failure != Failure::none && fault.after == Step::banner) {
        ::send(descriptor(), version_line.data(), version_line.size(), MSG_NOSIGNAL);
        fail(fault.failure);
        return;
    }
    session_ = ssh_new();
    if (session_ == nullptr || ssh_bind_accept_fd(key_.bind(), session_, socket_.get()) != SSH_OK) {
        finish();
        return;
    }
    static_cast<void>(socket_.release());
    const std::string& methods = device_.spec.key_exchange;
    if (!methods.empty() &&
        ssh_options_set(session_, SSH_OPTIONS_KEY_EXCHANGE, methods.c_str()) != SSH_OK) {
        finish();
        return;
    }
    ssh_set_blocking(session_, 0);
    set_callbacks();
    phase_ = Phase::key_exchange;
    negotiate();
}

void SshConnection::negotiate() {
    const int result = ssh_handle_key_exchange(session_);
    if (result == SSH_AGAIN) {
        arm();
    } else if (result != SSH_OK) {
        finish();
    } else if (!fails_after(Step::key_exchange)) {
        phase_ = Phase::waiting;
        after(device_.spec.latency.authenticate, &SshConnection::enter);
    }
}

void SshConnection::enter() {
    event_ = ssh_event_new();
    if (event_ == nullptr || ssh_event_add_session(event_, session_) != SSH_OK) {
        finish();
        return;
    }
    phase_ = Phase::open;
    poll();
}

void SshConnection::poll() {
    // A round reads a few KB; more rounds than this would be unfair to the other sessions.
    for (int round = 0; round < 8 && phase_ == Phase::open; ++round) {
        const int result = ssh_event_dopoll(event_, 0);
        const int closed = SSH_CLOSED | SSH_CLOSED_ERROR;
        if (result == SSH_ERROR || (ssh_get_status(session_) & closed) != 0) {
            finish();
            return;
        }
        turn();
        if (result == SSH_AGAIN) {
            break;
        }
    }
    if (phase_ == Phase::open) {
        arm();
    }
}

// Acts on what libssh's callbacks have noted: inside them nothing may be sent.
void SshConnection::turn() {
    if (phase_ != Phase::open || std::exchange(turning_, true)) {
        return;
    }
    if (refused_ >= password_attempts) {
        closing_ = true;
    }
    if (authenticated_ && !std::exchange(entered_, true)) {
        ++device_.logins;
        // A device that hangs now still opens channels, but no session ever starts on them.
        const auto& fault = device_.spec.fault;
        const bool fails = fault.after == Step::authentication;
        mute_ = fails && fault.failure == Failure::hang;
        ending_ = fails && !mute_ ? fault.failure : ending_;
    }
    for (auto& channel : channels_) {
        if (phase_ == Phase::open && !channel.ended) {
            start_channel(channel);
            if (channel.terminal && !channel.received.empty()) {
                channel.terminal->input(std::exchange(channel.received, {}));
            }
            pump(channel);
        }
    }
    turning_ = false;
    if (phase_ != Phase::open) {
        return;
    }
    std::erase_if(channels_, [](Channel& channel) {
        if (channel.ended) {
            ssh_remove_channel_callbacks(channel.handle, &channel.callbacks);
            ssh_channel_free(channel.handle);
        }
        return channel.ended;
    });
    const bool sent = (ssh_get_poll_flags(session_) & SSH_WRITE_PENDING) == 0;
    if (ending_ != Failure::none && sent) {
        fail(ending_);
    } else if (closing_ && sent) {
        say_goodbye();
    } else if (!sent) {
        arm();
    }
}

void SshConnection::start_channel(Channel& channel) {
    if (channel.started || mute_ || (!channel.wants_shell && !channel.wants_exec)) {
        return;
    }
    channel.started = true;
    // The terminal may be at work on the call stack: what it has to say is sent after that.
    auto pump_later = [this, weak = weak_from_this()] {
        if (turning_) {
            return;
        }
        asio::post(io_, [weak] {
            if (const auto self = weak.lock()) {
                self->turn();
            }
        });
    };
    channel.terminal =
        std::make_unique<Terminal>(server_.io_, device_, server_.delays_, std::move(pump_later));
    channel.terminal->resize(channel.width, channel.height);
    if (channel.wants_shell) {
        channel.terminal->open();
    } else {
        channel.terminal->run(channel.command);
    }
}

void SshConnection::pump(Channel& channel) {
    if (!channel.terminal) {
        return;
    }
    while (channel.terminal->has_output()) {
        const auto window = ssh_channel_window_size(channel.handle);
        const auto text = channel.terminal->take(std::min<std::size_t>(window, write_size));
        if (text.empty()) {
            return;
        }
        const auto size = static_cast<std::uint32_t>(text.size());
        const int written = ssh_channel_write(channel.handle, text.data(), size);
        if (written < 0) {
            channel.ended = true;
            return;
        }
        if (static_cast<std::size_t>(written) < text.size()) {
            channel.terminal->put_back(text.substr(static_cast<std::size_t>(written)));
            return;
        }
    }
    if (const auto failure = channel.terminal->failure(); failure != Failure::none) {
        ending_ = failure == Failure::hang ? ending_ : failure;
        return;
    }
    if (channel.terminal->closed()) {
        end_channel(channel);
    }
}

void SshConnection::end_channel(Channel& channel) {
    // A router hangs up when its command line ends. Noted first: libssh may read, and serve, the
    // client's next request while it writes these.
    closing_ = closing_ || channel.wants_shell || device_.spec.fault.exec_once;
    channel.ended = true;
    if (channel.wants_exec) {
        ssh_channel_request_send_exit_status(channel.handle, 0);
    }
    ssh_channel_send_eof(channel.handle);
    ssh_channel_close(channel.handle);
}

void SshConnection::say_goodbye() {
    // Closing at once would reset the connection if the client's last words are on their way.
    ::shutdown(descriptor(), SHUT_WR);
    go_silent();
    after(farewell, &SshConnection::finish);
}

void SshConnection::throw_away() {
    std::array<char, 4096> buffer;
    for (;;) {
        const auto size = ::recv(descriptor(), buffer.data(), buffer.size(), 0);
        if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) {
            finish();
            return;
        }
        if (size < 0 && errno == EAGAIN) {
            return;
        }
    }
}

void SshConnection::go_silent() {
    timer_.cancel();
    phase_ = Phase::silent;
    arm();
}

bool SshConnection::fails_after(Step step) {
    const auto& fault = device_.spec.fault;
    if (fault.failure == Failure::none || fault.after != step) {
        return false;
    }
    fail(fault.failure);
    return true;
}

void SshConnection::fail(Failure failure) {
    if (failure == Failure::hang) {
        go_silent();
        return;
    }
    if (failure == Failure::reset) {
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    finish();
}

void SshConnection::finish() {
    // Not at once: the terminal which failed may be on the call stack.
    if (phase_ != Phase::dead) {
        phase_ = Phase::dead;
        asio::post(io_, [self = shared_from_this()] {
            self->server_.forget(*self);
            self->destroy();
        });
    }
}

void SshConnection::destroy() {
    phase_ = Phase::dead;
    timer_.cancel();
    if (event_ != nullptr) {
        ssh_event_remove_session(event_, session_);
        ssh_event_free(std::exchange(event_, nullptr));
    }
    unwatch();
    ssh_free(std::exchange(session_, nullptr)); // closes its descriptor
    socket_.close();
    channels_.clear();
}

// The peer may have gone, and libssh have closed the descriptor: negative then.
int SshConnection::descriptor() const {
    return session_ != nullptr ? static_cast<int>(ssh_get_fd(session_)) : socket_.get();
}

void SshConnection::on_edge(std::uint32_t /*events*/) { ready(); }

// Has the connection looked after again. An edge tells what has come, not what is left: libssh
// reads a few KB and writes once each time.
void SshConnection::arm() {
    if (looking_ || descriptor() < 0 || phase_ == Phase::waiting || phase_ == Phase::dead) {
        return;
    }
    pollfd now{.fd = descriptor(), .events = POLLIN, .revents = 0};
    if (phase_ != Phase::silent && (ssh_get_poll_flags(session_) & SSH_WRITE_PENDING) != 0) {
        now.events |= POLLOUT;
        watch_writing();
    }
    if (::poll(&now, 1, 0) > 0) {
        looking_ = true;
        asio::post(io_, [self = shared_from_this()] {
            self->looking_ = false;
            self->ready();
        });
    }
}

void SshConnection::ready() {
    switch (phase_) {
    case Phase::key_exchange:
        negotiate();
        break;
    case Phase::open:
        poll();
        break;
    case Phase::silent:
        throw_away();
        break;
    case Phase::waiting:
    case Phase::dead:
        break;
    }
}

void SshConnection::after(std::chrono::milliseconds delay, void (SshConnection::*then)()) {
    const auto wait = server_.delays_.draw(delay, device_.spec.latency);
    if (wait.count() == 0) {
        (this->*then)();
        return;
    }
    timer_.expires_after(wait);
    timer_.async_wait([self = shared_from_this(), then](boost::system::error_code error) {
        if (!error && self->phase_ != Phase::dead) {
            (*self.*then)();
        }
    });
}

int SshConnection::deny() {
    ++device_.refused_logins;
    return SSH_AUTH_DENIED;
}

int SshConnection::check_password(const char* user, const char* password) {
    const auto& spec = device_.spec;
    if (refused_ >= password_attempts) {
        return SSH_AUTH_DENIED;
    }
    if (spec.fault.reject_login || user != spec.username || password != spec.password.reveal()) {
        ++refused_;
        return deny();
    }
    authenticated_ = true;
    return SSH_AUTH_SUCCESS;
}

int SshConnection::check_key(const char* user, ssh_key key, char state) {
    const auto& spec = device_.spec;
    if (spec.fault.reject_login || user != spec.username ||
        !server_.authorized_keys_.contains(key)) {
        return deny();
    }
    // Called twice: for the offer of a key, and with the signature's verdict.
    if (state == SSH_PUBLICKEY_STATE_VALID) {
        authenticated_ = true;
    } else if (state != SSH_PUBLICKEY_STATE_NONE) {
        return deny();
    }
    return SSH_AUTH_SUCCESS;
}

ssh_channel SshConnection::open_channel() {
    if (closing_ || ending_ != Failure::none) {
        return nullptr;
    }
    auto& channel = channels_.emplace_back();
    channel.owner = this;
    channel.handle = ssh_channel_new(session_);
    if (channel.handle == nullptr) {
        channels_.pop_back();
        return nullptr;
    }
    auto& calls = channel.callbacks;
    ssh_callbacks_init(&calls);
    calls.userdata = &channel;
    calls.channel_pty_request_function = [](ssh_session, ssh_channel, const char*, int width,
                                            int height, int, int, void* data) {
        auto& self = *static_cast<Channel*>(data);
        self.width = width;
        self.height = height;
        return 0;
    };
    calls.channel_pty_window_change_function = [](ssh_session, ssh_channel, int width, int height,
                                                  int, int, void* data) {
        if (auto& self = *static_cast<Channel*>(data); self.terminal) {
            self.terminal->resize(width, height);
        }
        return 0;
    };
    calls.channel_env_request_function = [](ssh_session, ssh_channel, const char*, const char*,
                                            void*) { return 0; };
    calls.channel_shell_request_function = [](ssh_session, ssh_channel, void* data) {
        auto& self = *static_cast<Channel*>(data);
        self.wants_shell = !self.owner->device_.spec.fault.no_shell && !self.wants_exec;
        return self.wants_shell ? 0 : 1;
    };
    calls.channel_exec_request_function = [](ssh_session, ssh_channel, const char* command,
                                             void* data) {
        auto& self = *static_cast<Channel*>(data);
        self.command = command;
        self.wants_exec = !self.wants_shell;
        return self.wants_exec ? 0 : 1;
    };
    calls.channel_data_function = [](ssh_session, ssh_channel, void* bytes, std::uint32_t size, int,
                                     void* data) {
        static_cast<Channel*>(data)->received.append(static_cast<const char*>(bytes), size);
        return static_cast<int>(size);
    };
    calls.channel_close_function = [](ssh_session, ssh_channel, void* data) {
        static_cast<Channel*>(data)->ended = true;
    };
    ssh_set_channel_callbacks(channel.handle, &calls);
    return channel.handle;
}

void SshConnection::set_callbacks() {
    ssh_callbacks_init(&callbacks_);
    callbacks_.userdata = this;
    callbacks_.auth_password_function = [](ssh_session, const char* user, const char* password,
                                           void* self) {
        return static_cast<SshConnection*>(self)->check_password(user, password);
    };
    callbacks_.auth_pubkey_function = [](ssh_session, const char* user, ssh_key key, char state,
                                         void* self) {
        return static_cast<SshConnection*>(self)->check_key(user, key, state);
    };
    callbacks_.channel_open_request_session_function = [](ssh_session, void* self) {
        return static_cast<SshConnection*>(self)->open_channel();
    };
    ssh_set_server_callbacks(session_, &callbacks_);
    ssh_set_auth_methods(session_, SSH_AUTH_METHOD_PASSWORD | SSH_AUTH_METHOD_PUBLICKEY);
}

} // namespace muster::sim
