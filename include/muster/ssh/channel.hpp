#pragma once

#include <muster/core/coro.hpp>
#include <muster/ssh/error.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

namespace muster::ssh {

namespace detail {
class ChannelState;
} // namespace detail

/// How a command ended, as far as the device said.
struct ExitStatus {
    std::optional<int> exit_status; ///< nothing when it reported none
    std::string exit_signal;        ///< "TERM": the signal that ended it; else empty
};

/// A channel of a connection (RFC 4254): a command or a subsystem whose input and output are
/// streamed, or a TCP connection that the device makes. Dropping it closes it; so does the end of
/// its Connection. One task may read while others write; whole texts are written one after the
/// other, and wait while the device does not take them. Up to 256 KiB per stream are read ahead; a
/// device that sends more waits.
///
/// Cancelling or timing out an operation leaves the channel and the connection usable; a text that
/// was cut off may have been written in part.
class Channel {
public:
    explicit Channel(std::shared_ptr<detail::ChannelState> state) noexcept;
    Channel(Channel&&) noexcept;
    Channel& operator=(Channel&& other) noexcept;
    ~Channel();

    /// The next bytes of the output, at most `max`, as soon as there are any; empty once it has
    /// ended. Has no deadline of its own. Throws ssh::Error when the connection is lost.
    Coro<std::string> read(std::size_t max = 32768);

    /// The same of what a command writes to its standard error.
    Coro<std::string> read_err(std::size_t max = 32768);

    /// Sends all of `text`. Throws ssh::Error when the device does not take it within
    /// ChannelOptions::timeout, when the device has closed the channel, and after write_eof().
    Coro<void> write(std::string text);

    /// Nothing more is written: the other side reads an end of file, and may still answer.
    /// Idempotent.
    Coro<void> write_eof();

    /// Sends the command a signal, by its name without SIG ("TERM"; RFC 4254 section 6.9). Devices
    /// do not confirm it. Throws ssh::Error with libssh2 before 1.11, which cannot.
    Coro<void> send_signal(std::string name);

    /// Waits until the command has ended and everything is read, or nobody can read it any more,
    /// and closes the channel. A command that writes more than is read ahead does not end before
    /// somebody reads. For a TCP connection the result is empty. Throws ssh::Error when the
    /// connection is lost.
    Coro<ExitStatus> wait();

    /// Closes it and waits for the device to agree, within ChannelOptions::timeout; the connection
    /// stays open. Idempotent. Throws nothing but CancelledError.
    Coro<void> close();

    /// The device has ended it and everything was read, or it was closed here, or the connection
    /// is gone.
    [[nodiscard]] bool closed() const noexcept;

private:
    std::shared_ptr<detail::ChannelState> state_;
};

} // namespace muster::ssh
