#pragma once

#include <muster/core/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace muster::ssh {

/// Where on the way to a result an error happened.
enum class Phase : std::uint8_t {
    prepare, ///< before anything was sent: key files, known_hosts, options
    resolve,
    connect,
    key_exchange,
    host_key,
    authentication,
    channel, ///< opening a channel, asking for a terminal, starting the command
    command,
    transfer,
    close,
};

/// "key exchange", as messages print it.
std::string_view to_string(Phase phase) noexcept;

/// What went wrong, for code that decides by it; the text is for people.
enum class ErrorKind : std::uint8_t {
    configuration,     ///< a file, an option or this libssh2 is of no use here; nothing was sent
    unreachable,       ///< no address, refused, no route
    timeout,           ///< the phase's time, or the whole operation's, ran out
    no_common_method,  ///< the two sides share no algorithm
    host_key_unknown,  ///< not in known_hosts
    host_key_changed,  ///< known_hosts has another key for this host
    host_key_revoked,  ///< marked @revoked
    authentication,    ///< every way of logging in that was tried was refused
    command_failed,    ///< fetch(): the command reported a failure
    request_refused,   ///< the device refused a channel, a terminal or a command
    protocol,          ///< the other side does not follow the protocol
    connection_lost,   ///< the connection ended while it was needed
    closed,            ///< used after close(), or after an operation was cut off
    no_such_file,      ///< SFTP: the device has no such file
    permission_denied, ///< SFTP: the device does not allow it
    file_failed,       ///< SFTP: the device reports another failure
    local_file,        ///< SFTP: a file of this machine cannot be read or written
};

/// "host key changed", as messages print it.
std::string_view to_string(ErrorKind kind) noexcept;

/// The parts of an `Error`.
struct Failure {
    std::string host;
    std::uint16_t port = 0;
    Phase phase = Phase::prepare;
    ErrorKind kind = ErrorKind::protocol;
    std::string reason; ///< what happened
    std::string remedy; ///< what to do about it; empty where nothing useful is known
};

/// Every failure of the ssh room. `what()` is "host:port: phase: reason (remedy)"; it never holds
/// a secret.
class Error : public muster::Error {
public:
    explicit Error(Failure failure);

    [[nodiscard]] const std::string& host() const noexcept { return failure_.host; }

    [[nodiscard]] std::uint16_t port() const noexcept { return failure_.port; }

    [[nodiscard]] Phase phase() const noexcept { return failure_.phase; }

    [[nodiscard]] ErrorKind kind() const noexcept { return failure_.kind; }

    [[nodiscard]] const std::string& reason() const noexcept { return failure_.reason; }

    [[nodiscard]] const std::string& remedy() const noexcept { return failure_.remedy; }

private:
    Failure failure_;
};

} // namespace muster::ssh
