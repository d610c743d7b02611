#include "certificates.hpp"

#include <doctest/doctest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <atomic>

namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Cert = std::unique_ptr<X509, decltype(&X509_free)>;

std::string text_of(const Bio& bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

Bio bio_of(const std::string& text) {
    return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free};
}

Cert read_certificate(const std::string& pem) {
    return {PEM_read_bio_X509(bio_of(pem).get(), nullptr, nullptr, nullptr), X509_free};
}

Key read_key(const std::string& pem) {
    return {PEM_read_bio_PrivateKey(bio_of(pem).get(), nullptr, nullptr, nullptr), EVP_PKEY_free};
}

void extend(X509* certificate, int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    REQUIRE(extension != nullptr);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

} // namespace

Certificate make_certificate(const CertificateRequest& request, const Certificate* signer) {
    static std::atomic<long> serial = 1;
    const Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    const Cert certificate(X509_new(), X509_free);
    X509* made = certificate.get();
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made), request.begins);
    X509_gmtime_adj(X509_getm_notAfter(made), request.ends);
    X509_set_pubkey(made, key.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(request.name.c_str()), -1, -1,
                               0);
    const Cert issuer = read_certificate(signer != nullptr ? signer->certificate : "");
    X509_set_issuer_name(made, X509_get_subject_name(issuer ? issuer.get() : made));
    extend(made, NID_basic_constraints, request.authority ? "critical,CA:TRUE" : "CA:FALSE");
    if (!request.authority) {
        extend(made, NID_subject_alt_name, request.alternative_names);
    }
    const Key signing = read_key(signer != nullptr ? signer->key : "");
    REQUIRE(X509_sign(made, signing ? signing.get() : key.get(), EVP_sha256()) > 0);

    Certificate result;
    const Bio certificate_text(BIO_new(BIO_s_mem()), BIO_free);
    PEM_write_bio_X509(certificate_text.get(), made);
    result.certificate = text_of(certificate_text);
    const Bio key_text(BIO_new(BIO_s_mem()), BIO_free);
    PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    result.key = text_of(key_text);
    return result;
}

std::string encrypt_key(const Certificate& certificate, const std::string& passphrase) {
    const Bio text(BIO_new(BIO_s_mem()), BIO_free);
    REQUIRE(PEM_write_bio_PrivateKey(text.get(), read_key(certificate.key).get(), EVP_aes_128_cbc(),
                                     nullptr, 0, nullptr,
                                     const_cast<char*>(passphrase.c_str())) == 1);
    return text_of(text);
}

std::shared_ptr<void> make_server_context(const Certificate& certificate) {
    const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
    REQUIRE(SSL_CTX_use_certificate(context.get(),
                                    read_certificate(certificate.certificate).get()) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey(context.get(), read_key(certificate.key).get()) == 1);
    return context;
}
