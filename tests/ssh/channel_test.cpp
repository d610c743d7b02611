#include "listening_sshd.hpp"

#include <muster/muster.hpp>
#include <muster/ssh/channel.hpp>

#include <doctest/doctest.h>
#include <libssh2.h>

#include <chrono>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;

namespace {

Coro<std::string> read_all(ssh::Channel& channel) {
    std::string all;
    for (std::string part = co_await channel.read(); !part.empty();
         part = co_await channel.read()) {
        all += part;
    }
    co_return all;
}

/// Runs `body(connection)` on a connection of its own.
template <class Body>
void with_connection(ListeningSshd& server, Body body) {
    run([](ssh::Options options, Body b) -> Coro<void> {
        auto connection = co_await ssh::connect(std::move(options));
        co_await b(connection);
        co_await connection.close();
    }(server.options(), std::move(body)));
}

} // namespace

TEST_CASE("a command is written to and read from while it runs, and half closed") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    with_connection(server, [](ssh::Connection& connection) -> Coro<void> {
        auto channel =
            co_await connection.start("while read -r x; do echo got $x; done; echo over");
        co_await channel.write("one\n");
        std::string got = co_await channel.read();
        CHECK(got == "got one\n");
        co_await channel.write("two\n");
        got = co_await channel.read();
        CHECK(got == "got two\n");
        co_await channel.write_eof();
        co_await channel.write_eof();
        got = co_await read_all(channel);
        CHECK(got == "over\n");
        const auto end = co_await channel.wait();
        CHECK(end.exit_status == 0);
        CHECK(channel.closed());
        bool refused = false;
        try {
            co_await channel.write("more");
        } catch (const ssh::Error& error) {
            refused = error.kind() == ssh::ErrorKind::closed;
        }
        CHECK(refused);
    });
}

TEST_CASE("standard error is a stream of its own") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    with_connection(server, [](ssh::Connection& connection) -> Coro<void> {
        auto channel = co_await connection.start("echo out; echo err >&2; exit 5");
        std::string got = co_await channel.read_err();
        CHECK(got == "err\n");
        got = co_await channel.read_err();
        CHECK(got == "");
        const auto end = co_await channel.wait();
        CHECK(end.exit_status == 5);
        CHECK_FALSE(channel.closed()); // there is something to read
        got = co_await channel.read(2);
        CHECK(got == "ou");
        got = co_await channel.read();
        CHECK(got == "t\n");
        got = co_await channel.read();
        CHECK(got == "");
        CHECK(channel.closed());
    });
}

TEST_CASE("a signal ends a command, where libssh2 can send one") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    with_connection(server, [](ssh::Connection& connection) -> Coro<void> {
        auto channel = co_await connection.start("echo ready; sleep 60");
        std::string got = co_await channel.read();
        CHECK(got == "ready\n");
        const bool possible = LIBSSH2_VERSION_NUM >= 0x010b00;
        bool sent = true;
        try {
            co_await channel.send_signal("TERM");
        } catch (const ssh::Error& error) {
            sent = false;
            CHECK(contains(error.what(), "cannot send signals"));
            CHECK(contains(error.remedy(), "1.11"));
        }
        CHECK(sent == possible);
        if (sent) {
            const auto end = co_await channel.wait();
            CHECK(end.exit_signal == "TERM");
            CHECK_FALSE(end.exit_status.has_value());
        }
    });
}

TEST_CASE("a closed channel ends its command, and the connection goes on") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    with_connection(server, [](ssh::Connection& connection) -> Coro<void> {
        {
            auto dropped = co_await connection.start("cat");
            auto closed = co_await connection.start("cat");
            co_await closed.write("x");
            co_await closed.close();
            CHECK(closed.closed());
            std::string got = co_await closed.read();
            CHECK(got == "");
            co_await closed.close();
        }
        const auto after = co_await connection.run("echo after");
        CHECK(after.out == "after\n");
    });
}

TEST_CASE("environment variables reach the command, and a refused one is named") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    with_connection(server, [](ssh::Connection& connection) -> Coro<void> {
        ssh::CommandOptions options;
        options.env = {{"LC_A", "first value"}, {"LC_B", ""}};
        const auto done = co_await connection.run("echo \"$LC_A\"-\"$LC_B\"-", options);
        CHECK(done.out == "first value--\n");

        ssh::ChannelOptions channel_options;
        channel_options.env = {{"LC_A", "again"}};
        auto channel = co_await connection.start("echo $LC_A", channel_options);
        std::string got = co_await read_all(channel);
        CHECK(got == "again\n");

        ssh::ShellOptions shell_options;
        shell_options.env = {{"SECRET_THING", "x"}};
        bool refused = false;
        try {
            co_await connection.open_shell(shell_options);
        } catch (const ssh::Error& error) {
            refused = true;
            CHECK(error.kind() == ssh::ErrorKind::request_refused);
            CHECK(contains(error.reason(), "SECRET_THING"));
            CHECK(contains(error.remedy(), "AcceptEnv"));
        }
        CHECK(refused);
        const auto after = co_await connection.run("echo after");
        CHECK(after.out == "after\n");
    });
}

TEST_CASE("a subsystem speaks for itself, and one that does not exist is refused") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server("Subsystem greet /bin/echo hello");
    with_connection(server, [](ssh::Connection& connection) -> Coro<void> {
        auto greeting = co_await connection.open_subsystem("greet");
        std::string got = co_await read_all(greeting);
        CHECK(got == "hello\n");
        bool refused = false;
        try {
            co_await connection.open_subsystem("netconf");
        } catch (const ssh::Error& error) {
            refused = error.kind() == ssh::ErrorKind::request_refused;
            CHECK(contains(error.reason(), "Unable to complete request"));
        }
        CHECK(refused);
    });
}

TEST_CASE("a terminal is resized") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    with_connection(server, [](ssh::Connection& connection) -> Coro<void> {
        auto shell = co_await connection.open_shell({.width = 100, .height = 30});
        co_await shell.write("stty -echo; trap 'stty size; exit' WINCH; echo re''ady\n");
        std::string seen;
        while (!contains(seen, "ready")) {
            seen += co_await shell.read();
        }
        co_await shell.resize(123, 45);
        co_await shell.write("stty size\n");
        while (!contains(seen, "45 123")) {
            const std::string more = co_await shell.read();
            REQUIRE_FALSE(more.empty());
            seen += more;
        }
    });
}

TEST_CASE("output that nobody reads holds the device back, and loses nothing") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    with_connection(server, [](ssh::Connection& connection) -> Coro<void> {
        auto loud = co_await connection.start("head -c 20000000 /dev/zero");
        // Others are not held up by it.
        const auto other = co_await connection.run("echo other");
        CHECK(other.out == "other\n");
        std::size_t count = 0;
        for (std::string part = co_await loud.read(); !part.empty(); part = co_await loud.read()) {
            count += part.size();
        }
        CHECK(count == 20'000'000);
        const auto end = co_await loud.wait();
        CHECK(end.exit_status == 0);
    });
}

TEST_CASE("a device that does not read is given up by the deadline, and the channel stays usable") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    with_connection(server, [](ssh::Connection& connection) -> Coro<void> {
        ssh::ChannelOptions options;
        options.timeout = 300ms;
        // It reads when it is told to, by a signal of another command.
        auto deaf = co_await connection.start(
            "trap 'wc -c; exit' USR1; echo $$; for i in $(seq 600); do sleep 0.05; done", options);
        std::string pid = co_await deaf.read();
        bool late = false;
        try {
            while (true) {
                co_await deaf.write(std::string(1'000'000, 'x'));
            }
        } catch (const ssh::Error& error) {
            late = true;
            CHECK(error.kind() == ssh::ErrorKind::timeout);
            CHECK(contains(error.reason(), "did not take what was sent within 300 ms"));
        }
        CHECK(late);
        CHECK_FALSE(connection.closed());
        pid.pop_back();
        const auto woken = co_await connection.run("kill -USR1 " + pid);
        CHECK(woken.exit_status == 0);
        co_await deaf.write_eof();
        const std::string counted = co_await read_all(deaf);
        CHECK(std::stoul(counted) > 100'000);
    });
}

TEST_CASE("cancelled reads and writes leave the channel and the connection usable") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    with_connection(server, [](ssh::Connection& connection) -> Coro<void> {
        auto channel = co_await connection.start("cat");
        for (int i = 0; i < 3; ++i) {
            auto reading = create_task(channel.read());
            co_await async_sleep(0ms);
            reading.cancel();
            co_await wait(std::vector<Task<std::string>>{reading});
            CHECK(reading.cancelled());
        }
        co_await channel.write("hello");
        std::string got = co_await channel.read();
        CHECK(got == "hello");
    });
}

TEST_CASE("a hundred channels at once on one connection") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server("MaxSessions 200");
    with_connection(server, [](ssh::Connection& connection) -> Coro<void> {
        std::vector<Coro<ssh::Completed>> commands;
        for (int i = 0; i < 100; ++i) {
            commands.push_back(connection.run("echo " + std::to_string(i)));
        }
        const auto results = co_await gather(std::move(commands));
        for (std::size_t i = 0; i < results.size(); ++i) {
            CHECK(results[i].out == std::to_string(i) + "\n");
        }
    });
}

TEST_CASE("keys are renewed under load in both directions, on several channels") {
    if (no_sshd()) {
        return;
    }
    for (const std::string kex : {"curve25519-sha256", "diffie-hellman-group14-sha256"}) {
        CAPTURE(kex); // the second computes on another thread
        ListeningSshd server("RekeyLimit 64K\nKexAlgorithms " + kex);
        with_connection(server, [](ssh::Connection& connection) -> Coro<void> {
            const std::string text(500'000, 'k');
            ssh::CommandOptions options;
            options.input = text;
            const auto [first, second] =
                co_await gather(connection.run("cat", options), connection.run("cat", options));
            CHECK(first.out == text);
            CHECK(second.out == text);
        });
    }
}
