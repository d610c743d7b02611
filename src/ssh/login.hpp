#pragma once

#include "ssh/identity.hpp"
#include "ssh/known_hosts_files.hpp"
#include "ssh/session.hpp"

#include <muster/core/coro.hpp>
#include <muster/ssh/options.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace muster::ssh::detail {

/// Where the keys of a host are looked up, and under which name.
struct TrustedBy {
    explicit TrustedBy(const Options& options);

    std::vector<std::string> files;
    std::string host;
    std::uint16_t port;
    KnownHostsFiles* known; // as long as the program runs
};

/// Checks the key that the server has presented against known_hosts, by the policy. Throws
/// ssh::Error. Fills in the session's host_key_fingerprint. `trusted` may be empty when the policy
/// looks at no key.
Coro<void> check_host_key(Session& session, const Options& options,
                          const std::optional<TrustedBy>& trusted);

/// Logs in: with the keys in order, those of the agent, then by answering questions or with the
/// password, once; and on, while the server says that what it got was right but is not enough.
/// Throws ssh::Error (ErrorKind::authentication), which lists what was tried and what the server
/// offers, and what Options::responder throws.
Coro<void> log_in(Session& session, const Options& options, std::vector<Identity> identities);

} // namespace muster::ssh::detail
