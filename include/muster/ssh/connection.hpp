#pragma once

#include <muster/core/coro.hpp>
#include <muster/ssh/channel.hpp>
#include <muster/ssh/error.hpp>
#include <muster/ssh/forward.hpp>
#include <muster/ssh/options.hpp>
#include <muster/ssh/sftp.hpp>
#include <muster/ssh/shell.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace muster::ssh {

class Connection;

namespace detail {
class Session;
std::shared_ptr<Session> session_of(const Connection& connection);
} // namespace detail

/// What a command left behind.
struct Completed {
    std::string out;
    std::string err;
    std::optional<int> exit_status; ///< nothing when the device did not report one
    std::string exit_signal;        ///< "TERM": the signal that ended it; else empty
};

/// An SSH connection that is logged in: made by `connect()`. Dropping it closes the socket at once;
/// `close()` says goodbye first. Any number of tasks may use it at once, each with channels of its
/// own. An operation of the connection or of a Shell that is cut off, by cancellation or its
/// deadline, closes the connection, because the device is then in the middle of something. The
/// exceptions are Shell::read(), open_tcp(), what is done with a Channel, and a cancelled call of
/// Sftp.
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

    /// Starts a command whose input and output are streamed. Throws ssh::Error.
    Coro<Channel> start(std::string command, ChannelOptions options = {});

    /// Starts a subsystem, such as "netconf". Throws ssh::Error.
    Coro<Channel> open_subsystem(std::string name, ChannelOptions options = {});

    /// Has the device connect to `host` and `port`, as it sees them (direct-tcpip, ssh -W). Throws
    /// ssh::Error (ErrorKind::request_refused) with the device's reason. A device opens one channel
    /// at a time: one that takes long over a target lets the others wait, and goes on with it when
    /// this is cut off; the connection stays usable.
    Coro<Channel> open_tcp(std::string host, std::uint16_t port, ChannelOptions options = {});

    /// Listens on this machine and has the device carry each connection on to `host` and `port`
    /// (ssh -L). What goes wrong with one of them ends that one, and goes to the loop's exception
    /// handler. Throws ListenError.
    Coro<LocalForward> forward_local(std::string host, std::uint16_t port,
                                     ForwardOptions options = {});

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
    friend std::shared_ptr<detail::Session> detail::session_of(const Connection& connection);

    std::shared_ptr<detail::Session> session_;
};

/// Connects, checks the host key and logs in (asyncssh.connect). Throws ssh::Error, which says in
/// which phase it failed, why, and what to do. Cancelled at any moment, it leaves nothing behind.
Coro<Connection> connect(Options options);

/// Connects, runs one command, closes; the command's output. A command that reports a failure is an
/// ssh::Error (ErrorKind::command_failed).
Coro<std::string> fetch(Options options, std::string command);

} // namespace muster::ssh
