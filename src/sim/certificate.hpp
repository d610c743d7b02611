#pragma once
// A certificate authority in memory, for the devices' HTTPS.

#include <openssl/types.h>

#include <memory>
#include <string>

namespace muster::sim {

/// Signs a certificate for each device. Its key never leaves the process.
class CertificateAuthority {
public:
    CertificateAuthority();

    /// The authority's own certificate.
    [[nodiscard]] std::string pem() const;

    /// Gives `context` a new key and a certificate for this name and address.
    void equip(SSL_CTX* context, const std::string& name, const std::string& address) const;

private:
    struct Free {
        void operator()(EVP_PKEY* key) const;
        void operator()(X509* certificate) const;
    };

    std::unique_ptr<EVP_PKEY, Free> key_;
    std::unique_ptr<X509, Free> certificate_;
};

} // namespace muster::sim
