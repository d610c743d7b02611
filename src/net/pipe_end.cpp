#include "net/pipe_end.hpp"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>

namespace muster::detail {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

/// Keeps SIGPIPE from this thread, and takes it back.
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

} // namespace

PipeEnd::PipeEnd(asio::io_context& context, Descriptor end, Use use)
    : end_(std::make_shared<End>(context)), use_(use) {
    end_->assign(end.get());
    static_cast<void>(end.release());
}

std::size_t PipeEnd::read_some(asio::mutable_buffer buffer, error_code& error) {
    if (use_ == Use::writing) {
        error = asio::error::eof;
        return 0;
    }
    return end_->read_some(buffer, error);
}

std::size_t PipeEnd::write_to(End& end, asio::const_buffer buffer, error_code& error) {
    const NoSigpipe guard;
    const std::size_t count = end.write_some(buffer, error);
    if (error == asio::error::broken_pipe) {
        guard.take_back();
    }
    return count;
}

} // namespace muster::detail
