#pragma once
/// The same sessions in other languages, where their libraries are installed.

#include "ssh/load.hpp"

#include <string>

namespace bench {

enum class Peer : std::uint8_t {
    go,             ///< golang.org/x/crypto/ssh
    asyncssh,       ///< AsyncSSH, in Python, as one writes it
    asyncssh_tuned, ///< with known_hosts parsed once, and the algorithms that muster prefers
};

/// Whether they can be run here; where not, prints what is missing.
bool has_go();
bool has_asyncssh();

/// Runs the sessions; nanoseconds of its process for each.
double run_sessions_on_peer(Peer peer, const SessionLoad& load);

} // namespace bench
