#include "support.hpp"

#include <muster/device/platform.hpp>
#include <muster/fleet/inventory.hpp>

#include <doctest/doctest.h>

#include <string>

using fleet_test::error_of;
using fleet_test::TemporaryFolder;
using muster::fleet::Inventory;
using muster::fleet::InventoryError;

namespace {

// `text` with the names of all platforms filled in, so that a new one does not change these tests.
std::string expected(std::string text) {
    std::string names;
    for (const std::string_view name : muster::device::platform_names()) {
        names += (names.empty() ? "" : " ") + std::string(name);
    }
    for (const std::string mark = "{platforms}"; text.find(mark) != std::string::npos;) {
        text.replace(text.find(mark), mark.size(), names);
    }
    return text;
}

std::string load_error(const std::string& path) {
    try {
        (void)Inventory::load(path);
        return {};
    } catch (const InventoryError& error) {
        return error.what();
    }
}

} // namespace

TEST_CASE("an inventory error says file, line, column, field and remedy") {
    struct Row {
        const char* text;
        const char* error;
    };

    const Row rows[] = {
        {"r1:\n  device_type: linux\n  prot: 22\n",
         "inv:3:3: r1.prot: unknown key (did you mean 'port'?); facts of your own belong under "
         "'data'"},
        {"r1:\n  device_type: linux\n  colour_of_the_door: red\n",
         "inv:3:3: r1.colour_of_the_door: unknown key; facts of your own belong under 'data'"},
        {"r1:\n  device_type: linux\n  port: 70000\n",
         "inv:3:9: r1.port: '70000' is out of range; a port is 1 to 65535"},
        {"r1:\n  device_type: linux\n  port: 0\n",
         "inv:3:9: r1.port: '0' is out of range; a port is 1 to 65535"},
        {"r1:\n  device_type: linux\n  port: ssh\n",
         "inv:3:9: r1.port: 'ssh' is not a port; a port is 1 to 65535"},
        {"r1:\n  device_type: linux\n  port: [22]\n",
         "inv:3:9: r1.port: must be text, and this is a list"},
        {"r1:\n  device_type: cisco_iso\n",
         "inv:2:16: r1.device_type: unknown platform 'cisco_iso' (did you mean 'cisco_ios'?); "
         "known are {platforms}"},
        {"r1:\n  device_type: cisco_ios_telnet\n",
         "inv:2:16: r1.device_type: unknown platform 'cisco_ios_telnet': muster speaks SSH and "
         "HTTP, not telnet"},
        {"r1:\n  host: a\n", "inv:1:1: r1.platform: is missing; known are {platforms}"},
        {"r1: {platform: linux}\nr1: {platform: linux}\n",
         "inv:2:1: r1: duplicate key; it stands in line 1 already"},
        {"r1:\n  platform: linux\n  port: 1\n  port: 2\n",
         "inv:4:3: port: duplicate key; it stands in line 3 already"},
        {"- {platform: linux, host: a}\n- {platform: linux, host: a}\n",
         "inv:2:3: a: duplicate device; it stands in line 1 already (give each a 'name')"},
        {"r1: {platform: linux, host: '::1:22:'}\n",
         "inv:1:29: r1.host: '::1:22:' is not an IPv6 address; with a port it is written "
         "'[::1]:22'"},
        {"r1: {platform: linux, host: [::1]}\n",
         "inv:1:29: r1.host: is a list; an address in brackets needs quotes: \"[::1]:22\""},
        {"r1: {platform: linux, host: 'https://r1/'}\n",
         "inv:1:29: r1.host: 'https://r1/' is a URL; give the host alone, and the protocol as "
         "'transport: ssh', 'http' or 'https'"},
        {"r1: {platform: linux, host: ops@r1}\n",
         "inv:1:29: r1.host: 'ops@r1' holds a user name; give it as 'username'"},
        {"r1: {platform: linux, host: 10.0.0.256}\n",
         "inv:1:29: r1.host: '10.0.0.256' is not an IPv4 address"},
        {"r1: {platform: linux, host: -oProxyCommand=x}\n",
         "inv:1:29: r1.host: a host can't begin with '-'"},
        {"r1: {platform: linux, host: 'r1:22', port: 2222}\n",
         "inv:1:44: r1.port: contradicts r1.host in line 1: '22' and '2222'"},
        {"r1: {platform: linux, host: r1, ip: r2}\n",
         "inv:1:37: r1.ip: contradicts r1.host in line 1: 'r1' and 'r2'"},
        {"r1: {platform: linux, transport: shh}\n",
         "inv:1:34: r1.transport: 'shh' is not a transport (did you mean 'ssh'?); it is ssh, http "
         "or https"},
        {"r1: {platform: linux, connect_timeout: soon}\n",
         "inv:1:40: r1.connect_timeout: 'soon' is not a time limit; write 10s, 500ms or 2m"},
        {"r1: {platform: linux, verify_tls: maybe}\n",
         "inv:1:35: r1.verify_tls: 'maybe' is neither true nor false"},
        {"../r1: {platform: linux}\n",
         "inv:1:1: a device's name also names its files, so it can't hold '/', '\\' or control "
         "characters"},
        {"hosts: {r1: {platform: linux, groups: [egde]}}\ngroups: {edge: {}}\n",
         "inv:1:40: r1.groups: there is no group 'egde' (did you mean 'edge'?)"},
        {"hosts: {r1: {platform: linux, groups: [a]}}\n"
         "groups:\n  a: {groups: [b]}\n  b: {groups: [c]}\n  c: {groups: [b]}\n",
         "inv:5:16: c.groups: the groups go round in a circle: b > c > b"},
        {"hosts: {r1: {platform: linux}}\ngroup: {}\n",
         "inv:2:1: group: unknown key (did you mean 'groups'?); beside 'hosts' stand 'groups' and "
         "'defaults'"},
        {"r1: {platform: linux}\nedge: [r2]\n",
         "inv:2:8: edge: there is no device 'r2' (did you mean 'r1'?)"},
        {"r1: {platform: linux, data: [1]}\n",
         "inv:1:29: r1.data: must be a mapping, and this is a list"},
        {"r1: linux\n", "inv:1:5: r1: must be a mapping, and this is text"},
        {"r1: {platform: linux, connection_options: {netmiko: {prot: 22}}}\n",
         "inv:1:54: r1.connection_options.netmiko.prot: unknown key (did you mean 'port'?)"},
        {"r1: {platform: linux, password: !vault abc}\n",
         "inv:1:33: r1.password: is encrypted by ansible-vault; use a reference such as env:NAME "
         "or cmd:COMMAND"},
        {"__meta__: {encryption: true}\nr1: {platform: linux}\n",
         "inv:1:24: __meta__.encryption: passwords encrypted by netmiko-tools can't be read; use "
         "references such as env:NAME or cmd:COMMAND"},
        {"all: {hosts: {r1: {ansible_host: a}}}\n",
         "inv:1:1: is an Ansible inventory; give what 'ansible-inventory --list' prints for it"},
        {"", "inv:1:1: is empty; an inventory lists devices"},
        {"{}", "inv: has no devices"},
        {"just text", "inv:1:1: is not an inventory: it must be a list or a mapping of devices"},
        {"r1: {platform: linux}\n---\nr2: {platform: linux}\n",
         "inv:2:1: a second YAML document begins here; an inventory is one YAML or JSON "
         "document"},
        {"r1: {platform: linux, data: &a {x: *a}}\n",
         "inv:1:36: an alias inside of what it refers to"},
        {"r1: {<<: 5, platform: linux}\n",
         "inv:1:6: <<: only mappings can be merged, and this is text"},
        {"r1: {platform: linux\n", "inv:2:1: end of map flow not found"},
        {"r1:\n\tdevice_type: linux\n",
         "inv:2:13: illegal map value (YAML is indented with blanks, not tabs)"},
        {"r1 ansible_host=a: b: c\n",
         "inv:1:21: illegal map value (of an Ansible inventory, give what 'ansible-inventory "
         "--list' prints)"},
        {"r1: {platform: linux, data: {a: !env HOME}}\n", "inv:1:33: the tag !env is not known"},
    };
    for (const Row& row : rows) {
        CAPTURE(std::string(row.text));
        CHECK(error_of(row.text) == expected(row.error));
    }
}

TEST_CASE("all problems are reported at once, in the order of the file") {
    const std::string text = "r1: {platform: linux, port: x, prot: 1}\n"
                             "r2: {platform: linx}\n";
    CHECK(error_of(text) ==
          expected("inv:1:29: r1.port: 'x' is not a port; a port is 1 to 65535\n"
                   "inv:1:32: r1.prot: unknown key (did you mean 'port'?); facts of your "
                   "own belong under 'data'\n"
                   "inv:2:16: r2.platform: unknown platform 'linx' (did you mean "
                   "'linux'?); known are {platforms}"));
    try {
        (void)Inventory::parse(text, "inv");
        FAIL("no error");
    } catch (const InventoryError& error) {
        REQUIRE(error.problems().size() == 3);
        CHECK(error.problems()[2].line == 2);
        CHECK(error.problems()[2].field == "r2.platform");
    }
}

TEST_CASE("a mistake in a group is reported once, however many devices inherit it") {
    CHECK(
        error_of("hosts:\n  a: {groups: [g]}\n  b: {groups: [g]}\n"
                 "groups:\n  g: {platform: linx}\n") ==
        expected("inv:5:17: g.platform: unknown platform 'linx' (did you mean 'linux'?); known are "
                 "{platforms}"));
}

TEST_CASE("after twenty problems the rest is counted") {
    std::string text;
    for (int i = 0; i < 25; ++i) {
        text += "r" + std::to_string(i) + ": {platform: linux, port: 0}\n";
    }
    const std::string error = error_of(text);
    CHECK(error.find("inv:20:") != std::string::npos);
    CHECK(error.find("inv:21:") == std::string::npos);
    CHECK(error.ends_with("\nand 5 more"));
}

TEST_CASE("files that can't be read are named") {
    CHECK(load_error("/nowhere/devices.yaml") ==
          "/nowhere/devices.yaml: can't be read: No such file or directory");
    const TemporaryFolder folder;
    CHECK(load_error(folder.path()) ==
          folder.path() + ": is a folder with neither hosts.yaml nor config.yaml");
    const std::string config =
        folder.write("config.yaml", "inventory:\n  plugin: NetBoxInventory2\n");
    CHECK(load_error(config) ==
          config + ":2:11: inventory.plugin: 'NetBoxInventory2' can't be run here; only "
                   "SimpleInventory's files are read");
}

TEST_CASE("a problem in groups.yaml names that file") {
    const TemporaryFolder folder;
    (void)folder.write("hosts.yaml", "r1: {groups: [edge]}\n");
    const std::string groups = folder.write("groups.yaml", "edge:\n  platform: linux\n  prot: 1\n");
    CHECK(load_error(folder.path()) ==
          groups + ":3:3: edge.prot: unknown key (did you mean 'port'?); facts of your own belong "
                   "under 'data'");
}

TEST_CASE("aliases of aliases can't blow the data up") {
    std::string text =
        "r1:\n  platform: linux\n  data:\n    a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 12; ++i) {
        const std::string alias = "*a" + std::to_string(i - 1);
        text += "    a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int j = 0; j < 10; ++j) {
            text += (j == 0 ? "" : ", ") + alias;
        }
        text += "]\n";
    }
    CHECK(error_of(text) ==
          "inv:9:5: r1.data.a5: the data is too large; are there aliases of aliases?");
}
