#include "fleet/read_back.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace muster;
using namespace muster::fleet;

namespace {

constexpr std::string_view base = "Building configuration...\n"
                                  "\n"
                                  "Current configuration : 1234 bytes\n"
                                  "!\n"
                                  "! Last configuration change at 10:00:00 UTC Mon Mar 1 2021\n"
                                  "version 15.7\n"
                                  "hostname r1\n"
                                  "!\n"
                                  "interface Loopback0\n"
                                  " description probe\n"
                                  " no ip address\n"
                                  "!\n"
                                  "interface Loopback1\n"
                                  " no ip address\n"
                                  "!\n"
                                  "ntp server 10.0.0.9\n"
                                  "!\n"
                                  "end\n";

/// `base` with `lines` in it, after the line `after`.
std::string with(std::string_view lines, std::string_view after = "hostname r1\n") {
    std::string text(base);
    const std::size_t place = text.find(after);
    REQUIRE(place != std::string::npos);
    return text.insert(place + after.size(), lines);
}

std::string without(std::string_view lines) {
    std::string text(base);
    const std::size_t place = text.find(lines);
    REQUIRE(place != std::string::npos);
    return text.erase(place, lines.size());
}

std::optional<bool> applied(std::string_view config, std::size_t index, std::string_view before,
                            std::string_view after) {
    return line_applied(device::ConfigText::parse(config), index, before, after);
}

std::string words(std::optional<bool> answer) {
    return !answer ? "not known" : *answer ? "applied" : "not applied";
}

struct Row {
    const char* what;
    std::string config;
    std::size_t index;
    std::string after;
    std::optional<bool> expected;
    std::string before = std::string(base);
};

void check(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        CAPTURE(std::string(row.what));
        CHECK(words(applied(row.config, row.index, row.before, row.after)) == words(row.expected));
    }
}

} // namespace

TEST_CASE("Configurations are the same when only the frame around them differs") {
    CHECK(same_config(base, base));
    CHECK(same_config(base, "version 15.7\r\nhostname r1\r\ninterface Loopback0\r\n"
                            " description probe\r\n no ip address\r\ninterface Loopback1\r\n"
                            " no ip address\r\nntp server 10.0.0.9\r\nend\r\n"));
    CHECK(same_config(base, with("ntp clock-period 17179869\n")));
    CHECK(same_config(base, with("! NVRAM config last updated at 11:00:00 UTC\n\n")));
    CHECK_FALSE(same_config(base, with("ntp server 10.0.0.1\n")));
    CHECK_FALSE(same_config(base, without(" description probe\n")));
    CHECK_FALSE(same_config(" description a\n", "description a\n"));
    CHECK_FALSE(same_config("a\nb\n", "b\na\n"));
}

TEST_CASE("A line that the running configuration shows was applied") {
    const std::string lines = "ntp server 10.0.0.1\nntp server 10.0.0.2\n";
    check({
        {"just now", lines, 0, with("ntp server 10.0.0.1\n"), true},
        {"the last one", lines, 1, with(lines), true},
        {"it was there before", "ntp server 10.0.0.9\n", 0, std::string(base), true},
        {"what was before is not known", lines, 1, with(lines), true, ""},
        {"in its section, the file indented", "interface Loopback1\n description mine\n", 1,
         with(" description mine\n", "interface Loopback1\n"), true},
        {"in its section, the file not indented", "interface Loopback1\ndescription mine\n", 1,
         with(" description mine\n", "interface Loopback1\n"), true},
        {"a section in a section, the file not indented",
         "router bgp 1\naddress-family ipv4\nneighbor 10.0.0.1 activate\n", 2,
         with("router bgp 1\n address-family ipv4\n  neighbor 10.0.0.1 activate\n"), true},
        {"a line of its own after a section", "interface Loopback0\nntp server 10.0.0.1\n", 1,
         with("ntp server 10.0.0.1\n"), true},
    });
}

TEST_CASE(
    "A line that is missing was not applied, where the device shows lines as they are typed") {
    const std::string lines = "ntp server 10.0.0.1\nntp server 10.0.0.2\n";
    check({
        {"the second", lines, 1, with("ntp server 10.0.0.1\n"), false},
        {"the first, and nothing else has changed", lines, 0, std::string(base), false},
        {"something else has changed since", lines, 1, with("ntp server 10.0.0.1\nusername bob\n"),
         false},
        {"a command before it replaced a line", "hostname r2\nntp server 10.0.0.2\n", 1,
         "hostname r2\ninterface Loopback0\n description probe\n", false,
         "hostname r1\ninterface Loopback0\n description probe\n"},
        {"what was before is not known", lines, 1, with("ntp server 10.0.0.1\n"), std::nullopt, ""},
    });
}

TEST_CASE("The same words in another section do not mean that the line was applied") {
    const std::string both =
        "interface Loopback0\n description probe\ninterface Loopback1\n description probe\n";
    std::string flat = both;
    flat.erase(flat.find(" desc"), 1);
    flat.erase(flat.find(" desc"), 1);
    check({
        {"the file indented", both, 3, std::string(base), false},
        {"the file not indented", flat, 3, std::string(base), false},
        {"the section is not shown as one", "interface Loopback2\ndescription probe\n", 1,
         with("interface Loopback2\n"), std::nullopt},
        {"the section was left by a command", "interface Loopback1\nexit\ndescription probe\n", 2,
         std::string(base), std::nullopt},
        {"several sections begin like that, and it stands in one of them",
         "vrf definition B\naddress-family ipv4\nroute-target import 1:1\n", 2,
         with("vrf definition A\n address-family ipv4\n  route-target import 1:1\n"
              "vrf definition B\n address-family ipv4\n  import map M\n"),
         std::nullopt},
    });
}

TEST_CASE("What a device may show in other words is not known to be missing") {
    check({
        {"abbreviated", "ntp server 10.0.0.1\nlogg 10.0.0.2\n", 1,
         with("ntp server 10.0.0.1\nlogging host 10.0.0.2\n"), std::nullopt},
        {"abbreviated, the first line", "int Loopback5\n", 0,
         with("interface Loopback5\n no ip address\n"), std::nullopt},
        {"a secret, shown encrypted", "ntp server 10.0.0.1\nenable secret sesame\n", 1,
         with("ntp server 10.0.0.1\nenable secret 9 $9$abc\n"), std::nullopt},
        {"the opposite was shown before", "ntp server 10.0.0.1\nip domain lookup\n", 1,
         with("ntp server 10.0.0.1\n"), std::nullopt, with("no ip domain lookup\n")},
        {"a command before it is shown in other words", "logg 10.0.0.2\nntp server 10.0.0.1\n", 1,
         with("logging host 10.0.0.2\n"), std::nullopt},
    });
}

TEST_CASE("Some lines leave no trace: nobody can tell whether they were applied") {
    check({
        {"takes something away", "no ntp server 10.0.0.9\n", 0, without("ntp server 10.0.0.9\n"),
         std::nullopt},
        {"no, and nothing was there", "no ntp server 10.0.0.8\n", 0, std::string(base),
         std::nullopt},
        {"default", "default interface Loopback0\n", 0, std::string(base), std::nullopt},
        {"leaves a mode", "interface Loopback0\nexit\n", 1, std::string(base), std::nullopt},
        {"leaves a mode of its own name", "router bgp 1\nexit-address-family\n", 1,
         with("router bgp 1\n"), std::nullopt},
        {"an exec command", "do show clock\n", 0, std::string(base), std::nullopt},
        {"a banner", "banner motd ^\nKeep out!\n^\n", 0, with("banner motd ^C\nKeep out!\n^C\n"),
         std::nullopt},
        {"a platform that shows no configuration", "ntp server 10.0.0.1\n", 0, "", std::nullopt,
         ""},
        {"after the last line", "ntp server 10.0.0.9\n", 1, std::string(base), std::nullopt},
    });
}
