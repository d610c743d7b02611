#include "ssh_client.hpp"

#include <muster/sim/fleet.hpp>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <doctest/doctest.h>

#include <sys/socket.h>

#include <memory>
#include <string>
#include <string_view>

using namespace muster::sim;
using boost::asio::ip::tcp;

namespace {

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

/// Device 0 misbehaves as `script` says, device 1 does not.
Fleet faulty(std::string_view script) {
    FleetOptions options;
    options.devices = 2;
    options.http = false;
    options.device.starts_privileged = true;
    options.each = [script](int index, DeviceSpec& spec) {
        spec.fault = index == 0 ? Fault::parse(script) : Fault{};
    };
    return Fleet(std::move(options));
}

/// A whole session with the device that works: whatever the fleet had to do before is done then.
void visit_neighbour(const Fleet& fleet) {
    SshClient client(fleet.host(1), fleet.ssh_port(1));
    REQUIRE(client.login());
    REQUIRE(client.run("show clock"));
}

/// A bare TCP connection.
class Wire {
public:
    explicit Wire(const Fleet& fleet) : socket_(io_) {
        const timeval patience{.tv_sec = 10, .tv_usec = 0};
        socket_.open(tcp::v4());
        ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        socket_.connect({boost::asio::ip::make_address(fleet.host(0)), fleet.ssh_port(0)}, error_);
    }

    void send(std::string_view text) {
        boost::asio::write(socket_, boost::asio::buffer(text), error_);
    }

    std::string read_line() {
        const auto size =
            boost::asio::read_until(socket_, boost::asio::dynamic_buffer(read_), '\n', error_);
        auto line = read_.substr(0, size);
        read_.erase(0, size);
        return line;
    }

    std::string read_all() {
        boost::asio::read(socket_, boost::asio::dynamic_buffer(read_), error_);
        return read_;
    }

    [[nodiscard]] boost::system::error_code error() const { return error_; }

private:
    boost::asio::io_context io_;
    tcp::socket socket_;
    std::string read_;
    boost::system::error_code error_;
};

/// A shell at `r1#`.
std::unique_ptr<SshClient> enter(const Fleet& fleet) {
    auto client = std::make_unique<SshClient>(fleet.host(0), fleet.ssh_port(0));
    REQUIRE(client->login());
    client->open_shell();
    client->read_until("r1#");
    return client;
}

} // namespace

TEST_CASE("A refusing device refuses the TCP connection") {
    const auto fleet = faulty("refuse");
    CHECK(fleet.ssh_port(0) != fleet.ssh_port(1));
    CHECK(Wire(fleet).error() == boost::asio::error::connection_refused);
    visit_neighbour(fleet);
}

TEST_CASE("A device that hangs after accepting never says a word") {
    auto fleet = faulty("hang-after-accept");
    Wire wire(fleet);
    wire.send("SSH-2.0-test\r\n");
    visit_neighbour(fleet);
    CHECK(fleet.concurrent_sessions() >= 1);
    fleet.stop();
    CHECK(wire.read_all().empty());
}

TEST_CASE("A device that closes or resets after accepting does just that") {
    const auto closing = faulty("close-after-accept");
    Wire closed(closing);
    CHECK(closed.read_all().empty());
    CHECK(closed.error() == boost::asio::error::eof);
    const auto resetting = faulty("reset-after-accept");
    Wire reset(resetting);
    CHECK(reset.read_all().empty());
    CHECK(reset.error() == boost::asio::error::connection_reset);
}

TEST_CASE("A device that hangs after its banner does not begin the key exchange") {
    auto fleet = faulty("hang-after-banner");
    Wire wire(fleet);
    CHECK(wire.read_line() == "SSH-2.0-Cisco-1.25\r\n");
    wire.send("SSH-2.0-test\r\n");
    visit_neighbour(fleet);
    fleet.stop();
    CHECK(wire.read_all().empty());
}

TEST_CASE("A healthy device begins the key exchange after the same banner") {
    auto fleet = faulty("noise");
    Wire wire(fleet);
    CHECK(wire.read_line() == "SSH-2.0-Cisco-1.25\r\n");
    wire.send("SSH-2.0-test\r\n");
    visit_neighbour(fleet);
    fleet.stop();
    CHECK(contains(wire.read_all(), "curve25519-sha256"));
}

TEST_CASE("A device for one session serves the first connection and closes the next") {
    const auto fleet = faulty("one-session");
    auto client = enter(fleet);
    Wire second(fleet);
    CHECK(second.read_all().empty());
    CHECK(second.error() == boost::asio::error::eof);
    client->ask("show privilege", "r1#");
    visit_neighbour(fleet);
}

TEST_CASE("A garbage banner is not SSH") {
    const auto fleet = faulty("garbage-banner");
    Wire wire(fleet);
    const auto text = wire.read_all();
    CHECK_FALSE(text.empty());
    CHECK_FALSE(contains(text, "SSH-2.0"));
    CHECK_THROWS_AS(SshClient(fleet.host(0), fleet.ssh_port(0)), SshFailure);
}

TEST_CASE("A device that closes after the key exchange takes no password") {
    const auto fleet = faulty("close-after-key-exchange");
    SshClient client(fleet.host(0), fleet.ssh_port(0));
    CHECK_FALSE(client.login());
    CHECK(fleet.logins(0) == 0);
}

TEST_CASE("A device that hangs after the login opens a shell and shows no prompt") {
    auto fleet = faulty("hang-after-authentication");
    SshClient client(fleet.host(0), fleet.ssh_port(0));
    REQUIRE(client.login());
    client.open_shell();
    client.send("\n");
    visit_neighbour(fleet);
    fleet.stop();
    CHECK(client.read_all().empty());
}

TEST_CASE("A device that closes after the login opens no shell") {
    const auto fleet = faulty("close-after-authentication");
    SshClient client(fleet.host(0), fleet.ssh_port(0));
    CHECK(client.login());
    CHECK_THROWS_AS(client.open_shell(), SshFailure);
}

TEST_CASE("A device that hangs after its prompt answers nothing") {
    auto fleet = faulty("hang-after-prompt");
    auto client = enter(fleet);
    client->send("show clock\n");
    visit_neighbour(fleet);
    fleet.stop();
    CHECK(client->read_all().empty());
}

TEST_CASE("A device that rejects every login rejects the right password") {
    const auto fleet = faulty("reject-login");
    SshClient client(fleet.host(0), fleet.ssh_port(0));
    CHECK_FALSE(client.login());
    CHECK(fleet.refused_logins(0) == 1);
}

TEST_CASE("A device without shells still runs commands") {
    const auto fleet = faulty("no-shell");
    SshClient client(fleet.host(0), fleet.ssh_port(0));
    REQUIRE(client.login());
    CHECK(client.run("show clock"));
    CHECK_THROWS_AS(client.open_shell(), SshFailure);
}

TEST_CASE("A device that drops the connection after a line has applied the lines up to it") {
    const auto fleet = faulty("close-after-line:2");
    auto client = enter(fleet);
    client->ask("conf t", "r1(config)#");
    client->ask("ntp server 10.0.0.1", "r1(config)#");
    client->send("ntp server 10.0.0.2\nntp server 10.0.0.3\n");
    CHECK_FALSE(contains(client->read_all(), "(config)"));
    const auto config = fleet.running_config(0);
    CHECK(contains(config, "ntp server 10.0.0.2\n"));
    CHECK_FALSE(contains(config, "ntp server 10.0.0.3\n"));
}

TEST_CASE("A device that hangs at a line echoes it and answers no more") {
    auto fleet = faulty("hang-after-line:1");
    auto client = enter(fleet);
    client->ask("conf t", "r1(config)#");
    client->send("ntp server 10.0.0.1\nntp server 10.0.0.2\n");
    client->read_until("ntp server 10.0.0.1\r\n");
    visit_neighbour(fleet);
    CHECK_FALSE(contains(fleet.running_config(0), "ntp server 10.0.0.2"));
    fleet.stop();
    CHECK(client->read_all().empty());
}

TEST_CASE("A device rejects the lines its script names and takes the others") {
    const auto fleet = faulty("reject-line:ntp");
    auto client = enter(fleet);
    client->ask("conf t", "r1(config)#");
    CHECK(contains(client->ask("ntp server 10.0.0.1", "r1(config)#"), "% Invalid input"));
    CHECK_FALSE(contains(client->ask("logging host 10.0.0.1", "r1(config)#"), "%"));
    CHECK_FALSE(contains(fleet.running_config(0), "ntp server"));
    CHECK(contains(fleet.running_config(0), "logging host 10.0.0.1"));
}

TEST_CASE("A noisy device writes log messages after its prompts") {
    const auto fleet = faulty("noise");
    auto client = enter(fleet);
    client->send("show privilege\n");
    client->read_until("Current privilege level is 15\r\nr1#\r\n*Mar  1 00:12:34.567: %LINEPROTO");
}

TEST_CASE("A dripping device says everything in the end") {
    const auto fleet = faulty("drip:1ms");
    auto client = enter(fleet);
    CHECK(contains(client->ask("show version", "r1#"), "r1 uptime is 0 minutes\r\n"));
}

TEST_CASE("Faults can be combined") {
    const auto fleet = faulty("drip:1ms+close-after-line:1+reject-line:bad");
    auto client = enter(fleet);
    client->ask("conf t", "r1(config)#");
    client->send("bad\n");
    CHECK(client->read_all() == "bad\r\n");
}
