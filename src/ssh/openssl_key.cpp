#include "ssh/openssl_key.hpp"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

namespace muster::ssh::detail {

namespace {

template <auto Free>
struct Deleter {
    template <class T>
    void operator()(T* object) const noexcept {
        Free(object);
    }
};

template <class T, auto Free>
using Handle = std::unique_ptr<T, Deleter<Free>>;

using Number = Handle<BIGNUM, BN_clear_free>;

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

Number to_number(std::string_view bytes) {
    return Number(BN_bin2bn(bytes_of(bytes), static_cast<int>(bytes.size()), nullptr));
}

std::string to_bytes(const BIGNUM* number) {
    std::string bytes(static_cast<std::size_t>(BN_num_bytes(number)), '\0');
    BN_bn2bin(number, reinterpret_cast<unsigned char*>(bytes.data()));
    return bytes;
}

Number get_number(EVP_PKEY& key, const char* name) {
    BIGNUM* number = nullptr;
    if (EVP_PKEY_get_bn_param(&key, name, &number) != 1) {
        throw KeyError("OpenSSL does not give the key's numbers");
    }
    return Number(number);
}

struct Curve {
    std::string_view ssh_name;
    std::string_view openssl_name;
    const EVP_MD* (*digest)();
};

constexpr std::array<Curve, 3> curves{{{"nistp256", "prime256v1", EVP_sha256},
                                       {"nistp384", "secp384r1", EVP_sha384},
                                       {"nistp521", "secp521r1", EVP_sha512}}};

const Curve& curve_of(EVP_PKEY& key) {
    std::array<char, 64> group{};
    std::size_t length = 0;
    if (EVP_PKEY_get_utf8_string_param(&key, OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size(),
                                       &length) == 1) {
        for (const Curve& curve : curves) {
            if (curve.openssl_name == std::string_view(group.data(), length)) {
                return curve;
            }
        }
    }
    throw KeyError("the key's elliptic curve is not one that SSH knows",
                   "use an ed25519 key or the curves nistp256, nistp384, nistp521");
}

/// Builds a key pair from parameters; null when OpenSSL finds that they do not fit together.
KeyHandle from_parameters(const char* type, OSSL_PARAM_BLD* builder) {
    const Handle<OSSL_PARAM, OSSL_PARAM_free> parameters(OSSL_PARAM_BLD_to_param(builder));
    const Handle<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(
        EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
    EVP_PKEY* key = nullptr;
    if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_KEYPAIR, parameters.get()) != 1) {
        ERR_clear_error();
        return nullptr;
    }
    return KeyHandle(key);
}

int give_passphrase(char* buffer, int size, int /*writing*/, void* data) {
    const auto& passphrase = *static_cast<const std::string*>(data);
    if (passphrase.empty() || passphrase.size() > static_cast<std::size_t>(size)) {
        return -1;
    }
    std::memcpy(buffer, passphrase.data(), passphrase.size());
    return static_cast<int>(passphrase.size());
}

/// ECDSA signatures are a DER sequence in OpenSSL and two mpints in SSH (RFC 5656 section 3.1.2).
std::string to_ssh_ecdsa(std::string_view der) {
    const unsigned char* begin = bytes_of(der);
    const Handle<ECDSA_SIG, ECDSA_SIG_free> signature(
        d2i_ECDSA_SIG(nullptr, &begin, static_cast<long>(der.size())));
    if (!signature) {
        throw KeyError("OpenSSL made a malformed signature");
    }
    std::string out;
    append_mpint(out, to_bytes(ECDSA_SIG_get0_r(signature.get())));
    append_mpint(out, to_bytes(ECDSA_SIG_get0_s(signature.get())));
    return out;
}

/// The digest of a signature algorithm with this key; null stands for "none", as ed25519 has it.
std::optional<const EVP_MD*> digest_for(EVP_PKEY& key, std::string_view algorithm) {
    switch (EVP_PKEY_get_base_id(&key)) {
    case EVP_PKEY_ED25519:
        if (algorithm == "ssh-ed25519") {
            return nullptr;
        }
        break;
    case EVP_PKEY_EC:
        if (const Curve& curve = curve_of(key);
            algorithm == "ecdsa-sha2-" + std::string(curve.ssh_name)) {
            return curve.digest();
        }
        break;
    case EVP_PKEY_RSA:
        if (algorithm == "rsa-sha2-512") {
            return EVP_sha512();
        }
        if (algorithm == "rsa-sha2-256") {
            return EVP_sha256();
        }
        if (algorithm == "ssh-rsa") {
            return EVP_sha1();
        }
        break;
    default:
        break;
    }
    return std::nullopt;
}

} // namespace

void FreeKey::operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }

KeyHandle parse_pem_key(std::string_view text, const std::string& passphrase) {
    const Handle<BIO, BIO_free> input(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    std::string given = passphrase;
    KeyHandle key(PEM_read_bio_PrivateKey(input.get(), nullptr, give_passphrase, &given));
    OPENSSL_cleanse(given.data(), given.size());
    ERR_clear_error();
    if (key) {
        return key;
    }
    if (text.find("PRIVATE KEY-----") == std::string_view::npos) {
        if (text.empty()) {
            throw KeyError("it is empty", "make a key with ssh-keygen");
        }
        if (text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.starts_with("sk-") ||
            text.find("PUBLIC KEY-----") != std::string_view::npos) {
            throw KeyError("this is a public key",
                           "name the file without .pub, or run an SSH agent that has the key");
        }
        if (text.starts_with("PuTTY-User-Key-File")) {
            throw KeyError("this is a PuTTY key",
                           "convert it: puttygen KEY -O private-openssh -o NEW");
        }
        throw KeyError("no private key is in it", "name a file that ssh-keygen has made");
    }
    if (text.find("ENCRYPTED") != std::string_view::npos) {
        if (passphrase.empty()) {
            throw KeyError("the key is encrypted", missing_passphrase_remedy);
        }
        throw KeyError("wrong passphrase, or a damaged key", wrong_passphrase_remedy);
    }
    throw KeyError("OpenSSL cannot read the key",
                   "is the file whole? ssh-keygen -y -f FILE reads it");
}

KeyHandle make_ed25519_key(std::string_view seed) {
    return KeyHandle(
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes_of(seed), seed.size()));
}

KeyHandle make_ecdsa_key(std::string_view curve_name, std::string_view point,
                         std::string_view secret) {
    const auto* curve = std::find_if(curves.begin(), curves.end(), [&](const Curve& candidate) {
        return candidate.ssh_name == curve_name;
    });
    const Handle<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> builder(OSSL_PARAM_BLD_new());
    const Number number = to_number(secret);
    if (curve == curves.end() || !builder || !number) {
        return nullptr;
    }
    BN_set_flags(number.get(), BN_FLG_CONSTTIME);
    if (OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME,
                                        curve->openssl_name.data(),
                                        curve->openssl_name.size()) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                         point.size()) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, number.get()) != 1) {
        return nullptr;
    }
    return from_parameters("EC", builder.get());
}

KeyHandle make_rsa_key(const RsaNumbers& numbers) {
    const Handle<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> builder(OSSL_PARAM_BLD_new());
    const Handle<BN_CTX, BN_CTX_free> context(BN_CTX_secure_new());
    const Number n = to_number(numbers.n);
    const Number e = to_number(numbers.e);
    const Number d = to_number(numbers.d);
    const Number p = to_number(numbers.p);
    const Number q = to_number(numbers.q);
    const Number inverse = to_number(numbers.inverse_of_q);
    const Number d_mod_p(BN_new());
    const Number d_mod_q(BN_new());
    const Number less_one(BN_new());
    if (!builder || !context || !n || !e || !d || !p || !q || !inverse || !d_mod_p || !d_mod_q ||
        !less_one) {
        return nullptr;
    }
    for (BIGNUM* secret : {d.get(), p.get(), q.get()}) {
        BN_set_flags(secret, BN_FLG_CONSTTIME);
    }
    // The file leaves out d mod (p - 1) and d mod (q - 1); OpenSSL wants them.
    const auto reduce = [&](BIGNUM* result, const BIGNUM* prime) {
        return BN_sub(less_one.get(), prime, BN_value_one()) == 1 && !BN_is_zero(less_one.get()) &&
               BN_mod(result, d.get(), less_one.get(), context.get()) == 1;
    };
    if (!reduce(d_mod_p.get(), p.get()) || !reduce(d_mod_q.get(), q.get())) {
        return nullptr;
    }
    const std::array<std::pair<const char*, const BIGNUM*>, 8> parameters{
        {{OSSL_PKEY_PARAM_RSA_N, n.get()},
         {OSSL_PKEY_PARAM_RSA_E, e.get()},
         {OSSL_PKEY_PARAM_RSA_D, d.get()},
         {OSSL_PKEY_PARAM_RSA_FACTOR1, p.get()},
         {OSSL_PKEY_PARAM_RSA_FACTOR2, q.get()},
         {OSSL_PKEY_PARAM_RSA_EXPONENT1, d_mod_p.get()},
         {OSSL_PKEY_PARAM_RSA_EXPONENT2, d_mod_q.get()},
         {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, inverse.get()}}};
    for (const auto& [name, number] : parameters) {
        if (OSSL_PARAM_BLD_push_BN(builder.get(), name, number) != 1) {
            return nullptr;
        }
    }
    return from_parameters("RSA", builder.get());
}

std::string public_blob(EVP_PKEY& key) {
    std::string blob;
    switch (EVP_PKEY_get_base_id(&key)) {
    case EVP_PKEY_ED25519: {
        std::string bytes(32, '\0');
        std::size_t length = bytes.size();
        if (EVP_PKEY_get_raw_public_key(&key, reinterpret_cast<unsigned char*>(bytes.data()),
                                        &length) != 1) {
            throw KeyError("OpenSSL does not give the public key");
        }
        append_string(blob, "ssh-ed25519");
        append_string(blob, bytes);
        return blob;
    }
    case EVP_PKEY_EC: {
        const Curve& curve = curve_of(key);
        std::size_t length = 0;
        std::array<unsigned char, 256> point{};
        if (EVP_PKEY_get_octet_string_param(&key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point.data(),
                                            point.size(), &length) != 1) {
            throw KeyError("OpenSSL does not give the public key");
        }
        append_string(blob, "ecdsa-sha2-" + std::string(curve.ssh_name));
        append_string(blob, curve.ssh_name);
        append_string(blob, {reinterpret_cast<const char*>(point.data()), length});
        return blob;
    }
    case EVP_PKEY_RSA:
        append_string(blob, "ssh-rsa");
        append_mpint(blob, to_bytes(get_number(key, OSSL_PKEY_PARAM_RSA_E).get()));
        append_mpint(blob, to_bytes(get_number(key, OSSL_PKEY_PARAM_RSA_N).get()));
        return blob;
    default:
        throw KeyError("a key of a type that SSH does not know, or no longer uses",
                       "use an ed25519, ECDSA or RSA key");
    }
}

std::string sign(EVP_PKEY& key, std::string_view algorithm, std::string_view data) {
    const auto digest = digest_for(key, algorithm);
    if (!digest) {
        throw KeyError("the key cannot sign with " + std::string(algorithm));
    }
    const Handle<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
    std::size_t length = 0;
    if (!context || EVP_DigestSignInit(context.get(), nullptr, *digest, nullptr, &key) != 1 ||
        EVP_DigestSign(context.get(), nullptr, &length, bytes_of(data), data.size()) != 1) {
        ERR_clear_error();
        throw KeyError("OpenSSL refuses to sign with " + std::string(algorithm));
    }
    std::string signature(length, '\0');
    if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &length,
                       bytes_of(data), data.size()) != 1) {
        ERR_clear_error();
        throw KeyError("OpenSSL refuses to sign with " + std::string(algorithm));
    }
    signature.resize(length);
    return EVP_PKEY_get_base_id(&key) == EVP_PKEY_EC ? to_ssh_ecdsa(signature) : signature;
}

} // namespace muster::ssh::detail
