#pragma once
/// Certificates good and bad, made as a test needs them.

#include <memory>
#include <string>

/// A certificate with its key, both PEM.
struct Certificate {
    std::string certificate;
    std::string key;
};

/// What a certificate says.
struct CertificateRequest {
    std::string name = "localhost";
    std::string alternative_names = "DNS:localhost,IP:127.0.0.1"; ///< as OpenSSL writes them
    long begins = -3600;                                          ///< seconds from now
    long ends = 3600;
    bool authority = false;
};

/// Signed by `signer`; by itself when there is none.
Certificate make_certificate(const CertificateRequest& request,
                             const Certificate* signer = nullptr);

/// The key of `certificate`, encrypted with a passphrase.
std::string encrypt_key(const Certificate& certificate, const std::string& passphrase);

/// An SSL_CTX of a server with this certificate.
std::shared_ptr<void> make_server_context(const Certificate& certificate);
