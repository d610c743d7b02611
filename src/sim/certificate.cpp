#include "certificate.hpp"

#include <muster/core/error.hpp>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace muster::sim {

namespace {

constexpr long validity_seconds = 30L * 24 * 3600;
constexpr long version_3 = 2;

void check(bool fine, std::string_view what) {
    if (!fine) {
        throw Error("virtual fleet: OpenSSL can't " + std::string(what));
    }
}

EVP_PKEY* new_key() {
    auto* key = EVP_EC_gen("P-256");
    check(key != nullptr, "generate a P-256 key");
    return key;
}

void set_name(X509_NAME* name, const std::string& text) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    check(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, bytes,
                                     static_cast<int>(text.size()), -1, 0) == 1,
          "name a certificate");
}

void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    auto* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    check(extension != nullptr, "make a certificate's extension");
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

X509* new_certificate(const std::string& name, EVP_PKEY* key) {
    auto* certificate = X509_new();
    check(certificate != nullptr, "make a certificate");
    X509_set_version(certificate, version_3);
    std::array<unsigned char, 8> random{};
    RAND_bytes(random.data(), random.size());
    std::uint64_t serial = 1;
    for (const auto byte : random) {
        serial = (serial << 8 | byte) >> 1;
    }
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial);
    // Begun yesterday: clocks differ.
    X509_gmtime_adj(X509_getm_notBefore(certificate), -24L * 3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), validity_seconds);
    X509_set_pubkey(certificate, key);
    set_name(X509_get_subject_name(certificate), name);
    return certificate;
}

} // namespace

void CertificateAuthority::Free::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

void CertificateAuthority::Free::operator()(X509* certificate) const { X509_free(certificate); }

CertificateAuthority::CertificateAuthority()
    : key_(new_key()), certificate_(new_certificate("muster virtual fleet", key_.get())) {
    auto* certificate = certificate_.get();
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    extend(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
    extend(certificate, certificate, NID_key_usage, "critical,keyCertSign");
    extend(certificate, certificate, NID_subject_key_identifier, "hash");
    check(X509_sign(certificate, key_.get(), EVP_sha256()) > 0, "sign a certificate");
}

std::string CertificateAuthority::pem() const {
    const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new(BIO_s_mem()), BIO_free);
    check(memory && PEM_write_bio_X509(memory.get(), certificate_.get()) == 1,
          "write a certificate");
    char* data = nullptr;
    const auto size = BIO_get_mem_data(memory.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

void CertificateAuthority::equip(SSL_CTX* context, const std::string& name,
                                 const std::string& address) const {
    const std::unique_ptr<EVP_PKEY, Free> key(new_key());
    const std::unique_ptr<X509, Free> owned(new_certificate(name, key.get()));
    auto* certificate = owned.get();
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate_.get()));
    extend(certificate, certificate_.get(), NID_basic_constraints, "CA:FALSE");
    extend(certificate, certificate_.get(), NID_ext_key_usage, "serverAuth");
    extend(certificate, certificate_.get(), NID_subject_alt_name,
           "DNS:" + name + ",DNS:localhost,IP:" + address);
    check(X509_sign(certificate, key_.get(), EVP_sha256()) > 0, "sign a certificate");
    check(SSL_CTX_use_certificate(context, certificate) == 1 &&
              SSL_CTX_use_PrivateKey(context, key.get()) == 1,
          "use a certificate");
}

} // namespace muster::sim
