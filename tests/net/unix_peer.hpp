#pragma once

#include "temp_folder.hpp"

#include <muster/core/sleep.hpp>
#include <muster/net/open_connection.hpp>
#include <muster/net/stream.hpp>

#include <doctest/doctest.h>

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>

/// The other end of a stream: plain POSIX, so that only one side is under test. A Unix socket,
/// where what one side sends is with the other when send() returns.
class UnixPeer {
public:
    UnixPeer() : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::ranges::copy(path(), address.sun_path);
        REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(listener_, 8) == 0);
    }

    UnixPeer(const UnixPeer&) = delete;
    UnixPeer& operator=(const UnixPeer&) = delete;

    ~UnixPeer() {
        hang_up();
        ::close(listener_);
    }

    [[nodiscard]] std::string path() const { return folder_.path() + "/peer"; }

    [[nodiscard]] bool connected() const noexcept { return fd_ >= 0; }

    /// A stream to this peer.
    muster::Coro<muster::Stream> connect(muster::OpenOptions options = {}) {
        muster::Stream stream = co_await muster::open_unix_connection(path(), std::move(options));
        fd_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        REQUIRE(fd_ >= 0);
        co_return stream;
    }

    /// The same with a limit.
    muster::Coro<muster::Stream> connect_limited(std::size_t limit) {
        muster::OpenOptions options;
        options.limit = limit;
        return connect(std::move(options));
    }

    void say(std::string_view text) const {
        REQUIRE(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(text.size()));
    }

    /// What has come, without waiting. The connection must not have been reset.
    [[nodiscard]] std::string hear() const {
        std::string text;
        std::array<char, 65536> buffer{};
        ssize_t count = 0;
        while ((count = ::recv(fd_, buffer.data(), buffer.size(), 0)) > 0) {
            text.append(buffer.data(), static_cast<std::size_t>(count));
        }
        if (count < 0 && errno != EAGAIN) {
            FAIL_CHECK("the connection was reset");
        }
        return text;
    }

    /// Whether the stream has ended its side, and all it sent was heard.
    [[nodiscard]] bool hears_end() const {
        char byte = 0;
        return ::recv(fd_, &byte, 1, MSG_PEEK) == 0;
    }

    void end() const { ::shutdown(fd_, SHUT_WR); }

    void hang_up() {
        if (fd_ >= 0) {
            ::close(fd_);
            fd_ = -1;
        }
    }

private:
    TempFolder folder_;
    int listener_;
    int fd_ = -1;
};

/// Lets the loop run until something is so, which only the loop can bring about.
muster::Coro<void> until(std::predicate auto condition) {
    while (!condition()) {
        co_await muster::async_sleep(std::chrono::seconds(0));
    }
}

/// Waits until a task that reads has taken everything from the socket.
inline muster::Coro<void> taken(const muster::Stream& stream) {
    const int fd = stream.fileno();
    co_await until([fd] {
        int unread = 0;
        return ::ioctl(fd, FIONREAD, &unread) != 0 || unread == 0;
    });
    co_await muster::async_sleep(std::chrono::seconds(0)); // and has been told
}
