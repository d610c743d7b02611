#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/secret.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace muster::ssh {

/// A private key to log in with: a file, or the text of one.
struct KeySource {
    std::string path = {};  ///< "~/" in front stands for the home folder
    Secret text = {};       ///< used instead of `path` when it is not empty
    Secret passphrase = {}; ///< for an encrypted key
};

/// What happens with a host key that known_hosts does not list. A changed or revoked key is always
/// refused, except by `insecure_ignore`.
enum class HostKeyPolicy : std::uint8_t {
    strict,          ///< refuse
    accept_new,      ///< add it to the first known_hosts file
    insecure_ignore, ///< look at no host key at all: for laboratories
};

/// Which algorithms are offered to the server.
enum class Algorithms : std::uint8_t {
    standard, ///< what is safe today and costs a few milliseconds at most
    legacy,   ///< besides, last: SHA-1, CBC, 3DES, DSA, and slow Diffie-Hellman groups
};

/// How long each part of a connection may take; std::nullopt is no limit.
struct Timeouts {
    TimeLimit connect = std::chrono::seconds(10);      ///< name resolution and TCP
    TimeLimit handshake = std::chrono::seconds(20);    ///< key exchange and host key
    TimeLimit authenticate = std::chrono::seconds(30); ///< all ways of logging in together
    TimeLimit total = std::nullopt;                    ///< all of `connect()`
    TimeLimit close = std::chrono::seconds(3);         ///< an orderly end; after it, the hard one
};

/// Where and how to connect. Only `host` is needed.
struct Options {
    std::string host = {};
    std::uint16_t port = 22;
    std::string username = {}; ///< empty: the name of the user who runs the program
    Secret password = {};
    std::vector<KeySource> keys = {}; ///< tried in order, before the password
    HostKeyPolicy host_key_policy = HostKeyPolicy::strict;
    std::vector<std::string> known_hosts = {}; ///< empty: default_known_hosts_files()
    std::string host_key_alias = {}; ///< the name in known_hosts; empty: the host and its port
    Algorithms algorithms = Algorithms::standard;
    Timeouts timeouts = {};
    /// A connection that has been silent for so long is asked for a sign of life.
    TimeLimit keepalive = std::chrono::seconds(30);
    /// After so many questions in a row without any answer, it counts as lost.
    int keepalive_tries = 3;
    /// Connected through, in this order, before the host: ssh -J.
    std::vector<Options> proxy_jump = {};
};

/// For `Connection::run`.
struct CommandOptions {
    TimeLimit timeout = std::chrono::seconds(60); ///< from the call to the exit status
    std::string input = {};                       ///< what the command reads; then its end of file
};

/// For `Connection::open_shell`.
struct ShellOptions {
    std::string term = "vt100";
    int width = 511; ///< characters: wide enough that nothing is wrapped
    int height = 24; ///< lines
    /// For opening, writing and closing. Reading waits until the caller's own deadline.
    TimeLimit timeout = std::chrono::seconds(30);
};

} // namespace muster::ssh
