#pragma once
/// The few primitives that the SSH room needs beside libssh2.

#include <optional>
#include <string>
#include <string_view>

namespace muster::ssh::detail {

std::string base64_encode(std::string_view bytes);

/// Accepts padded and unpadded text; empty for anything that is not base64.
std::optional<std::string> base64_decode(std::string_view text);

std::string sha1(std::string_view bytes);
std::string sha256(std::string_view bytes);
std::string hmac_sha1(std::string_view key, std::string_view bytes);

} // namespace muster::ssh::detail
