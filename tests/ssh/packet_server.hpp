#pragma once

#include <openssl/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

/// The server's side of the SSH protocol, without I/O, for tests that say what no real server says:
/// it exchanges keys (ssh-ed25519, aes128-ctr, hmac-sha2-256, no compression); all other messages
/// are the test's own. Its host key is the same in every run.
class PacketServer {
public:
    enum class KeyExchange {
        curve25519, ///< curve25519-sha256
        /// diffie-hellman-group16-sha512, which costs this server nothing: its secret is a small
        /// number.
        group16,
    };

    explicit PacketServer(KeyExchange key_exchange = KeyExchange::curve25519);
    PacketServer(const PacketServer&) = delete;
    PacketServer& operator=(const PacketServer&) = delete;
    ~PacketServer();

    /// Takes what the client has sent.
    void receive(std::string_view bytes);

    /// What the client is to be given, all of it.
    [[nodiscard]] std::string take_output();

    /// Sends one message: its number and what follows.
    void send(std::string_view payload);

    /// Starts a new key exchange.
    void renew_keys();

    /// Claims another host key from now on, whose private half it need not have.
    void claim_host_key(std::string blob) { host_key_blob_ = std::move(blob); }

    /// The first key exchange is over.
    [[nodiscard]] bool encrypted() const noexcept { return !session_id_.empty(); }

    /// Called with each message that is not part of a key exchange.
    std::function<void(std::string_view payload)> on_message;

    /// Answers a client that asks to log in, in whatever way; returns false for other messages.
    bool let_in(std::string_view payload);

private:
    /// One direction's cipher and MAC.
    struct Protection {
        std::shared_ptr<EVP_CIPHER_CTX> cipher;
        std::string mac_key;
    };

    [[nodiscard]] bool take_packet();
    void handle(const std::string& payload);
    void exchange(std::string_view client_share);
    [[nodiscard]] std::string hash(std::string_view bytes) const;
    [[nodiscard]] Protection derive(std::string_view secret, std::string_view exchange_hash,
                                    char iv, char key, char mac) const;

    const KeyExchange key_exchange_;
    std::shared_ptr<EVP_PKEY> host_key_;
    std::string host_key_blob_;
    std::string input_;
    std::string head_; // of the packet that is arriving, decrypted
    std::string output_;
    std::string client_identification_;
    std::string client_kexinit_;
    std::string server_kexinit_;
    std::string session_id_;
    Protection in_;
    Protection out_;
    Protection next_in_; // from the client's NEWKEYS on
    std::uint32_t sent_ = 0;
    bool offered_ = false; // our KEXINIT of this exchange is sent
};
