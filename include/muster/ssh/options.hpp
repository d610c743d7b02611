#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/secret.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
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

class Connection;

/// Where and how to connect. Only `host` is needed.
struct Options {
    std::string host = {};
    std::uint16_t port = 22;
    std::string username = {}; ///< empty: the name of the user who runs the program
    Secret password = {};
    std::vector<KeySource> keys = {}; ///< tried in order, before the password
    HostKeyPolicy host_key_policy = HostKeyPolicy::strict;
    std::vector<std::string> known_hosts = {}; ///< empty: default_known_hosts_files()
    Algorithms algorithms = Algorithms::standard;
    Timeouts timeouts = {};
    /// A connection that has been silent for so long is asked for a sign of life.
    TimeLimit keepalive = std::chrono::seconds(30);
    /// After so many questions in a row without any answer, it counts as lost.
    int keepalive_tries = 3;
    /// A step of the key exchange that is expected to take longer than this runs on another thread,
    /// while the loop goes on; so do the later renewals of its keys. Zero: all, to use all
    /// processors. Clock::duration::max(): none.
    Clock::duration key_exchange_budget = std::chrono::milliseconds(1);
    /// The connection that carries this one to its host (ssh -J). It may carry any number, and must
    /// stay open; the object itself is needed during `connect()` only.
    Connection* via = nullptr;
    /// The hosts to go through, in this order, the first of them by `via` if that is set. Their
    /// connections end with this one.
    std::vector<Options> proxy_jump = {};
};

/// An environment variable for a command: its name and its value.
using EnvVariable = std::pair<std::string, std::string>;

/// For `Connection::run`.
struct CommandOptions {
    TimeLimit timeout = std::chrono::seconds(60); ///< from the call to the exit status
    std::string input = {};                       ///< what the command reads; then its end of file
    /// Asked for before the command starts. A server takes those it was set up to take (AcceptEnv);
    /// one that it refuses is an ssh::Error.
    std::vector<EnvVariable> env = {};
};

/// For `Connection::open_shell`.
struct ShellOptions {
    std::string term = "vt100";
    int width = 511; ///< characters: wide enough that nothing is wrapped
    int height = 24; ///< lines
    /// For opening, writing and closing. Reading waits until the caller's own deadline.
    TimeLimit timeout = std::chrono::seconds(30);
    std::vector<EnvVariable> env = {}; ///< as CommandOptions::env
};

/// For `Connection::start`, `open_subsystem` and `open_tcp`.
struct ChannelOptions {
    /// For opening, for each write, and for closing. Reading and waiting have no limit of their
    /// own.
    TimeLimit timeout = std::chrono::seconds(30);
    std::vector<EnvVariable> env = {}; ///< as CommandOptions::env; not for TCP
};

/// For `Connection::forward_local`.
struct ForwardOptions {
    std::string bind_host = "127.0.0.1"; ///< whose addresses it listens on
    std::uint16_t bind_port = 0;         ///< 0: any free one
    /// For the device to connect, for each connection.
    TimeLimit timeout = std::chrono::seconds(30);
};

} // namespace muster::ssh
