#pragma once
// One SSH connection: libssh on a non-blocking socket, driven by the reactor's edges.

#include "net/descriptor.hpp"
#include "net/reactor.hpp"
#include "ssh_server.hpp"
#include "terminal.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <string>

namespace muster::sim {

class SshConnection final : public std::enable_shared_from_this<SshConnection>,
                            private muster::detail::Watch {
public:
    /// Throws Error when the system has no room to wait for it.
    SshConnection(SshServer& server, VirtualDevice& device, HostKey& key,
                  boost::asio::ip::tcp::socket socket);
    ~SshConnection();
    SshConnection(const SshConnection&) = delete;
    SshConnection& operator=(const SshConnection&) = delete;

    void start();

    /// Ends it at once.
    void destroy();

private:
    enum class Phase {
        waiting,      // a delay of the device's
        key_exchange, // libssh negotiates
        open,         // authentication and channels
        silent,       // hangs, or waits for the peer to go: what comes in is thrown away
        dead,
    };

    // What one session channel of the client is for, and what has come in on it.
    struct Channel {
        ssh_channel handle = nullptr;
        ssh_channel_callbacks_struct callbacks{};
        std::unique_ptr<Terminal> terminal;
        std::string command;
        std::string received;
        int width = 0;
        int height = 0;
        bool wants_shell = false;
        bool wants_exec = false;
        bool started = false;
        bool ended = false; // closed by the client, or by us
        SshConnection* owner = nullptr;
    };

    void begin();
    void negotiate();
    void enter();
    void poll();
    void turn();
    void start_channel(Channel& channel);
    void pump(Channel& channel);
    void end_channel(Channel& channel);
    void say_goodbye();
    void throw_away();
    void go_silent();
    void fail(Failure failure);
    bool fails_after(Step step);
    void finish();
    void on_edge(std::uint32_t events) override;
    [[nodiscard]] int descriptor() const;
    void arm();
    void ready();
    void after(std::chrono::milliseconds delay, void (SshConnection::*then)());

    int check_password(const char* user, const char* password);
    int check_key(const char* user, ssh_key key, char state);
    int deny();
    ssh_channel open_channel();
    void set_callbacks();

    SshServer& server_;
    VirtualDevice& device_;
    HostKey& key_;
    boost::asio::io_context& io_;
    muster::detail::Descriptor socket_; // libssh's, once there is a session
    boost::asio::steady_timer timer_;
    ssh_session session_ = nullptr;
    ssh_event event_ = nullptr;
    ssh_server_callbacks_struct callbacks_{};
    std::list<Channel> channels_;
    Phase phase_ = Phase::waiting;
    int refused_ = 0; // passwords; a client may offer any number of keys
    bool authenticated_ = false;
    bool entered_ = false; // the user's arrival has been acted on
    bool mute_ = false;    // hangs after the login
    bool closing_ = false;
    Failure ending_ = Failure::none; // how to end once everything is sent
    bool looking_ = false;           // again, soon
    bool turning_ = false;
};

} // namespace muster::sim
