#include "support.hpp"

#include <muster/fleet/inventory.hpp>

#include <doctest/doctest.h>

#include <array>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

using fleet_test::only_device;
using fleet_test::TemporaryFolder;
using muster::ValueError;
using muster::device::Device;
using muster::device::Transport;
using muster::fleet::Inventory;
using muster::fleet::InventoryError;

namespace {

std::vector<std::string> names(const Inventory& inventory) {
    std::vector<std::string> result;
    for (const Device& device : inventory) {
        result.push_back(device.name);
    }
    return result;
}

using Names = std::vector<std::string>;

} // namespace

TEST_CASE("a netmiko mapping: lists of names are groups") {
    const Inventory inventory = Inventory::parse(R"(---
r1:
  device_type: cisco_ios
  host: 192.0.2.1
  username: ops
  password: first
  secret: second
  port: 2222
r2:
  device_type: linux
  ip: 192.0.2.2
  key_file: /keys/id
edge:
  - r1
all-of-them: [r1, r2]
)");
    CHECK(names(inventory) == Names{"r1", "r2"});
    const Device& r1 = inventory.devices()[0];
    CHECK(r1.host == "192.0.2.1");
    CHECK(r1.port == 2222);
    CHECK(r1.platform == "cisco_ios");
    CHECK(r1.transport == Transport::ssh);
    CHECK(r1.username == "ops");
    CHECK(r1.password.reveal() == "first");
    CHECK(r1.secret.reveal() == "second");
    CHECK(r1.groups == Names{"edge", "all-of-them"});
    CHECK(r1.origin == "inventory:2");
    const Device& r2 = inventory.devices()[1];
    CHECK(r2.port == 0);
    CHECK(muster::device::effective_port(r2) == 22);
    CHECK(r2.key == "/keys/id");
    CHECK(r2.groups == Names{"all-of-them"});
    CHECK(inventory.warnings().empty());
}

TEST_CASE("a netmiko list: a device is called by its name, or else by its host") {
    const Inventory inventory = Inventory::parse(R"([
  {"device_type": "cisco_ios", "host": "192.0.2.1", "username": "ops", "password": "\u00e9\ud83d\ude00"},
  {"device_type": "frr", "host": "192.0.2.2:2222", "name": "core", "groups": ["lab"]}
])");
    CHECK(names(inventory) == Names{"192.0.2.1", "core"});
    CHECK(inventory.devices()[0].password.reveal() == "\xc3\xa9\xf0\x9f\x98\x80");
    CHECK(inventory.devices()[1].port == 2222);
    CHECK(inventory.devices()[1].groups == Names{"lab"});
}

TEST_CASE("JSON may be indented with tabs and have no blank after a colon") {
    const Device device =
        only_device("{\n\t\"r1\":{\n\t\t\"device_type\":\"linux\",\n"
                    "\t\t\"port\":2222,\n\t\t\"data\":{\"a\\/b\":[1,true,null]}\n\t}\n}\n");
    CHECK(device.port == 2222);
    CHECK(device.data["a/b"].dump() == "[1,true,null]");
}

TEST_CASE("nornir's folder: host, then groups in order and their groups, then defaults") {
    const TemporaryFolder folder;
    (void)folder.write("hosts.yaml", R"(---
a:
  hostname: 192.0.2.1
  groups: [edge, fast]
  password: ""
  data: {site: ams, role: null}
b:
  hostname: 192.0.2.2
  username: null
c: {}
)");
    (void)folder.write("groups.yaml", R"(---
edge:
  groups: [network]
  data: {role: edge}
network:
  platform: cisco_ios
  username: from-network
  port: 830
  data: {role: network, level: 3}
fast:
  username: from-fast
  port: 22
)");
    (void)folder.write("defaults.yaml", R"(---
platform: linux
username: from-defaults
password: from-defaults
data: {owner: noc}
)");
    const Inventory inventory = Inventory::load(folder.path());
    REQUIRE(names(inventory) == Names{"a", "b", "c"});
    const Device& a = inventory.devices()[0];
    CHECK(a.groups == Names{"edge", "network", "fast"});
    CHECK(a.username == "from-network");
    CHECK(a.port == 830);
    CHECK(a.platform == "cisco_ios");
    CHECK(a.password.empty());
    CHECK(a.data.dump() == R"({"level":3,"owner":"noc","role":"edge","site":"ams"})");
    const Device& b = inventory.devices()[1];
    CHECK(b.username == "from-defaults");
    CHECK(b.password.reveal() == "from-defaults");
    CHECK(b.platform == "linux");
    // As in Ansible, a device without an address is reached by its name.
    CHECK(inventory.devices()[2].host == "c");

    SUBCASE("hosts.yaml itself stands for the three") {
        CHECK(Inventory::load(folder.path() + "/hosts.yaml").devices()[0].username ==
              "from-network");
    }
    SUBCASE("config.yaml may name them") {
        const TemporaryFolder other;
        const std::string config =
            other.write("config.yaml", "inventory:\n  plugin: SimpleInventory\n  options:\n"
                                       "    host_file: " +
                                           folder.path() +
                                           "/hosts.yaml\n"
                                           "    group_file: " +
                                           folder.path() +
                                           "/groups.yaml\n"
                                           "    defaults_file: " +
                                           folder.path() +
                                           "/defaults.yaml\n"
                                           "runner: {plugin: threaded}\n");
        CHECK(Inventory::load(config).devices()[0].username == "from-network");
        CHECK(Inventory::load(other.path()).devices()[1].username == "from-defaults");
    }
}

TEST_CASE("one file with hosts, groups and defaults") {
    const Device device = only_device(R"(
hosts:
  r1: {groups: [edge]}
groups:
  edge: {username: ops}
defaults: {platform: frr}
)");
    CHECK(device.username == "ops");
    CHECK(device.platform == "frr");
}

TEST_CASE("nornir's connection_options win over the host, and extras come from one level") {
    const Device device = only_device(R"(
hosts:
  r1:
    hostname: 192.0.2.1
    username: own
    groups: [edge]
groups:
  edge:
    port: 22
    connection_options:
      netmiko:
        port: 2022
        platform: cisco_ios
        extras: {secret: enabled, conn_timeout: 5, fast_cli: true}
      napalm: {port: 443}
defaults:
  platform: ios
  connection_options:
    netmiko:
      username: from-options
      extras: {key_file: /keys/not-this}
)");
    CHECK(device.port == 2022);
    CHECK(device.platform == "cisco_ios");
    CHECK(device.username == "from-options");
    CHECK(device.secret.reveal() == "enabled");
    CHECK(device.timeouts.connect == std::chrono::seconds(5));
    CHECK(device.key.empty());
}

TEST_CASE("extras of scrapli and NAPALM are understood") {
    const Device scrapli = only_device(R"(
r1:
  hostname: r1
  platform: linux
  connection_options:
    scrapli:
      extras: {auth_secondary: enabled, auth_private_key: /keys/id, timeout_ops: 90, auth_strict_key: false}
)");
    CHECK(scrapli.secret.reveal() == "enabled");
    CHECK(scrapli.key == "/keys/id");
    CHECK(scrapli.timeouts.command == std::chrono::seconds(90));
    const Device napalm = only_device(R"(
r1:
  hostname: r1
  platform: ios
  connection_options:
    napalm:
      extras: {timeout: 7, optional_args: {secret: enabled, port: 2022}}
)");
    CHECK(napalm.secret.reveal() == "enabled");
    CHECK(napalm.port == 2022);
    CHECK(napalm.timeouts.connect == std::chrono::seconds(7));
}

TEST_CASE("what ansible-inventory --list prints") {
    const Inventory inventory = Inventory::parse(R"({
    "_meta": {"hostvars": {
        "r1": {"ansible_host": "192.0.2.1", "ansible_network_os": "cisco.ios.ios",
               "ansible_connection": "ansible.netcommon.network_cli", "ansible_user": "ops",
               "ansible_password": "012345", "ansible_become": true,
               "ansible_become_password": "enabled", "site": "ams", "vlans": [10, 20]},
        "srv": {"ansible_port": 2222},
        "sw": {"ansible_connection": "httpapi", "ansible_httpapi_use_ssl": true,
               "ansible_network_os": "generic", "ansible_httpapi_validate_certs": false}}},
    "all": {"children": ["ungrouped", "network"]},
    "network": {"children": ["edge"]},
    "edge": {"hosts": ["r1"]},
    "ungrouped": {"hosts": ["srv", "sw"]}
})");
    REQUIRE(names(inventory) == Names{"r1", "srv", "sw"});
    const Device& r1 = inventory.devices()[0];
    CHECK(r1.host == "192.0.2.1");
    CHECK(r1.platform == "ios");
    CHECK(r1.username == "ops");
    CHECK(r1.password.reveal() == "012345");
    CHECK(r1.secret.reveal() == "enabled");
    CHECK(r1.groups == Names{"edge", "network"});
    CHECK(r1.data.dump() == R"({"site":"ams","vlans":[10,20]})");
    const Device& srv = inventory.devices()[1];
    CHECK(srv.platform == "linux");
    CHECK(srv.port == 2222);
    CHECK(srv.groups.empty());
    const Device& sw = inventory.devices()[2];
    CHECK(sw.transport == Transport::https);
    CHECK_FALSE(sw.verify_tls);
    CHECK(inventory.warnings() ==
          Names{"inventory: ignored, as they have no counterpart here: ansible_become"});
}

TEST_CASE("Ansible's group variables, as --export prints them: the last in the alphabet wins") {
    const Device device = only_device(R"({
    "_meta": {"hostvars": {"r1": {}}},
    "a": {"hosts": ["r1"], "vars": {"ansible_user": "from-a", "ansible_port": 1}},
    "b": {"hosts": ["r1"], "vars": {"ansible_user": "from-b"}},
    "parent": {"children": ["a", "b"], "vars": {"ansible_port": 2, "site": "ams"}},
    "all": {"children": ["ungrouped", "parent"], "vars": {"ansible_network_os": "frr"}}
})");
    CHECK(device.username == "from-b");
    CHECK(device.platform == "frr");
    CHECK(device.data.dump() == R"({"site":"ams"})");
    CHECK(device.groups == Names{"b", "parent", "a"});
}

TEST_CASE("a config.yaml names its files from its own folder") {
    const TemporaryFolder folder;
    (void)folder.write("inventory/h.yaml", "r1: {groups: [edge]}\n");
    (void)folder.write("inventory/g.yaml", "edge: {platform: frr}\n");
    const std::string config = folder.write(
        "config.yaml", "inventory: {options: {host_file: inventory/h.yaml, group_file: "
                       "inventory/g.yaml}}\n");
    CHECK(Inventory::load(config).devices()[0].platform == "frr");
}

TEST_CASE("standard input is an inventory too") {
    std::istringstream input("r1: {platform: linux}\nr2: {platform: linx}\n");
    std::streambuf* const before = std::cin.rdbuf(input.rdbuf());
    std::string error;
    try {
        (void)Inventory::load("-");
    } catch (const InventoryError& refused) {
        error = refused.what();
    }
    std::cin.rdbuf(before);
    CHECK(error.starts_with("<stdin>:2:16: r2.platform: unknown platform 'linx'"));
}

TEST_CASE("text stays text") {
    struct Row {
        const char* written;
        const char* meant;
    };

    constexpr std::array rows{
        Row{"012345", "012345"},
        Row{"yes", "yes"},
        Row{"1e3", "1e3"},
        Row{"1.10", "1.10"},
        Row{"true", "true"},
        Row{"0x1F", "0x1F"},
        Row{"12:34:56", "12:34:56"},
        Row{"'null'", "null"},
        Row{"2026-11-20", "2026-11-20"},
        Row{"\"a\\tb\"", "a\tb"},
        Row{"p@ss#word", "p@ss#word"},
        Row{"'  '", "  "},
    };
    for (const Row& row : rows) {
        CAPTURE(std::string(row.written));
        const Device device = only_device(std::string("r1: {platform: linux, username: ") +
                                          row.written + ", password: " + row.written + "}");
        CHECK(device.username == row.meant);
        CHECK(device.password.reveal() == row.meant);
    }
}

TEST_CASE("data keeps a number only if it would be printed as it is written") {
    const Device device = only_device(R"(
r1:
  platform: linux
  data: {a: 10, b: 010, c: 1.5, d: 1.10, e: 1e3, f: true, g: yes, h: "10", i: -4, j: {k: [1]},
         l: 99999999999999999999}
)");
    CHECK(device.data.dump() ==
          R"({"a":10,"b":"010","c":1.5,"d":"1.10","e":"1e3","f":true,"g":"yes","h":"10","i":-4,)"
          R"("j":{"k":[1]},"l":"99999999999999999999"})");
}

TEST_CASE("anchors and merge keys resolve") {
    const Inventory inventory = Inventory::parse(R"(
.base: &base {device_type: cisco_ios, username: ops, password: &pw secret1}
x-old: &old {port: 2222, username: old}
r1:
  <<: *base
  host: 192.0.2.1
r2:
  <<: [*base, *old]
  host: 192.0.2.2
  secret: *pw
)");
    REQUIRE(names(inventory) == Names{"r1", "r2"});
    CHECK(inventory.devices()[0].username == "ops");
    const Device& r2 = inventory.devices()[1];
    CHECK(r2.username == "ops");
    CHECK(r2.port == 2222);
    CHECK(r2.secret.reveal() == "secret1");
}

TEST_CASE("an address in every form") {
    struct Row {
        const char* written;
        const char* host;
        int port;
        const char* shown;
    };

    constexpr std::array rows{
        Row{"r1.example.net", "r1.example.net", 0, "r1.example.net:22"},
        Row{"r1:2222", "r1", 2222, "r1:2222"},
        Row{"192.0.2.1:830", "192.0.2.1", 830, "192.0.2.1:830"},
        Row{"'::1'", "::1", 0, "[::1]:22"},
        Row{"'[::1]'", "::1", 0, "[::1]:22"},
        Row{"'[::1]:2222'", "::1", 2222, "[::1]:2222"},
        Row{"fe80::1%eth0", "fe80::1%eth0", 0, "[fe80::1%eth0]:22"},
        Row{"'[fe80::1%eth0]:2222'", "fe80::1%eth0", 2222, "[fe80::1%eth0]:2222"},
        Row{"2001:db8::ffff:192.0.2.1", "2001:db8::ffff:192.0.2.1", 0,
            "[2001:db8::ffff:192.0.2.1]:22"},
    };
    for (const Row& row : rows) {
        CAPTURE(std::string(row.written));
        const Device device =
            only_device(std::string("r1: {platform: linux, host: ") + row.written + "}");
        CHECK(device.host == row.host);
        CHECK(device.port == row.port);
        CHECK(muster::device::endpoint(device) == row.shown);
    }
}

TEST_CASE("options fill what the inventory leaves out") {
    muster::fleet::LoadOptions options;
    options.username = "me";
    options.password = "mine";
    options.platform = "frr";
    const Inventory inventory = Inventory::parse(
        "r1: {host: a, username: own}\nr2: {host: b, platform: linux}", "inv", options);
    CHECK(inventory.devices()[0].username == "own");
    CHECK(inventory.devices()[0].password.reveal() == "mine");
    CHECK(inventory.devices()[0].platform == "frr");
    CHECK(inventory.devices()[1].username == "me");
    CHECK(inventory.devices()[1].platform == "linux");
}

TEST_CASE("limits and switches") {
    const Device device = only_device(R"(
r1:
  platform: linux
  transport: https
  connect_timeout: 2.5
  auth_timeout: 500ms
  command_timeout: 2m
  legacy_algorithms: yes
  verify_tls: no
)");
    CHECK(device.transport == Transport::https);
    CHECK(muster::device::endpoint(device) == "r1:443");
    CHECK(device.timeouts.connect == std::chrono::milliseconds(2500));
    CHECK(device.timeouts.authenticate == std::chrono::milliseconds(500));
    CHECK(device.timeouts.command == std::chrono::minutes(2));
    CHECK(device.legacy_algorithms);
    CHECK_FALSE(device.verify_tls);
}

TEST_CASE("keys without a counterpart are named once, and so is a shared address") {
    const Inventory inventory = Inventory::parse(R"(
r1: {device_type: linux, host: 192.0.2.1, fast_cli: true, session_log: out.txt}
r2: {device_type: linux, host: 192.0.2.1, fast_cli: false, verbose: null}
)");
    CHECK(inventory.warnings() ==
          Names{"inventory: ignored, as they have no counterpart here: fast_cli, session_log",
                "192.0.2.1:22 is the address of r1 and r2"});
}

TEST_CASE("find and an inventory made by hand") {
    Device a;
    a.name = "a";
    Device b;
    b.name = "b";
    const Inventory inventory({a, b});
    REQUIRE(inventory.find("b") != nullptr);
    CHECK(inventory.find("b")->name == "b");
    CHECK(inventory.find("c") == nullptr);
    CHECK_THROWS_WITH_AS(Inventory({a, a}), "two devices are called 'a'", ValueError);
    a.name = "../a";
    CHECK_THROWS_AS(Inventory({a}), ValueError);
}
