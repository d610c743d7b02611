#pragma once

#include <muster/ssh/options.hpp>
#include <muster/ssh/private_key.hpp>

#include <optional>
#include <string>

namespace muster::ssh::detail {

/// A key to log in with: a private key, or the public half of one that the SSH agent has.
struct Identity {
    std::string name;              ///< what it was read from, for messages
    std::string public_key;        ///< in wire format
    std::optional<PrivateKey> key; ///< nothing: the agent signs
};

/// The agent's socket; nothing when there is none, or none is wanted.
std::optional<std::string> agent_path(const Options& options);

/// Reads a key. Throws ssh::Error (ErrorKind::configuration) when it cannot be used, which without
/// an agent holds for public keys and for encrypted ones without passphrase.
Identity read_identity(const KeySource& source, bool has_agent);

} // namespace muster::ssh::detail
