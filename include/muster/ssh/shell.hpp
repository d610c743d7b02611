#pragma once

#include <muster/core/coro.hpp>
#include <muster/ssh/error.hpp>

#include <cstddef>
#include <memory>
#include <string>

namespace muster::ssh {

namespace detail {
class ChannelState;
} // namespace detail

/// A shell on a pseudo-terminal. Dropping it ends it; so does the end of its Connection. One task
/// may read while others write; whole texts are written one after the other.
class Shell {
public:
    explicit Shell(std::shared_ptr<detail::ChannelState> state) noexcept;
    Shell(Shell&&) noexcept;
    Shell& operator=(Shell&& other) noexcept;
    ~Shell();

    /// The next bytes from the device, at most `max`, as soon as there are any; empty once it has
    /// ended. Has no deadline of its own: use wait_for() or timeout(). Cancelling it loses nothing,
    /// and the shell goes on. Throws ssh::Error when the connection is lost.
    Coro<std::string> read(std::size_t max = 32768);

    /// Sends all of `text`; waits while the device does not take it. Cut off by cancellation or its
    /// deadline (ShellOptions::timeout), it closes the connection: a device must not be left with
    /// half a line.
    Coro<void> write(std::string text);

    /// Tells the device that the terminal has another size, in characters and lines. Devices do not
    /// confirm it. Throws ssh::Error.
    Coro<void> resize(int width, int height);

    /// Ends the shell and waits for the device to agree, within Timeouts::close; the connection
    /// stays open. Throws nothing but CancelledError.
    Coro<void> close();

    /// The device has ended the shell and everything was read, or it was closed here, or the
    /// connection is gone.
    [[nodiscard]] bool closed() const noexcept;

private:
    std::shared_ptr<detail::ChannelState> state_;
};

} // namespace muster::ssh
