#include "ssh/crypto.hpp"
#include "temp_folder.hpp"

#include <muster/ssh/error.hpp>
#include <muster/ssh/known_hosts.hpp>

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <string>

using namespace muster::ssh;

namespace {

// Keys, fingerprints and hashed names as ssh-keygen made and printed them.
const std::string ed25519 = "AAAAC3NzaC1lZDI1NTE5AAAAIISObar1X694ZCfWeld/rnVKU1CWuTZF38085XWlHlEj";
const std::string ed25519_fingerprint = "SHA256:DohodjdIF5s7/HBp4FPOtxgeg9qNf5REaVcMeHm9OKI";
const std::string other = "AAAAC3NzaC1lZDI1NTE5AAAAINqSJET1eb4IGrQaEwXcAmkWBbcpwCTBiRH5kPTNSon1";
const std::string other_fingerprint = "SHA256:muBnDT+FmPVPkFKTNdNGtU8hNy1hqamdXvQNmE1jN/0";
const std::string ecdsa =
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBIjt1HpU434yLWpKv3EMnwNAR0LJVFzsa6Szg2Fe"
    "8W2Pm9KZOAKtGvM4RWQxCQ20e1KrS4lzsyMX4Xu3OMWHu1I=";

std::string blob(const std::string& base64) { return detail::base64_decode(base64).value(); }

KnownHosts parse(const std::string& text) {
    KnownHosts hosts;
    hosts.add(text, "kh");
    return hosts;
}

HostKeyStatus check(const KnownHosts& hosts, const std::string& host, std::uint16_t port = 22,
                    const std::string& key = ed25519) {
    return hosts.check(host, port, blob(key)).status;
}

} // namespace

TEST_CASE("fingerprints are those that ssh-keygen prints") {
    CHECK(fingerprint(blob(ed25519)) == ed25519_fingerprint);
    CHECK(fingerprint(blob(other)) == other_fingerprint);
    CHECK(key_type(blob(ed25519)) == "ssh-ed25519");
    CHECK(key_type("\x00\x00\x01") == "");
    CHECK(key_type(std::string("\x00\x00\x00\x7fssh", 7)) == "");
}

TEST_CASE("a listed key matches its names, in any case, and no others") {
    const auto hosts = parse("# comment\n\nr1.example,192.0.2.1 ssh-ed25519 " + ed25519 + " ops\n");
    CHECK(check(hosts, "r1.example") == HostKeyStatus::match);
    CHECK(check(hosts, "R1.Example") == HostKeyStatus::match);
    CHECK(check(hosts, "192.0.2.1") == HostKeyStatus::match);
    CHECK(check(hosts, "r1") == HostKeyStatus::unknown);
    CHECK(check(hosts, "r11.example") == HostKeyStatus::unknown);
    CHECK(hosts.size() == 1);
    CHECK(hosts.problems().empty());
}

TEST_CASE("a changed key reports both fingerprints, the file and the line") {
    const auto hosts = parse("# first\nr1 ssh-ed25519 " + ed25519 + "\n");
    const auto verdict = hosts.check("r1", 22, blob(other));
    CHECK(verdict.status == HostKeyStatus::changed);
    CHECK(verdict.fingerprint == other_fingerprint);
    CHECK(verdict.known_fingerprint == ed25519_fingerprint);
    CHECK(verdict.known_type == "ssh-ed25519");
    CHECK(verdict.file == "kh");
    CHECK(verdict.line == 2);
}

TEST_CASE("any of several listed keys matches, and a key of another type counts as changed") {
    const auto hosts = parse("r1 ecdsa-sha2-nistp256 " + ecdsa + "\nr1 ssh-ed25519 " + ed25519 +
                             "\nr2 ecdsa-sha2-nistp256 " + ecdsa + "\n");
    CHECK(check(hosts, "r1") == HostKeyStatus::match);
    const auto changed = hosts.check("r1", 22, blob(other));
    CHECK(changed.status == HostKeyStatus::changed);
    CHECK(changed.line == 2); // the line of the presented type says most
    const auto wrong_type = hosts.check("r2", 22, blob(ed25519));
    CHECK(wrong_type.status == HostKeyStatus::changed);
    CHECK(wrong_type.known_type == "ecdsa-sha2-nistp256");
}

TEST_CASE("ports: [host]:port first, a bare entry may vouch but never contradict") {
    const auto hosts = parse("[r1]:2222 ssh-ed25519 " + ed25519 + "\nr2 ssh-ed25519 " + ed25519 +
                             "\n[2001:db8::1]:830 ssh-ed25519 " + ed25519 + "\n");
    CHECK(check(hosts, "r1", 2222) == HostKeyStatus::match);
    CHECK(check(hosts, "r1", 22) == HostKeyStatus::unknown);
    CHECK(check(hosts, "r1", 2223) == HostKeyStatus::unknown);
    CHECK(check(hosts, "r1", 2222, other) == HostKeyStatus::changed);
    CHECK(check(hosts, "r2", 2222) == HostKeyStatus::match);
    CHECK(check(hosts, "r2", 2222, other) == HostKeyStatus::unknown);
    CHECK(check(hosts, "2001:db8::1", 830) == HostKeyStatus::match);
}

TEST_CASE("wildcards match and negation excludes") {
    const auto hosts = parse("*.example,!bad.example ssh-ed25519 " + ed25519 +
                             "\n10.0.0.? ssh-ed25519 " + ed25519 + "\n");
    CHECK(check(hosts, "r1.example") == HostKeyStatus::match);
    CHECK(check(hosts, "a.b.example") == HostKeyStatus::match);
    CHECK(check(hosts, "bad.example") == HostKeyStatus::unknown);
    CHECK(check(hosts, "example") == HostKeyStatus::unknown);
    CHECK(check(hosts, "10.0.0.7") == HostKeyStatus::match);
    CHECK(check(hosts, "10.0.0.77") == HostKeyStatus::unknown);
}

TEST_CASE("names that ssh-keygen -H hashed match") {
    const auto hosts = parse(
        "|1|fFJ3bmdlYNn9SkSFUM8astzI8DY=|lZkSrJRWvim9+J5nem3yRaaFCOA= ssh-ed25519 " + ed25519 +
        "\n|1|8bPUyaJN60xuf040goPHlus2JFY=|pf5Q9JtRSdYt/Q7tQJxqUcuyRUc= ssh-ed25519 " + ed25519 +
        "\n|1|5xHN90mf1bzynV6iH8vAEnlaViE=|uKc+3KKMXNgRuohGsWfrtbObN2Q= ecdsa-sha2-nistp256 " +
        ecdsa + "\n");
    CHECK(hosts.problems().empty());
    CHECK(check(hosts, "r1.example") == HostKeyStatus::match);
    CHECK(check(hosts, "192.0.2.1") == HostKeyStatus::match);
    CHECK(check(hosts, "192.0.2.2") == HostKeyStatus::unknown);
    CHECK(check(hosts, "r2.example", 2222, ecdsa) == HostKeyStatus::match);
    CHECK(check(hosts, "r2.example", 22, ecdsa) == HostKeyStatus::unknown);
}

TEST_CASE("a revoked key is refused wherever its line stands") {
    const auto hosts = parse("r1 ssh-ed25519 " + ed25519 + "\n@revoked * ssh-ed25519 " + ed25519 +
                             "\nr2 ssh-ed25519 " + other + "\n");
    CHECK(check(hosts, "r1") == HostKeyStatus::revoked);
    CHECK(check(hosts, "elsewhere") == HostKeyStatus::revoked);
    CHECK(check(hosts, "r2", 22, other) == HostKeyStatus::match);
    CHECK(hosts.check("r1", 22, blob(ed25519)).line == 2);
}

TEST_CASE("a certificate authority is reported and never taken for a match") {
    const auto hosts = parse("@cert-authority *.example ssh-ed25519 " + ed25519 + "\n");
    const auto verdict = hosts.check("r1.example", 22, blob(ed25519));
    CHECK(verdict.status == HostKeyStatus::unknown);
    CHECK(verdict.has_authority);
    CHECK_FALSE(hosts.check("r1.test", 22, blob(ed25519)).has_authority);
    CHECK(hosts.key_types("r1.example", 22).empty());
}

TEST_CASE("lines that make no sense are reported with their number and do no harm") {
    const auto hosts = parse("r1\n"
                             "r1 ssh-ed25519 !!!!\n"
                             "r1 ssh-rsa " +
                             ed25519 +
                             "\n"
                             "@nonsense r1 ssh-ed25519 " +
                             ed25519 +
                             "\n"
                             "|2|a|b ssh-ed25519 " +
                             ed25519 +
                             "\n"
                             "|1|YQ==|YQ== ssh-ed25519 " +
                             ed25519 +
                             "\n"
                             "r1 ssh-ed25519 " +
                             ed25519); // and no newline at the end
    REQUIRE(hosts.problems().size() == 6);
    for (std::size_t i = 0; i < 6; ++i) {
        CHECK(hosts.problems()[i].line == i + 1);
        CHECK(hosts.problems()[i].file == "kh");
    }
    CHECK(check(hosts, "r1") == HostKeyStatus::match);
}

TEST_CASE("the key types known for a host come in file order, each once") {
    const auto hosts = parse("r1 ecdsa-sha2-nistp256 " + ecdsa + "\nr1 ssh-ed25519 " + ed25519 +
                             "\nr1 ssh-ed25519 " + other + "\n");
    const auto types = hosts.key_types("r1", 22);
    REQUIRE(types.size() == 2);
    CHECK(types[0] == "ecdsa-sha2-nistp256");
    CHECK(types[1] == "ssh-ed25519");
    CHECK(hosts.key_types("r1", 2222).size() == 2); // by the entry without a port
    CHECK(hosts.key_types("r9", 22).empty());
}

TEST_CASE("an appended key is found again, after a last line without newline too") {
    const TempFolder folder;
    const std::string file = folder.path() + "/ssh/known_hosts";
    append_known_host(file, "r1", 22, blob(ed25519));
    {
        std::ofstream out(file, std::ios::app);
        out << "# no newline";
    }
    append_known_host(file, "R2", 2222, blob(other));

    const auto hosts = KnownHosts::load({file, folder.path() + "/missing"});
    CHECK(hosts.problems().empty());
    CHECK(check(hosts, "r1") == HostKeyStatus::match);
    CHECK(check(hosts, "r2", 2222, other) == HostKeyStatus::match);
    struct stat status{};

    REQUIRE(::stat(file.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777U) == 0600U);
}

TEST_CASE("the cache notices a changed file") {
    const TempFolder folder;
    const std::string file = folder.path() + "/known_hosts";
    const auto before = KnownHosts::cached({file});
    CHECK(check(*before, "r1") == HostKeyStatus::unknown);
    append_known_host(file, "r1", 22, blob(ed25519));
    const auto after = KnownHosts::cached({file});
    CHECK(check(*after, "r1") == HostKeyStatus::match);
    CHECK(KnownHosts::cached({file}) == after);
}

TEST_CASE("a file that cannot be read is an error that names it") {
    const TempFolder folder;
    try {
        KnownHosts::load({folder.path()});
        FAIL("a folder was read as a file");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::configuration);
        CHECK(std::string(error.what()).find(folder.path()) != std::string::npos);
    }
}
