#include "process.hpp"
#include "ssh/bcrypt_pbkdf.hpp"
#include "ssh/crypto.hpp"
#include "temp_folder.hpp"

#include <muster/ssh/error.hpp>
#include <muster/ssh/known_hosts.hpp>
#include <muster/ssh/private_key.hpp>

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

using namespace muster::ssh;

namespace {

std::string read(const std::string& path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

/// Has ssh-keygen make a key pair; the public half in wire format.
std::string generate(const std::string& path, const std::string& type, const std::string& bits,
                     const std::string& passphrase, const std::vector<std::string>& more = {}) {
    std::vector<std::string> command{"ssh-keygen", "-q",      "-t", type, "-b", bits,
                                     "-C",         "someone", "-f", path, "-N", passphrase};
    command.insert(command.end(), more.begin(), more.end());
    REQUIRE(run_program(command) == 0);
    std::istringstream line(read(path + ".pub"));
    std::string name;
    std::string encoded;
    line >> name >> encoded;
    return detail::base64_decode(encoded).value();
}

std::string error_of(auto&& function) {
    try {
        function();
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::configuration);
        return error.what();
    }
    FAIL("no error");
    return {};
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("keys of every type and format that ssh-keygen makes are read") {
    struct Case {
        const char* type;
        const char* bits;
        const char* expected;
    };

    for (const Case& c :
         {Case{"ed25519", "256", "ssh-ed25519"}, Case{"ecdsa", "256", "ecdsa-sha2-nistp256"},
          Case{"ecdsa", "384", "ecdsa-sha2-nistp384"}, Case{"ecdsa", "521", "ecdsa-sha2-nistp521"},
          Case{"rsa", "2048", "ssh-rsa"}}) {
        for (const std::string format : {"RFC4716", "PEM", "PKCS8"}) {
            if (std::string(c.type) == "ed25519" && format != "RFC4716") {
                continue; // ssh-keygen writes ed25519 in OpenSSH's format only
            }
            for (const std::string passphrase : {"", "open sesame"}) {
                CAPTURE(c.expected);
                CAPTURE(format);
                CAPTURE(passphrase);
                const TempFolder folder;
                const std::string file = folder.path() + "/key";
                const auto blob =
                    generate(file, c.type, c.bits, passphrase, {"-m", format, "-a", "2"});
                const auto key = PrivateKey::load(file, passphrase);
                CHECK(key.type() == c.expected);
                CHECK(key.public_key() == blob);
                CHECK(key.name() == file);
                CHECK_FALSE(key.sign(c.expected, "data").empty());
                if (!passphrase.empty()) {
                    CHECK(contains(error_of([&] { PrivateKey::load(file); }),
                                   "the key is encrypted"));
                    CHECK(contains(error_of([&] { PrivateKey::load(file, "wrong"); }),
                                   "wrong passphrase"));
                }
            }
        }
    }
}

TEST_CASE("every cipher of OpenSSH's format but the authenticated ones decrypts") {
    for (const std::string cipher :
         {"aes128-ctr", "aes192-ctr", "aes256-ctr", "aes128-cbc", "aes192-cbc", "aes256-cbc"}) {
        CAPTURE(cipher);
        const TempFolder folder;
        const std::string file = folder.path() + "/key";
        const auto blob = generate(file, "ed25519", "256", "secret", {"-Z", cipher, "-a", "1"});
        CHECK(PrivateKey::load(file, "secret").public_key() == blob);
    }
    const TempFolder folder;
    const std::string file = folder.path() + "/key";
    generate(file, "ed25519", "256", "secret", {"-Z", "aes256-gcm@openssh.com", "-a", "1"});
    const std::string text = error_of([&] { PrivateKey::load(file, "secret"); });
    CHECK(contains(text, "aes256-gcm@openssh.com"));
    CHECK(contains(text, "ssh-keygen -p"));
    CHECK(contains(text, file));
    CHECK_FALSE(contains(text, "secret"));
}

TEST_CASE("what is not a usable private key says what it is") {
    CHECK(contains(error_of([] { PrivateKey::parse("hello"); }), "no private key"));
    CHECK(contains(error_of([] { PrivateKey::parse("ssh-ed25519 AAAA x"); }), "public key"));
    CHECK(contains(error_of([] { PrivateKey::parse("PuTTY-User-Key-File-3: x"); }), "puttygen"));
    CHECK(contains(error_of([] {
                       PrivateKey::parse("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"
                                         "-----END OPENSSH PRIVATE KEY-----\n");
                   }),
                   "malformed"));
    CHECK(contains(error_of([] { PrivateKey::load("/nonexistent/key"); }), "no such file"));
}

TEST_CASE("a damaged key of any length is refused, never misread") {
    const TempFolder folder;
    const std::string file = folder.path() + "/key";
    const auto blob = generate(file, "ecdsa", "256", "");
    const std::string text = read(file);
    const auto begin = text.find('\n') + 1;
    const auto end = text.find("-----END");
    for (std::size_t cut = begin; cut < end; ++cut) {
        const std::string damaged = text.substr(0, cut) + text.substr(end - 1);
        CAPTURE(cut);
        std::string read_key;
        try {
            // Cutting the padding or the comment off the end does no harm; the key is whole then.
            read_key = PrivateKey::parse(damaged).public_key();
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::configuration);
            continue;
        }
        CHECK(read_key == blob);
    }
}

TEST_CASE("a key file is read once, and again when it has changed") {
    const TempFolder folder;
    const std::string file = folder.path() + "/key";
    const auto first = generate(file, "ed25519", "256", "");
    const auto a = PrivateKey::load(file);
    CHECK(&PrivateKey::load(file).public_key() == &a.public_key());
    REQUIRE(std::filesystem::remove(file));
    REQUIRE(std::filesystem::remove(file + ".pub"));
    const auto second = generate(file, "ed25519", "256", "");
    CHECK(PrivateKey::load(file).public_key() == second);
    CHECK(a.public_key() == first);
}

TEST_CASE("a key signs with its own algorithms only") {
    const TempFolder folder;
    generate(folder.path() + "/rsa", "rsa", "2048", "");
    const auto rsa = PrivateKey::load(folder.path() + "/rsa");
    CHECK(rsa.sign("rsa-sha2-256", "x").size() == 256);
    CHECK(rsa.sign("rsa-sha2-512", "x") != rsa.sign("rsa-sha2-256", "x"));
    CHECK(rsa.sign("ssh-rsa", "x").size() == 256);
    CHECK(contains(error_of([&] { (void)rsa.sign("ssh-ed25519", "x"); }), "ssh-ed25519"));
}
