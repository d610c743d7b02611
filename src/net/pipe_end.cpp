#include "net/pipe_end.hpp"

#include <muster/asio.hpp>
#include <muster/net/subprocess.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <system_error>

namespace muster::detail {

namespace asio = boost::asio;

namespace {

/// A write to a broken pipe would end the program by SIGPIPE. The host's disposition is not ours to
/// change: this keeps the signal from the calling thread only, and takes it back.
class NoSigpipe {
public:
    NoSigpipe() noexcept {
        sigset_t pending;
        ::sigpending(&pending);
        was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
        ::sigemptyset(&sigpipe_);
        ::sigaddset(&sigpipe_, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
    }

    NoSigpipe(const NoSigpipe&) = delete;
    NoSigpipe& operator=(const NoSigpipe&) = delete;

    ~NoSigpipe() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

    void take_back() const noexcept {
        const timespec at_once{};
        if (!was_pending_) {
            while (::sigtimedwait(&sigpipe_, nullptr, &at_once) < 0 && errno == EINTR) {
            }
        }
    }

private:
    sigset_t sigpipe_{};
    sigset_t before_{};
    bool was_pending_ = false;
};

/// write(), with errno as the second result.
std::pair<ssize_t, int> write_quietly(int fd, std::string_view data) noexcept {
    const NoSigpipe guard;
    ssize_t written = 0;
    do {
        written = ::write(fd, data.data(), data.size());
    } while (written < 0 && errno == EINTR);
    const int error = written < 0 ? errno : 0;
    if (error == EPIPE) {
        guard.take_back();
    }
    return {written, error};
}

} // namespace

PipeEnd::PipeEnd(LoopCore& core, Descriptor end)
    : LoopGuest(core), end_(std::in_place, core.loop().io_context(), end.get()) {
    static_cast<void>(end.release());
    end_->non_blocking(true);
}

Coro<std::size_t> PipeEnd::read_some(std::span<char> buffer) {
    const auto [error, count] = co_await open_end().async_read_some(
        asio::buffer(buffer.data(), buffer.size()), asio::as_tuple(use_coro));
    if (error && error != asio::error::eof) {
        throw Error("reading from a child process failed: " + error.message());
    }
    co_return count;
}

Coro<std::size_t> PipeEnd::write_some(std::string_view data) {
    for (;;) {
        const auto [written, failed] = write_quietly(open_end().native_handle(), data);
        if (failed == 0) {
            co_return static_cast<std::size_t>(written);
        }
        if (failed == EPIPE) {
            throw BrokenPipeError("the child process reads no more");
        }
        if (failed != EAGAIN) {
            throw Error("writing to a child process failed: " +
                        std::generic_category().message(failed));
        }
        const auto [error] = co_await open_end().async_wait(
            asio::posix::stream_descriptor::wait_write, asio::as_tuple(use_coro));
        if (error) {
            throw Error("writing to a child process failed: " + error.message());
        }
    }
}

void PipeEnd::close() noexcept {
    end_.reset();
    leave();
}

asio::posix::stream_descriptor& PipeEnd::open_end() {
    if (!end_) {
        throw Error("the pipe to the child process was closed");
    }
    return *end_;
}

} // namespace muster::detail
