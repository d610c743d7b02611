#pragma once
/// Private keys as OpenSSL holds them, and their SSH side.

#include "ssh/wire.hpp"

#include <openssl/types.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace muster::ssh::detail {

struct FreeKey {
    void operator()(EVP_PKEY* key) const noexcept;
};

using KeyHandle = std::unique_ptr<EVP_PKEY, FreeKey>;

/// Why a key cannot be used.
class KeyError : public std::runtime_error {
public:
    explicit KeyError(const std::string& what, std::string remedy = {})
        : std::runtime_error(what), remedy_(std::move(remedy)) {}

    [[nodiscard]] const std::string& remedy() const noexcept { return remedy_; }

private:
    std::string remedy_;
};

inline constexpr const char* missing_passphrase_remedy =
    "give its passphrase, or add it to an SSH agent: ssh-add FILE";
inline constexpr const char* wrong_passphrase_remedy =
    "ssh-keygen -y -f FILE tells whether a passphrase is right";

/// A key in PEM: PKCS#1, PKCS#8 or SEC 1, encrypted or not.
KeyHandle parse_pem_key(std::string_view text, const std::string& passphrase);

/// From the 32 bytes that an ed25519 key is made of.
KeyHandle make_ed25519_key(std::string_view seed);

/// `curve` is the SSH name ("nistp256"), the numbers are big-endian bytes.
KeyHandle make_ecdsa_key(std::string_view curve, std::string_view point, std::string_view secret);

/// All numbers are big-endian bytes.
struct RsaNumbers {
    std::string_view n, e, d, p, q, inverse_of_q;
};

KeyHandle make_rsa_key(const RsaNumbers& numbers);

/// The public half in SSH's wire format.
std::string public_blob(EVP_PKEY& key);

/// See PrivateKey::sign.
std::string sign(EVP_PKEY& key, std::string_view algorithm, std::string_view data);

} // namespace muster::ssh::detail
