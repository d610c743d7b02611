#pragma once
/// How a virtual device misbehaves, and how slow it is.

#include <chrono>
#include <string>
#include <string_view>

namespace muster::sim {

/// The steps of an SSH session, as the device sees them.
enum class Step {
    accept,         ///< the TCP connection is there
    banner,         ///< the SSH version line was sent
    key_exchange,   ///< the transport is encrypted
    authentication, ///< the user is in
    prompt,         ///< the first prompt was sent
    line,           ///< the Nth configuration line was received, applied and not yet answered
};

/// What happens when a step is done.
enum class Failure {
    none,
    hang,  ///< silence; the connection stays open
    close, ///< an orderly end of the TCP connection
    reset, ///< a TCP reset
};

/// A device's script of faults. All parts may be combined.
struct Fault {
    Failure failure = Failure::none;
    Step after = Step::accept; ///< the step `failure` follows
    int line = 1;              ///< the configuration line for Step::line, counted from 1 in each
                               ///< connection: every line received in a configuration mode

    bool refuse = false;         ///< TCP connections are refused; the device has a port of its own
    bool wrong_host_key = false; ///< shows another host key than `known_hosts()` lists
    bool reject_login = false;   ///< no password and no key is accepted
    bool garbage_banner = false; ///< sends bytes that are not SSH, then closes
    bool noise = false;          ///< log messages on the terminal, after every prompt
    bool exec_once = false;      ///< ends the connection after one exec channel
    bool one_session = false;    ///< closes every SSH connection after the first at once
    bool no_shell = false;       ///< refuses interactive shells
    std::string reject_line;     ///< configuration lines with this text are `% Invalid input`
    std::chrono::milliseconds drip{0}; ///< terminal output in 8-byte pieces, this far apart

    /// Reads a script: parts joined by `+`, such as `hang-after-banner`, `close-after-line:3` or
    /// `noise+drip:5ms`. Parts: `{hang,close,reset}-after-{accept,banner,key-exchange,
    /// authentication,prompt,line:N}`, `refuse`, `wrong-host-key`, `reject-login`,
    /// `garbage-banner`, `noise`, `exec-once`, `one-session`, `no-shell`, `reject-line:TEXT`,
    /// `drip:DURATION`. Throws ValueError, which lists the parts, for anything else.
    static Fault parse(std::string_view script);
};

/// How long a device takes. Each delay is lengthened by a random part of `jitter`.
struct Latency {
    std::chrono::milliseconds connect{0};      ///< before it sends its SSH version line
    std::chrono::milliseconds authenticate{0}; ///< before it looks at the credentials
    std::chrono::milliseconds command{0};      ///< before each answer to a line, or HTTP response
    std::chrono::milliseconds jitter{0};
};

/// Reads `250ms`, `1.5s`, `2m` or a bare number of seconds. Throws ValueError.
std::chrono::milliseconds parse_duration(std::string_view text);

} // namespace muster::sim
