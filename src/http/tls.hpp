#pragma once

#include "trouble.hpp"

#include <muster/http/client.hpp>

#include <openssl/types.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>

struct ssl_session_st; // SSL_SESSION, for which OpenSSL has no light header

namespace muster::http::detail {

class TlsContext;

/// One connection's side of TLS: whom it wants to talk to, and what was wrong with the other's
/// certificate. Stays where it is while the SSL made for it lives.
struct TlsPeer {
    std::shared_ptr<TlsContext> context;
    std::string name;        ///< name or address which the certificate must be for
    std::string session_key; ///< what a session may be resumed with
    std::optional<Trouble> refusal;
};

/// Certificates to trust, rules, and sessions to resume: shared by all clients of the process that
/// have the same options. From any thread.
class TlsContext {
public:
    /// The context for these options, or why they cannot be used.
    static std::variant<std::shared_ptr<TlsContext>, Trouble> get(const TlsOptions& options);

    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;
    ~TlsContext();

    /// A new client's SSL for `peer`; the caller owns it. Null when memory is out.
    SSL* make(TlsPeer& peer);

private:
    struct FreeContext {
        void operator()(SSL_CTX* context) const noexcept;
    };

    struct FreeSession {
        void operator()(ssl_session_st* session) const noexcept;
    };

    using Session = std::unique_ptr<ssl_session_st, FreeSession>;

    TlsContext(bool verify, bool legacy);

    static std::variant<std::shared_ptr<TlsContext>, Trouble> build(const TlsOptions& options,
                                                                    const std::string& pem);
    static int on_verify(int fine, X509_STORE_CTX* store);
    static int on_new_session(SSL* ssl, ssl_session_st* session);

    void store(const std::string& key, Session session);
    void resume(SSL* ssl, const std::string& key);

    std::unique_ptr<SSL_CTX, FreeContext> context_;
    std::mutex mutex_;
    std::unordered_map<std::string, Session> sessions_;
};

/// What a failed handshake means, from the number of an error of OpenSSL and its text.
Trouble handshake_trouble(unsigned long code, const std::string& message);

} // namespace muster::http::detail
