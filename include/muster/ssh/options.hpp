#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/secret.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace muster::ssh {

/// A key to log in with: a file, or the text of one. Where it holds a public key, or an encrypted
/// one in OpenSSH's format whose passphrase is not given, the SSH agent signs for it.
struct KeySource {
    std::string path = {};  ///< "~/" in front stands for the home folder
    Secret text = {};       ///< used instead of `path` when it is not empty
    Secret passphrase = {}; ///< for an encrypted key
};

/// A question of a server.
struct Prompt {
    std::string text;
    bool echo = false; ///< the answer may be seen while it is typed; false: it is a secret
};

/// What a server asks in one round of keyboard-interactive authentication (RFC 4256). The texts are
/// the server's: they may be empty, and hold anything.
struct Challenge {
    std::string name;
    std::string instruction;
    std::vector<Prompt> prompts; ///< may be empty: then there is only something to tell
};

/// Answers a challenge: one answer for each prompt, in order (asyncssh's
/// kbdint_challenge_received). Called on the loop's thread, once for each round; it must not block.
/// What it throws ends the login, and connect() throws it.
using Responder = std::function<std::vector<Secret>(const Challenge& challenge)>;

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
    TimeLimit agent = std::chrono::seconds(10);        ///< each answer of the SSH agent
    TimeLimit total = std::nullopt;                    ///< all of `connect()`
    TimeLimit close = std::chrono::seconds(3);         ///< goodbyes; after it, without
};

class Connection;

/// Where and how to connect. Only `host` is needed.
struct Options {
    std::string host = {};
    std::uint16_t port = 22;
    std::string username = {}; ///< empty: the name of the user who runs the program
    Secret password = {};
    /// Replaces the password when the server insists on a change. Empty: that is an error then.
    Secret new_password = {};
    std::vector<KeySource> keys = {}; ///< tried in order, before the password
    /// The socket of the SSH agent; empty: none. Where nothing is set it is $SSH_AUTH_SOCK, whose
    /// own keys are offered only when neither a key nor a password is given.
    std::optional<std::string> agent = {};
    /// The agent signs for `keys` and offers none of its own. When a key is given, that is so
    /// anyway: a server counts each key that is offered.
    bool identities_only = false;
    /// Answers a server's questions, by keyboard-interactive authentication, instead of the
    /// password. Without it, the password answers the first question for a secret, once.
    Responder responder = {};
    HostKeyPolicy host_key_policy = HostKeyPolicy::strict;
    std::vector<std::string> known_hosts = {}; ///< empty: default_known_hosts_files()
    std::string host_key_alias = {}; ///< the name in known_hosts; empty: the host and its port
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
    /// For opening and writing. Reading waits until the caller's own deadline.
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
