#include "net/tls_context.hpp"

#include "net/endpoint.hpp"
#include "net/printable.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <map>
#include <new>
#include <utility>

namespace muster::detail {

namespace {

constexpr std::size_t max_sessions = 1024;

int peer_index() {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

TlsPeer* peer_of(const SSL* ssl) {
    return static_cast<TlsPeer*>(SSL_get_ex_data(ssl, peer_index()));
}

bool is_address(const std::string& name) {
    in6_addr ignored{};
    return inet_pton(AF_INET, name.c_str(), &ignored) == 1 ||
           inet_pton(AF_INET6, name.c_str(), &ignored) == 1;
}

std::string common_name(const X509_NAME* name) {
    const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    const X509_NAME_ENTRY* entry = at < 0 ? nullptr : X509_NAME_get_entry(name, at);
    const ASN1_STRING* text = entry == nullptr ? nullptr : X509_NAME_ENTRY_get_data(entry);
    if (text == nullptr) {
        return "(no name)";
    }
    return printable({reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                      static_cast<std::size_t>(ASN1_STRING_length(text))});
}

std::string date(const ASN1_TIME* time) {
    std::tm parts{};
    std::array<char, 32> text{};
    if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1 ||
        std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &parts) == 0) {
        return "an unreadable date";
    }
    return text.data();
}

/// The names and addresses a certificate is for; its common name if it lists none.
std::string names_of(X509* certificate) {
    std::string list;
    auto* names = static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names); ++i) {
        int type = 0;
        const auto* value = static_cast<const ASN1_STRING*>(
            GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type));
        std::string text;
        if (type == GEN_DNS) {
            text = printable({reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                              static_cast<std::size_t>(ASN1_STRING_length(value))});
        } else if (type == GEN_IPADD) {
            std::array<char, INET6_ADDRSTRLEN> buffer{};
            const int family = ASN1_STRING_length(value) == 4 ? AF_INET : AF_INET6;
            if (family == AF_INET || ASN1_STRING_length(value) == 16) {
                inet_ntop(family, ASN1_STRING_get0_data(value), buffer.data(), buffer.size());
            }
            text = buffer.data();
        }
        if (!text.empty()) {
            list += (list.empty() ? "" : ", ") + text;
        }
    }
    GENERAL_NAMES_free(names);
    return list.empty() ? common_name(X509_get_subject_name(certificate)) : list;
}

TlsError refusal(int code, int depth, X509* certificate, const std::string& wanted,
                 bool by_server) {
    const std::string subject =
        certificate == nullptr ? "?" : common_name(X509_get_subject_name(certificate));
    const std::string other = by_server ? "client" : "server";
    const std::string whose = (depth == 0 ? "the " + other + "'s certificate, \""
                                          : "the certificate of the authority \"") +
                              subject + "\"";
    const std::string file = by_server ? "client_ca_file" : "ca_file";
    std::string reason;
    std::string remedy;
    switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        reason = whose + ", expired on " + date(X509_get0_notAfter(certificate));
        remedy = "renew it, or check this machine's clock";
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        reason = whose + ", is not valid before " + date(X509_get0_notBefore(certificate));
        remedy = "check both machines' clocks";
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        reason = whose + ", is self-signed";
        remedy = "if it is the right one, trust it: name its PEM file as " + file;
        break;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        reason = whose + ", is signed by \"" +
                 (certificate == nullptr ? "?" : common_name(X509_get_issuer_name(certificate))) +
                 "\", which is no authority trusted here";
        remedy = "name that authority's certificate as " + file;
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        reason = "the certificate is for " +
                 (certificate == nullptr ? subject : names_of(certificate)) + ", not for " +
                 printable(wanted);
        remedy = "connect by a name that it is for, or say which one to expect as server_name";
        break;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK:
        reason = whose + ", is too weak: " + X509_verify_cert_error_string(code);
        remedy = "give the " + other + " a new one" +
                 (by_server ? "" : ", or allow it by TlsOptions::legacy");
        break;
    default:
        reason = whose + ", was refused: " + X509_verify_cert_error_string(code);
        break;
    }
    return {TlsError::Kind::certificate, std::move(reason), std::move(remedy)};
}

TlsError unusable(std::string reason, std::string remedy) {
    return {TlsError::Kind::configuration, std::move(reason), std::move(remedy)};
}

TlsError bad_ca(std::string reason) {
    return unusable(std::move(reason), "it must be a PEM file of certificates");
}

std::string read_file(const std::string& path, const std::string& what) {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    std::string text(std::istreambuf_iterator<char>(file), {});
    if (!file.is_open() || file.bad()) {
        throw unusable("cannot read the " + what + " in " + path + ": " + std::strerror(errno),
                       "check the path and who may read it");
    }
    return text;
}

/// The certificates to trust, as text, from the file and the text given.
std::string read_pem(const TlsOptions& options) {
    std::string pem = options.ca_pem;
    if (!options.ca_file.empty()) {
        pem += "\n" + read_file(options.ca_file, "certificates");
    }
    return pem;
}

/// A passphrase for OpenSSL; never asks on the terminal, as OpenSSL does when there is none.
int give_passphrase(char* buffer, int size, int /*writing*/, void* secret) {
    const std::string& text = static_cast<const Secret*>(secret)->reveal();
    const auto count = std::min(text.size(), static_cast<std::size_t>(size));
    std::copy_n(text.data(), count, buffer);
    return static_cast<int>(count);
}

/// Gives `context` a certificate with its key.
void load_identity(SSL_CTX* context, const std::string& certificate_file,
                   const std::string& key_file, const Secret& password) {
    const std::string& key = key_file.empty() ? certificate_file : key_file;
    // For texts that say more than OpenSSL's about files which are not there.
    static_cast<void>(read_file(certificate_file, "certificate"));
    static_cast<void>(read_file(key, "private key"));
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) != 1) {
        throw unusable("there is no certificate in " + certificate_file + ": " +
                           openssl_text(ERR_get_error()),
                       "it must be a PEM file, the server's own certificate first");
    }
    SSL_CTX_set_default_passwd_cb(context, give_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(context, const_cast<Secret*>(&password));
    const bool loaded = SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
    SSL_CTX_set_default_passwd_cb(context, nullptr);
    const unsigned long code = loaded ? 0 : ERR_peek_last_error();
    ERR_clear_error();
    if (!loaded && ERR_GET_LIB(code) == ERR_LIB_X509 &&
        ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH) {
        throw unusable("the private key in " + key + " is not the one of the certificate in " +
                           certificate_file,
                       "name the files that belong together");
    }
    if (!loaded) {
        throw unusable("cannot use the private key in " + key + ": " + openssl_text(code),
                       password.empty() ? "if it has a passphrase, give it as key_password"
                                        : "check key_password");
    }
}

int trust(X509_STORE* store, const std::string& pem) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> memory(
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
    int count = 0;
    while (X509* certificate = PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr)) {
        X509_STORE_add_cert(store, certificate);
        X509_free(certificate);
        ++count;
    }
    ERR_clear_error(); // the end of the file is an error to the reader
    return count;
}

/// The contexts in use, by their options. OpenSSL is set up before the cache is, so that it is
/// still there when the cache goes.
struct Contexts {
    Contexts() { OPENSSL_init_ssl(0, nullptr); }

    std::mutex mutex;
    std::map<std::string, std::weak_ptr<TlsContext>> by_options;
    /// Reading the system's authorities takes milliseconds: once is enough.
    std::map<std::string, std::shared_ptr<TlsContext>> system;
};

Contexts& contexts() {
    static Contexts instance;
    return instance;
}

} // namespace

void TlsContext::FreeContext::operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }

void TlsContext::FreeSession::operator()(SSL_SESSION* session) const noexcept {
    SSL_SESSION_free(session);
}

TlsContext::TlsContext(bool server, bool verify, bool legacy)
    : context_(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method())),
      server_(server),
      legacy_(legacy) {
    if (!context_) {
        throw std::bad_alloc();
    }
    SSL_CTX* context = context_.get();
    if (legacy) {
        SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
        SSL_CTX_set_cipher_list(context, "ALL:!aNULL:!eNULL:@SECLEVEL=0");
        SSL_CTX_set_options(context, SSL_OP_LEGACY_SERVER_CONNECT);
    } else {
        SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    }
    SSL_CTX_set_verify(context, verify ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0,
                       verify ? &TlsContext::on_verify : nullptr);
}

TlsContext::~TlsContext() = default;

std::shared_ptr<TlsContext> TlsContext::client(const TlsOptions& options) {
    const std::string trusted = read_pem(options);
    if (!options.certificate_file.empty()) {
        auto built = build(options, trusted);
        load_identity(built->context_.get(), options.certificate_file, options.key_file,
                      options.key_password);
        return built;
    }
    const bool own = !options.ca_file.empty() || !options.ca_pem.empty();
    const std::string key = std::string(options.verify == Verify::full ? "v" : "-") +
                            (options.legacy ? "l" : "-") + (own ? "o" : "-") + trusted;
    Contexts& all = contexts();
    const std::scoped_lock lock(all.mutex);
    if (auto found = all.by_options[key].lock()) {
        return found;
    }
    std::erase_if(all.by_options, [](const auto& entry) { return entry.second.expired(); });
    auto built = build(options, trusted);
    all.by_options[key] = built;
    if (!own) {
        all.system[key] = built;
    }
    return built;
}

std::shared_ptr<TlsContext> TlsContext::build(const TlsOptions& options, const std::string& pem) {
    const bool verify = options.verify == Verify::full;
    std::shared_ptr<TlsContext> made(new TlsContext(false, verify, options.legacy));
    SSL_CTX* context = made->context_.get();
    SSL_CTX_set_session_cache_mode(context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(context, &TlsContext::on_new_session);
    if (!verify) {
        return made;
    }
    if (options.ca_file.empty() && options.ca_pem.empty()) {
        SSL_CTX_set_default_verify_paths(context);
        return made;
    }
    X509_STORE* store = SSL_CTX_get_cert_store(context);
    if (trust(store, pem) == 0) {
        throw bad_ca("there is no certificate in " +
                     (options.ca_file.empty() ? "ca_pem" : options.ca_file));
    }
    // A server's own certificate that was named is trusted, whoever has signed it.
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    return made;
}

std::shared_ptr<TlsContext> TlsContext::server(const TlsServerOptions& options) {
    if (options.certificate_file.empty()) {
        throw unusable("a TLS server needs a certificate",
                       "name its PEM file as certificate_file, and the key's as key_file");
    }
    OPENSSL_init_ssl(0, nullptr);
    const bool verify = !options.client_ca_file.empty();
    std::shared_ptr<TlsContext> made(new TlsContext(true, verify, false));
    SSL_CTX* context = made->context_.get();
    load_identity(context, options.certificate_file, options.key_file, options.key_password);
    if (verify) {
        // Sessions are resumed for those only whose certificate this server has checked.
        SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>("m"), 1);
        const std::string pem = read_file(options.client_ca_file, "certificates");
        if (trust(SSL_CTX_get_cert_store(context), pem) == 0) {
            throw bad_ca("there is no certificate in " + options.client_ca_file);
        }
        SSL_CTX_set_client_CA_list(context,
                                   SSL_load_client_CA_file(options.client_ca_file.c_str()));
    }
    return made;
}

SSL* TlsContext::make(TlsPeer& peer) {
    SSL* ssl = SSL_new(context_.get());
    if (ssl == nullptr) {
        return nullptr;
    }
    SSL_set_ex_data(ssl, peer_index(), &peer);
    if (server_) {
        return ssl;
    }
    X509_VERIFY_PARAM* rules = SSL_get0_param(ssl);
    if (is_address(peer.name)) {
        X509_VERIFY_PARAM_set1_ip_asc(rules, peer.name.c_str());
    } else if (!peer.name.empty()) {
        SSL_set_tlsext_host_name(ssl, peer.name.c_str());
        X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        X509_VERIFY_PARAM_set1_host(rules, peer.name.data(), peer.name.size());
    }
    if (!peer.protocol.empty()) {
        const std::string list = static_cast<char>(peer.protocol.size()) + peer.protocol;
        SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(list.data()),
                            static_cast<unsigned>(list.size()));
    }
    if (!peer.session_key.empty()) {
        resume(ssl, peer.session_key);
    }
    return ssl;
}

int TlsContext::on_verify(int fine, X509_STORE_CTX* store) {
    if (fine == 0) {
        const auto* ssl = static_cast<SSL*>(
            X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
        TlsPeer* peer = peer_of(ssl);
        if (peer != nullptr && !peer->refusal) {
            peer->refusal = refusal(
                X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_error_depth(store),
                X509_STORE_CTX_get_current_cert(store), peer->name, SSL_is_server(ssl) == 1);
        }
    }
    return fine;
}

int TlsContext::on_new_session(SSL* ssl, SSL_SESSION* session) {
    const TlsPeer* peer = peer_of(ssl);
    if (peer == nullptr || peer->session_key.empty() || SSL_SESSION_is_resumable(session) == 0) {
        return 0;
    }
    peer->context->store(peer->session_key, Session(session));
    return 1; // the reference is ours now
}

void TlsContext::store(const std::string& key, Session session) {
    const std::scoped_lock lock(mutex_);
    if (sessions_.size() >= max_sessions && !sessions_.contains(key)) {
        sessions_.erase(sessions_.begin());
    }
    sessions_[key] = std::move(session);
}

void TlsContext::resume(SSL* ssl, const std::string& key) {
    const std::scoped_lock lock(mutex_);
    const auto found = sessions_.find(key);
    if (found == sessions_.end()) {
        return;
    }
    SSL_set_session(ssl, found->second.get());
    // A TLS 1.3 ticket used twice lets an onlooker link the two (RFC 8446, C.4).
    if (SSL_SESSION_get_protocol_version(found->second.get()) >= TLS1_3_VERSION) {
        sessions_.erase(found);
    }
}

std::string certificate_name(const std::string& host, const TlsOptions& options) {
    std::string name = without_brackets(options.server_name.empty() ? host : options.server_name);
    name = name.substr(0, name.find('%')); // a zone is this machine's business
    if (name.ends_with('.')) {
        name.pop_back();
    }
    return name;
}

TlsError handshake_error(unsigned long code, const std::string& message) {
    std::string remedy;
    switch (ERR_GET_REASON(code)) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_UNEXPECTED_MESSAGE:
        remedy =
            "the other side does not seem to speak TLS on this port; with a web server it may be "
            "http://";
        break;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED:
    case SSL_R_DH_KEY_TOO_SMALL:
    case SSL_R_EE_KEY_TOO_SMALL:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        remedy = "if the server is too old for today's TLS, allow it by TlsOptions::legacy";
        break;
    default:
        break;
    }
    return {TlsError::Kind::protocol, "the handshake failed: " + message, std::move(remedy)};
}

std::string openssl_text(unsigned long code) {
    const char* text = ERR_reason_error_string(code);
    return text == nullptr ? "OpenSSL error " + std::to_string(code) : text;
}

} // namespace muster::detail

namespace muster {

TlsError::TlsError(Kind kind, std::string reason, std::string remedy)
    : Error(remedy.empty() ? reason : reason + " (" + remedy + ")"),
      kind_(kind),
      reason_(std::move(reason)),
      remedy_(std::move(remedy)) {}

} // namespace muster
