#pragma once

#include <muster/core/secret.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster::http {

/// Names and values of a query or a form, in order; as they are, not percent-encoded.
using Params = std::vector<std::pair<std::string, std::string>>;

/// An http or https URL, taken apart (RFC 3986). Immutable.
class Url {
public:
    /// Throws http::Error (ErrorKind::configuration) for what is not one; the message never holds
    /// the user name or password. Spaces and other characters that a URL cannot hold are
    /// percent-encoded; control characters are refused.
    static Url parse(std::string_view text);

    /// The same with `params` appended to the query.
    static Url parse(std::string_view text, const Params& params);

    /// Whether the scheme is https.
    [[nodiscard]] bool tls() const noexcept { return tls_; }

    /// A lower-case name, or an address; IPv6 without brackets, its zone kept.
    [[nodiscard]] const std::string& host() const noexcept { return host_; }

    /// 80 or 443 where the URL names none.
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

    /// Path and query as they go into the request; begins with "/".
    [[nodiscard]] const std::string& target() const noexcept { return target_; }

    /// From "user:password@", percent-decoded; empty where there is none.
    [[nodiscard]] const std::string& username() const noexcept { return username_; }

    [[nodiscard]] const Secret& password() const noexcept { return password_; }

    /// "host:port" for the Host header and messages: IPv6 in brackets, the default port left out.
    [[nodiscard]] std::string authority() const;

    /// "https://host:port".
    [[nodiscard]] std::string origin() const;

    /// For logs and messages: without user name, password and fragment; the values of query
    /// parameters that look like secrets by their names (key, token, password, ...) are "***".
    [[nodiscard]] std::string str() const;

private:
    Url() = default;

    bool tls_ = false;
    std::string host_;
    std::uint16_t port_ = 0;
    std::string target_;
    std::string username_;
    Secret password_;
};

/// "name=value&..." with both percent-encoded (application/x-www-form-urlencoded).
[[nodiscard]] std::string encode_params(const Params& params);

} // namespace muster::http
