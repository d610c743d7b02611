#pragma once
/// OpenSSH's server for tests: started per connection on a socket of ours, so that it needs no port
/// of its own, no root and no system configuration.

#include "process.hpp"
#include "temp_folder.hpp"

#include <atomic>
#include <csignal>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

/// sshd's files: host keys, a user key of each kind, authorized_keys, configuration.
class Sshd {
public:
    /// `more` is added to the configuration. Host keys: the types ssh-keygen knows.
    explicit Sshd(const std::string& more = {},
                  const std::vector<std::string>& host_key_types = {"ed25519"});
    Sshd(const Sshd&) = delete;
    Sshd& operator=(const Sshd&) = delete;
    ~Sshd();

    /// Whether the machine has an sshd; where not, these tests say so and pass.
    static bool available();

    /// Serves one connection; the descriptor is taken over.
    void serve(int socket);

    /// Listens on a free port of 127.0.0.1 and serves every connection from now on.
    std::uint16_t listen();

    /// Sends a signal to every process that serves a connection.
    void kill_sessions(int signal = SIGKILL);

    /// Waits until every process that served a connection has ended.
    void wait_for_sessions();

    /// The user that may log in: the one who runs the test.
    [[nodiscard]] const std::string& user() const noexcept { return user_; }

    /// The file of a private key ("ed25519", "ecdsa", "rsa") that may log in.
    [[nodiscard]] std::string user_key(const std::string& type = "ed25519");

    /// "ssh-ed25519 AAAA...": the public half of a host key.
    [[nodiscard]] std::string host_key(const std::string& type = "ed25519") const;

    [[nodiscard]] const std::string& folder() const noexcept { return folder_.path(); }

    /// What the servers have written to their logs.
    [[nodiscard]] std::string log() const;

private:
    void accept_loop();

    TempFolder folder_;
    std::string user_;
    std::string program_;
    mutable std::mutex mutex_;
    std::vector<pid_t> sessions_;
    std::atomic<int> listener_{-1};
    std::thread thread_;
};

/// The text of a file.
std::string read_text(const std::string& path);
void write_text(const std::string& path, const std::string& text);
