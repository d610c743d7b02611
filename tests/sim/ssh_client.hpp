#pragma once
// A plain blocking SSH client on libssh: another implementation than the one under test elsewhere.

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

struct ssh_session_struct;
struct ssh_channel_struct;
struct ssh_key_struct;

/// Every failure, with libssh's words; no operation takes longer than ten seconds.
class SshFailure : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

class SshKey {
public:
    static SshKey generate();

    [[nodiscard]] std::string public_line() const;

    [[nodiscard]] ssh_key_struct* get() const { return key_.get(); }

private:
    std::shared_ptr<ssh_key_struct> key_;
};

class SshClient {
public:
    /// Connects and exchanges keys.
    SshClient(const std::string& host, std::uint16_t port);
    ~SshClient();
    SshClient(const SshClient&) = delete;
    SshClient& operator=(const SshClient&) = delete;

    [[nodiscard]] std::string fingerprint() const;

    /// "ok", "changed" or "unknown", judged by libssh from a known_hosts text.
    [[nodiscard]] std::string judge_host(const std::string& known_hosts) const;

    bool login(const std::string& user = "admin", const std::string& password = "admin");
    bool login(const std::string& user, const SshKey& key);

    /// A shell on a terminal of this size.
    void open_shell(int width = 511, int height = 1000);

    void send(std::string_view text);

    /// Everything up to and including `end`.
    std::string read_until(std::string_view end);

    /// Everything until the peer closes the channel or the connection.
    std::string read_all();

    /// Sends the line and reads up to `prompt`.
    std::string ask(const std::string& line, std::string_view prompt);

    struct Ran {
        std::string output;
        int status;
    };

    /// nullopt: the peer refuses the channel.
    std::optional<Ran> run(const std::string& command);

    [[nodiscard]] bool connected() const;

private:
    struct Free {
        void operator()(ssh_session_struct* session) const;
    };

    std::string read_some(ssh_channel_struct* channel, bool& ended);

    std::unique_ptr<ssh_session_struct, Free> session_;
    ssh_channel_struct* shell_ = nullptr;
    std::string unread_;
};
