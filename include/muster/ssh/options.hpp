#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/secret.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
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
    TimeLimit close = std::chrono::seconds(3);         ///< an orderly end; after it, the hard one
};

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
    Algorithms algorithms = Algorithms::standard;
    Timeouts timeouts = {};
    /// A connection that has been silent for so long is asked for a sign of life.
    TimeLimit keepalive = std::chrono::seconds(30);
    /// After so many questions in a row without any answer, it counts as lost.
    int keepalive_tries = 3;
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
