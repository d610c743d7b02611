#include "process.hpp"
#include "ssh/crypto.hpp"
#include "ssh/known_hosts_files.hpp"
#include "sshd.hpp"
#include "temp_folder.hpp"

#include <muster/muster.hpp>
#include <muster/ssh/error.hpp>
#include <muster/ssh/known_hosts.hpp>

#include <doctest/doctest.h>

#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

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

TEST_CASE("ports: [host]:port decides, and a line without a port may vouch but never contradict") {
    const auto hosts =
        parse("[r1]:2222 ssh-ed25519 " + ed25519 + "\nr2 ssh-ed25519 " + ed25519 +
              "\n[2001:db8::1]:830 ssh-ed25519 " + ed25519 + "\n[r3]:2222 ssh-ed25519 " + ed25519 +
              "\nr3 ssh-ed25519 " + other + "\n");
    CHECK(check(hosts, "r1", 2222) == HostKeyStatus::match);
    CHECK(check(hosts, "r1", 22) == HostKeyStatus::unknown);
    CHECK(check(hosts, "r1", 2223) == HostKeyStatus::unknown);
    CHECK(check(hosts, "r1", 2222, other) == HostKeyStatus::changed);
    CHECK(check(hosts, "r2", 2222) == HostKeyStatus::match);
    CHECK(check(hosts, "r2", 2222, other) == HostKeyStatus::unknown);
    CHECK(check(hosts, "2001:db8::1", 830) == HostKeyStatus::match);
    // A port with a line of its own is not vouched for by the other one.
    CHECK(check(hosts, "r3", 2222, other) == HostKeyStatus::changed);
    CHECK(check(hosts, "r3", 22, other) == HostKeyStatus::match);
}

TEST_CASE("a line whose key is cut short or of an unknown type says nothing about the host") {
    const auto hosts = parse("r1 ssh-ed25519 " + ed25519.substr(0, 40) + "\nr2 ssh-future " +
                             detail::base64_encode(std::string("\0\0\0\012ssh-future", 14)) +
                             "\nr3 ssh-ed25519 " + detail::base64_encode(blob(ed25519) + "x") +
                             "\nr4 ecdsa-sha2-nistp256 " + ecdsa + "\n");
    CHECK(hosts.size() == 1);
    REQUIRE(hosts.problems().size() == 3);
    CHECK(hosts.problems()[1].line == 2);
    CHECK(hosts.problems()[1].what == "the key is not a valid ssh-future key");
    for (const char* host : {"r1", "r2", "r3"}) {
        CAPTURE(host);
        CHECK(check(hosts, host) == HostKeyStatus::unknown);
        CHECK(hosts.key_types(host, 22).empty());
    }
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

TEST_CASE("every line means to muster what it means to ssh-keygen") {
    if (!find_program("ssh-keygen")) {
        MESSAGE("skipped: no ssh-keygen on this machine");
        return;
    }
    const std::string key = " ssh-ed25519 " + ed25519;
    const std::vector<std::string> lines{
        "r1" + key,
        "R1" + key + " a comment # and more",
        "  \tr1\tssh-ed25519\t" + ed25519 + "\r",
        "# r1" + key,
        "#r1" + key,
        "r1,192.0.2.1" + key,
        ",r1,,192.0.2.1," + key,
        "r1, 192.0.2.1" + key,
        "*" + key,
        "r?" + key,
        "r??" + key,
        "*.example" + key,
        "*.EXAMPLE" + key,
        "*.example,!r1.example" + key,
        "!r1.example,*.example" + key,
        "!*.example" + key,
        "r*e*e" + key,
        "r1*" + key,
        "**" + key,
        "!" + key,
        "!!r1,*" + key,
        "[r1]:2222" + key,
        "[r1]:*" + key,
        "[*]:2222" + key,
        "[*.example]:2222" + key,
        "[R1]:2222" + key,
        "[r1]:22" + key,
        "r1:2222" + key,
        "2001:db8::1" + key,
        "2001:DB8::1" + key,
        "[2001:db8::1]:2222" + key,
        "2001:db8:*" + key,
        "[!r1]:2222,[*]:2222" + key,
        "@revoked r1" + key,
        "@revoked * ssh-ed25519 " + ed25519,
        "@revoked\tr1\tssh-ed25519\t" + ed25519,
        "@cert-authority r1" + key,
        "@cert-authority *.example" + key,
        "@Revoked r1" + key,
        "@unknown r1" + key,
        "@revoked @revoked r1" + key,
        "@revoked",
        "|1|fFJ3bmdlYNn9SkSFUM8astzI8DY=|lZkSrJRWvim9+J5nem3yRaaFCOA=" + key, // r1.example
        "|1|8bPUyaJN60xuf040goPHlus2JFY=|pf5Q9JtRSdYt/Q7tQJxqUcuyRUc=" + key, // 192.0.2.1
        "|1|5xHN90mf1bzynV6iH8vAEnlaViE=|uKc+3KKMXNgRuohGsWfrtbObN2Q=" + key, // [r2.example]:2222
        "|1|5xHN90mf1bzynV6iH8vAEnlaViE=|uKc+3KKMXNgRuohGsWfrtbObN2Q=,r1" + key,
        "|2|5xHN90mf1bzynV6iH8vAEnlaViE=|uKc+3KKMXNgRuohGsWfrtbObN2Q=" + key,
        "|1|YQ==|YQ==" + key,
        "r1",
        "r1 ssh-ed25519",
        "",
        " ",
        std::string(1000, 'x') + ",r1" + key,
        "r1" + key + " " + std::string(100'000, 'c'),
    };

    struct Peer {
        std::string host;
        std::uint16_t port;
    };

    const std::vector<Peer> peers{{"r1", 22},           {"R1", 22},           {"r12", 22},
                                  {"r1", 2222},         {"R1", 2222},         {"r1.example", 22},
                                  {"r1.example", 2222}, {"r2.example", 2222}, {"192.0.2.1", 22},
                                  {"2001:db8::1", 22},  {"2001:db8::1", 2222}};

    const TempFolder folder;
    const std::string file = folder.path() + "/kh";
    const std::string output = folder.path() + "/out";
    std::string text;
    for (const std::string& line : lines) {
        text += line + "\n";
    }
    write_text(file, text);
    // What each line is to a name, in ssh-keygen's words: "# Host NAME found: line 7 REVOKED".
    const auto keygen = [&](const std::string& name) {
        std::vector<std::string> meanings(lines.size(), "unknown");
        run_program({"ssh-keygen", "-F", name, "-f", file}, output);
        std::istringstream said(read_text(output));
        for (std::string line; std::getline(said, line);) {
            const std::string before = "# Host " + name + " found: line ";
            if (line.starts_with(before)) {
                std::istringstream rest(line.substr(before.size()));
                std::size_t number = 0;
                std::string marker;
                rest >> number >> marker;
                meanings.at(number - 1) = marker == "REVOKED" ? "revoked"
                                          : marker == "CA"    ? "authority"
                                                              : "match";
            }
        }
        return meanings;
    };
    const auto ours = [&](const std::string& line, const Peer& peer) -> std::string {
        const auto verdict = parse(line).check(peer.host, peer.port, blob(ed25519));
        return verdict.status == HostKeyStatus::match     ? "match"
               : verdict.status == HostKeyStatus::revoked ? "revoked"
               : verdict.has_authority                    ? "authority"
                                                          : "unknown";
    };
    std::size_t found = 0;
    for (const Peer& peer : peers) {
        const auto with_port = keygen(known_hosts_name(peer.host, peer.port));
        const auto without = keygen(known_hosts_name(peer.host, 22));
        for (std::size_t i = 0; i < lines.size(); ++i) {
            CAPTURE(lines[i].substr(0, 200));
            CAPTURE(peer.host);
            CAPTURE(peer.port);
            const std::string expected = with_port[i] == "unknown" ? without[i] : with_port[i];
            found += expected == "unknown" ? 0 : 1;
            CHECK(ours(lines[i], peer) == expected);
        }
    }
    CHECK(found > 100);
}

TEST_CASE("fingerprints are those of ssh-keygen for every type of key") {
    if (!find_program("ssh-keygen")) {
        MESSAGE("skipped: no ssh-keygen on this machine");
        return;
    }
    const TempFolder folder;
    for (const std::string type : {"ed25519", "ecdsa", "rsa"}) {
        CAPTURE(type);
        const std::string file = folder.path() + "/" + type;
        REQUIRE(run_program({"ssh-keygen", "-q", "-t", type, "-N", "", "-C", "", "-f", file}) == 0);
        REQUIRE(run_program({"ssh-keygen", "-l", "-f", file + ".pub"}, folder.path() + "/out") ==
                0);
        std::string line = read_text(file + ".pub");
        const auto hosts = parse("r1 " + line);
        CHECK(hosts.size() == 1);
        line.erase(0, line.find(' ') + 1);
        line.erase(line.find_first_of(" \n"));
        CHECK(check(hosts, "r1", 22, line) == HostKeyStatus::match);
        CHECK(read_text(folder.path() + "/out").find(" " + fingerprint(blob(line)) + " ") !=
              std::string::npos);
    }
}

namespace {

HostKeyStatus accept_new(const std::string& file, const std::string& host, std::uint16_t port = 22,
                         const std::string& key = ed25519) {
    return accept_new_host_key({file}, host, port, blob(key)).status;
}

std::size_t count_lines(const std::string& file) {
    const std::string text = read_text(file);
    CHECK(text.ends_with('\n'));
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// Holds a file's lock, as another program would.
class HeldLock {
public:
    explicit HeldLock(const std::string& path) : fd_(::open(path.c_str(), O_RDWR | O_CREAT, 0600)) {
        REQUIRE(::flock(fd_, LOCK_EX) == 0);
    }

    HeldLock(const HeldLock&) = delete;
    HeldLock& operator=(const HeldLock&) = delete;

    ~HeldLock() { ::close(fd_); }

private:
    int fd_;
};

} // namespace

TEST_CASE("an accepted key is found again, after a last line without newline too") {
    const TempFolder folder;
    const std::string file = folder.path() + "/a/b/known_hosts";
    CHECK(accept_new(file, "r1") == HostKeyStatus::unknown);
    {
        std::ofstream out(file, std::ios::app);
        out << "# no newline";
    }
    CHECK(accept_new(file, "R2", 2222, other) == HostKeyStatus::unknown);
    CHECK(accept_new(file, "r2", 2222, other) == HostKeyStatus::match);

    const auto hosts = KnownHosts::load({file, folder.path() + "/missing"});
    CHECK(hosts.problems().empty());
    CHECK(hosts.size() == 2);
    CHECK(check(hosts, "r1") == HostKeyStatus::match);
    CHECK(check(hosts, "r2", 2222, other) == HostKeyStatus::match);
    CHECK(count_lines(file) == 3);
    struct stat status{};

    REQUIRE(::stat(file.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777U) == 0600U);
    REQUIRE(::stat((folder.path() + "/a").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777U) == 0700U);
}

TEST_CASE("a key that somebody else has written meanwhile decides, and nothing is added") {
    const TempFolder folder;
    const std::string file = folder.path() + "/known_hosts";
    write_text(file,
               "r1 ssh-ed25519 " + ed25519 + "\n@revoked * ecdsa-sha2-nistp256 " + ecdsa + "\n");
    CHECK(accept_new(file, "r1", 22, ed25519) == HostKeyStatus::match);
    CHECK(accept_new(file, "r1", 22, other) == HostKeyStatus::changed);
    CHECK(accept_new(file, "r1", 22, ecdsa) == HostKeyStatus::revoked);
    CHECK(accept_new(file, "r2", 22, ecdsa) == HostKeyStatus::revoked);
    CHECK(count_lines(file) == 2);
    // Other files count as well.
    const std::string second = folder.path() + "/second";
    CHECK(accept_new_host_key({second, file}, "r1", 22, blob(other)).status ==
          HostKeyStatus::changed);
    CHECK(read_text(second).empty());
}

TEST_CASE("a thousand tasks accept keys at once, and each host has one line") {
    const TempFolder folder;
    const std::string file = folder.path() + "/known_hosts";
    muster::run([](const std::string& path) -> muster::Coro<void> {
        std::vector<muster::Future<HostKeyStatus>> tasks;
        for (int i = 0; i < 1000; ++i) {
            // Every tenth presents another key: the first of each host decides which one it is.
            const std::string& key = i % 10 == 9 ? other : ed25519;
            tasks.push_back(muster::run_in_executor(accept_new, path, "r" + std::to_string(i % 50),
                                                    std::uint16_t{22}, key));
        }
        std::array<int, 4> seen{};
        for (auto& task : tasks) {
            const HostKeyStatus status = co_await task;
            ++seen.at(static_cast<std::size_t>(status));
        }
        CHECK(seen[static_cast<std::size_t>(HostKeyStatus::unknown)] == 50);
        CHECK(seen[static_cast<std::size_t>(HostKeyStatus::match)] >= 850);
        CHECK(seen[static_cast<std::size_t>(HostKeyStatus::match)] +
                  seen[static_cast<std::size_t>(HostKeyStatus::changed)] ==
              950);
    }(file));
    const auto hosts = KnownHosts::load({file});
    CHECK(hosts.problems().empty());
    CHECK(hosts.size() == 50);
    CHECK(count_lines(file) == 50);
}

TEST_CASE("several programs accept keys at once, and no line is torn or doubled") {
    const TempFolder folder;
    const std::string file = folder.path() + "/known_hosts";
    std::vector<pid_t> children;
    for (int child = 0; child < 4; ++child) {
        const pid_t pid = ::fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            int wrong = 0;
            for (int i = 0; i < 60; ++i) {
                // Half of the hosts are everybody's, half are one's own.
                const std::string host =
                    i % 2 == 0 ? "shared" + std::to_string(i)
                               : "own" + std::to_string(child) + "-" + std::to_string(i);
                const auto status = accept_new(file, host);
                const bool expected = status == HostKeyStatus::unknown ||
                                      (i % 2 == 0 && status == HostKeyStatus::match);
                wrong += expected ? 0 : 1;
            }
            ::_exit(wrong);
        }
        children.push_back(pid);
    }
    for (const pid_t pid : children) {
        int status = -1;
        REQUIRE(::waitpid(pid, &status, 0) == pid);
        CHECK(status == 0);
    }
    const auto hosts = KnownHosts::load({file});
    CHECK(hosts.problems().empty());
    CHECK(hosts.size() == 30 + 4 * 30);
    CHECK(count_lines(file) == 30 + 4 * 30);
}

TEST_CASE("a file that is replaced while its lock is awaited is written in its new form") {
    const TempFolder folder;
    const std::string file = folder.path() + "/known_hosts";
    std::thread waiting;
    {
        const HeldLock lock(file);
        waiting = std::thread([&] { CHECK(accept_new(file, "r2") == HostKeyStatus::unknown); });
        while (times_open(file) < 2) {
            std::this_thread::yield();
        }
        write_text(file + ".new", "r1 ssh-ed25519 " + ed25519 + "\n");
        REQUIRE(std::rename((file + ".new").c_str(), file.c_str()) == 0);
    }
    waiting.join();
    const auto hosts = KnownHosts::load({file});
    CHECK(check(hosts, "r1") == HostKeyStatus::match);
    CHECK(check(hosts, "r2") == HostKeyStatus::match);
}

TEST_CASE("a file that cannot be written is an error that says what to do") {
    const TempFolder folder;
    write_text(folder.path() + "/file", "");
    for (const std::string& path : {folder.path(), folder.path() + "/file/known_hosts"}) {
        CAPTURE(path);
        try {
            accept_new(path, "r1");
            FAIL("it was written");
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::configuration);
            CHECK(error.reason().find(folder.path()) != std::string::npos);
            CHECK(error.remedy().find("Options::known_hosts") != std::string::npos);
        }
    }
}

TEST_CASE("a changed file is read again, and what was accepted is known without it") {
    const TempFolder folder;
    const std::string file = folder.path() + "/known_hosts";
    auto& files = detail::KnownHostsFiles::of({file});
    CHECK(&detail::KnownHostsFiles::of({file}) == &files);
    const auto key = blob(ed25519);
    const auto status = [&](const std::string& host) {
        files.key_types(host, 22); // as a session asks
        return files.check(host, 22, key).status;
    };
    CHECK(status("r1") == HostKeyStatus::unknown);
    write_text(file, "# no newline at the end");
    CHECK(accept_new(file, "r1") == HostKeyStatus::unknown);
    CHECK(accept_new(file, "r2") == HostKeyStatus::unknown);
    CHECK(status("r1") == HostKeyStatus::match);
    const auto verdict = files.check("r2", 22, blob(other));
    CHECK(verdict.status == HostKeyStatus::changed);
    CHECK(verdict.file == file);
    CHECK(verdict.line == 3);
    CHECK(files.key_types("r2", 22) == std::vector<std::string>{"ssh-ed25519"});

    // Somebody who knows of no lock.
    write_text(file, read_text(file) + "r3 ssh-ed25519 " + ed25519 + "\n");
    CHECK(status("r3") == HostKeyStatus::match);
    CHECK(files.check("r3", 22, blob(other)).line == 4);
    std::filesystem::remove(file);
    CHECK(status("r1") == HostKeyStatus::unknown);
    CHECK(accept_new(file, "r4") == HostKeyStatus::unknown);
    CHECK(status("r4") == HostKeyStatus::match);
    CHECK(status("r2") == HostKeyStatus::unknown);
    CHECK(count_lines(file) == 1);
}

TEST_CASE("lines that were appended to a file are counted on") {
    KnownHosts hosts;
    hosts.add("\n# two lines\n", "a");
    hosts.append("r1 ssh-ed25519 " + ed25519 + "\n", "a");
    hosts.append("r2 ssh-ed25519 " + ed25519 + "\n", "b");
    hosts.append("what is this\n", "a");
    CHECK(hosts.check("r1", 22, blob(ed25519)).line == 3);
    CHECK(hosts.check("r2", 22, blob(ed25519)).line == 1);
    CHECK(hosts.check("r2", 22, blob(ed25519)).file == "b");
    REQUIRE(hosts.problems().size() == 1);
    CHECK(hosts.problems()[0].line == 4);
    CHECK(hosts.problems()[0].file == "a");
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
