#include <muster/core/error.hpp>
#include <muster/sim/ios.hpp>

#include <doctest/doctest.h>

using namespace muster::sim;

namespace {

IosProfile fixed_clock() {
    IosProfile profile;
    // Mon Mar 1 2021, 12:00:00 UTC
    profile.now = [] { return std::chrono::system_clock::from_time_t(1614600000); };
    return profile;
}

/// A device with a session on it, already at `r1#`, pager off.
struct Router {
    explicit Router(IosProfile profile = fixed_clock(), IosSessionOptions options = privileged())
        : device(std::move(profile)), session(device, std::move(options)) {}

    static IosSessionOptions privileged() {
        IosSessionOptions options;
        options.privileged = true;
        options.length = 0;
        return options;
    }

    std::string type(std::string_view text) { return session.type(text); }

    bool running_has(std::string_view text) const {
        return device.running_config().find(text) != std::string::npos;
    }

    IosDevice device;
    IosSession session;
};

} // namespace

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
    CHECK(r.type("ip route 10.0.0.0 255.0.255.0 10.1.1.1\n").find("% Invalid") !=
          std::string::npos);
    CHECK(r.type("vlan 5000\n").find("% Invalid") != std::string::npos);
    r.type("interface gi0/1\n");
    CHECK(r.type("ip address 10.0.0.256 255.255.255.0\n").find("% Invalid") != std::string::npos);
    CHECK_FALSE(r.running_has("10.0.0.256"));
}
