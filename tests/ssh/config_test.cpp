#include "contains.hpp"
#include "process.hpp"
#include "ssh/files.hpp"
#include "sshd.hpp"
#include "temp_folder.hpp"

#include <muster/core/run.hpp>
#include <muster/ssh/config.hpp>
#include <muster/ssh/connection.hpp>
#include <muster/ssh/error.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

using namespace muster::ssh;
using namespace std::chrono_literals;

namespace {

Config parse(const std::string& text) {
    Config config;
    config.add(text, "cfg");
    return config;
}

std::string home() {
    const char* variable = std::getenv("HOME"); // NOLINT(concurrency-mt-unsafe)
    return variable == nullptr ? "" : variable;
}

/// The text of the error that reading the lines ends with; empty when there is none.
std::string complaint(const std::string& text, const std::string& destination = "r1") {
    try {
        static_cast<void>(parse(text).options(destination));
        return {};
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::configuration);
        CHECK_FALSE(error.remedy().empty());
        return error.reason();
    }
}

std::string describe(const Options& hop) {
    std::string text = hop.username.empty() ? "" : hop.username + "@";
    text += contains(hop.host, ":") ? "[" + hop.host + "]" : hop.host;
    return text + (hop.port == 22 ? "" : ":" + std::to_string(hop.port));
}

std::string describe(const std::vector<Options>& hops) {
    std::string text;
    for (const Options& hop : hops) {
        text += (text.empty() ? "" : ",") + describe(hop);
    }
    return text;
}

} // namespace

TEST_CASE("a host has the first value of each keyword whose patterns match it") {
    const auto config = parse("# routers\n"
                              "Host r1 core-*\n"
                              "    HostName %h.example\n"
                              "    User ops\n"
                              "    Port 2222\n"
                              "Host * !lab\n"
                              "    User everybody\n"
                              "    ServerAliveInterval 5\n"
                              "    ServerAliveCountMax 2\n"
                              "    ConnectTimeout 1m30s\n"
                              "    StrictHostKeyChecking accept-new\n"
                              "    HostKeyAlias %h-key\n");
    CHECK(config.problems().empty());
    const Options r1 = config.options("r1");
    CHECK(r1.host == "r1.example");
    CHECK(r1.username == "ops");
    CHECK(r1.port == 2222);
    CHECK(r1.keepalive.value() == 5s);
    CHECK(r1.keepalive_tries == 2);
    CHECK(r1.timeouts.connect.value() == 90s);
    CHECK(r1.host_key_policy == HostKeyPolicy::accept_new);
    CHECK(r1.host_key_alias == "%h-key");
    CHECK(r1.known_hosts.empty());
    CHECK(config.options("core-7").host == "core-7.example");
    CHECK(config.options("r2").username == "everybody");

    const Options lab = config.options("lab");
    CHECK(lab.username.empty());
    CHECK(lab.port == 22);
    CHECK(lab.keepalive.value() == 30s);
    CHECK(lab.host_key_policy == HostKeyPolicy::strict);
}

TEST_CASE("what the destination says goes before the files") {
    const auto config = parse("Host r1\nUser ops\nPort 2222\nIdentityFile /dev/%r-%p\n");
    const Options given = config.options("ssh://me@r1:22");
    CHECK(given.username == "me");
    CHECK(given.port == 22);
    CHECK(config.options("me@r1").port == 2222);
    CHECK(config.options("a@b@r1").username == "a@b");
    CHECK(config.options("2001:db8::1").host == "2001:db8::1");
    for (const char* bad : {"", "@r1", "ops@", "ssh://", "ssh://r1:0", "ssh://r1/x"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(static_cast<void>(config.options(bad)), Error);
    }
}

TEST_CASE("identity files add up, are expanded, and count if they exist") {
    const TempFolder folder;
    for (const char* name : {"a b", "r1-r1.example-2222-ops", "100%"}) {
        write_text(folder.path() + "/" + name, "");
    }
    const auto config = parse("Host r1\n"
                              "  IdentityFile \"" +
                              folder.path() +
                              "/a b\"\n"
                              "  IdentityFile " +
                              folder.path() +
                              "/%n-%h-%p-%r\n"
                              "  IdentityFile " +
                              folder.path() +
                              "/missing\n"
                              "  IdentityFile " +
                              folder.path() +
                              "/100%%\n"
                              "  IdentityFile " +
                              folder.path() +
                              "/a\\ b\n"
                              "Host *\n  User ops\n  Port 2222\n  HostName %h.example\n"
                              "Host none\n  IdentityFile none\n");
    const auto keys = config.options("r1").keys;
    REQUIRE(keys.size() == 3);
    CHECK(keys[0].path == folder.path() + "/a b");
    CHECK(keys[1].path == folder.path() + "/r1-r1.example-2222-ops");
    CHECK(keys[2].path == folder.path() + "/100%");
    CHECK(config.options("none").keys.empty());

    const auto other = parse("UserKnownHostsFile ~/kh ${HOME}/%u none-such\n"
                             "GlobalKnownHostsFile none\n")
                           .options("r1")
                           .known_hosts;
    REQUIRE(other.size() == 4);
    CHECK(other[0] == home() + "/kh");
    CHECK(other[1].starts_with(home() + "/"));
    CHECK(other[2] == "none-such");
    CHECK(other[3] == "/dev/null");
    CHECK(parse("UserKnownHostsFile none\n").options("r1").known_hosts ==
          std::vector<std::string>{"/dev/null", "/etc/ssh/ssh_known_hosts"});
}

TEST_CASE("the agent may be named, or none, and kept to the identity files") {
    const auto config = parse("Host none\n  IdentityAgent none\n"
                              "Host usual\n  IdentityAgent SSH_AUTH_SOCK\n"
                              "Host variable\n  IdentityAgent $HOME\n"
                              "Host path\n  IdentityAgent ~/agent-%n\n  IdentitiesOnly yes\n"
                              "Host bad\n  IdentityAgent $MUSTER_NO_SUCH_VARIABLE\n");
    CHECK(config.options("none").agent == "");
    CHECK_FALSE(config.options("usual").agent.has_value());
    CHECK_FALSE(config.options("other").agent.has_value());
    CHECK_FALSE(config.options("other").identities_only);
    CHECK(config.options("variable").agent == home());
    CHECK(config.options("path").agent == home() + "/agent-path");
    CHECK(config.options("path").identities_only);
    CHECK_THROWS_AS(static_cast<void>(config.options("bad")), Error);
}

TEST_CASE("jump hosts have options and jump hosts of their own") {
    const auto config = parse("Host r1\n  ProxyJump alice@edge:2200,core\n"
                              "Host r2\n  ProxyJump ssh://bob@[2001:db8::1]:22\n"
                              "Host edge\n  HostName edge.example\n  ProxyJump outer\n  User no\n"
                              "Host core\n  User carol\n  ProxyJump elsewhere\n"
                              "Host direct\n  ProxyJump none\n"
                              "Host nc\n  ProxyCommand nc %h %p\n"
                              "Host direct nc\n  ProxyJump core\n");
    CHECK(describe(config.options("r1").proxy_jump) == "outer,alice@edge.example:2200,carol@core");
    for (const Options& hop : config.options("r1").proxy_jump) {
        CHECK(hop.proxy_jump.empty());
    }
    CHECK(describe(config.options("r2").proxy_jump) == "bob@[2001:db8::1]");
    CHECK(config.options("direct").proxy_jump.empty());
    CHECK(config.options("nc").proxy_jump.empty());
    CHECK(config.options("elsewhere").proxy_jump.empty());
    REQUIRE(config.problems().size() == 1);
    CHECK(contains(config.problems()[0].what, "proxycommand"));

    const std::string loop = "Host *\n  ProxyJump bastion\n";
    CHECK(contains(complaint(loop), "cfg:2: the way to jump host 'bastion' leads through itself"));
    CHECK(contains(complaint("Host a\nProxyJump b\nHost b\nProxyJump a\n", "a"), "'a'"));
    CHECK(complaint("Host * !bastion\n  ProxyJump bastion\n").empty());
}

TEST_CASE("Match blocks count if they can be evaluated, else they are reported and never count") {
    const auto config = parse("Host r1\n  HostName router1.example\n  User ops\n"
                              "Match host *.example,!bad.example user ops\n  Port 1\n"
                              "Match originalhost r2 !user root\n  Port 2\n"
                              "Match exec \"true\"\n  Port 3\n"
                              "Match host r3 final\n  Port 4\n"
                              "Match all\n  ServerAliveCountMax 9\n");
    CHECK(config.options("r1").port == 1);
    CHECK(config.options("joe@r2").port == 2);
    CHECK(config.options("root@r2").port == 22);
    CHECK(config.options("r3").port == 22);
    CHECK(config.options("r4").keepalive_tries == 9);
    REQUIRE(config.problems().size() == 2);
    CHECK(config.problems()[0].line == 8);
    CHECK(contains(config.problems()[0].what, "'match exec'"));
    CHECK(config.problems()[1].line == 10);
}

TEST_CASE("keywords that are not supported are listed and harm nothing") {
    const auto config = parse("Compression yes\nHost r1\n  ForwardAgent yes\n  Port 77\n"
                              "Ciphers \"unbalanced\n");
    CHECK(config.options("r1").port == 77);
    REQUIRE(config.problems().size() == 3);
    CHECK(config.problems()[1].file == "cfg");
    CHECK(config.problems()[1].line == 3);
    CHECK(config.problems()[1].what == "'forwardagent' is not supported");
}

TEST_CASE("values that make no sense are errors that name the line") {
    const std::vector<std::string> bad{
        "Port",
        "Port abc",
        "Port 0",
        "Port 65536",
        "Port 22 23",
        "Port -1",
        "User",
        "User \"\"",
        "User a b",
        "User \"a",
        "User 'a",
        "HostName",
        "HostName a b",
        "HostName %n",
        "HostName %",
        "StrictHostKeyChecking maybe",
        "ConnectTimeout -1",
        "ConnectTimeout 5x",
        "ConnectTimeout 99999999999",
        "ConnectTimeout 99999999w",
        "ConnectTimeout \"\"",
        "ServerAliveCountMax many",
        "ServerAliveCountMax -1",
        "ProxyJump",
        "ProxyJump a:b:c",
        "ProxyJump ::1",
        "ProxyJump [::1",
        "ProxyJump [a]b",
        "ProxyJump @h",
        "ProxyJump u@",
        "ProxyJump a,,b",
        "ProxyJump a,",
        "ProxyJump h:0",
        "ProxyJump ssh://h/p",
        "ProxyJump ssh://%zz@h",
        "IdentitiesOnly maybe",
        "UserKnownHostsFile none x",
        "UserKnownHostsFile \"\" x",
        "UserKnownHostsFile /%z",
        "UserKnownHostsFile ${MUSTER_NO_SUCH_VARIABLE}",
        "UserKnownHostsFile ${HOME",
        "IdentityFile /%z",
        "Host",
        "Match",
        "Match host",
        "Match all host r1",
        "Include",
    };
    for (const std::string& line : bad) {
        CAPTURE(line);
        CHECK(complaint("# first\n" + line + "\n").starts_with("cfg:2: "));
    }
}

TEST_CASE("included files are read where they stand, within their block") {
    const TempFolder folder;
    write_text(folder.path() + "/main", "Include " + folder.path() +
                                            "/d/*.conf missing\n"
                                            "Host r1\n  Include " +
                                            folder.path() +
                                            "/inner\n"
                                            "  User after\n"
                                            "Host *\n  Port 3\n");
    REQUIRE(run_program({"mkdir", folder.path() + "/d"}) == 0);
    write_text(folder.path() + "/d/a.conf", "Host r9\n  Port 9\n");
    write_text(folder.path() + "/d/b.conf", "Host r9 r8\n  Port 8\n  Compression no\n");
    write_text(folder.path() + "/inner", "Port 1\nHost r*\n  ServerAliveCountMax 7\n");
    const auto config = Config::load({folder.path() + "/main", folder.path() + "/missing"});
    CHECK(config.options("r9").port == 9);
    CHECK(config.options("r8").port == 8);
    CHECK(config.options("r1").port == 1);
    CHECK(config.options("r1").keepalive_tries == 7);
    CHECK(config.options("r1").username == "after");
    CHECK(config.options("r2").port == 3);
    CHECK(config.options("r2").keepalive_tries == 3); // its Host line stands inside another
    REQUIRE(config.problems().size() == 1);
    CHECK(config.problems()[0].file == folder.path() + "/d/b.conf");

    write_text(folder.path() + "/main", "Include " + folder.path() + "/main\n");
    CHECK_THROWS_WITH_AS(Config::load({folder.path() + "/main"}),
                         doctest::Contains("may include itself"), Error);
    CHECK_THROWS_AS(Config::load({folder.path()}), Error);
}

TEST_CASE("a host of the configuration is connected to by its name there") {
    if (!Sshd::available()) {
        MESSAGE("skipped: no sshd on this machine");
        return;
    }
    Sshd sshd;
    const std::string port = std::to_string(sshd.listen());
    write_text(sshd.folder() + "/known", "router-1 " + sshd.host_key() + "\n");
    const auto config =
        parse("Host r1\n  HostName 127.0.0.1\n  Port " + port + "\n  User " + sshd.user() +
              "\n  HostKeyAlias router-1\n  IdentityFile " + sshd.user_key() +
              "\n  UserKnownHostsFile " + sshd.folder() + "/known\n");
    CHECK(muster::run(fetch(config.options("r1"), "echo hello")) == "hello\n");
}

TEST_CASE("every line means to muster what it means to ssh") {
    if (!find_program("ssh")) {
        MESSAGE("skipped: no ssh on this machine");
        return;
    }
    const TempFolder folder;
    const std::string file = folder.path() + "/config";
    const std::string output = folder.path() + "/out";
    const std::string key = folder.path() + "/key";
    for (const char* name : {"", " 1", "2", "3#"}) {
        write_text(key + name, "");
    }
    write_text(folder.path() + "/included", "User inc\nHost r1\nPort 99\n");
    const std::vector<std::string> configs{
        "",
        "Host r1\nUser a\nPort 23\nHost *\nUser b\nPort 24\n",
        "Host R1\nUser a\n",
        "Host r1 r2\tr3\nUser a\nHost \"r 1\" other*\nUser b\n",
        "Host r? !r2\nUser a\nHost !r1\nUser b\nHost !r1 *\nUser c\n",
        "Host *.example\nUser a\nHost ** \nUser b\n",
        "Host r1,r2\nUser a\nHost r1# comment\nUser b\nHost r2 # comment\nUser c\n",
        "Host=r1\nUser=a\nPort = 23\n  HostName\t=\tx\n",
        "HOST r1\nuSeR a\nPORT 23\nhostname X.Example\n",
        "User =a\nPort   24   \n",
        "User==a\n",
        "User 'a b'\n",
        "User a\\\"b\n",
        "User \"a\\\\b\"\n",
        "User a\\ b\n",
        "User a#b\n",
        "User a #b\n",
        "User \"a\" # b\n",
        "User \"a\"b'c'\n",
        "User a\r\nPort 23\r\n",
        "\tUser a\f\n",
        "Port 022\n",
        "Port ssh\n",
        "HostName %h.example\nUser ops\n",
        "HostName fe80::1%%Eth0\n",
        "HostName %h%%x\n",
        "HostName 2001:db8::1\n",
        "Host r1\nHostName a\nHost r1\nHostName b\n",
        "HostName a\nHost a\nUser x\nMatch host a\nUser y\nMatch originalhost r1\nPort 23\n",
        "Match host R1\nUser a\nMatch host r*,!r2\nPort 23\n",
        "Match host=r1\nUser a\n",
        "Match !host r1\nUser a\nMatch host r1 all\nUser b\nMatch all\nUser c\n",
        "User u\nMatch user u\nPort 23\nMatch !user u\nPort 24\n",
        "Match user root\nPort 23\n",
        "Match originalhost r1 host *.example\nPort 23\n",
        "Host r1\nHostName h.example\nMatch originalhost r1 host *.example\nPort 23\nHostName z\n"
        "User q\n",
        "Match localuser nobody-at-all\nPort 23\nMatch !localuser nobody-at-all\nPort 24\n",
        "IdentityFile " + key + "\nIdentityFile \"" + key + " 1\"\nIdentityFile=" + key +
            "2 # comment\nIdentityFile " + key + "3#\nIdentityFile " + key + "\n",
        "Host r1\nIdentityFile " + key + "\nHost *\nIdentityFile " + key + "2\n",
        "IdentityFile2 " + key + "\n",
        "IdentityFile none\n",
        "Host r* R*\nProxyJump a\n",
        "Host r* R*\nProxyJump u@a:23\n",
        "Host r* R*\nProxyJump u@v@a\n",
        "Host r* R*\nProxyJump [2001:db8::1]:23\n",
        "Host r* R*\nProxyJump u@[2001:db8::1]\n",
        "Host r* R*\nProxyJump [h]\n",
        "Host r* R*\nProxyJump h:\n",
        "Host r* R*\nProxyJump ssh://u@a:23\n",
        "Host r* R*\nProxyJump ssh://a/\n",
        "Host r* R*\nProxyJump ssh://u%40v@a\n",
        "Host r* R*\nProxyJump x,y:23,u@z\n",
        "Host r* R*\nProxyJump a,none\n",
        "Host r* R*\nProxyJump none\n",
        "Host r* R*\nProxyJump NONE\nProxyJump a\n",
        "Host r1\nProxyJump none\nHost r*\nProxyJump a\n",
        "Host r* R*\nProxyCommand nc %h %p\nProxyJump a\n",
        "Host r* R*\nProxyJump a\nProxyCommand nc %h %p\n",
        "Host r* R*\nProxyCommand none\nProxyJump a\n",
        "UserKnownHostsFile none\n",
        "UserKnownHostsFile /a \"/b c\" /d\n",
        "UserKnownHostsFile /%h ~/%u /%%x /%n /%p /%r\n",
        "UserKnownHostsFile /%k /%l /%L /%i /%d /%C\nHostKeyAlias al\nUser q\n",
        "UserKnownHostsFile ${HOME}/x\n",
        "UserKnownHostsFile ~root/x\n",
        "UserKnownHostsFile /a\nUserKnownHostsFile /b\n",
        "StrictHostKeyChecking yes\n",
        "StrictHostKeyChecking YES\n",
        "StrictHostKeyChecking true\n",
        "StrictHostKeyChecking no\n",
        "StrictHostKeyChecking off\n",
        "StrictHostKeyChecking ask\n",
        "StrictHostKeyChecking accept-new\n",
        "ConnectTimeout 5\nServerAliveInterval 1h5\nServerAliveCountMax 7\n",
        "ConnectTimeout none\nServerAliveInterval 0\n",
        "ConnectTimeout 1M2S\n",
        "HostKeyAlias foo\n",
        "IdentitiesOnly yes\nIdentityAgent ~/a-%n\n",
        "IdentitiesOnly true\nIdentityAgent none\n",
        "IdentitiesOnly no\nIdentityAgent SSH_AUTH_SOCK\n",
        "Include " + folder.path() + "/inc*\nUser main\nPort 23\n",
        "Host r1\nInclude " + folder.path() + "/included\nUser main\nHost *\nPort 23\n",
        "Host none\nInclude " + folder.path() + "/included\nHost *\nPort 23\n",
        "Include " + folder.path() + "/nothing\n",
    };

    const auto words = [](const std::vector<std::string>& list) {
        std::string text;
        for (const auto& word : list) {
            text += (text.empty() ? "" : " ") + word;
        }
        return text;
    };
    const auto seconds = [](const muster::TimeLimit& limit) {
        return limit.limited()
                   ? std::to_string(
                         std::chrono::duration_cast<std::chrono::seconds>(limit.value()).count())
                   : std::string("0");
    };
    for (const std::string& text : configs) {
        write_text(file, text);
        for (const std::string host : {"r1", "R1", "r2", "r1.example"}) {
            CAPTURE(text);
            CAPTURE(host);
            REQUIRE(run_program({"ssh", "-G", "-F", file, host}, output) == 0);
            std::map<std::string, std::string> expected;
            std::string identities;
            std::istringstream said(read_text(output));
            for (std::string line; std::getline(said, line);) {
                const auto blank = line.find(' ');
                const std::string keyword = line.substr(0, blank);
                const std::string value = line.substr(blank + 1);
                if (keyword == "identityfile" && !value.starts_with("~/.ssh/id_") &&
                    value != "none") {
                    identities += (identities.empty() ? "" : " ") + value;
                }
                expected[keyword] = value;
            }
            const Options ours = Config::load({file}).options(host);
            CHECK(ours.host == expected["hostname"]);
            CHECK((ours.username.empty() ? detail::current_user() : ours.username) ==
                  expected["user"]);
            CHECK(std::to_string(ours.port) == expected["port"]);
            std::vector<std::string> keys;
            for (const auto& source : ours.keys) {
                if (!source.path.starts_with(home() + "/.ssh/id_")) {
                    keys.push_back(source.path);
                }
            }
            CHECK(words(keys) == identities);
            CHECK(describe(ours.proxy_jump) == expected["proxyjump"]);
            if (ours.known_hosts.empty()) {
                CHECK(expected["userknownhostsfile"] ==
                      home() + "/.ssh/known_hosts " + home() + "/.ssh/known_hosts2");
            } else {
                auto files = ours.known_hosts;
                CHECK(files.back() == "/etc/ssh/ssh_known_hosts");
                files.pop_back();
                CHECK(words(files) == (expected["userknownhostsfile"] == "none"
                                           ? "/dev/null"
                                           : expected["userknownhostsfile"]));
            }
            const std::map<std::string, HostKeyPolicy> policies{
                {"true", HostKeyPolicy::strict},
                {"ask", HostKeyPolicy::strict},
                {"accept-new", HostKeyPolicy::accept_new},
                {"false", HostKeyPolicy::insecure_ignore}};
            CHECK(ours.host_key_policy == policies.at(expected["stricthostkeychecking"]));
            CHECK(ours.host_key_alias == expected["hostkeyalias"]);
            CHECK((ours.identities_only ? "yes" : "no") == expected["identitiesonly"]);
            if (const auto agent = expected["identityagent"]; agent != "SSH_AUTH_SOCK") {
                CHECK(ours.agent.value_or("") == (agent == "none" ? "" : agent));
            }
            if (contains(text, "ConnectTimeout")) {
                CHECK(seconds(ours.timeouts.connect) ==
                      (expected["connecttimeout"] == "none" ? "0" : expected["connecttimeout"]));
            }
            if (contains(text, "ServerAlive")) {
                CHECK(seconds(ours.keepalive) == expected["serveraliveinterval"]);
                CHECK(std::to_string(ours.keepalive_tries) == expected["serveralivecountmax"]);
            }
        }
    }
}
