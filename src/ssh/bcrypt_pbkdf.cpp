#include "ssh/bcrypt_pbkdf.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

namespace muster::ssh::detail {

namespace {

using Word = std::uint32_t;

constexpr std::size_t round_keys = 18;
constexpr std::size_t box_size = 256;
constexpr std::size_t table_words = round_keys + 4 * box_size;

/// A binary fraction: words[0] is the integer part.
using Fraction = std::vector<Word>;

void divide(Fraction& value, Word divisor) {
    std::uint64_t remainder = 0;
    for (Word& word : value) {
        const std::uint64_t part = (remainder << 32U) | word;
        word = static_cast<Word>(part / divisor);
        remainder = part % divisor;
    }
}

void add(Fraction& to, const Fraction& value) {
    std::uint64_t carry = 0;
    for (std::size_t i = to.size(); i-- > 0;) {
        carry += std::uint64_t{to[i]} + value[i];
        to[i] = static_cast<Word>(carry);
        carry >>= 32U;
    }
}

void subtract(Fraction& from, const Fraction& value) {
    std::int64_t carry = 0;
    for (std::size_t i = from.size(); i-- > 0;) {
        carry += std::int64_t{from[i]} - std::int64_t{value[i]};
        from[i] = static_cast<Word>(carry);
        carry >>= 32;
    }
}

/// Adds or subtracts factor * arctan(1 / x), by the series of the arcus tangens.
void accumulate_arctan(Fraction& sum, Word factor, Word x, bool positive) {
    Fraction power(sum.size(), 0);
    power[0] = factor;
    divide(power, x);
    for (Word n = 1; std::any_of(power.begin(), power.end(), [](Word w) { return w != 0; });
         n += 2) {
        Fraction term = power;
        divide(term, n);
        positive ? add(sum, term) : subtract(sum, term);
        positive = !positive;
        divide(power, x * x);
    }
}

struct Blowfish {
    std::array<Word, round_keys> p;
    std::array<std::array<Word, box_size>, 4> s;

    void encrypt(Word& left, Word& right) const {
        for (std::size_t round = 0; round < 16; round += 2) {
            left ^= p[round];
            right ^= mix(left);
            right ^= p[round + 1];
            left ^= mix(right);
        }
        left ^= p[16];
        right ^= p[17];
        std::swap(left, right);
    }

    /// The key schedule: the key is mixed into P, then all tables are replaced by the chained
    /// encryption of zero, or of the salt where there is one.
    void expand(std::string_view key, std::string_view salt) {
        std::size_t at = 0;
        for (Word& word : p) {
            word ^= next(key, at);
        }
        at = 0;
        Word left = 0;
        Word right = 0;
        const auto refill = [&](auto& table) {
            for (std::size_t i = 0; i < table.size(); i += 2) {
                if (!salt.empty()) {
                    left ^= next(salt, at);
                    right ^= next(salt, at);
                }
                encrypt(left, right);
                table[i] = left;
                table[i + 1] = right;
            }
        };
        refill(p);
        for (auto& box : s) {
            refill(box);
        }
    }

    static Word next(std::string_view bytes, std::size_t& at) {
        Word word = 0;
        for (int i = 0; i < 4; ++i) {
            word = (word << 8U) | static_cast<unsigned char>(bytes[at]);
            at = (at + 1) % bytes.size();
        }
        return word;
    }

private:
    [[nodiscard]] Word mix(Word x) const {
        return ((s[0][x >> 24U] + s[1][(x >> 16U) & 0xFFU]) ^ s[2][(x >> 8U) & 0xFFU]) +
               s[3][x & 0xFFU];
    }
};

/// Blowfish starts from the binary digits of pi's fraction. Computing them (Machin's formula, once
/// per process, and only where an encrypted key is used) is shorter than a table of 1,042 numbers.
const Blowfish& initial_state() {
    static const auto state = [] {
        constexpr std::size_t guard = 2;
        Fraction pi(1 + table_words + guard, 0);
        accumulate_arctan(pi, 16, 5, true);
        accumulate_arctan(pi, 4, 239, false);
        auto result = std::make_unique<Blowfish>();
        auto digit = pi.begin() + 1;
        for (Word& word : result->p) {
            word = *digit++;
        }
        for (auto& box : result->s) {
            for (Word& word : box) {
                word = *digit++;
            }
        }
        return result;
    }();
    return *state;
}

std::string sha512(std::string_view bytes) {
    std::string digest(64, '\0');
    unsigned length = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()),
                   &length, EVP_sha512(), nullptr) != 1) {
        throw std::runtime_error("OpenSSL cannot compute SHA-512");
    }
    return digest;
}

constexpr std::size_t block_size = 32;

std::string bcrypt_hash(std::string_view passphrase, std::string_view salt) {
    Blowfish state = initial_state();
    state.expand(passphrase, salt);
    for (int i = 0; i < 64; ++i) {
        state.expand(salt, {});
        state.expand(passphrase, {});
    }
    std::array<Word, block_size / 4> words{};
    std::size_t at = 0;
    for (Word& word : words) {
        word = Blowfish::next("OxychromaticBlowfishSwatDynamite", at);
    }
    for (int i = 0; i < 64; ++i) {
        for (std::size_t pair = 0; pair < words.size(); pair += 2) {
            state.encrypt(words[pair], words[pair + 1]);
        }
    }
    std::string out;
    for (const Word word : words) {
        for (unsigned shift = 0; shift < 32; shift += 8) {
            out += static_cast<char>((word >> shift) & 0xFFU);
        }
    }
    return out;
}

} // namespace

std::string bcrypt_pbkdf(std::string_view passphrase, std::string_view salt, unsigned rounds,
                         std::size_t length) {
    if (passphrase.empty() || salt.empty() || rounds == 0 || length == 0) {
        throw std::invalid_argument("bcrypt_pbkdf: empty argument");
    }
    const std::string hashed_passphrase = sha512(passphrase);
    const std::size_t blocks = (length + block_size - 1) / block_size;
    const std::size_t per_block = (length + blocks - 1) / blocks;
    std::string key(length, '\0');
    for (std::size_t block = 0; block < blocks; ++block) {
        std::string input(salt);
        for (const unsigned shift : {24U, 16U, 8U, 0U}) {
            input += static_cast<char>(((block + 1) >> shift) & 0xFFU);
        }
        std::string step = bcrypt_hash(hashed_passphrase, sha512(input));
        std::string sum = step;
        for (unsigned round = 1; round < rounds; ++round) {
            step = bcrypt_hash(hashed_passphrase, sha512(step));
            for (std::size_t i = 0; i < sum.size(); ++i) {
                sum[i] = static_cast<char>(sum[i] ^ step[i]);
            }
        }
        // The blocks are interleaved, so that every part of the key depends on all of them.
        for (std::size_t i = 0; i < per_block && i * blocks + block < length; ++i) {
            key[i * blocks + block] = sum[i];
        }
    }
    return key;
}

} // namespace muster::ssh::detail
