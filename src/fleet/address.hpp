#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace muster::fleet::detail {

/// A host as people write it, taken apart.
struct Address {
    /// Without brackets; an IPv6 zone is kept.
    std::string host;
    /// 0: none was written.
    std::uint16_t port = 0;
};

/// Reads `r1`, `r1:2222`, `192.0.2.1`, `192.0.2.1:22`, `::1`, `[::1]`, `[::1]:2222` and
/// `fe80::1%eth0`. Throws ValueError, whose message says what is wrong with the text.
[[nodiscard]] Address parse_address(std::string_view text);

/// 1 to 65535 in decimal digits. Throws ValueError.
[[nodiscard]] std::uint16_t parse_port(std::string_view text);

} // namespace muster::fleet::detail
