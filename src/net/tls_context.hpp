#pragma once

#include <muster/net/tls.hpp>

#include <openssl/types.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

struct ssl_session_st; // SSL_SESSION, for which OpenSSL has no light header

namespace muster::detail {

class TlsContext;

/// One connection's side of TLS: whom it wants to talk to, and what was wrong with the other's
/// certificate. Stays where it is while the SSL made for it lives.
struct TlsPeer {
    std::shared_ptr<TlsContext> context;
    std::string name;        ///< name or address which the certificate must be for; a client's
    std::string session_key; ///< what a session may be resumed with; empty: none is
    std::string protocol;    ///< to ask for (ALPN): "http/1.1"; empty: none
    std::optional<TlsError> refusal;
};

/// Certificates to show and to trust, rules, and sessions to resume. From any thread.
class TlsContext {
public:
    /// For clients; all of the process that have the same options share one, unless they have a
    /// certificate of their own. Throws TlsError when the options cannot be used.
    static std::shared_ptr<TlsContext> client(const TlsOptions& options);

    /// For servers; the same.
    static std::shared_ptr<TlsContext> server(const TlsServerOptions& options);

    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;
    ~TlsContext();

    /// A new SSL for `peer`; the caller owns it. Null when memory is out.
    SSL* make(TlsPeer& peer);

    [[nodiscard]] bool is_server() const noexcept { return server_; }

    /// Whether the other side may leave without a goodbye.
    [[nodiscard]] bool legacy() const noexcept { return legacy_; }

private:
    struct FreeContext {
        void operator()(SSL_CTX* context) const noexcept;
    };

    struct FreeSession {
        void operator()(ssl_session_st* session) const noexcept;
    };

    using Session = std::unique_ptr<ssl_session_st, FreeSession>;

    TlsContext(bool server, bool verify, bool legacy);

    static std::shared_ptr<TlsContext> build(const TlsOptions& options, const std::string& pem);
    static int on_verify(int fine, X509_STORE_CTX* store);
    static int on_new_session(SSL* ssl, ssl_session_st* session);

    void store(const std::string& key, Session session);
    void resume(SSL* ssl, const std::string& key);

    std::unique_ptr<SSL_CTX, FreeContext> context_;
    bool server_;
    bool legacy_;
    std::mutex mutex_;
    std::unordered_map<std::string, Session> sessions_;
};

/// The name by which a server at `host` is checked: `host` as certificates write it, unless
/// `options` have another.
std::string certificate_name(const std::string& host, const TlsOptions& options);

/// What a failed handshake means, from the number of an error of OpenSSL and its text.
TlsError handshake_error(unsigned long code, const std::string& message);

/// The text of an error of OpenSSL: "wrong version number".
std::string openssl_text(unsigned long code);

} // namespace muster::detail
