#pragma once

#include <muster/core/coro.hpp>
#include <muster/ssh/error.hpp>
#include <muster/ssh/options.hpp>
#include <muster/ssh/sftp.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace muster::ssh {

namespace detail {
class Session;
class ShellState;
} // namespace detail

/// What a command left behind.
struct Completed {
    std::string out;
    std::string err;
    std::optional<int> exit_status; ///< nothing when the device did not report one
    std::string exit_signal;        ///< "TERM": the signal that ended it; else empty
};

/// A shell on a pseudo-terminal. Dropping it ends it; so does the end of its Connection. One task
/// may read while others write; whole texts are written one after the other.
class Shell {
public:
    explicit Shell(std::shared_ptr<detail::ShellState> state) noexcept;
    Shell(Shell&&) noexcept;
    Shell& operator=(Shell&& other) noexcept;
    ~Shell();

    /// The next bytes from the device, at most `max`, as soon as there are any; empty once it has
    /// ended. Has no deadline of its own: use wait_for() or timeout(). Cancelling it loses nothing,
    /// and the shell goes on. Throws ssh::Error when the connection is lost.
    Coro<std::string> read(std::size_t max = 32768);

    /// Sends all of `text`; waits while the device does not take it. Cut off by cancellation or its
    /// deadline (ShellOptions::timeout), it closes the connection.
    Coro<void> write(std::string text);

    /// Ends the shell and waits for the device to agree; the connection stays open. Throws nothing
    /// but CancelledError: a device that does not answer in time loses the connection.
    Coro<void> close();

    /// The device has ended the shell and everything was read, or it was closed here, or the
    /// connection is gone.
    [[nodiscard]] bool closed() const noexcept;

private:
    std::shared_ptr<detail::ShellState> state_;
};

/// An SSH connection that is logged in: made by `connect()`. Dropping it closes the socket at once;
/// `close()` says goodbye first. Any number of tasks may use it at once. An operation that is cut
/// off, by cancellation or its deadline, closes the connection, because the protocol is then in the
/// middle of something; the exceptions are Shell::read() and a cancelled call of Sftp.
class Connection {
public:
    explicit Connection(std::shared_ptr<detail::Session> session) noexcept;
    Connection(Connection&&) noexcept;
    Connection& operator=(Connection&&) noexcept;
    ~Connection();

    /// Runs a command and collects its output. Throws ssh::Error when the device refuses it, the
    /// time runs out or the connection is lost; a command that fails is a result, not an error.
    Coro<Completed> run(std::string command, CommandOptions options = {});

    /// Opens a shell on a pseudo-terminal. Throws ssh::Error.
    Coro<Shell> open_shell(ShellOptions options = {});

    /// Begins an SFTP session: any number of them beside commands and shells. Throws ssh::Error; a
    /// device without SFTP is ErrorKind::request_refused, and the connection goes on.
    Coro<Sftp> sftp(SftpOptions options = {});

    /// Ends the connection in order, within Timeouts::close. Idempotent. Throws nothing but
    /// CancelledError.
    Coro<void> close();

    /// Closed here, by the device, or lost.
    [[nodiscard]] bool closed() const noexcept;

    [[nodiscard]] const std::string& host() const noexcept;
    [[nodiscard]] std::uint16_t port() const noexcept;

    /// "SSH-2.0-OpenSSH_9.2p1": what the server says it is.
    [[nodiscard]] const std::string& server() const noexcept;

    /// The fingerprint of the server's host key, as OpenSSH prints it.
    [[nodiscard]] const std::string& host_key_fingerprint() const noexcept;

private:
    std::shared_ptr<detail::Session> session_;
};

/// Connects, checks the host key and logs in (asyncssh.connect). Throws ssh::Error, which says in
/// which phase it failed, why, and what to do. Cancelled at any moment, it leaves nothing behind.
Coro<Connection> connect(Options options);

/// Connects, runs one command, closes; the command's output. A command that reports a failure is an
/// ssh::Error (ErrorKind::command_failed).
Coro<std::string> fetch(Options options, std::string command);

} // namespace muster::ssh
