#include "ssh/openssh_key.hpp"

#include "ssh/bcrypt_pbkdf.hpp"
#include "ssh/crypto.hpp"
#include "ssh/wire.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <cstddef>
#include <memory>
#include <utility>

namespace muster::ssh::detail {

namespace {

constexpr std::string_view begin_mark = "-----BEGIN OPENSSH PRIVATE KEY-----";
constexpr std::string_view end_mark = "-----END OPENSSH PRIVATE KEY-----";
constexpr std::string_view magic{"openssh-key-v1\0", 15};

/// More rounds than this take minutes: a damaged or hostile file.
constexpr std::uint32_t max_rounds = 10'000;

/// Bytes that are overwritten when they go.
class SecretBytes {
public:
    explicit SecretBytes(std::string bytes) : bytes_(std::move(bytes)) {}

    SecretBytes(const SecretBytes&) = delete;
    SecretBytes& operator=(const SecretBytes&) = delete;

    ~SecretBytes() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

    [[nodiscard]] std::string& get() noexcept { return bytes_; }

    [[nodiscard]] const std::string& get() const noexcept { return bytes_; }

private:
    std::string bytes_;
};

[[noreturn]] void malformed() {
    throw KeyError("the OpenSSH key is malformed",
                   "is the file whole? ssh-keygen -y -f FILE reads it");
}

std::string decode_armour(std::string_view text) {
    const auto begin = text.find(begin_mark);
    const auto end = text.find(end_mark);
    if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) {
        malformed();
    }
    SecretBytes base64{std::string()};
    for (const char c : text.substr(begin + begin_mark.size(), end - begin - begin_mark.size())) {
        if (c != '\n' && c != '\r' && c != ' ' && c != '\t') {
            base64.get() += c;
        }
    }
    auto bytes = base64_decode(base64.get());
    if (!bytes) {
        malformed();
    }
    return std::move(*bytes);
}

struct Cipher {
    std::string_view name;
    const EVP_CIPHER* (*get)();
};

const EVP_CIPHER* find_cipher(std::string_view name) {
    static constexpr std::array<Cipher, 6> ciphers{{{"aes256-ctr", EVP_aes_256_ctr},
                                                    {"aes192-ctr", EVP_aes_192_ctr},
                                                    {"aes128-ctr", EVP_aes_128_ctr},
                                                    {"aes256-cbc", EVP_aes_256_cbc},
                                                    {"aes192-cbc", EVP_aes_192_cbc},
                                                    {"aes128-cbc", EVP_aes_128_cbc}}};
    for (const Cipher& cipher : ciphers) {
        if (cipher.name == name) {
            return cipher.get();
        }
    }
    throw KeyError("encrypted with " + std::string(name) + ", which is not supported",
                   "re-encrypt it: ssh-keygen -p -Z aes256-ctr -f FILE");
}

std::string decrypt(const EVP_CIPHER* cipher, std::string_view encrypted,
                    const std::string& passphrase, std::string_view salt, std::uint32_t rounds) {
    const auto key_length = static_cast<std::size_t>(EVP_CIPHER_get_key_length(cipher));
    const auto iv_length = static_cast<std::size_t>(EVP_CIPHER_get_iv_length(cipher));
    SecretBytes derived(bcrypt_pbkdf(passphrase, salt, rounds, key_length + iv_length));
    const auto* key = reinterpret_cast<const unsigned char*>(derived.get().data());

    const std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> context(EVP_CIPHER_CTX_new(),
                                                                             EVP_CIPHER_CTX_free);
    std::string plain(encrypted.size() + EVP_MAX_BLOCK_LENGTH, '\0');
    int length = 0;
    const bool ok =
        context &&
        EVP_DecryptInit_ex2(context.get(), cipher, key, key + key_length, nullptr) == 1 &&
        EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1 &&
        EVP_DecryptUpdate(context.get(), reinterpret_cast<unsigned char*>(plain.data()), &length,
                          reinterpret_cast<const unsigned char*>(encrypted.data()),
                          static_cast<int>(encrypted.size())) == 1;
    if (!ok || static_cast<std::size_t>(length) != encrypted.size()) {
        malformed();
    }
    plain.resize(encrypted.size());
    return plain;
}

/// What stands around the private part, in clear.
struct Envelope {
    std::string_view cipher;
    std::string_view derivation;
    std::string_view derivation_options;
    std::string_view public_key;
    std::string_view private_part;

    [[nodiscard]] bool encrypted() const noexcept { return cipher != "none"; }
};

Envelope open_envelope(std::string_view bytes) {
    WireReader file(bytes);
    if (file.take(magic.size()) != magic) {
        malformed();
    }
    Envelope envelope;
    envelope.cipher = file.string();
    envelope.derivation = file.string();
    envelope.derivation_options = file.string();
    const std::uint32_t count = file.uint32();
    envelope.public_key = file.string();
    envelope.private_part = file.string();
    if (!file.ok() || count != 1) {
        malformed();
    }
    return envelope;
}

KeyHandle read_private_part(WireReader& reader) {
    const std::string_view type = reader.string();
    KeyHandle key;
    if (type == "ssh-ed25519") {
        reader.string(); // the public half
        const std::string_view both = reader.string();
        if (both.size() == 64) {
            key = make_ed25519_key(both.substr(0, 32));
        }
    } else if (type.starts_with("ecdsa-sha2-")) {
        const std::string_view curve = reader.string();
        const std::string_view point = reader.string();
        const std::string_view secret = reader.string();
        if (reader.ok()) {
            key = make_ecdsa_key(curve, point, secret);
        }
    } else if (type == "ssh-rsa") {
        RsaNumbers numbers;
        numbers.n = reader.string();
        numbers.e = reader.string();
        numbers.d = reader.string();
        numbers.inverse_of_q = reader.string();
        numbers.p = reader.string();
        numbers.q = reader.string();
        if (reader.ok()) {
            key = make_rsa_key(numbers);
        }
    } else {
        throw KeyError("keys of type " + std::string(type) + " are not supported",
                       "use an ed25519, ECDSA or RSA key");
    }
    if (!key || !reader.ok()) {
        malformed();
    }
    return key;
}

} // namespace

bool is_openssh_key(std::string_view text) {
    return text.find(begin_mark) != std::string_view::npos;
}

std::optional<std::string> encrypted_public_half(std::string_view text) {
    if (!is_openssh_key(text)) {
        return std::nullopt;
    }
    try {
        const SecretBytes bytes(decode_armour(text));
        const Envelope envelope = open_envelope(bytes.get());
        if (envelope.encrypted()) {
            return std::string(envelope.public_key);
        }
    } catch (const KeyError&) {
        // Damaged: no key at all.
    }
    return std::nullopt;
}

KeyHandle parse_openssh_key(std::string_view text, const std::string& passphrase) {
    const SecretBytes bytes(decode_armour(text));
    const Envelope envelope = open_envelope(bytes.get());
    SecretBytes plain{std::string()};
    if (!envelope.encrypted()) {
        plain.get() = envelope.private_part;
    } else {
        if (passphrase.empty()) {
            throw KeyError("the key is encrypted", missing_passphrase_remedy);
        }
        WireReader derivation_options(envelope.derivation_options);
        const std::string_view salt = derivation_options.string();
        const std::uint32_t rounds = derivation_options.uint32();
        if (envelope.derivation != "bcrypt" || !derivation_options.ok() || salt.empty() ||
            rounds == 0 || rounds > max_rounds) {
            malformed();
        }
        plain.get() =
            decrypt(find_cipher(envelope.cipher), envelope.private_part, passphrase, salt, rounds);
    }

    // Two equal numbers in front tell the right passphrase from a wrong one.
    WireReader reader(plain.get());
    const std::uint32_t first = reader.uint32();
    const std::uint32_t second = reader.uint32();
    if (!reader.ok() || first != second) {
        if (envelope.encrypted()) {
            throw KeyError("wrong passphrase", wrong_passphrase_remedy);
        }
        malformed();
    }
    return read_private_part(reader);
}

} // namespace muster::ssh::detail
