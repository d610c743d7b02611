#include "net/tls_session.hpp"

#include "net/printable.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <new>
#include <utility>

namespace muster::detail {

namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

std::string text_of(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

TlsError broken() {
    const unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    return {TlsError::Kind::protocol, "the TLS connection broke: " + openssl_text(code)};
}

} // namespace

void TlsSession::FreeSsl::operator()(SSL* ssl) const noexcept { SSL_free(ssl); }

TlsSession::TlsSession(TlsPeer peer) : peer_(std::move(peer)), ssl_(peer_.context->make(peer_)) {
    Bio input(BIO_new(BIO_s_mem()), BIO_free);
    Bio output(BIO_new(BIO_s_mem()), BIO_free);
    if (!ssl_ || !input || !output) {
        throw std::bad_alloc();
    }
    SSL_set_bio(ssl_.get(), input.release(), output.release());
    SSL_set_options(ssl_.get(), SSL_OP_NO_RENEGOTIATION);
    if (peer_.context->is_server()) {
        SSL_set_accept_state(ssl_.get());
    } else {
        SSL_set_connect_state(ssl_.get());
    }
}

TlsSession::~TlsSession() {
    if (established_) {
        // Without a goodbye OpenSSL would take the session for broken, and not resume it.
        SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
}

void TlsSession::feed(std::string_view encrypted) {
    while (!encrypted.empty()) {
        const std::size_t size =
            std::min(encrypted.size(), static_cast<std::size_t>(std::numeric_limits<int>::max()));
        if (BIO_write(SSL_get_rbio(ssl_.get()), encrypted.data(), static_cast<int>(size)) <= 0) {
            throw std::bad_alloc();
        }
        encrypted.remove_prefix(size);
    }
}

bool TlsSession::handshake() {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) {
        established_ = true;
        return true;
    }
    if (SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ) {
        return false;
    }
    if (peer_.refusal) {
        ERR_clear_error();
        throw TlsError(*peer_.refusal);
    }
    const unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    throw handshake_error(code, openssl_text(code));
}

bool TlsSession::read(ReadBuffer& plain) {
    std::array<char, 16384> record; // NOLINT(cppcoreguidelines-pro-type-member-init)
    while (true) {
        ERR_clear_error();
        std::size_t count = 0;
        const int result = SSL_read_ex(ssl_.get(), record.data(), record.size(), &count);
        if (result == 1) {
            plain.append({record.data(), count});
            continue;
        }
        switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return false;
        case SSL_ERROR_ZERO_RETURN:
            return true;
        default:
            throw broken();
        }
    }
}

void TlsSession::write(std::string_view plain) {
    while (!plain.empty()) {
        ERR_clear_error();
        std::size_t count = 0;
        if (SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &count) != 1) {
            throw broken();
        }
        plain.remove_prefix(count);
    }
}

void TlsSession::shut_down() noexcept {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
}

std::string TlsSession::output() {
    BIO* output = SSL_get_wbio(ssl_.get());
    std::string bytes = text_of(output);
    static_cast<void>(BIO_reset(output));
    return bytes;
}

TlsInfo TlsSession::info() const {
    TlsInfo info;
    info.version = SSL_get_version(ssl_.get());
    info.cipher = SSL_get_cipher_name(ssl_.get());
    const std::unique_ptr<X509, decltype(&X509_free)> shown(SSL_get1_peer_certificate(ssl_.get()),
                                                            X509_free);
    const Bio text(BIO_new(BIO_s_mem()), BIO_free);
    if (shown && text && PEM_write_bio_X509(text.get(), shown.get()) == 1) {
        info.peer_certificate = text_of(text.get());
    }
    if (const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name)) {
        info.server_name = printable(name);
    }
    return info;
}

} // namespace muster::detail
