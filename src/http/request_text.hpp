#pragma once

#include <muster/http/client.hpp>

#include <string>

namespace muster::http::detail {

/// The bytes of a request (RFC 9112). Throws ValueError, with the reason, for what cannot be sent.
std::string request_text(const Url& url, const Request& request, const ClientOptions& options);

/// Whether repeating a request does what making it once does (RFC 9110, 9.2.2).
[[nodiscard]] bool is_idempotent(const std::string& method) noexcept;

} // namespace muster::http::detail
