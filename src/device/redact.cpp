#include <muster/device/redact.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>

namespace muster::device {

namespace {

constexpr std::string_view mask = "***";

// Words after which the rest of a line is a secret.
constexpr std::array<std::string_view, 24> announcers = {"password",
                                                         "passwd",
                                                         "secret",
                                                         "passphrase",
                                                         "community",
                                                         "key-string",
                                                         "pre-shared-key",
                                                         "psk",
                                                         "wpa-psk",
                                                         "authentication-key",
                                                         "encrypted-password",
                                                         "shared-secret",
                                                         "md5",
                                                         "sha",
                                                         "hmac-sha-256",
                                                         "cryptographic-algorithm",
                                                         "auth-key",
                                                         "priv-key",
                                                         "token",
                                                         "plain-text-password",
                                                         "encryption-key",
                                                         "server-key",
                                                         "radius-key",
                                                         "tacacs-key"};

bool is_blank(char c) { return c == ' ' || c == '\t'; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) {
        return std::tolower(static_cast<unsigned char>(x)) ==
               std::tolower(static_cast<unsigned char>(y));
    });
}

struct Word {
    std::size_t begin = 0;
    std::size_t end = 0;
};

Word next_word(std::string_view line, std::size_t from) {
    while (from < line.size() && is_blank(line[from])) {
        ++from;
    }
    Word word{.begin = from, .end = from};
    while (word.end < line.size() && !is_blank(line[word.end])) {
        ++word.end;
    }
    return word;
}

/// `key 7 0822455D0A16` and `key cisco` hold a secret, `key 1`, `key chain X` and `crypto key
/// generate rsa` do not.
bool key_announces(std::string_view line, std::size_t after) {
    const Word word = next_word(line, after);
    const std::string_view value = line.substr(word.begin, word.end - word.begin);
    constexpr std::array<std::string_view, 10> ordinary = {
        "chain",  "generate",     "zeroize",  "config-key", "import",
        "export", "pubkey-chain", "mypubkey", "label",      "exchange"};
    if (value.empty() || std::ranges::find(ordinary, value) != ordinary.end()) {
        return false;
    }
    const bool number = std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
    return !number || next_word(line, word.end).begin < line.size();
}

std::string redact_line(std::string_view line) {
    for (Word word = next_word(line, 0); word.begin < word.end; word = next_word(line, word.end)) {
        std::string_view text = line.substr(word.begin, word.end - word.begin);
        while (!text.empty() && (text.back() == ':' || text.back() == '=')) {
            text.remove_suffix(1);
        }
        const bool announced = std::ranges::any_of(announcers,
                                                   [&](std::string_view announcer) {
                                                       return equal_ignoring_case(text, announcer);
                                                   }) ||
                               (equal_ignoring_case(text, "key") && key_announces(line, word.end));
        if (!announced) {
            continue;
        }
        Word value = next_word(line, word.end);
        // The digit that says how the secret is encrypted is worth seeing.
        if (value.end - value.begin == 1 && line[value.begin] >= '0' && line[value.begin] <= '9' &&
            next_word(line, value.end).begin < line.size()) {
            value = next_word(line, value.end);
        }
        if (value.begin == value.end) {
            return std::string(line);
        }
        // `% No password set` is a device's message, not a secret.
        constexpr std::array<std::string_view, 4> ordinary = {"set", "required", "is", "not"};
        if (line.starts_with('%') &&
            std::ranges::find(ordinary, line.substr(value.begin, value.end - value.begin)) !=
                ordinary.end()) {
            continue;
        }
        return std::string(line.substr(0, value.begin)) + std::string(mask);
    }
    return std::string(line);
}

} // namespace

std::string redact(std::string_view text, std::span<const Secret> secrets) {
    std::string result;
    for (;;) {
        const std::size_t end = text.find('\n');
        result += redact_line(text.substr(0, end));
        if (end == std::string_view::npos) {
            break;
        }
        result += '\n';
        text.remove_prefix(end + 1);
    }
    for (const Secret& secret : secrets) {
        const std::string& value = secret.reveal();
        if (value.empty()) {
            continue;
        }
        for (std::size_t at = result.find(value); at != std::string::npos;
             at = result.find(value, at + mask.size())) {
            result.replace(at, value.size(), mask);
        }
    }
    return result;
}

} // namespace muster::device
