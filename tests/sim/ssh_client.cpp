#include "ssh_client.hpp"

#include <libssh/libssh.h>

#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <utility>

namespace {

constexpr long patience_seconds = 10;
constexpr int patience_ms = 10'000;

} // namespace

SshKey SshKey::generate() {
    ssh_key key = nullptr;
    if (ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) != SSH_OK) {
        throw SshFailure("can't generate a key");
    }
    SshKey result;
    result.key_ = {key, ssh_key_free};
    return result;
}

std::string SshKey::public_line() const {
    char* base64 = nullptr;
    ssh_pki_export_pubkey_base64(key_.get(), &base64);
    std::string line = std::string("ssh-ed25519 ") + base64 + " someone@somewhere";
    ssh_string_free_char(base64);
    return line;
}

void SshClient::Free::operator()(ssh_session_struct* session) const { ssh_free(session); }

SshClient::SshClient(const std::string& host, std::uint16_t port) : session_(ssh_new()) {
    auto* session = session_.get();
    const bool no = false;
    const unsigned number = port;
    ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &no);
    ssh_options_set(session, SSH_OPTIONS_HOST, host.c_str());
    ssh_options_set(session, SSH_OPTIONS_PORT, &number);
    const int no_delay = 1;
    ssh_options_set(session, SSH_OPTIONS_NODELAY, &no_delay);
    ssh_options_set(session, SSH_OPTIONS_TIMEOUT, &patience_seconds);
    ssh_options_set(session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null");
    if (ssh_connect(session) != SSH_OK) {
        throw SshFailure(ssh_get_error(session));
    }
}

SshClient::~SshClient() { ssh_disconnect(session_.get()); }

std::string SshClient::fingerprint() const {
    ssh_key key = nullptr;
    unsigned char* hash = nullptr;
    std::size_t size = 0;
    ssh_get_server_publickey(session_.get(), &key);
    ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &size);
    char* text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size);
    std::string result = text;
    ssh_string_free_char(text);
    ssh_clean_pubkey_hash(&hash);
    ssh_key_free(key);
    return result;
}

std::string SshClient::judge_host(const std::string& known_hosts) const {
    std::array<char, 32> name{"/tmp/muster-test-XXXXXX"};
    const int file = ::mkstemp(name.data());
    ::close(file);
    std::ofstream(name.data()) << known_hosts;
    ssh_options_set(session_.get(), SSH_OPTIONS_KNOWNHOSTS, name.data());
    const auto verdict = ssh_session_is_known_server(session_.get());
    std::remove(name.data());
    switch (verdict) {
    case SSH_KNOWN_HOSTS_OK:
        return "ok";
    case SSH_KNOWN_HOSTS_CHANGED:
        return "changed";
    default:
        return "unknown";
    }
}

bool SshClient::login(const std::string& user, const std::string& password) {
    return ssh_userauth_password(session_.get(), user.c_str(), password.c_str()) ==
           SSH_AUTH_SUCCESS;
}

bool SshClient::login(const std::string& user, const SshKey& key) {
    return ssh_userauth_publickey(session_.get(), user.c_str(), key.get()) == SSH_AUTH_SUCCESS;
}

void SshClient::open_shell(int width, int height) {
    shell_ = ssh_channel_new(session_.get());
    if (ssh_channel_open_session(shell_) != SSH_OK ||
        ssh_channel_request_pty_size(shell_, "vt100", width, height) != SSH_OK ||
        ssh_channel_request_shell(shell_) != SSH_OK) {
        throw SshFailure(ssh_get_error(session_.get()));
    }
}

void SshClient::send(std::string_view text) {
    if (ssh_channel_write(shell_, text.data(), static_cast<std::uint32_t>(text.size())) < 0) {
        throw SshFailure(ssh_get_error(session_.get()));
    }
}

std::string SshClient::read_some(ssh_channel_struct* channel, bool& ended) {
    std::array<char, 4096> buffer;
    const int size =
        ssh_channel_read_timeout(channel, buffer.data(), buffer.size(), 0, patience_ms);
    ended = size < 0 || (size == 0 && ssh_channel_is_eof(channel) != 0);
    if (size == 0 && !ended) {
        throw SshFailure("nothing came in time");
    }
    return {buffer.data(), static_cast<std::size_t>(size > 0 ? size : 0)};
}

std::string SshClient::read_until(std::string_view end) {
    for (;;) {
        if (const auto at = unread_.find(end); at != std::string::npos) {
            auto text = unread_.substr(0, at + end.size());
            unread_.erase(0, text.size());
            return text;
        }
        bool ended = false;
        unread_ += read_some(shell_, ended);
        if (ended) {
            throw SshFailure("the peer closed; before that it said: " + unread_);
        }
    }
}

std::string SshClient::read_all() {
    bool ended = false;
    while (!ended) {
        unread_ += read_some(shell_, ended);
    }
    return std::exchange(unread_, {});
}

std::string SshClient::ask(const std::string& line, std::string_view prompt) {
    send(line + "\n");
    return read_until(std::string("\r\n") + std::string(prompt));
}

namespace {

// libssh 0.11 has a new function for it, and warns of the old one.
int exit_status(ssh_channel channel) {
#if LIBSSH_VERSION_INT >= SSH_VERSION_INT(0, 11, 0)
    std::uint32_t status = 0;
    return ssh_channel_get_exit_state(channel, &status, nullptr, nullptr) == SSH_OK
               ? static_cast<int>(status)
               : -1;
#else
    return ssh_channel_get_exit_status(channel);
#endif
}

} // namespace

std::optional<SshClient::Ran> SshClient::run(const std::string& command) {
    auto* channel = ssh_channel_new(session_.get());
    if (ssh_channel_open_session(channel) != SSH_OK ||
        ssh_channel_request_exec(channel, command.c_str()) != SSH_OK) {
        ssh_channel_free(channel);
        return std::nullopt;
    }
    Ran result{};
    bool ended = false;
    while (!ended) {
        result.output += read_some(channel, ended);
    }
    result.status = exit_status(channel);
    ssh_channel_free(channel);
    return result;
}

bool SshClient::connected() const { return ssh_is_connected(session_.get()) != 0; }
