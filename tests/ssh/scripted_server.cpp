#include "scripted_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <utility>

ScriptedServer::ScriptedServer(Script script) : script_(std::move(script)), bind_(ssh_bind_new()) {
    ssh_key key = nullptr;
    const bool no_config = false;
    if (ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) != SSH_OK ||
        ssh_bind_options_set(bind_, SSH_BIND_OPTIONS_PROCESS_CONFIG, &no_config) != SSH_OK ||
        ssh_bind_options_set(bind_, SSH_BIND_OPTIONS_IMPORT_KEY, key) != SSH_OK) {
        throw std::runtime_error("libssh cannot make a server");
    }
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, generic, length) != 0 || ::listen(listener_, 8) != 0 ||
        ::getsockname(listener_, generic, &length) != 0) {
        throw std::runtime_error("cannot listen on 127.0.0.1");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
}

ScriptedServer::~ScriptedServer() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    ssh_bind_free(bind_);
}

void ScriptedServer::serve() {
    while (!stopping_) {
        const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (connection < 0) {
            return;
        }
        ssh_session session = ssh_new();
        const bool no_config = false;
        ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &no_config);
        const long patience = 10;
        ssh_options_set(session, SSH_OPTIONS_TIMEOUT, &patience);
        if (ssh_bind_accept_fd(bind_, session, connection) == SSH_OK &&
            ssh_handle_key_exchange(session) == SSH_OK) {
            script_(session);
        }
        ssh_disconnect(session);
        ssh_free(session);
    }
}

namespace {

/// Answers requests until `wanted` says that one was what it waited for.
template <class Wanted>
void answer_until(ssh_session session, Wanted wanted) {
    while (ssh_message message = ssh_message_get(session)) {
        const bool done = wanted(message);
        ssh_message_free(message);
        if (done) {
            return;
        }
    }
}

} // namespace

void accept_login(ssh_session session) {
    answer_until(session, [](ssh_message message) {
        if (ssh_message_type(message) == SSH_REQUEST_AUTH) {
            ssh_message_auth_reply_success(message, 0);
            return true;
        }
        ssh_message_reply_default(message);
        return false;
    });
}

ssh_channel accept_command(ssh_session session, std::string* command) {
    ssh_channel channel = nullptr;
    answer_until(session, [&](ssh_message message) {
        const int type = ssh_message_type(message);
        if (type == SSH_REQUEST_CHANNEL_OPEN) {
            channel = ssh_message_channel_request_open_reply_accept(message);
            return false;
        }
        if (type == SSH_REQUEST_CHANNEL &&
            ssh_message_subtype(message) == SSH_CHANNEL_REQUEST_EXEC) {
            if (command != nullptr) {
                *command = ssh_message_channel_request_command(message);
            }
            ssh_message_channel_request_reply_success(message);
            return true;
        }
        ssh_message_reply_default(message);
        return false;
    });
    return channel;
}
