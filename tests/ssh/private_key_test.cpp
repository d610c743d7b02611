#include "contains.hpp"
#include "process.hpp"
#include "ssh/bcrypt_pbkdf.hpp"
#include "ssh/crypto.hpp"
#include "temp_folder.hpp"

#include <muster/ssh/error.hpp>
#include <muster/ssh/known_hosts.hpp>
#include <muster/ssh/private_key.hpp>

#include <doctest/doctest.h>

#include <filesystem>
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

TEST_CASE("keys that OpenSSL has written are read") {
    if (!find_program("openssl")) {
        MESSAGE("skipped: no openssl on this machine");
        return;
    }

    struct Case {
        std::vector<std::string> options;
        const char* expected;
    };

    for (const Case& c :
         {Case{{"ed25519"}, "ssh-ed25519"},
          Case{{"EC", "-pkeyopt", "ec_paramgen_curve:P-384"}, "ecdsa-sha2-nistp384"},
          Case{{"RSA", "-pkeyopt", "rsa_keygen_bits:2048"}, "ssh-rsa"}}) {
        for (const std::string passphrase : {"", "open sesame"}) {
            CAPTURE(c.expected);
            CAPTURE(passphrase);
            const TempFolder folder;
            const std::string file = folder.path() + "/key";
            std::vector<std::string> command{"openssl", "genpkey", "-out", file, "-algorithm"};
            command.insert(command.end(), c.options.begin(), c.options.end());
            if (!passphrase.empty()) {
                command.insert(command.end(), {"-aes-256-cbc", "-pass", "pass:" + passphrase});
            }
            REQUIRE(run_program(command) == 0);
            const auto key = PrivateKey::load(file, passphrase);
            CHECK(key.type() == c.expected);
            CHECK(PrivateKey::parse(read(file), passphrase).public_key() == key.public_key());
            if (!passphrase.empty()) {
                CHECK(contains(error_of([&] { PrivateKey::load(file); }), "the key is encrypted"));
                CHECK(contains(error_of([&] { PrivateKey::load(file, "wrong"); }),
                               "wrong passphrase"));
            }
        }
    }
    const TempFolder folder;
    const std::string file = folder.path() + "/key";
    REQUIRE(run_program({"openssl", "genpkey", "-out", file, "-algorithm", "EC", "-pkeyopt",
                         "ec_paramgen_curve:secp256k1"}) == 0);
    CHECK(contains(error_of([&] { PrivateKey::load(file); }), "elliptic curve"));
    REQUIRE(run_program({"openssl", "genpkey", "-out", file, "-algorithm", "X25519"}) == 0);
    CHECK(contains(error_of([&] { PrivateKey::load(file); }), "SSH does not know"));
}

TEST_CASE("what is not a usable private key says what it is, in which file, and the remedy") {
    const TempFolder folder;
    const std::string file = folder.path() + "/key";
    const auto error = [&](const std::string& text, const muster::Secret& passphrase = {}) {
        std::ofstream(file) << text;
        try {
            PrivateKey::load(file, passphrase);
        } catch (const Error& failed) {
            CHECK(failed.kind() == ErrorKind::configuration);
            CHECK(contains(failed.reason(), file));
            CHECK_FALSE(failed.remedy().empty());
            CHECK_FALSE(contains(failed.what(), "open sesame"));
            return std::string(failed.what());
        }
        FAIL("no error");
        return std::string();
    };
    CHECK(contains(error(""), "it is empty"));
    CHECK(contains(error("hello"), "no private key"));
    CHECK(contains(error("ssh-ed25519 AAAA x"), "public key"));
    CHECK(contains(error("sk-ssh-ed25519@openssh.com AAAA x"), "public key"));
    CHECK(contains(error("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
                   "public key"));
    CHECK(contains(error("PuTTY-User-Key-File-3: x"), "puttygen"));
    CHECK(contains(error("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"
                         "-----END OPENSSH PRIVATE KEY-----\n"),
                   "malformed"));
    CHECK(contains(error("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
                   "cannot read the key"));
    generate(folder.path() + "/encrypted", "ed25519", "256", "open sesame", {"-a", "1"});
    const std::string encrypted = read(folder.path() + "/encrypted");
    CHECK(contains(error(encrypted), "the key is encrypted (give its passphrase"));
    CHECK(contains(error(encrypted, "close sesame"), "wrong passphrase (ssh-keygen -y"));

    const auto missing = error_of([] { PrivateKey::load("/nonexistent/key"); });
    CHECK(contains(missing, "/nonexistent/key: no such file (make a key with ssh-keygen"));
    const auto directory = error_of([&] { PrivateKey::load(folder.path()); });
    CHECK(contains(directory, "cannot read " + folder.path()));
    CHECK(contains(directory, "may this user read it?"));
    CHECK(contains(error_of([] { PrivateKey::parse(""); }), "cannot use the key in memory"));
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
