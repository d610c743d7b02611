#include "sshd.hpp"

#include <muster/device/cli.hpp>
#include <muster/device/fetch.hpp>
#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>

using namespace muster;
using namespace muster::device;
using namespace std::chrono_literals;

namespace {

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

/// This machine's OpenSSH server, and the login shell of the user who runs the tests.
struct Server {
    Server() : port(sshd.listen()) {
        known_hosts = sshd.folder() + "/known_hosts";
        write_text(known_hosts,
                   "[127.0.0.1]:" + std::to_string(port) + " " + sshd.host_key() + "\n");
    }

    [[nodiscard]] Device device() {
        Device device;
        device.name = "host1";
        device.host = "127.0.0.1";
        device.port = port;
        device.platform = "linux";
        device.username = sshd.user();
        device.key = sshd.user_key();
        return device;
    }

    [[nodiscard]] CliOptions options() const {
        CliOptions options;
        options.known_hosts = {known_hosts};
        return options;
    }

    Sshd sshd;
    std::uint16_t port;
    std::string known_hosts;
};

bool no_sshd() {
    if (!Sshd::available()) {
        MESSAGE("skipped: no sshd on this machine");
        return true;
    }
    return false;
}

void with_cli(Server& server, const std::function<Coro<void>(Cli&)>& body) {
    const auto main = [&]() -> Coro<void> {
        Cli cli = co_await Cli::open(server.device(), server.options());
        co_await body(cli);
        co_await cli.close();
    };
    run(main());
}

} // namespace

TEST_CASE("a Linux shell is worked with whatever its prompt, with the status of each command") {
    if (no_sshd()) {
        return;
    }
    Server server;
    with_cli(server, [](Cli& cli) -> Coro<void> {
        CHECK((co_await cli.send_command("echo one; echo two")) == "one\ntwo\n");
        CHECK((co_await cli.send_command("printf 'no newline'")) == "no newline");
        CHECK((co_await cli.send_command("true")).empty());
        // Not a prompt, not the end, not an answer to be paged.
        CHECK((co_await cli.send_command("echo 'user@host:~$ '")) == "user@host:~$ \n");
        CHECK((co_await cli.send_command("echo \"$TERM $LC_ALL\"")) == "dumb C\n");
        bool rejected = false;
        try {
            co_await cli.send_command("ls /nowhere/at/all");
        } catch (const CommandRejected& error) {
            rejected = true;
            CHECK(contains(error.reason(), "ended with status 2"));
            CHECK(contains(error.words(), "/nowhere/at/all"));
        }
        CHECK(rejected);
        CHECK((co_await cli.send_command("echo still there")) == "still there\n");
    });
}

TEST_CASE("a large output of a Linux command arrives whole") {
    if (no_sshd()) {
        return;
    }
    Server server;
    with_cli(server, [](Cli& cli) -> Coro<void> {
        const std::string output = co_await cli.send_command("seq 1 200000");
        CHECK(output.starts_with("1\n2\n3\n"));
        CHECK(output.ends_with("199999\n200000\n"));
        CHECK(output.size() == 1'288'895);
    });
}

TEST_CASE("on Linux a configuration is a list of commands that stops at the first that fails") {
    if (no_sshd()) {
        return;
    }
    Server server;
    std::optional<ConfigRejected> rejected;
    with_cli(server, [&](Cli& cli) -> Coro<void> {
        const std::string folder = server.sshd.folder();
        CHECK((co_await cli.send_config("# set up\ncd '" + folder + "'\ntouch a\n")).applied == 2);
        try {
            co_await cli.send_config("touch b\nfalse\ntouch c\n");
        } catch (const ConfigRejected& error) {
            rejected = error;
        }
        CHECK((co_await cli.send_command("ls -1 a b c 2>/dev/null; true")) == "a\nb\n");
    });
    REQUIRE(rejected.has_value());
    CHECK(rejected->file_line() == 2);
    CHECK(rejected->lines_applied() == 1);
    CHECK(rejected->words() == "status 1");
}

TEST_CASE("fetch runs a Linux command on a channel of its own") {
    if (no_sshd()) {
        return;
    }
    Server server;
    const Reply reply = run(fetch(server.device(), "echo one; echo two >&2", server.options()));
    CHECK(reply.text == "one\n");
    CHECK(reply.exit_status == 0);
    CHECK(contains(run(fetch(server.device(), Request{}, server.options())).text, "Linux"));

    Request failing;
    failing.command = "echo out; echo because >&2; exit 3";
    CHECK_THROWS_WITH_AS(static_cast<void>(run(fetch(server.device(), failing, server.options()))),
                         doctest::Contains("ended with status 3: because"), CommandRejected);
    failing.check = false;
    CHECK(run(fetch(server.device(), failing, server.options())).exit_status == 3);

    Request slow;
    slow.command = "sleep 60";
    slow.timeout = 300ms;
    try {
        static_cast<void>(run(fetch(server.device(), slow, server.options())));
        FAIL("it ended");
    } catch (const DeviceError& error) {
        CHECK(error.failure().timed_out);
        CHECK(error.phase() == Phase::command);
    }
}
