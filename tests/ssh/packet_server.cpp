#include "packet_server.hpp"

#include "ssh/crypto.hpp"
#include "ssh/wire.hpp"

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <stdexcept>
#include <utility>

using namespace muster::ssh::detail;

namespace {

constexpr std::string_view identification = "SSH-2.0-muster_test";

constexpr char msg_service_request = 5;
constexpr char msg_service_accept = 6;
constexpr char msg_kexinit = 20;
constexpr char msg_newkeys = 21;
constexpr char msg_kex_ecdh_init = 30;
constexpr char msg_kex_ecdh_reply = 31;
constexpr char msg_userauth_request = 50;
constexpr char msg_userauth_success = 52;

constexpr std::size_t block = 16;
constexpr std::size_t mac_size = 32;

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

void check(bool ok) {
    if (!ok) {
        throw std::runtime_error("OpenSSL refuses to work for the test's server");
    }
}

std::shared_ptr<EVP_PKEY> key_from(int type, std::string_view secret) {
    std::shared_ptr<EVP_PKEY> key(
        EVP_PKEY_new_raw_private_key(type, nullptr, bytes_of(secret), secret.size()),
        EVP_PKEY_free);
    check(key != nullptr);
    return key;
}

std::string public_half(EVP_PKEY* key) {
    std::string point(32, '\0');
    std::size_t length = point.size();
    check(EVP_PKEY_get_raw_public_key(key, bytes_of(point), &length) == 1);
    return point;
}

/// The server's half of a key exchange, and what both sides then know, as it goes into the hash.
struct Share {
    std::string ours;
    std::string secret;
};

Share share_curve25519(std::string_view theirs) {
    const auto ours = key_from(EVP_PKEY_X25519, std::string(32, 'x'));
    const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> peer(
        EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, bytes_of(theirs), theirs.size()),
        EVP_PKEY_free);
    const std::unique_ptr<EVP_PKEY_CTX, void (*)(EVP_PKEY_CTX*)> context(
        EVP_PKEY_CTX_new(ours.get(), nullptr), EVP_PKEY_CTX_free);
    std::string secret(32, '\0');
    std::size_t length = secret.size();
    check(peer && context && EVP_PKEY_derive_init(context.get()) == 1 &&
          EVP_PKEY_derive_set_peer(context.get(), peer.get()) == 1 &&
          EVP_PKEY_derive(context.get(), bytes_of(secret), &length) == 1);
    Share share{public_half(ours.get()), {}};
    append_mpint(share.secret, secret);
    return share;
}

using Number = std::unique_ptr<BIGNUM, void (*)(BIGNUM*)>;

std::string bytes_of(const BIGNUM* number) {
    std::string bytes(static_cast<std::size_t>(BN_num_bytes(number)), '\0');
    BN_bn2bin(number, bytes_of(bytes));
    return bytes;
}

Share share_group16(std::string_view theirs) {
    constexpr int our_secret = 1000;
    const Number prime(BN_get_rfc3526_prime_4096(nullptr), BN_free);
    const Number exponent(BN_new(), BN_free);
    const Number ours(BN_new(), BN_free);
    const Number common(BN_new(), BN_free);
    const Number client(BN_bin2bn(bytes_of(theirs), static_cast<int>(theirs.size()), nullptr),
                        BN_free);
    const std::unique_ptr<BN_CTX, void (*)(BN_CTX*)> context(BN_CTX_new(), BN_CTX_free);
    check(prime && exponent && ours && common && client && context &&
          BN_set_word(exponent.get(), our_secret) == 1 &&
          BN_set_bit(ours.get(), our_secret) == 1 && // the generator is 2
          BN_mod_exp(common.get(), client.get(), exponent.get(), prime.get(), context.get()) == 1);
    Share share;
    std::string number;
    append_mpint(number, bytes_of(ours.get()));
    share.ours = WireReader(number).string();
    append_mpint(share.secret, bytes_of(common.get()));
    return share;
}

std::string sha512(std::string_view bytes) {
    std::string digest(64, '\0');
    unsigned length = 0;
    check(EVP_Digest(bytes.data(), bytes.size(), bytes_of(digest), &length, EVP_sha512(),
                     nullptr) == 1);
    return digest;
}

std::string sign(EVP_PKEY* key, std::string_view data) {
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                     EVP_MD_CTX_free);
    std::string signature(64, '\0');
    std::size_t length = signature.size();
    check(context && EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key) == 1 &&
          EVP_DigestSign(context.get(), bytes_of(signature), &length, bytes_of(data),
                         data.size()) == 1);
    return signature;
}

std::string crypt(EVP_CIPHER_CTX* cipher, std::string_view data) {
    std::string result(data.size(), '\0');
    int length = 0;
    check(EVP_CipherUpdate(cipher, bytes_of(result), &length, bytes_of(data),
                           static_cast<int>(data.size())) == 1);
    return result;
}

std::string ed25519_blob(std::string_view name, std::string_view part) {
    std::string blob;
    append_string(blob, name);
    append_string(blob, part);
    return blob;
}

} // namespace

PacketServer::PacketServer(KeyExchange key_exchange)
    : key_exchange_(key_exchange),
      host_key_(key_from(EVP_PKEY_ED25519, std::string(32, 'h'))),
      host_key_blob_(ed25519_blob("ssh-ed25519", public_half(host_key_.get()))) {
    output_ = std::string(identification) + "\r\n";
    renew_keys();
}

PacketServer::~PacketServer() = default;

std::string PacketServer::take_output() { return std::exchange(output_, {}); }

void PacketServer::renew_keys() {
    if (std::exchange(offered_, true)) {
        return;
    }
    std::string message(1, msg_kexinit);
    message += std::string(16, 'c'); // the cookie
    const char* const method = key_exchange_ == KeyExchange::curve25519
                                   ? "curve25519-sha256"
                                   : "diffie-hellman-group16-sha512";
    for (const char* names : {method, "ssh-ed25519", "aes128-ctr", "aes128-ctr", "hmac-sha2-256",
                              "hmac-sha2-256", "none", "none", "", ""}) {
        append_string(message, names);
    }
    message += '\0'; // no guess follows
    append_uint32(message, 0);
    server_kexinit_ = message;
    send(message);
}

void PacketServer::send(std::string_view payload) {
    const std::size_t unit = out_.cipher ? block : 8;
    std::size_t padding = unit - (5 + payload.size()) % unit;
    padding += padding < 4 ? unit : 0;
    std::string packet;
    append_uint32(packet, static_cast<std::uint32_t>(1 + payload.size() + padding));
    packet += static_cast<char>(padding);
    packet += payload;
    packet.append(padding, 'p');
    if (out_.cipher) {
        std::string authenticated;
        append_uint32(authenticated, sent_);
        authenticated += packet;
        std::array<unsigned char, mac_size> mac{};
        unsigned length = 0;
        check(HMAC(EVP_sha256(), out_.mac_key.data(), static_cast<int>(out_.mac_key.size()),
                   bytes_of(authenticated), authenticated.size(), mac.data(), &length) != nullptr);
        packet = crypt(out_.cipher.get(), packet);
        packet.append(reinterpret_cast<const char*>(mac.data()), mac.size());
    }
    ++sent_;
    output_ += packet;
}

void PacketServer::receive(std::string_view bytes) {
    input_ += bytes;
    if (client_identification_.empty()) {
        const auto end = input_.find('\n');
        if (end == std::string::npos) {
            return;
        }
        client_identification_ = input_.substr(0, end);
        if (client_identification_.ends_with('\r')) {
            client_identification_.pop_back();
        }
        input_.erase(0, end + 1);
    }
    while (take_packet()) {
    }
}

bool PacketServer::take_packet() {
    if (head_.empty()) {
        if (input_.size() < block) {
            return false;
        }
        const std::string first = input_.substr(0, block);
        head_ = in_.cipher ? crypt(in_.cipher.get(), first) : first;
        input_.erase(0, block);
    }
    WireReader reader(head_);
    const std::size_t length = reader.uint32() + std::size_t{4};
    const std::size_t padding = reader.byte();
    const std::size_t rest = length - block;
    const std::size_t mac = in_.cipher ? mac_size : 0;
    if (length < block || length > 1'000'000 || padding + 5 > length) {
        throw std::runtime_error("the client sent a packet of an impossible length");
    }
    if (input_.size() < rest + mac) {
        return false;
    }
    const std::string tail = input_.substr(0, rest);
    const std::string packet =
        std::exchange(head_, {}) + (in_.cipher ? crypt(in_.cipher.get(), tail) : tail);
    input_.erase(0, rest + mac);
    handle(packet.substr(5, length - 5 - padding));
    return true;
}

void PacketServer::handle(const std::string& payload) {
    const char kind = payload.empty() ? '\0' : payload.front();
    if (kind == msg_kexinit) {
        client_kexinit_ = payload;
        renew_keys();
    } else if (kind == msg_kex_ecdh_init) {
        exchange(WireReader(std::string_view(payload).substr(1)).string());
    } else if (kind == msg_newkeys) {
        in_ = next_in_;
        offered_ = false;
    } else if (on_message) {
        on_message(payload);
    }
}

std::string PacketServer::hash(std::string_view bytes) const {
    return key_exchange_ == KeyExchange::curve25519 ? sha256(bytes) : sha512(bytes);
}

void PacketServer::exchange(std::string_view client_share) {
    const Share share = key_exchange_ == KeyExchange::curve25519 ? share_curve25519(client_share)
                                                                 : share_group16(client_share);
    std::string hashed;
    append_string(hashed, client_identification_);
    append_string(hashed, identification);
    append_string(hashed, client_kexinit_);
    append_string(hashed, server_kexinit_);
    append_string(hashed, host_key_blob_);
    append_string(hashed, client_share);
    append_string(hashed, share.ours);
    hashed += share.secret;
    const std::string exchange_hash = hash(hashed);
    if (session_id_.empty()) {
        session_id_ = exchange_hash;
    }

    std::string reply(1, msg_kex_ecdh_reply);
    append_string(reply, host_key_blob_);
    append_string(reply, share.ours);
    append_string(reply, ed25519_blob("ssh-ed25519", sign(host_key_.get(), exchange_hash)));
    send(reply);
    send(std::string(1, msg_newkeys));
    next_in_ = derive(share.secret, exchange_hash, 'A', 'C', 'E');
    out_ = derive(share.secret, exchange_hash, 'B', 'D', 'F');
}

PacketServer::Protection PacketServer::derive(std::string_view secret,
                                              std::string_view exchange_hash, char iv, char key,
                                              char mac) const {
    const auto part = [&](char letter) {
        return hash(std::string(secret) + std::string(exchange_hash) + letter + session_id_);
    };
    Protection result;
    result.cipher = {EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free};
    // Counter mode: the same operation both ways.
    check(EVP_EncryptInit_ex2(result.cipher.get(), EVP_aes_128_ctr(), bytes_of(part(key)),
                              bytes_of(part(iv)), nullptr) == 1);
    result.mac_key = part(mac).substr(0, mac_size);
    return result;
}

bool PacketServer::let_in(std::string_view payload) {
    if (payload.starts_with(msg_service_request)) {
        std::string accept(1, msg_service_accept);
        append_string(accept, WireReader(payload.substr(1)).string());
        send(accept);
        return true;
    }
    if (payload.starts_with(msg_userauth_request)) {
        send(std::string(1, msg_userauth_success));
        return true;
    }
    return false;
}
