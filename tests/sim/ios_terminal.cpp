#include "router.hpp"

#include <muster/sim/ios.hpp>

#include <doctest/doctest.h>

using namespace muster::sim;

TEST_CASE("What is typed is echoed, and editing keys work on it") {
    Router r;
    CHECK(r.type("shox\bw clo") == "shox\b \bw clo");
    CHECK(r.type("ck\n") == "ck\r\n*12:00:00.000 UTC Mon Mar  1 2021\r\nr1#");
    CHECK(r.type("abc\x15") == "abc\b \b\b \b\b \b");
    CHECK(r.type("show nonsense\x17privilege\r") ==
          "show nonsense\b \b\b \b\b \b\b \b\b \b\b \b\b \b\b \bprivilege\r\n"
          "Current privilege level is 15\r\nr1#");
    CHECK(r.type("\x1b[A\r") == "\r\nr1#");
}

TEST_CASE("A line ends with CR, LF or both, and any cut into chunks gives the same terminal") {
    const std::string typed = "conf t\r\nhostname x\nbanner motd #\r\nhi\r\n#\r\nend\r";
    Router whole;
    const auto expected = whole.type(typed);
    CHECK(expected.ends_with("x#"));
    CHECK_FALSE(contains(expected, "x(config)#\r\nx(config)#"));
    Router bytewise;
    std::string shown;
    for (const char c : typed) {
        shown += bytewise.type(std::string_view(&c, 1));
    }
    CHECK(shown == expected);
}

TEST_CASE("Each step takes one line, so that a slow device can answer in its own time") {
    Router r;
    r.session.input("show privilege\nconf t\nhostname x\nen");
    auto reply = r.session.step();
    REQUIRE(reply);
    CHECK(reply->echo == "show privilege\r\n");
    CHECK(reply->output == "Current privilege level is 15\r\nr1#");
    CHECK(reply->line_end);
    CHECK_FALSE(reply->configuring);
    reply = r.session.step();
    REQUIRE(reply);
    CHECK_FALSE(reply->configuring);
    reply = r.session.step();
    REQUIRE(reply);
    CHECK(reply->configuring);
    reply = r.session.step();
    REQUIRE(reply);
    CHECK(reply->echo == "en");
    CHECK_FALSE(reply->line_end);
    CHECK_FALSE(r.session.step());
}

TEST_CASE("Long output stops at --More-- and goes on by page, by line or not at all") {
    Router r;
    r.type("terminal length 5\n");
    const std::string wipe = std::string(10, '\b') + std::string(10, ' ') + std::string(10, '\b');
    const auto first = r.type("show running-config\n");
    CHECK(first.ends_with("\n --More-- "));
    CHECK(std::count(first.begin(), first.end(), '\n') == 5); // the echo and four lines
    const auto page = r.type(" ");
    CHECK(page.starts_with(wipe));
    CHECK(std::count(page.begin(), page.end(), '\n') == 4);
    const auto line = r.type("\r");
    CHECK(std::count(line.begin(), line.end(), '\n') == 1);
    CHECK(line.ends_with(" --More-- "));
    CHECK(r.type("q") == wipe + "r1#");

    r.type("show running-config\n");
    std::string rest;
    for (int i = 0; i < 100 && !rest.ends_with("r1#"); ++i) {
        rest = r.type(" ");
    }
    CHECK(rest.ends_with("end\r\n\r\nr1#"));
}

TEST_CASE("Terminal length 0 turns the pager off, the user's window sets the page") {
    IosDevice device(fixed_clock());
    IosSessionOptions options;
    options.privileged = true;
    IosSession session(device, options);
    CHECK(contains(session.type("show run\n"), "--More--"));
    session.type("q");
    session.resize(80, 1000);
    CHECK(session.type("show run\n").ends_with("r1#"));
    session.resize(80, 24);
    session.type("terminal length 0\nterminal width 511\n");
    CHECK(session.type("show run\n").ends_with("r1#"));
}

TEST_CASE("Write memory and copy running-config startup-config save") {
    Router r;
    r.type("conf t\nhostname x\nend\n");
    CHECK_FALSE(contains(r.device.startup_config(), "hostname x"));
    CHECK(r.type("write memory\n") == "write memory\r\nBuilding configuration...\r\n[OK]\r\nx#");
    CHECK(contains(r.device.startup_config(), "hostname x\n"));
    CHECK(r.device.startup_config() == r.device.running_config());

    r.type("conf t\nhostname y\nend\n");
    CHECK(r.type("copy running-config startup-config\n")
              .ends_with("\r\nDestination filename [startup-config]? "));
    CHECK(r.type("\n") == "\r\nBuilding configuration...\r\n[OK]\r\ny#");
    CHECK(contains(r.device.startup_config(), "hostname y\n"));
    CHECK(contains(r.type("show startup-config | include hostname\n"), "hostname y\r\n"));
}

TEST_CASE("Write erase asks, and a reload then boots the factory configuration") {
    Router r;
    r.type("conf t\nhostname x\nend\n");
    CHECK(r.type("write erase\n").ends_with("Continue? [confirm]"));
    CHECK(contains(r.type("\n"), "[OK]"));
    CHECK(r.device.startup_config().empty());
    CHECK(contains(r.type("show startup-config\n"), "startup-config is not present"));
    r.type("reload\nno\n\n");
    CHECK(r.session.closed());
    CHECK(r.device.hostname() == "r1");
}

TEST_CASE("Reload asks about unsaved changes and for confirmation, and drops them") {
    Router r;
    CHECK(r.type("reload\n").ends_with("Proceed with reload? [confirm]"));
    CHECK(r.type("n").ends_with("r1#"));
    r.type("conf t\nhostname x\nend\n");
    CHECK(r.type("reload\n").ends_with("System configuration has been modified. Save? [yes/no]: "));
    CHECK(r.type("no\n").ends_with("Proceed with reload? [confirm]"));
    r.type("\n");
    CHECK(r.session.closed());
    CHECK(r.device.hostname() == "r1");
}

TEST_CASE("Exit and logout end the session and nothing is consumed after that") {
    Router r;
    r.session.input("exit\nshow clock\n");
    const auto reply = r.session.step();
    REQUIRE(reply);
    CHECK(reply->closed);
    CHECK(reply->output.empty());
    CHECK_FALSE(r.session.step());
}

TEST_CASE("Do runs a show command in configuration mode") {
    Router r;
    r.type("conf t\ninterface gi0/1\n");
    const auto shown = r.type("do show ip interface brief\n");
    CHECK(contains(shown, "GigabitEthernet0/0         10.0.0.1        YES manual up"));
    CHECK(shown.ends_with("r1(config-if)#"));
    CHECK(r.type("do shwo\n").starts_with("do shwo\r\n                   ^\r\n"));
}

TEST_CASE("Ctrl-C leaves configuration mode and drops the line") {
    Router r;
    r.type("conf t\nhostname");
    CHECK(r.type("\x03") == "\r\nr1#");
    CHECK(r.type("\n") == "\r\nr1#");
}

TEST_CASE("A question mark lists what may follow and keeps the line") {
    Router r;
    const auto shown = r.type("show i?");
    CHECK(contains(shown, "  interfaces\r\n  inventory\r\n  ip\r\n"));
    CHECK(shown.ends_with("r1#show i"));
    CHECK(contains(r.type("nventory\n"), "NAME: \"IOSv\""));
}

TEST_CASE("Tab completes a keyword that is unique") {
    Router r;
    CHECK(r.type("show priv\t") == "show privilege ");
    CHECK(contains(r.type("\n"), "Current privilege level is 15"));
    CHECK(r.type("co\t") == "co");
}

TEST_CASE("Show output can be filtered") {
    Router r;
    r.type("conf t\nntp server 10.0.0.1\nrouter bgp 65001\nbgp router-id 1.1.1.1\nend\n");
    CHECK(r.type("show run | include ^ntp\n") ==
          "show run | include ^ntp\r\nntp server 10.0.0.1\r\nr1#");
    CHECK(r.type("sh run | sec router bgp\n")
              .ends_with("\nrouter bgp 65001\r\n bgp router-id 1.1.1.1\r\nr1#"));
    CHECK(contains(r.type("sh run | count ^interface\n"), "which match regexp = 4\r\n"));
    CHECK(contains(r.type("sh run | begin ^ntp\n"), "ntp\r\nntp server 10.0.0.1\r\n!\r\nend"));
    CHECK_FALSE(contains(r.type("sh run | exclude interface\n"), "\ninterface"));
    CHECK(contains(r.type("sh run | bogus x\n"), "% Invalid input"));
}

TEST_CASE("Show running-config tells its size, and when and by whom it was changed") {
    Router r;
    const auto body_size = [&](const std::string& shown) {
        std::string text = shown.substr(shown.find("bytes\r\n") + 7);
        text.erase(text.rfind("\r\nr1#"));
        std::erase(text, '\r');
        return text.size();
    };
    auto shown = r.type("show running-config\n");
    CHECK(contains(shown, "Building configuration...\r\n\r\nCurrent configuration : " +
                              std::to_string(body_size(shown)) + " bytes\r\n"));
    CHECK_FALSE(contains(shown, "Last configuration change"));
    r.type("conf t\nip http server\nend\n");
    CHECK(contains(r.type("show running-config\n"),
                   "! Last configuration change at 12:00:00 UTC Mon Mar  1 2021 by admin\r\n"));
    CHECK(contains(r.type("show logging\n"), "%SYS-5-CONFIG_I: Configured from console by admin"));
    CHECK(contains(r.type("show run int gi 0/1\n"),
                   "interface GigabitEthernet0/1\r\n no ip address"));
}

TEST_CASE("Lines the script names are rejected, wherever the text is in them") {
    IosDevice device(fixed_clock());
    auto options = Router::privileged();
    options.reject = "10.6.6.6";
    IosSession session(device, options);
    session.type("conf t\n");
    CHECK(session.type("ntp server 10.6.6.6\n") == "ntp server 10.6.6.6\r\n"
                                                   "                      ^\r\n"
                                                   "% Invalid input detected at '^' marker.\r\n"
                                                   "\r\n"
                                                   "r1(config)#");
    CHECK(session.type("ntp server 10.6.6.7\n").ends_with("7\r\nr1(config)#"));
}

TEST_CASE("An exec channel runs one command of the user's privilege, without pager or prompt") {
    Router r;
    CHECK(contains(r.session.exec("show version"), "r1 uptime is 0 minutes\r\n"));
    CHECK(r.session.exec("show run").ends_with("end\r\n\r\n"));
    IosSession user(r.device);
    CHECK(user.exec("show run") == "\nLine has invalid autocommand \"show run\"");
}

TEST_CASE("Two sessions see each other's changes") {
    Router r;
    IosSession other(r.device, Router::privileged());
    r.type("conf t\nhostname x\ninterface Loopback1\n");
    CHECK(other.type("\n") == "\r\nx#");
    other.type("conf t\nno interface Loopback1\n");
    // The section is gone under the first session; typing on makes it again.
    r.type("description again\n");
    CHECK(r.running_has("interface Loopback1\n description again\n"));
}
