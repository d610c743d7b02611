// What connections do with the key that a device presents, by the policy.
#include "listening_sshd.hpp"
#include "process.hpp"
#include "temp_folder.hpp"

#include <muster/muster.hpp>
#include <muster/sim/fleet.hpp>
#include <muster/ssh/connection.hpp>
#include <muster/ssh/known_hosts.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;

namespace {

/// Virtual devices that nobody knows yet.
struct NewDevices {
    explicit NewDevices(int count = 1)
        : fleet([&] {
              sim::FleetOptions options;
              options.devices = count;
              options.http = false;
              return options;
          }()) {}

    [[nodiscard]] ssh::Options options(int device = 0) const {
        ssh::Options options;
        options.host = fleet.host(device);
        options.port = fleet.ssh_port(device);
        options.username = "admin";
        options.password = "admin";
        options.known_hosts = {file};
        options.host_key_policy = ssh::HostKeyPolicy::accept_new;
        return options;
    }

    TempFolder folder;
    std::string file = folder.path() + "/known_hosts";
    sim::Fleet fleet;
};

Coro<void> connect_and_close(ssh::Options options) {
    auto connection = co_await ssh::connect(std::move(options));
    co_await connection.close();
}

} // namespace

TEST_CASE("connections that accept new keys all at once write one line for each device") {
    const NewDevices devices(20);
    run([](const NewDevices& all) -> Coro<void> {
        std::vector<Task<void>> tasks;
        for (int i = 0; i < 60; ++i) {
            tasks.push_back(create_task(connect_and_close(all.options(i % 20))));
        }
        for (auto& task : tasks) {
            co_await task;
        }
    }(devices));
    const auto hosts = ssh::KnownHosts::load({devices.file});
    CHECK(hosts.problems().empty());
    CHECK(hosts.size() == 20);
    // From now on they are known.
    auto strict = devices.options(7);
    strict.host_key_policy = ssh::HostKeyPolicy::strict;
    run(connect_and_close(std::move(strict)));
}

TEST_CASE("a lock that somebody else holds delays the connection and never the loop") {
    const NewDevices device;
    const int lock = ::open(device.file.c_str(), O_RDWR | O_CREAT, 0600);
    REQUIRE(::flock(lock, LOCK_EX) == 0);
    run([](const NewDevices& one, int held) -> Coro<void> {
        auto connecting = create_task(connect_and_close(one.options()));
        while (times_open(one.file) < 2) {
            co_await async_sleep(1ms);
        }
        CHECK_FALSE(connecting.done());
        ::flock(held, LOCK_UN);
        co_await connecting;
    }(device, lock));
    ::close(lock);
    CHECK(ssh::KnownHosts::load({device.file}).size() == 1);
}

TEST_CASE("no policy but the insecure one accepts a changed or a revoked key") {
    const NewDevices device;
    const std::string key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIISObar1X694ZCfWeld/"
                            "rnVKU1CWuTZF38085XWlHlEj";
    const std::string name = ssh::known_hosts_name(device.fleet.host(0), device.fleet.ssh_port(0));
    write_text(device.file, "# ours\n" + name + " " + key + "\n");
    for (const auto policy : {ssh::HostKeyPolicy::strict, ssh::HostKeyPolicy::accept_new}) {
        auto options = device.options();
        options.host_key_policy = policy;
        const ssh::Error error = connect_error(std::move(options));
        CHECK(error.kind() == ssh::ErrorKind::host_key_changed);
        CHECK(error.phase() == ssh::Phase::host_key);
        CHECK(contains(error.reason(), device.file + ":2"));
        CHECK(contains(error.reason(), "SHA256:DohodjdIF5s7/HBp4FPOtxgeg9qNf5REaVcMeHm9OKI"));
        const auto first = error.reason().find("SHA256:");
        CHECK(error.reason().find("SHA256:", first + 1) != std::string::npos);
    }
    auto insecure = device.options();
    insecure.host_key_policy = ssh::HostKeyPolicy::insecure_ignore;
    run(connect_and_close(std::move(insecure)));
    CHECK(ssh::KnownHosts::load({device.file}).size() == 1);
}

TEST_CASE("an unknown key is refused with its fingerprint and what to type") {
    const NewDevices device;
    auto options = device.options();
    options.host_key_policy = ssh::HostKeyPolicy::strict;
    const ssh::Error error = connect_error(std::move(options));
    CHECK(error.kind() == ssh::ErrorKind::host_key_unknown);
    CHECK(contains(error.reason(), "SHA256:"));
    CHECK(contains(error.remedy(), "ssh-keyscan"));
    CHECK_FALSE(std::filesystem::exists(device.file));
}

TEST_CASE("a known_hosts file that cannot be written names the host and the remedy") {
    const NewDevices device;
    auto options = device.options();
    write_text(device.folder.path() + "/file", "");
    options.known_hosts = {device.folder.path() + "/file/known_hosts"};
    const ssh::Error error = connect_error(std::move(options));
    CHECK(error.kind() == ssh::ErrorKind::configuration);
    CHECK(error.host() == device.fleet.host(0));
    CHECK(contains(error.remedy(), "Options::known_hosts"));
}

TEST_CASE("an alias is what known_hosts calls the device, without the port") {
    const NewDevices device;
    auto options = device.options();
    options.host_key_alias = "Router-1";
    run(connect_and_close(options));
    CHECK(read_text(device.file).starts_with("router-1 ssh-"));
    options.host_key_policy = ssh::HostKeyPolicy::strict;
    run(connect_and_close(options));
    options.host_key_alias = "router-2";
    CHECK(connect_error(options).kind() == ssh::ErrorKind::host_key_unknown);
}
