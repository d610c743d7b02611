#pragma once
/// An SSH server that does what a test wants, on libssh: for what neither sshd nor the virtual
/// devices do.

#include <libssh/libssh.h>
#include <libssh/server.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

/// Serves one connection after the other on a thread of its own.
class ScriptedServer {
public:
    /// Is called for each connection once the keys are exchanged; the connection ends with it.
    using Script = std::function<void(ssh_session session)>;

    explicit ScriptedServer(Script script);
    ScriptedServer(const ScriptedServer&) = delete;
    ScriptedServer& operator=(const ScriptedServer&) = delete;
    ~ScriptedServer();

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

private:
    void serve();

    Script script_;
    ssh_bind bind_;
    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::atomic<bool> stopping_ = false;
    std::thread thread_;
};

/// Lets in whoever comes with method "none".
void accept_login(ssh_session session);

/// Takes a session channel and the exec request on it; the command.
ssh_channel accept_command(ssh_session session, std::string* command = nullptr);
