#pragma once

#include "net/read_buffer.hpp"
#include "net/tls_context.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace muster::detail {

/// One connection's TLS, between bytes and bytes: it knows nothing of sockets. What it wants to
/// send is in `output`.
class TlsSession {
public:
    explicit TlsSession(TlsPeer peer);
    TlsSession(const TlsSession&) = delete;
    TlsSession& operator=(const TlsSession&) = delete;
    ~TlsSession();

    /// Bytes that came from the other side, for the next call.
    void feed(std::string_view encrypted);

    /// Goes on with the handshake as far as the bytes allow; true when it is complete. Throws
    /// TlsError.
    bool handshake();

    [[nodiscard]] bool established() const noexcept { return established_; }

    /// Decrypts what has come. True when the other side has said goodbye. Throws TlsError.
    bool read(ReadBuffer& plain);

    /// Encrypts. Throws TlsError.
    void write(std::string_view plain);

    /// Says goodbye.
    void shut_down() noexcept;

    /// Takes out what has to be sent.
    std::string output();

    [[nodiscard]] bool legacy() const noexcept { return peer_.context->legacy(); }

    [[nodiscard]] TlsInfo info() const;

private:
    struct FreeSsl {
        void operator()(SSL* ssl) const noexcept;
    };

    TlsPeer peer_; // before the SSL, which refers to it
    std::unique_ptr<SSL, FreeSsl> ssl_;
    bool established_ = false;
};

} // namespace muster::detail
