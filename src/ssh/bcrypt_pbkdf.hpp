#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace muster::ssh::detail {

/// The key derivation of encrypted OpenSSH keys: PBKDF2's structure around a Blowfish hash that is
/// expensive to set up. No maintained library in Debian exports it.
std::string bcrypt_pbkdf(std::string_view passphrase, std::string_view salt, unsigned rounds,
                         std::size_t length);

} // namespace muster::ssh::detail
