#include "support.hpp"

#include <muster/fleet/inventory.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

using fleet_test::error_of;
using fleet_test::only_device;
using fleet_test::TemporaryFolder;
using muster::device::Device;
using muster::fleet::Inventory;

TEST_CASE("secrets by reference: environment, file, command, and text that looks like one") {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): there is no other thread
    ::setenv("FLEET_TEST_SECRET", "from-environment", 1);
    const TemporaryFolder folder;
    (void)folder.write("pw.txt", "from-file\r\n");
    const std::string path = folder.write("devices.yaml", R"(
r1:
  platform: linux
  username: env:FLEET_TEST_SECRET
  password: file:pw.txt
  secret: "cmd:printf 'a b\n'"
  passphrase: text:env:x
  key: keys/id
)");
    const Inventory inventory = Inventory::load(path);
    const Device& device = inventory.devices().front();
    CHECK(device.username == "from-environment");
    CHECK(device.password.reveal() == "from-file");
    CHECK(device.secret.reveal() == "a b");
    CHECK(device.passphrase.reveal() == "env:x");
    CHECK(device.key == folder.path() + "/keys/id");
}

TEST_CASE("a reference that gives nothing is an error that names the field") {
    CHECK(error_of("r1: {platform: linux, password: env:FLEET_TEST_UNSET}\n") ==
          "inv:1:33: r1.password: the environment variable FLEET_TEST_UNSET is not set");
    CHECK(error_of("r1: {platform: linux, secret: file:/nowhere/pw}\n") ==
          "inv:1:31: r1.secret: can't read /nowhere/pw: No such file or directory");
    CHECK(error_of("r1: {platform: linux, password: 'cmd:exit 3'}\n") ==
          "inv:1:33: r1.password: the command failed with status 3");
    CHECK(error_of("r1: {platform: linux, password: 'cmd:true'}\n") ==
          "inv:1:33: r1.password: the command printed nothing");
}

TEST_CASE("every field with a reference that gives nothing is reported") {
    CHECK(error_of("r1: {platform: linux, password: 'cmd:false'}\n"
                   "r2: {platform: linux, password: 'cmd:false'}\n") ==
          "inv:1:33: r1.password: the command failed with status 1\n"
          "inv:2:33: r2.password: the command failed with status 1");
}

TEST_CASE("a command runs once, whether it succeeds or fails, for all devices that share it") {
    const TemporaryFolder folder;
    const std::string runs = folder.path() + "/runs";
    for (const char* ending : {"echo pw", "exit 1"}) {
        CAPTURE(ending);
        std::string text = "hosts:\n";
        for (int i = 0; i < 5; ++i) {
            text += "  r" + std::to_string(i) + ": {}\n";
        }
        text +=
            "defaults: {platform: linux, password: 'cmd:echo x >>" + runs + "; " + ending + "'}\n";
        std::ofstream(runs, std::ios::trunc).flush();
        (void)error_of(text);
        std::ifstream file(runs);
        const std::string log{std::istreambuf_iterator<char>(file), {}};
        CHECK(log == "x\n");
    }
}

TEST_CASE("a reference that no device uses is not read") {
    const Device device =
        only_device("hosts: {r1: {password: own}}\n"
                    "defaults: {platform: linux, password: env:FLEET_TEST_UNSET}\n");
    CHECK(device.password.reveal() == "own");
}

TEST_CASE("a contradicted secret is not printed") {
    const std::string error = error_of("r1: {platform: linux, key: a, key_file: b}\n");
    CHECK(error == "inv:1:41: r1.key_file: contradicts r1.key in line 1: 'a' and 'b'");
    const std::string secret = error_of("{\"_meta\": {\"hostvars\": {\"r1\": {"
                                        "\"ansible_password\": \"hunter2\","
                                        "\"ansible_ssh_pass\": \"other\"}}}}");
    CHECK(secret.find("contradicts r1.ansible_password in line 1") != std::string::npos);
    CHECK(secret.find("hunter2") == std::string::npos);
    CHECK(secret.find("other") == std::string::npos);
}
