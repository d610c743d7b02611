#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/error.hpp>
#include <muster/core/secret.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace muster {

/// How a server's certificate is checked.
enum class Verify : std::uint8_t {
    full,     ///< signed by a trusted authority, valid today, made for this host
    insecure, ///< not at all: anybody on the way can read and change everything. For laboratories
};

/// How a client speaks TLS (ssl.create_default_context).
struct TlsOptions {
    Verify verify = Verify::full;
    /// PEM file of certificates to trust in place of the system's: authorities, or servers' own.
    std::string ca_file = {};
    /// The same as text; together with ca_file both are trusted.
    std::string ca_pem = {};
    /// The name the server's certificate has to carry, and is asked for by (SNI); empty: the host
    /// that was connected to. For devices that are reached by address.
    std::string server_name = {};
    /// Accept TLS 1.0 and 1.1, SHA-1, short keys, and connections that end without a goodbye: the
    /// server is too old for anything else.
    bool legacy = false;
    /// PEM file of this client's own certificate, for servers that ask for one.
    std::string certificate_file = {};
    /// PEM file of its private key; empty: it is in certificate_file.
    std::string key_file = {};
    /// The key's passphrase, if it has one.
    Secret key_password = {};
};

/// How a server speaks TLS.
struct TlsServerOptions {
    /// PEM file of the server's certificate, followed by those of the authorities between it and
    /// the root.
    std::string certificate_file = {};
    /// PEM file of its private key; empty: it is in certificate_file.
    std::string key_file = {};
    /// The key's passphrase, if it has one.
    Secret key_password = {};
    /// PEM file of the authorities that sign clients' certificates; then every client needs one.
    std::string client_ca_file = {};
    /// How long a client may take for its handshake (ssl_handshake_timeout).
    TimeLimit handshake_timeout = std::chrono::seconds(60);
};

/// A TLS connection that could not be made, or broke (Python: ssl.SSLError).
class TlsError : public Error {
public:
    enum class Kind : std::uint8_t {
        configuration, ///< a certificate or key file cannot be used; nothing was sent
        certificate,   ///< the other side's certificate was not accepted
        protocol,      ///< the handshake or the connection failed for another reason
        truncated,     ///< the connection ended without TLS's goodbye: something may be missing
    };

    /// For the library. `what()` is "reason (remedy)".
    TlsError(Kind kind, std::string reason, std::string remedy = {});

    [[nodiscard]] Kind kind() const noexcept { return kind_; }

    /// What happened.
    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

    /// What to do about it; empty where nothing useful is known.
    [[nodiscard]] const std::string& remedy() const noexcept { return remedy_; }

private:
    Kind kind_;
    std::string reason_;
    std::string remedy_;
};

/// What two sides agreed on (get_extra_info's "cipher" and "peercert").
struct TlsInfo {
    std::string version;          ///< "TLSv1.3"
    std::string cipher;           ///< "TLS_AES_256_GCM_SHA384"
    std::string peer_certificate; ///< PEM; empty when the other side showed none
    std::string server_name;      ///< what the client asked for (SNI); empty when it did not
};

} // namespace muster
