#pragma once

#include "ssh/openssl_key.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace muster::ssh::detail {

bool is_openssh_key(std::string_view text);

/// Reads "-----BEGIN OPENSSH PRIVATE KEY-----" (OpenSSH's PROTOCOL.key), which OpenSSL's decoder
/// does not know. Throws KeyError.
KeyHandle parse_openssh_key(std::string_view text, const std::string& passphrase);

/// The public half (wire format) of such a key if it is encrypted: that part is in clear.
std::optional<std::string> encrypted_public_half(std::string_view text);

} // namespace muster::ssh::detail
