#pragma once
/// Which algorithms are offered, best first. Names that the libssh2 at hand lacks are left out.

#include "ssh/engine.hpp"

namespace muster::ssh::detail {

/// What is safe and fast: up to a few milliseconds for a key exchange.
Methods default_methods();

/// The same first, then what only old devices need: SHA-1, CBC, 3DES, DSA, and key exchanges that
/// cost tens of milliseconds.
Methods legacy_methods();

/// Moves the algorithms for these key types to the front of a host key list, keeping the order
/// otherwise: so a host that is known by one of its keys presents that one.
void prefer_key_types(std::vector<std::string_view>& host_key,
                      const std::vector<std::string>& types);

} // namespace muster::ssh::detail
