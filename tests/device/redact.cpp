#include <muster/device/redact.hpp>

#include <doctest/doctest.h>

#include <array>
#include <string>

using muster::Secret;
using muster::device::redact;

TEST_CASE("what follows a word that announces a secret is masked") {
    struct Row {
        const char* text;
        const char* expected;
    };

    const Row rows[] = {
        {"enable secret 9 $9$abcdef", "enable secret 9 ***"},
        {"username bob privilege 15 password 0 hunter two",
         "username bob privilege 15 password 0 ***"},
        {"username bob secret hunter2", "username bob secret ***"},
        {"snmp-server community s3cr3t RO", "snmp-server community ***"},
        {" tacacs-server key 7 0822455D0A16", " tacacs-server key 7 ***"},
        {" key-string 7 0822455D0A16", " key-string 7 ***"},
        {" ip ospf message-digest-key 1 md5 swordfish", " ip ospf message-digest-key 1 md5 ***"},
        {"crypto isakmp key cisco123 address 10.0.0.1", "crypto isakmp key ***"},
        {" neighbor 10.0.0.1 PASSWORD hidden", " neighbor 10.0.0.1 PASSWORD ***"},
        {"snmp-server user u g v3 auth sha authpass priv aes 128 privpass",
         "snmp-server user u g v3 auth sha ***"},
        {"Password: typed", "Password: ***"},
        {"key chain RIP", "key chain RIP"},
        {" key 1", " key 1"},
        {"crypto key generate rsa", "crypto key generate rsa"},
        {"service password-encryption", "service password-encryption"},
        {"Password:", "Password:"},
        {"% No password set", "% No password set"},
        {"% Bad password hunter2", "% Bad password ***"},
        {"interface Ethernet0", "interface Ethernet0"},
        {"", ""},
        {"hostname r1\nenable password x\nend\n", "hostname r1\nenable password ***\nend\n"},
    };
    for (const Row& row : rows) {
        CAPTURE(std::string(row.text));
        CHECK(redact(row.text) == row.expected);
    }
}

TEST_CASE("known secrets are masked wherever they stand") {
    const std::array<Secret, 3> secrets{Secret("hunter2"), Secret(""), Secret("s p a c e")};
    CHECK(redact("said hunter2, hunter2hunter2 and s p a c e", secrets) ==
          "said ***, ****** and ***");
}
