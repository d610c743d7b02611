#include "ssh_client.hpp"

#include <muster/core/error.hpp>
#include <muster/sim/fleet.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <vector>

using namespace muster::sim;
using namespace std::chrono_literals;

namespace {

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

FleetOptions devices(int count) {
    FleetOptions options;
    options.devices = count;
    options.http = false;
    return options;
}

FleetOptions privileged(int count) {
    auto options = devices(count);
    options.device.starts_privileged = true;
    return options;
}

/// Logs in and waits for the first prompt.
std::unique_ptr<SshClient> enter(const Fleet& fleet, int index, std::string_view prompt) {
    auto client = std::make_unique<SshClient>(fleet.host(index), fleet.ssh_port(index));
    REQUIRE(client->login());
    client->open_shell();
    client->read_until(prompt);
    return client;
}

} // namespace

TEST_CASE("Each device answers at its own address with its own name") {
    Fleet fleet(devices(3));
    REQUIRE(fleet.size() == 3);
    CHECK(fleet.name(2) == "r3");
    CHECK(fleet.ssh_port(0) != 0);
    for (int i = 0; i < fleet.size(); ++i) {
        enter(fleet, i, fleet.name(i) + ">");
        CHECK(fleet.sessions_opened(i) == 1);
        CHECK(fleet.logins(i) == 1);
    }
}

TEST_CASE("A device may have slow key exchange methods only, and none that libssh does not know") {
    auto options = devices(1);
    options.device.key_exchange = "diffie-hellman-group16-sha512";
    const Fleet fleet(options);
    enter(fleet, 0, "r1>");

    options.device.key_exchange = "rot13";
    CHECK_THROWS_AS(Fleet{options}, muster::ValueError);
}

TEST_CASE("A push changes the device it was sent to, and only that one") {
    Fleet fleet(devices(2));
    auto client = enter(fleet, 1, "r2>");
    client->ask("enable", "Password: ");
    client->ask("secret", "r2#");
    client->ask("configure terminal", "r2(config)#");
    client->ask("ntp server 10.9.9.9", "r2(config)#");
    CHECK(contains(client->ask("no such line", "r2(config)#"),
                   "% Invalid input detected at '^' marker."));
    client->ask("end", "r2#");
    CHECK(contains(fleet.running_config(1), "ntp server 10.9.9.9\n"));
    CHECK_FALSE(contains(fleet.startup_config(1), "ntp server"));
    CHECK_FALSE(contains(fleet.running_config(0), "ntp server"));
    CHECK(contains(client->ask("write memory", "r2#"), "[OK]"));
    CHECK(contains(fleet.startup_config(1), "ntp server 10.9.9.9\n"));
    CHECK(fleet.lines_received(1) == 7);
    CHECK(fleet.lines_received(0) == 0);
}

TEST_CASE("Lines pasted all at once are all taken") {
    Fleet fleet(privileged(1));
    auto client = enter(fleet, 0, "r1#");
    std::string lines = "configure terminal\n";
    for (int i = 1; i <= 200; ++i) {
        lines += "ip route 10.1." + std::to_string(i) + ".0 255.255.255.0 10.0.0.254\n";
    }
    client->send(lines + "end\n");
    client->read_until("r1(config)#end\r\nr1#");
    const auto config = fleet.running_config(0);
    CHECK(contains(config, "ip route 10.1.1.0 255.255.255.0 10.0.0.254\n"));
    CHECK(contains(config, "ip route 10.1.200.0 255.255.255.0 10.0.0.254\n"));
    CHECK(fleet.lines_received(0) == 202);
}

TEST_CASE("Long output arrives whole, with the pager for a terminal that needs it") {
    Fleet fleet(privileged(1));
    SshClient client(fleet.host(0), fleet.ssh_port());
    REQUIRE(client.login());
    client.open_shell(80, 10);
    client.read_until("r1#");
    client.send("show running-config\n");
    client.read_until(" --More-- ");
    client.send("q");
    client.read_until("r1#");
    client.ask("terminal length 0", "r1#");
    CHECK(contains(client.ask("show running-config", "r1#"), "\r\nend\r\n"));
}

TEST_CASE("A connection carries several exec channels, each with its answer and status 0") {
    Fleet fleet(privileged(1));
    SshClient client(fleet.host(0), fleet.ssh_port());
    REQUIRE(client.login());
    for (int i = 0; i < 3; ++i) {
        const auto ran = client.run("show running-config");
        REQUIRE(ran);
        CHECK(contains(ran->output, "hostname r1\r\n"));
        CHECK(ran->status == 0);
    }
    CHECK(fleet.lines_received(0) == 3);
}

TEST_CASE("An exec-once device hangs up after the first command") {
    auto options = devices(1);
    options.device.fault.exec_once = true;
    Fleet fleet(std::move(options));
    SshClient client(fleet.host(0), fleet.ssh_port());
    REQUIRE(client.login());
    const auto ran = client.run("show version");
    REQUIRE(ran);
    CHECK(contains(ran->output, "r1 uptime is"));
    CHECK_FALSE(client.run("show version"));
}

TEST_CASE("Exit ends the connection") {
    Fleet fleet(devices(1));
    auto client = enter(fleet, 0, "r1>");
    client->send("exit\n");
    CHECK(client->read_all() == "exit\r\n");
    CHECK_FALSE(client->run("show clock"));
}

TEST_CASE("Wrong passwords are refused, and the third one ends the connection") {
    Fleet fleet(devices(1));
    SshClient client(fleet.host(0), fleet.ssh_port());
    CHECK_FALSE(client.login("admin", "wrong"));
    CHECK_FALSE(client.login("root", "admin"));
    CHECK_FALSE(client.login("admin", ""));
    CHECK_FALSE(client.login("admin", "admin"));
    CHECK(fleet.refused_logins(0) == 3);
    CHECK(fleet.logins(0) == 0);
}

TEST_CASE("A wrong password does not spoil the right one after it") {
    Fleet fleet(devices(1));
    SshClient client(fleet.host(0), fleet.ssh_port());
    CHECK_FALSE(client.login("admin", "wrong"));
    CHECK(client.login("admin", "admin"));
}

TEST_CASE("Users log in with an authorized key, and with no other") {
    const auto key = SshKey::generate();
    auto options = devices(1);
    options.authorized_keys = {key.public_line()};
    Fleet fleet(std::move(options));
    SshClient client(fleet.host(0), fleet.ssh_port());
    CHECK_FALSE(client.login("admin", SshKey::generate()));
    CHECK_FALSE(client.login("root", key));
    CHECK(client.login("admin", key));
    CHECK(client.run("show clock"));

    auto wrong = devices(1);
    wrong.authorized_keys = {"ssh-ed25519 AAAA nobody"};
    CHECK_THROWS_AS(Fleet{std::move(wrong)}, muster::ValueError);
}

TEST_CASE("The host keys are those of known_hosts, except on an impostor") {
    auto options = devices(3);
    options.each = [](int index, DeviceSpec& spec) {
        spec.own_host_key = index == 1;
        spec.fault.wrong_host_key = index == 2;
    };
    Fleet fleet(std::move(options));
    const SshClient shared(fleet.host(0), fleet.ssh_port());
    const SshClient own(fleet.host(1), fleet.ssh_port());
    const SshClient impostor(fleet.host(2), fleet.ssh_port());
    CHECK(shared.judge_host(fleet.known_hosts()) == "ok");
    CHECK(own.judge_host(fleet.known_hosts()) == "ok");
    CHECK(impostor.judge_host(fleet.known_hosts()) == "changed");
    CHECK(shared.fingerprint() == fleet.host_key_fingerprint(0));
    CHECK(own.fingerprint() == fleet.host_key_fingerprint(1));
    CHECK(own.fingerprint() != shared.fingerprint());
    CHECK(impostor.fingerprint() != fleet.host_key_fingerprint(2));
}

TEST_CASE("A host key file makes the key last from fleet to fleet") {
    const auto file =
        std::filesystem::temp_directory_path() / ("muster-host-key-" + std::to_string(::getpid()));
    auto options = devices(1);
    options.host_key_file = file;
    const auto first = Fleet(options).host_key_fingerprint();
    const auto second = Fleet(options).host_key_fingerprint();
    CHECK(first == second);
    CHECK((std::filesystem::status(file).permissions() & std::filesystem::perms::others_read) ==
          std::filesystem::perms::none);
    std::filesystem::remove(file);
}

TEST_CASE("A slow device keeps nobody waiting but its own user") {
    auto options = privileged(2);
    options.each = [](int index, DeviceSpec& spec) {
        spec.latency.command = index == 0 ? std::chrono::milliseconds(10min) : 0ms;
    };
    Fleet fleet(std::move(options));
    auto slow = enter(fleet, 0, "r1#");
    slow->send("configure terminal\nhostname x\n");
    slow->read_until("configure terminal\r\n");
    auto quick = enter(fleet, 1, "r2#");
    CHECK(contains(quick->ask("show clock", "r2#"), "UTC"));
    // The second line waits for the answer to the first.
    CHECK_FALSE(contains(fleet.running_config(0), "hostname x"));
    fleet.stop();
}

TEST_CASE("Latency delays the connection, the login and each answer") {
    auto options = privileged(1);
    options.device.latency = {
        .connect = 40ms, .authenticate = 30ms, .command = 20ms, .jitter = 5ms};
    Fleet fleet(std::move(options));
    const auto start = std::chrono::steady_clock::now();
    auto client = enter(fleet, 0, "r1#");
    const auto logged_in = std::chrono::steady_clock::now();
    client->ask("show clock", "r1#");
    client->ask("show clock", "r1#");
    const auto answered = std::chrono::steady_clock::now();
    CHECK(logged_in - start >= 70ms);
    CHECK(answered - logged_in >= 40ms);
}

TEST_CASE("A thousand devices serve a thousand sessions at once") {
    constexpr int count = 1000;
    Fleet fleet(devices(count));
    std::vector<std::unique_ptr<SshClient>> sessions;
    std::set<std::string> hosts;
    sessions.reserve(count);
    for (int i = 0; i < count; ++i) {
        sessions.push_back(enter(fleet, i, fleet.name(i) + ">"));
        hosts.insert(fleet.host(i));
    }
    CHECK(hosts.size() == count);
    CHECK(fleet.concurrent_sessions() == count);
    CHECK(fleet.concurrent_sessions_peak() == count);
    for (int i = 0; i < count; i += 100) {
        auto& session = sessions[static_cast<std::size_t>(i)];
        CHECK(contains(session->ask("show version", fleet.name(i) + ">"), fleet.name(i)));
    }
    fleet.stop();
    CHECK(fleet.concurrent_sessions() == 0);
}

TEST_CASE("Devices can be told apart by port instead") {
    auto options = devices(3);
    options.addressing = Addressing::by_port;
    Fleet fleet(std::move(options));
    CHECK_FALSE(fleet.by_address());
    CHECK(fleet.host(0) == "127.0.0.1");
    CHECK(fleet.host(2) == "127.0.0.1");
    CHECK(fleet.ssh_port(0) != fleet.ssh_port(2));
    enter(fleet, 2, "r3>");
    CHECK(fleet.sessions_opened(2) == 1);
    CHECK(fleet.sessions_opened(0) == 0);
    const SshClient client(fleet.host(1), fleet.ssh_port(1));
    CHECK(client.judge_host(fleet.known_hosts()) == "ok");
}

TEST_CASE("The inventory lists where each device is and how to log in") {
    auto options = devices(2);
    options.http = true;
    options.name_prefix = "core-";
    options.device.password = "with \"quotes\": yes";
    Fleet fleet(std::move(options));
    CHECK(contains(fleet.inventory(), "- name: \"core-2\"\n"
                                      "  device_type: cisco_ios\n"
                                      "  host: " +
                                          fleet.host(1) +
                                          "\n"
                                          "  port: " +
                                          std::to_string(fleet.ssh_port(1)) +
                                          "\n"
                                          "  username: \"admin\"\n"
                                          "  password: \"with \\\"quotes\\\": yes\"\n"
                                          "  secret: \"secret\"\n"));
    CHECK(contains(fleet.inventory(Face::http), "  transport: http\n"));
    CHECK(contains(fleet.inventory(Face::http),
                   "  port: " + std::to_string(fleet.http_port(1)) + "\n"));
}

TEST_CASE("A port that is taken, a fleet of none and a device that is not there are errors") {
    Fleet fleet(devices(1));
    auto same = devices(1);
    same.ssh_port = fleet.ssh_port();
    CHECK_THROWS_WITH_AS(Fleet{same}, doctest::Contains("choose another port"), muster::Error);
    CHECK_THROWS_AS(Fleet{devices(0)}, muster::ValueError);
    CHECK_THROWS_WITH_AS((void)fleet.host(1), doctest::Contains("there is no device 1"),
                         muster::ValueError);
    auto many = devices(10);
    many.addressing = Addressing::by_port;
    many.ssh_port = 65530;
    CHECK_THROWS_WITH_AS(Fleet{many}, doctest::Contains("need ports up to 65539"),
                         muster::ValueError);
}

TEST_CASE("Stopping ends the sessions, and may be done twice") {
    Fleet fleet(devices(1));
    auto client = enter(fleet, 0, "r1>");
    fleet.stop();
    fleet.stop();
    CHECK(client->read_all().empty());
    CHECK_THROWS_AS(SshClient(fleet.host(0), fleet.ssh_port()), SshFailure);
    CHECK(contains(fleet.running_config(0), "hostname r1"));
}
