// libssh2 on non-blocking sockets of its own and one epoll loop, as it can be written by hand.

#include "ssh/load.hpp"

#include <muster/net/descriptor_limit.hpp>

#include <libssh2.h>
#include <openssl/evp.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

namespace {

constexpr std::string_view method_names[] = {"curve25519-sha256", "aes128-ctr", "hmac-sha2-256"};

EVP_PKEY* signing_key() {
    static const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr,
                                     reinterpret_cast<const unsigned char*>(user_key().raw.data()),
                                     user_key().raw.size()),
        EVP_PKEY_free);
    return key.get();
}

int sign(LIBSSH2_SESSION* /*session*/, unsigned char** signature, std::size_t* length,
         const unsigned char* data, std::size_t data_length, void** /*abstract*/) {
    constexpr std::size_t size = 64;
    static EVP_MD_CTX* const context = EVP_MD_CTX_new();
    auto* memory = static_cast<unsigned char*>(std::malloc(size));
    *length = size;
    *signature = memory; // libssh2 frees it
    EVP_MD_CTX_reset(context);
    return EVP_DigestSignInit(context, nullptr, nullptr, nullptr, signing_key()) == 1 &&
                   EVP_DigestSign(context, memory, length, data, data_length) == 1
               ? 0
               : -1;
}

/// One session, and how far it has come.
class Session {
public:
    Session(const SessionLoad& load, std::size_t number, int set, bool hold)
        : load_(load), device_(load.fleet.device(number)), hold_(hold) {
        const int on = 1;
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(device_.port);
        ::inet_pton(AF_INET, device_.host.c_str(), &address.sin_addr);
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLET;
        event.data.ptr = this;
        ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if ((::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 &&
             errno != EINPROGRESS) ||
            ::epoll_ctl(set, EPOLL_CTL_ADD, socket_, &event) != 0) {
            throw std::runtime_error("cannot connect");
        }
    }

    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    ~Session() {
        if (session_ != nullptr) {
            libssh2_session_free(session_);
        }
        ::close(socket_);
    }

    /// Goes on as far as it can: until it has to wait, or is where it shall be.
    void go_on() {
        int code = 0;
        while (!there_ && (code = step()) != LIBSSH2_ERROR_EAGAIN) {
            if (code < 0) {
                char* message = nullptr;
                libssh2_session_last_error(session_, &message, nullptr, 0);
                throw std::runtime_error(message);
            }
        }
    }

    /// Logged in, for one that is held; else it has ended.
    [[nodiscard]] bool there() const noexcept { return there_; }

private:
    enum class Stage : std::uint8_t {
        connect,
        handshake,
        login,
        open,
        execute,
        read,
        close,
        wait_closed,
        disconnect,
    };

    int step() {
        switch (stage_) {
        case Stage::connect:
            return connected();
        case Stage::handshake:
            return next(libssh2_session_handshake(session_, socket_), Stage::login);
        case Stage::login:
            return log_in();
        case Stage::open:
            channel_ = libssh2_channel_open_session(session_);
            return next(channel_ == nullptr ? libssh2_session_last_errno(session_) : 0,
                        Stage::execute);
        case Stage::execute:
            return next(libssh2_channel_exec(channel_, session_command), Stage::read);
        case Stage::read:
            return read();
        case Stage::close:
            return next(libssh2_channel_close(channel_), Stage::wait_closed);
        case Stage::wait_closed:
            return wait_closed();
        case Stage::disconnect:
            break;
        }
        const int code = libssh2_session_disconnect(session_, "done");
        there_ = code == 0;
        return code;
    }

    int next(int code, Stage stage) {
        if (code == 0) {
            stage_ = stage;
        }
        return code;
    }

    int connected() {
        int error = 0;
        socklen_t size = sizeof error;
        sockaddr_in peer{};
        socklen_t peer_size = sizeof peer;
        ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            throw std::runtime_error("cannot connect");
        }
        if (::getpeername(socket_, reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0) {
            return LIBSSH2_ERROR_EAGAIN;
        }
        session_ = libssh2_session_init();
        libssh2_session_set_blocking(session_, 0);
        std::string exchanges(method_names[0]);
        if (load_.slow) {
            exchanges += ",diffie-hellman-group16-sha512";
        }
        const auto prefer = [this](int kind, const std::string& names) {
            if (libssh2_session_method_pref(session_, kind, names.c_str()) != 0) {
                throw std::runtime_error("libssh2 lacks " + names);
            }
        };
        prefer(LIBSSH2_METHOD_KEX, exchanges);
        prefer(LIBSSH2_METHOD_CRYPT_CS, std::string(method_names[1]));
        prefer(LIBSSH2_METHOD_CRYPT_SC, std::string(method_names[1]));
        prefer(LIBSSH2_METHOD_MAC_CS, std::string(method_names[2]));
        prefer(LIBSSH2_METHOD_MAC_SC, std::string(method_names[2]));
        return next(0, Stage::handshake);
    }

    int log_in() {
        constexpr std::string_view user = user_name;
        constexpr std::string_view password = user_password;
        if (!trusted_) {
            std::size_t size = 0;
            int type = 0;
            const char* key = libssh2_session_hostkey(session_, &size, &type);
            if (std::string_view(key, size) != device_.host_key) {
                throw std::runtime_error("another host key");
            }
            trusted_ = true;
        }
        const std::string& blob = user_key().blob;
        void* nothing = nullptr;
        const int code =
            load_.login == Login::password
                ? libssh2_userauth_password_ex(session_, user.data(), user.size(), password.data(),
                                               password.size(), nullptr)
                : libssh2_userauth_publickey(session_, user.data(),
                                             reinterpret_cast<const unsigned char*>(blob.data()),
                                             blob.size(), &sign, &nothing);
        there_ = code == 0 && hold_;
        return next(code, Stage::open);
    }

    int read() {
        static std::array<char, 32768> buffer;
        const auto got = libssh2_channel_read(channel_, buffer.data(), buffer.size());
        if (got > 0) {
            received_ += static_cast<std::size_t>(got);
            return 0;
        }
        return got < 0 || libssh2_channel_eof(channel_) == 0 ? static_cast<int>(got)
                                                             : next(0, Stage::close);
    }

    int wait_closed() {
        const int code = libssh2_channel_wait_closed(channel_);
        if (code == 0) {
            if (received_ < session_output || libssh2_channel_get_exit_status(channel_) != 0) {
                throw std::runtime_error("a command has failed");
            }
            libssh2_channel_free(channel_);
        }
        return next(code, Stage::disconnect);
    }

    const SessionLoad& load_;
    const Fleet::Device& device_;
    int socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    LIBSSH2_SESSION* session_ = nullptr;
    LIBSSH2_CHANNEL* channel_ = nullptr;
    std::size_t received_ = 0;
    Stage stage_ = Stage::connect;
    bool trusted_ = false;
    bool hold_;
    bool there_ = false;
};

class Loop {
public:
    explicit Loop(const SessionLoad& load) : load_(load) { libssh2_init(0); }

    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    ~Loop() { ::close(set_); }

    /// To the end of each session, or until all are open.
    void run(bool hold) {
        std::size_t started = 0;
        std::size_t there = 0;
        std::array<epoll_event, 256> events{};
        while (there < load_.sessions) {
            for (; started < load_.sessions && started - there < load_.at_once; ++started) {
                auto session = std::make_unique<Session>(load_, started, set_, hold);
                if (hold) {
                    held_.push_back(std::move(session));
                } else {
                    static_cast<void>(session.release());
                }
            }
            const int count =
                ::epoll_wait(set_, events.data(), static_cast<int>(events.size()), -1);
            for (int i = 0; i < count; ++i) {
                auto* session = static_cast<Session*>(events[static_cast<std::size_t>(i)].data.ptr);
                if (session->there()) {
                    continue;
                }
                go_on(*session);
                if (session->there()) {
                    ++there;
                    if (!hold) {
                        delete session; // NOLINT(cppcoreguidelines-owning-memory): released above
                    }
                }
            }
        }
    }

    [[nodiscard]] std::chrono::nanoseconds longest() const noexcept { return longest_; }

private:
    void go_on(Session& session) {
        if (!load_.time_steps) {
            session.go_on();
            return;
        }
        const auto start = std::chrono::steady_clock::now();
        session.go_on();
        longest_ =
            std::max<std::chrono::nanoseconds>(longest_, std::chrono::steady_clock::now() - start);
    }

    const SessionLoad& load_;
    int set_ = ::epoll_create1(EPOLL_CLOEXEC);
    std::vector<std::unique_ptr<Session>> held_;
    std::chrono::nanoseconds longest_{};
};

} // namespace

std::chrono::nanoseconds run_sessions_on_libssh2(const SessionLoad& load) {
    Loop loop(load);
    loop.run(false);
    return loop.longest();
}

void hold_sessions_on_libssh2(const SessionLoad& load, const std::function<void()>& opened) {
    muster::require_descriptors(load.sessions, "held sessions");
    Loop loop(load);
    loop.run(true);
    opened();
}

} // namespace bench
