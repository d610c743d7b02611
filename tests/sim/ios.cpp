#include "router.hpp"

#include <muster/core/error.hpp>
#include <muster/sim/ios.hpp>

#include <doctest/doctest.h>

using namespace muster::sim;

TEST_CASE("A session starts in user mode and shows the name with >") {
    IosDevice device(fixed_clock());
    IosSession session(device);
    CHECK(session.greeting() == "\r\nr1>");
}

TEST_CASE("Enable asks for the secret, does not echo it, and goes to privileged mode") {
    IosDevice device(fixed_clock());
    IosSession session(device);
    CHECK(session.type("enable\n") == "enable\r\nPassword: ");
    CHECK(session.type("secret\n") == "\r\nr1#");
    CHECK(session.type("disable\n") == "disable\r\nr1>");
}

TEST_CASE("Three wrong secrets are answered with Bad secrets") {
    IosDevice device(fixed_clock());
    IosSession session(device);
    CHECK(session.type("en\nno\n") == "en\r\nPassword: \r\nPassword: ");
    CHECK(session.type("no\n") == "\r\nPassword: ");
    CHECK(session.type("no\n") == "\r\n% Bad secrets\r\n\r\nr1>");
}

TEST_CASE("With AAA one wrong secret is answered with Access denied") {
    auto profile = fixed_clock();
    profile.config = {"aaa new-model"};
    IosDevice device(std::move(profile));
    IosSession session(device);
    CHECK(session.type("enable\nno\n") == "enable\r\nPassword: \r\n% Access denied\r\n\r\nr1>");
}

TEST_CASE("Enable without a secret on the device is refused") {
    auto profile = fixed_clock();
    profile.enable_secret = "";
    IosDevice device(std::move(profile));
    IosSession session(device);
    CHECK(session.type("enable\n") == "enable\r\n% No password set\r\nr1>");
}

TEST_CASE("Configuration modes nest, and exit and end lead out of them") {
    Router r;
    CHECK(r.type("configure terminal\n") ==
          "configure terminal\r\n"
          "Enter configuration commands, one per line.  End with CNTL/Z.\r\n"
          "r1(config)#");
    CHECK(r.type("interface GigabitEthernet0/1\n").ends_with("r1(config-if)#"));
    CHECK(r.type("router bgp 65001\n").ends_with("r1(config-router)#"));
    CHECK(r.type("address-family ipv4 unicast\n").ends_with("r1(config-router-af)#"));
    CHECK(r.type("exit-address-family\n").ends_with("r1(config-router)#"));
    CHECK(r.type("exit\n").ends_with("r1(config)#"));
    CHECK(r.type("exit\n").ends_with("r1#"));
    r.type("conf t\nline vty 0 4\n");
    CHECK(r.type("end\n") == "end\r\nr1#");
}

TEST_CASE("Every kind of section has its own prompt") {
    Router r;
    r.type("conf t\n");
    CHECK(r.type("vlan 10\n").ends_with("(config-vlan)#"));
    CHECK(r.type("ip access-list extended EDGE\n").ends_with("(config-ext-nacl)#"));
    CHECK(r.type("ip access-list standard MGMT\n").ends_with("(config-std-nacl)#"));
    CHECK(r.type("route-map OUT permit 10\n").ends_with("(config-route-map)#"));
    CHECK(r.type("interface gi0/1.100\n").ends_with("(config-subif)#"));
    CHECK(r.type("line con 0\n").ends_with("(config-line)#"));
    CHECK(r.type("vrf definition BLUE\n").ends_with("(config-vrf)#"));
    CHECK(r.type("archive\n").ends_with("(config-archive)#"));
    CHECK(r.type("router ospf 1\n").ends_with("(config-router)#"));
}

TEST_CASE("Ctrl-Z runs the line before it and leaves configuration mode") {
    Router r;
    r.type("conf t\n");
    CHECK(r.type("hostname edge1\x1a").ends_with("^Z\r\nedge1#"));
    CHECK(r.device.hostname() == "edge1");
}

TEST_CASE("A global command typed in a section goes back to global configuration mode") {
    Router r;
    CHECK(r.type("conf t\ninterface gi0/1\nhostname core\n").ends_with("core(config)#"));
}

TEST_CASE("An unknown word gets a caret under its first wrong letter") {
    Router r;
    CHECK(r.type("shwo version\n") == "shwo version\r\n"
                                      "     ^\r\n"
                                      "% Invalid input detected at '^' marker.\r\n"
                                      "\r\n"
                                      "r1#");
    r.type("conf t\n");
    CHECK(r.type("bogus command\n") == "bogus command\r\n"
                                       "             ^\r\n"
                                       "% Invalid input detected at '^' marker.\r\n"
                                       "\r\n"
                                       "r1(config)#");
    CHECK(r.type("interface GigabitEthernet9/9\n") == "interface GigabitEthernet9/9\r\n"
                                                      "                     ^\r\n"
                                                      "% Invalid input detected at '^' marker.\r\n"
                                                      "\r\n"
                                                      "r1(config)#");
}

TEST_CASE("A line cut short is incomplete, a word cut too short is ambiguous") {
    Router r;
    CHECK(r.type("show\n") == "show\r\n% Incomplete command.\r\n\r\nr1#");
    CHECK(r.type("conf t\nhostname\n").ends_with("% Incomplete command.\r\n\r\nr1(config)#"));
    CHECK(r.type("s\n") == "s\r\n% Ambiguous command:  \"s\"\r\nr1(config)#");
}

TEST_CASE("Keywords may be abbreviated and the configuration shows them written out") {
    Router r;
    r.type("conf t\nint gi 0/1\nip add 10.1.1.1 255.255.255.0\nno shut\ndesc to the core\nend\n");
    CHECK(r.running_has("interface GigabitEthernet0/1\n"
                        " description to the core\n"
                        " ip address 10.1.1.1 255.255.255.0\n"
                        " duplex auto\n"));
}

TEST_CASE("Addresses, masks and numbers out of range are refused") {
    Router r;
    r.type("conf t\n");
    CHECK(contains(r.type("ip route 10.0.0.0 255.0.255.0 10.1.1.1\n"), "% Invalid"));
    CHECK(contains(r.type("vlan 5000\n"), "% Invalid"));
    r.type("interface gi0/1\n");
    CHECK(contains(r.type("ip address 10.0.0.256 255.255.255.0\n"), "% Invalid"));
    CHECK_FALSE(r.running_has("10.0.0.256"));
}

TEST_CASE("No removes lines, sections and whole settings by their identity") {
    Router r;
    r.type("conf t\nntp server 10.0.0.1\nntp server 10.0.0.2\nrouter bgp 65001\n"
           "neighbor 10.1.1.1 remote-as 65002\ninterface gi0/1\ndescription up\n"
           "ip address 10.2.2.2 255.255.255.0\n");
    r.type("no description\nno ip address\nno ntp server 10.0.0.1\nend\n");
    CHECK_FALSE(r.running_has("description"));
    CHECK_FALSE(r.running_has("10.2.2.2"));
    CHECK_FALSE(r.running_has("10.0.0.1\n"));
    CHECK(r.running_has("ntp server 10.0.0.2\n"));
    r.type("conf t\nno router bgp 65001\nend\n");
    CHECK_FALSE(r.running_has("bgp"));
    CHECK_FALSE(r.running_has("65002"));
    CHECK(contains(r.type("conf t\nno ntp server\n"), "% Incomplete command."));
    CHECK(contains(r.type("no interface GigabitEthernet0/1\n"),
                   "% Removal of physical interfaces is not permitted."));
}

TEST_CASE("A setting given again replaces the old one and a list entry is added") {
    Router r;
    r.type("conf t\nsnmp-server location A\nsnmp-server location B\nlogging host 10.0.0.1\n"
           "logging 10.0.0.2\nend\n");
    CHECK_FALSE(r.running_has("location A"));
    CHECK(r.running_has("snmp-server location B\n"));
    CHECK(r.running_has("logging host 10.0.0.1\nlogging host 10.0.0.2\n"));
}

TEST_CASE("Settings that are on by default show only their no form") {
    Router r;
    r.type("conf t\nno ip domain lookup\nend\n");
    CHECK(r.running_has("\nno ip domain lookup\n"));
    r.type("conf t\nip domain lookup\nend\n");
    CHECK_FALSE(r.running_has("domain lookup"));
}

TEST_CASE("A second BGP process is refused") {
    Router r;
    CHECK(contains(r.type("conf t\nrouter bgp 1\nrouter bgp 2\n"),
                   "BGP is already running; AS is 1\r\n"));
}

TEST_CASE("The prompt follows the hostname at once and is cut to 20 letters in configuration") {
    Router r;
    CHECK(r.type("conf t\nhostname a-very-long-hostname-indeed\n")
              .ends_with("\na-very-long-hostname(config)#"));
    CHECK(r.type("end\n").ends_with("\na-very-long-hostname-indeed#"));
    CHECK(r.type("conf t\nno hostname\n").ends_with("\nRouter(config)#"));
}

TEST_CASE("A banner is read up to its delimiter and shown with ^C") {
    Router r;
    r.type("conf t\n");
    CHECK(r.type("banner motd #\n") ==
          "banner motd #\r\nEnter TEXT message.  End with the character '#'.\r\n");
    CHECK(r.type("Keep out\n  really?\n") == "Keep out\r\n  really?\r\n");
    CHECK(r.type("#\n") == "#\r\nr1(config)#");
    CHECK(r.running_has("banner motd ^C\nKeep out\n  really?\n^C\n"));
    r.type("banner login @Short@\n");
    CHECK(r.running_has("banner login ^CShort^C\n"));

    IosSession later(r.device);
    CHECK(later.greeting() == "\r\nKeep out\r\n  really?\r\n\r\nr1>");
}

TEST_CASE("A caret typed as a delimiter leaves the C in the text, as on the real device") {
    Router r;
    CHECK(contains(r.type("conf t\nbanner motd ^C\n"), "End with the character '^'."));
    r.type("Hello\n^C\n");
    CHECK(r.running_has("banner motd ^CC\nHello\n^C\n"));
}

TEST_CASE("The configuration is written in the order IOS uses, however it was typed") {
    Router r;
    r.type("conf t\nntp server 10.0.0.1\nline vty 0 4\nexec-timeout 5 0\nvlan 20\nvlan 3\n"
           "name users\ninterface Vlan3\ninterface Loopback10\ninterface Loopback2\n"
           "ip route 0.0.0.0 0.0.0.0 10.0.0.254\nrouter ospf 1\nip domain name lab.example\nend\n");
    const auto config = r.device.running_config();
    std::size_t at = 0;
    for (const auto* line :
         {"version", "service timestamps", "hostname r1", "enable secret", "ip domain name",
          "vlan 3\n name users", "vlan 20", "interface Loopback2", "interface Loopback10",
          "interface GigabitEthernet0/0", "interface GigabitEthernet0/3", "interface Vlan3",
          "router ospf 1", "ip route 0.0.0.0", "line con 0", "line vty 0 4\n exec-timeout 5 0",
          "ntp server 10.0.0.1", "end\n"}) {
        const auto next = config.find(std::string("\n") + line, at == 0 ? 0 : at);
        const auto found = at == 0 ? config.find(line) : next;
        CHECK_MESSAGE(found != std::string::npos, line);
        at = found;
    }
}

TEST_CASE("Secrets are never shown as they were typed") {
    Router r;
    r.type("conf t\nusername ops privilege 15 secret hunter2\nenable secret topsecret\n"
           "line vty 0 4\npassword letmein\nend\n");
    const auto config = r.device.running_config();
    CHECK_FALSE(contains(config, "hunter2"));
    CHECK_FALSE(contains(config, "topsecret"));
    CHECK_FALSE(contains(config, "letmein"));
    CHECK(contains(config, "username ops privilege 15 secret 9 $9$"));

    IosSession other(r.device);
    CHECK(other.type("enable\ntopsecret\n").ends_with("r1#"));
}

TEST_CASE("Nested sections are indented and closed") {
    Router r;
    r.type("conf t\nrouter bgp 65001\nbgp router-id 1.1.1.1\nneighbor 10.0.0.2 remote-as 65002\n"
           "address-family ipv4 unicast\nneighbor 10.0.0.2 activate\nend\n");
    CHECK(r.running_has("router bgp 65001\n"
                        " bgp router-id 1.1.1.1\n"
                        " neighbor 10.0.0.2 remote-as 65002\n"
                        " address-family ipv4 unicast\n"
                        "  neighbor 10.0.0.2 activate\n"
                        " exit-address-family\n"
                        "!\n"));
}

TEST_CASE("A profile's configuration is there at power-on, and a mistake in it is reported") {
    auto profile = fixed_clock();
    profile.config = {"interface Loopback0", "ip address 1.1.1.1 255.255.255.255"};
    const IosDevice device(profile);
    CHECK(contains(device.startup_config(), "interface Loopback0\n ip address 1.1.1.1"));
    profile.config = {"no such line"};
    CHECK_THROWS_WITH_AS(IosDevice{profile},
                         "virtual device r1: its configuration has a line the device does not "
                         "understand: \"no such line\"",
                         muster::ValueError);
}

TEST_CASE("Configuration lines can be applied without a terminal, up to the first bad one") {
    IosDevice device(fixed_clock());
    const auto result = device.configure(
        {"banner motd #", "hello", "#", "interface gi0/1", "description x", "bogus", "mtu 9000"},
        "api");
    CHECK(result.rejected);
    CHECK(result.applied == 5);
    CHECK(contains(device.running_config(), "banner motd ^C\nhello\n^C"));
    CHECK(contains(device.running_config(), " description x\n"));
    CHECK_FALSE(contains(device.running_config(), "9000"));
}
