#include <muster/fleet/filter.hpp>
#include <muster/fleet/inventory.hpp>

#include <doctest/doctest.h>

#include <string>

using muster::device::Device;
using muster::fleet::Filter;
using muster::fleet::FilterError;
using muster::fleet::Inventory;

namespace {

const Inventory& fleet() {
    static const Inventory inventory = Inventory::parse(R"yaml(
hosts:
  edge-1: {groups: [edge], data: {site: ams, vlan: 10, rack: {row: 7}, tags: [old, core], name: x}}
  edge-2: {groups: [edge], data: {site: fra, vlan: 20, "a b": "(c)"}}
  core-1: {groups: [core], platform: cisco_ios, username: ops, data: {site: ams, spare: true}}
  web:    {platform: generic, transport: https, data: {site: ""}}
groups:
  edge: {groups: [network], platform: frr, data: {role: edge}}
  core: {groups: [network], data: {role: core}}
  network: {}
defaults: {platform: linux}
)yaml");
    return inventory;
}

std::string chosen(const std::string& expression) {
    std::string names;
    for (const Device& device : fleet().filter(expression)) {
        names += (names.empty() ? "" : " ") + device.name;
    }
    return names;
}

std::string refused(const std::string& expression) {
    try {
        (void)fleet().filter(expression);
        return {};
    } catch (const FilterError& error) {
        return error.what();
    }
}

} // namespace

TEST_CASE("a filter chooses by fields, groups and facts") {
    struct Row {
        const char* expression;
        const char* devices;
    };

    const Row rows[] = {
        {"role:edge and not site:ams", "edge-2"},
        {"role:edge", "edge-1 edge-2"},
        {"edge-1", "edge-1"},
        {"edge-*", "edge-1 edge-2"},
        {"name:edge-[2-9]", "edge-2"},
        {"group:network", "edge-1 edge-2 core-1"},
        {"group:ed*", "edge-1 edge-2"},
        {"platform:frr", "edge-1 edge-2"},
        {"platform:ios", "core-1"},
        {"transport:https", "web"},
        {"port:443", "web"},
        {"host:core-1", "core-1"},
        {"username:ops", "core-1"},
        {"vlan:10", "edge-1"},
        {"rack.row:7", "edge-1"},
        {"tags:core", "edge-1"},
        {"spare:true", "core-1"},
        {"data.name:x", "edge-1"},
        {"data.site:fra", "edge-2"},
        {"\"a b\":\"(c)\"", "edge-2"},
        {"site:\"\"", "web"},
        {"vlan:*", "edge-1 edge-2"},
        {"not vlan:*", "core-1 web"},
        {"role:core or role:edge and site:fra", "edge-2 core-1"},
        {"(role:core or role:edge) and site:fra", "edge-2"},
        {"not (site:ams or site:fra)", "web"},
        {"NOT site:ams AND NOT site:fra", "web"},
        {"not not edge-1", "edge-1"},
        {"site:AMS", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(std::string(row.expression));
        CHECK(chosen(row.expression) == row.devices);
    }
}

TEST_CASE("a filter's mistake is shown with a caret") {
    struct Row {
        const char* expression;
        const char* error;
    };

    const Row rows[] = {
        {"", "filter: the filter is empty\n  \n  ^"},
        {"role:", "filter: a value is missing after ':'; write \"\" for an empty one\n"
                  "  role:\n"
                  "       ^"},
        {":edge", "filter: a field's name is missing before ':'\n  :edge\n  ^"},
        {"(role:edge and site:ams", "filter: '(' without ')'\n  (role:edge and site:ams\n  ^"},
        {"role:edge)", "filter: ')' without '('\n  role:edge)\n           ^"},
        {"role:edge site:ams",
         "filter: 'and' or 'or' is missing here\n  role:edge site:ams\n            ^"},
        {"role:edge and", "filter: expected FIELD:VALUE or a name here\n"
                          "  role:edge and\n"
                          "               ^"},
        {"or role:edge", "filter: expected FIELD:VALUE or a name here\n  or role:edge\n  ^"},
        {"site:'ams", "filter: the quote is not closed\n  site:'ams\n       ^"},
        {"site:ams and rol:edge", "filter: no device has a field 'rol' (did you mean 'role'?)\n"
                                  "  site:ams and rol:edge\n"
                                  "               ^"},
        {"group:egde", "filter: no device is in a group 'egde' (did you mean 'edge'?)\n"
                       "  group:egde\n"
                       "        ^"},
        {"edge-3", "filter: no device is called 'edge-3' (did you mean 'edge-1'?)\n"
                   "  edge-3\n"
                   "  ^"},
    };
    for (const Row& row : rows) {
        CAPTURE(std::string(row.expression));
        CHECK(refused(row.expression) == row.error);
    }
}

TEST_CASE("a filter nested without end is refused, not followed") {
    CHECK(
        refused(std::string(100'000, '(') + "edge-1").starts_with("filter: the filter is nested"));
    std::string nots;
    for (int i = 0; i < 100'000; ++i) {
        nots += "not ";
    }
    CHECK(refused(nots + "edge-1").starts_with("filter: the filter is nested"));
}

TEST_CASE("a filter error knows its position") {
    try {
        (void)Filter::parse("a or");
        FAIL("no error");
    } catch (const FilterError& error) {
        CHECK(error.position() == 4);
    }
}
