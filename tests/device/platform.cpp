#include <muster/device/platform.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace muster::device;

TEST_CASE("a platform is found by its name and by what other tools call it") {
    struct Row {
        const char* called;
        const char* name;
    };

    const Row rows[] = {
        {"cisco_ios", "cisco_ios"},     {"ios", "cisco_ios"},
        {"cisco_xe", "cisco_ios"},      {"cisco-iosxe", "cisco_ios"},
        {"Cisco_IOS", "cisco_ios"},     {"cisco_ios_ssh", "cisco_ios"},
        {"cisco.ios.ios", "cisco_ios"}, {"frr", "frr"},
        {"frrouting", "frr"},           {"linux", "linux"},
        {"linux_ssh", "linux"},         {"generic", "generic"},
    };
    for (const Row& row : rows) {
        CAPTURE(std::string(row.called));
        const Platform* platform = find_platform(row.called);
        REQUIRE(platform != nullptr);
        CHECK(platform->name == row.name);
    }
}

TEST_CASE("an unknown platform is not found, and neither are parts of names") {
    for (const char* name : {"", "cisco", "ios2", "_ssh", "juniper", "cisco_nxos"}) {
        CAPTURE(std::string(name));
        CHECK(find_platform(name) == nullptr);
    }
}

TEST_CASE("platform names are sorted, each found, and no alias is used twice") {
    const auto names = platform_names();
    CHECK(std::ranges::is_sorted(names));
    CHECK(names.size() == 4);
    std::vector<std::string> all;
    for (const std::string_view name : names) {
        const Platform* platform = find_platform(name);
        REQUIRE(platform != nullptr);
        all.push_back(platform->name);
        all.insert(all.end(), platform->aliases.begin(), platform->aliases.end());
    }
    std::ranges::sort(all);
    CHECK(std::ranges::adjacent_find(all) == all.end());
}

TEST_CASE("a platform states no ability it has no data for") {
    for (const std::string_view name : platform_names()) {
        CAPTURE(std::string(name));
        const Platform& platform = *find_platform(name);
        CHECK(platform.can.save == !platform.save.command.empty());
        if (platform.can.save) {
            CHECK_FALSE(platform.save.success.empty());
        }
        CHECK_FALSE(platform.prompts.empty());
        CHECK_FALSE(platform.version_command.empty());
    }
}

TEST_CASE("modes have ways between them where the platform has them") {
    for (const char* name : {"cisco_ios", "frr"}) {
        CAPTURE(std::string(name));
        const Platform& platform = *find_platform(name);
        REQUIRE(platform.transition(Mode::exec, Mode::privileged) != nullptr);
        CHECK(platform.transition(Mode::exec, Mode::privileged)->command == "enable");
        REQUIRE(platform.transition(Mode::privileged, Mode::config) != nullptr);
        REQUIRE(platform.transition(Mode::config, Mode::privileged) != nullptr);
        CHECK(platform.transition(Mode::config, Mode::privileged)->command == "end");
        CHECK(platform.transition(Mode::exec, Mode::config) == nullptr);
    }
    CHECK(find_platform("linux")->transitions.empty());
}
