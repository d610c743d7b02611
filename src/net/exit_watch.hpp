#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <sys/types.h>

namespace muster::detail {

/// A descriptor that becomes readable when a child process has ended: the kernel's pidfd, or, where
/// the kernel has none, a pipe that a thread closes. It never touches SIGCHLD and reaps nothing.
class ExitWatch {
public:
    /// `pid` is a child that was not reaped yet. Throws Error when the system has no descriptors or
    /// threads left.
    ExitWatch(boost::asio::io_context& context, pid_t pid);

    [[nodiscard]] boost::asio::posix::stream_descriptor& descriptor() noexcept {
        return descriptor_;
    }

private:
    boost::asio::posix::stream_descriptor descriptor_;
};

/// Leaves the reaping of a child that can't be waited for now to a thread.
void reap_later(pid_t pid) noexcept;

} // namespace muster::detail
