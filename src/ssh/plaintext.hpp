#pragma once

#include <cstddef>
#include <string_view>

namespace muster::ssh::detail {

/// Cuts the unencrypted start of a connection into lines and whole packets (RFC 4253 sections 4.2
/// and 6), so that libssh2 never holds half a packet before encryption begins: what it has half
/// received, and the host key it has then, it would never free.
class PlaintextFraming {
public:
    /// How many bytes at the front of `unread` may be handed over now; none when a packet is not
    /// complete. Everything once encryption has begun.
    [[nodiscard]] std::size_t available(std::string_view unread);

    /// So many of them were.
    void consumed(std::size_t count) noexcept;

    /// The server's last words of the key exchange were handed over, its NEWKEYS was not.
    [[nodiscard]] bool awaits_newkeys() const noexcept;

    /// An answer to the client's key exchange may have been handed over: what follows a NEWKEYS is
    /// not looked at, and need not be encrypted.
    [[nodiscard]] bool answered() const noexcept { return answered_ || encrypted_; }

    [[nodiscard]] bool encrypted() const noexcept { return encrypted_; }

    /// What the server would send to end the key exchange.
    static std::string_view newkeys_packet() noexcept;

private:
    std::size_t left_ = 0; // of the current line or packet
    unsigned char last_message_ = 0;
    bool identified_ = false;
    bool answered_ = false;
    bool encrypted_ = false;
};

} // namespace muster::ssh::detail
