#include "listening_sshd.hpp"

#include <muster/muster.hpp>
#include <muster/ssh/connection.hpp>
#include <muster/ssh/known_hosts.hpp>

#include <doctest/doctest.h>
#include <libssh2.h>

#include <chrono>
#include <string>
#include <utility>

using namespace muster;
using namespace std::chrono_literals;

TEST_CASE("commands run one after the other and at once, with output, errors and exit status") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    run([](ssh::Options options) -> Coro<void> {
        auto connection = co_await ssh::connect(std::move(options));
        CHECK(connection.server().starts_with("SSH-2.0-OpenSSH"));
        CHECK(connection.host_key_fingerprint().starts_with("SHA256:"));
        CHECK_FALSE(connection.closed());

        const auto hello = co_await connection.run("echo out; echo err >&2; exit 3");
        CHECK(hello.out == "out\n");
        CHECK(hello.err == "err\n");
        CHECK(hello.exit_status == 3);
        CHECK(hello.exit_signal.empty());

        const auto [first, second] =
            co_await gather(connection.run("sleep 0.1; echo a"), connection.run("echo b"));
        CHECK(first.out == "a\n");
        CHECK(second.out == "b\n");
        CHECK(second.exit_status == 0);

        const auto killed = co_await connection.run("kill -KILL $$");
        CHECK_FALSE(killed.exit_status.has_value());
        CHECK(killed.exit_signal == "KILL");

        co_await connection.close();
        CHECK(connection.closed());
        co_await connection.close();
    }(server.options()));
}

TEST_CASE("options are written where they are needed") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    const std::string out = run([](ListeningSshd& s) -> Coro<std::string> {
        auto connection = co_await ssh::connect({.host = "127.0.0.1",
                                                 .port = s.port,
                                                 .username = s.sshd.user(),
                                                 .keys = {{.path = s.sshd.user_key()}},
                                                 .known_hosts = {s.known_hosts()},
                                                 .timeouts = {.connect = 5s, .total = 20s}});
        auto shell = co_await connection.open_shell({.term = "xterm", .width = 200});
        co_await shell.close();
        const auto done = co_await connection.run("echo hello", {.timeout = 10s});
        co_return done.out;
    }(server));
    CHECK(out == "hello\n");
}

TEST_CASE("every key logs in that libssh2 can sign with, and a refused RSA key says why") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    for (const std::string type : {"ed25519", "ecdsa"}) {
        CAPTURE(type);
        CHECK(run(ssh::fetch(server.options(type), "echo hello")) == "hello\n");
    }
    const bool sha2 = libssh2_version(0x010b00) != nullptr;
    try {
        const std::string hello = run(ssh::fetch(server.options("rsa"), "echo hello"));
        CHECK(hello == "hello\n");
        CHECK(sha2);
    } catch (const ssh::Error& error) {
        CHECK_FALSE(sha2);
        CHECK(error.kind() == ssh::ErrorKind::authentication);
        CHECK(contains(error.reason(), "ssh-rsa key " + server.sshd.user_key("rsa")));
        CHECK(contains(error.remedy(), "ed25519"));
        CHECK(contains(error.remedy(), "1.11"));
    }
}

TEST_CASE("output far larger than the window arrives whole, from two channels at once") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    run([](ssh::Options options) -> Coro<void> {
        auto connection = co_await ssh::connect(std::move(options));
        const auto [a, b] =
            co_await gather(connection.run("head -c 10000000 /dev/zero | tr '\\0' a"),
                            connection.run("head -c 5000000 /dev/zero | tr '\\0' b >&2"));
        CHECK(a.out == std::string(10'000'000, 'a'));
        CHECK(b.err == std::string(5'000'000, 'b'));
        CHECK(b.out.empty());
        co_await connection.close();
    }(server.options()));
}

TEST_CASE("a command gets its input while its output is read") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    run([](ssh::Options options) -> Coro<void> {
        auto connection = co_await ssh::connect(std::move(options));
        ssh::CommandOptions command;
        command.input = std::string(3'000'000, 'x');
        const std::string expected = command.input;
        const auto echoed = co_await connection.run("cat", std::move(command));
        CHECK(echoed.out == expected);
        CHECK(echoed.exit_status == 0);
    }(server.options()));
}

TEST_CASE("a shell has a terminal, is read as bytes come, and ends") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    run([](ssh::Options options) -> Coro<void> {
        auto connection = co_await ssh::connect(std::move(options));
        ssh::ShellOptions terminal;
        terminal.width = 100;
        auto shell = co_await connection.open_shell(terminal);
        CHECK_FALSE(shell.closed());
        co_await shell.write("stty -echo; PS1=; stty size; echo marker-$TERM\n");
        std::string seen;
        while (!contains(seen, "marker-vt100")) {
            const std::string more = co_await wait_for(shell.read(), 10s);
            REQUIRE_FALSE(more.empty());
            seen += more;
        }
        CHECK(contains(seen, "24 100"));

        // A read that is given up loses nothing and harms nothing.
        bool timed_out = false;
        while (!timed_out) {
            try {
                co_await wait_for(shell.read(), 50ms);
            } catch (const TimeoutError&) {
                timed_out = true;
            }
        }
        co_await shell.write("echo still-here\n");
        seen.clear();
        while (!contains(seen, "still-here")) {
            seen += co_await wait_for(shell.read(3), 10s);
        }

        co_await shell.write("exit\n");
        while (!(co_await wait_for(shell.read(), 10s)).empty()) {
        }
        CHECK(shell.closed());
        CHECK((co_await shell.read()).empty());
        co_await shell.close();

        auto second = co_await connection.open_shell();
        co_await second.close();
        CHECK(second.closed());
        CHECK_FALSE(connection.closed());
        {
            auto dropped = co_await connection.open_shell();
        }
        CHECK((co_await connection.run("echo after")).out == "after\n");
        co_await connection.close();
    }(server.options()));
}

TEST_CASE("an unknown host key is refused with its fingerprint and the remedy") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    auto options = server.options();
    options.known_hosts = {server.sshd.folder() + "/none"};
    const auto error = connect_error(options);
    CHECK(error.kind() == ssh::ErrorKind::host_key_unknown);
    CHECK(error.phase() == ssh::Phase::host_key);
    CHECK(error.host() == "127.0.0.1");
    CHECK(error.port() == server.port);
    CHECK(contains(error.what(), "ssh-ed25519 key SHA256:"));
    CHECK(contains(error.remedy(), "ssh-keyscan -p " + std::to_string(server.port)));
    CHECK(contains(error.remedy(), "accept-new"));

    SUBCASE("accept_new adds it, once") {
        options.host_key_policy = ssh::HostKeyPolicy::accept_new;
        CHECK(run(ssh::fetch(options, "echo hello")) == "hello\n");
        const std::string added = read_text(options.known_hosts.front());
        CHECK(added ==
              "[127.0.0.1]:" + std::to_string(server.port) + " " + server.sshd.host_key() + "\n");
        options.host_key_policy = ssh::HostKeyPolicy::strict;
        CHECK(run(ssh::fetch(options, "echo hello")) == "hello\n");
        CHECK(read_text(options.known_hosts.front()) == added);
    }
    SUBCASE("insecure_ignore does not look") {
        options.host_key_policy = ssh::HostKeyPolicy::insecure_ignore;
        CHECK(run(ssh::fetch(options, "echo hello")) == "hello\n");
        CHECK(read_text(options.known_hosts.front()).empty());
    }
}

TEST_CASE("a changed host key is refused by every policy that looks, with file and line") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    const Sshd other;
    write_text(server.known_hosts(), "# first line\n[127.0.0.1]:" + std::to_string(server.port) +
                                         " " + other.host_key() + "\n");
    for (const auto policy : {ssh::HostKeyPolicy::strict, ssh::HostKeyPolicy::accept_new}) {
        auto options = server.options();
        options.host_key_policy = policy;
        const auto error = connect_error(options);
        CHECK(error.kind() == ssh::ErrorKind::host_key_changed);
        CHECK(contains(error.reason(), server.known_hosts() + ":2"));
        const std::string reason = error.reason();
        const auto first = reason.find("SHA256:");
        REQUIRE(first != std::string::npos);
        CHECK(reason.find("SHA256:", first + 1) != std::string::npos);
    }
    write_text(server.known_hosts(), "@revoked * " + server.sshd.host_key() + "\n");
    CHECK(connect_error(server.options()).kind() == ssh::ErrorKind::host_key_revoked);
}

TEST_CASE("the host key type that is known is the one asked for") {
    if (no_sshd()) {
        return;
    }
    // Without known_hosts, the ed25519 key would be negotiated.
    ListeningSshd server({}, {"ecdsa", "ed25519"});
    CHECK(run(ssh::fetch(server.options(), "echo hello")) == "hello\n");
}

TEST_CASE("a closed port says what to check") {
    if (no_sshd()) {
        return;
    }
    std::uint16_t port = 0;
    ssh::Options options;
    {
        ListeningSshd gone;
        options = gone.options();
        port = gone.port;
    }
    options.keys.clear();
    const auto error = connect_error(options);
    CHECK(error.kind() == ssh::ErrorKind::unreachable);
    CHECK(error.phase() == ssh::Phase::connect);
    CHECK(contains(error.what(), "127.0.0.1:" + std::to_string(port)));
    CHECK(contains(error.reason(), "refused"));
    CHECK(contains(error.remedy(), "SSH enabled"));
}

TEST_CASE("a name without address is an error of the resolve phase") {
    ssh::Options options;
    options.host = "no-such-host.invalid";
    options.username = "ops";
    const auto error = connect_error(options);
    CHECK(error.kind() == ssh::ErrorKind::unreachable);
    CHECK(error.phase() == ssh::Phase::resolve);
    CHECK(contains(error.reason(), "no-such-host.invalid"));
}

TEST_CASE("a key that cannot be read fails before anything is sent") {
    ssh::Options options;
    options.host = "127.0.0.1";
    options.port = 1;
    ssh::KeySource source;
    source.path = "/nonexistent/key";
    options.keys.push_back(source);
    const auto error = connect_error(options);
    CHECK(error.kind() == ssh::ErrorKind::configuration);
    CHECK(contains(error.what(), "/nonexistent/key"));
}

TEST_CASE("a refused login lists what was tried and what the server accepts") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    Sshd other;
    auto options = server.options();
    options.keys.front().path = other.user_key();
    const auto error = connect_error(options);
    CHECK(error.kind() == ssh::ErrorKind::authentication);
    CHECK(error.phase() == ssh::Phase::authentication);
    CHECK(contains(error.reason(), "user '" + options.username + "' was refused"));
    CHECK(contains(error.reason(), "ssh-ed25519 key " + other.user_key()));
    CHECK(contains(error.reason(), "accepts: publickey"));

    options.keys.clear();
    const auto nothing = connect_error(options);
    CHECK(nothing.kind() == ssh::ErrorKind::authentication);
    CHECK(contains(nothing.reason(), "tried: nothing"));
    CHECK(contains(nothing.remedy(), "give a password or a key"));

    options.password = "hunter2";
    const auto password = connect_error(options);
    CHECK(password.kind() == ssh::ErrorKind::authentication);
    CHECK_FALSE(contains(password.what(), "hunter2"));
}

TEST_CASE("algorithms that only legacy has are named, with the option") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server("KexAlgorithms diffie-hellman-group16-sha512");
    auto options = server.options();
    const auto error = connect_error(options);
    CHECK(error.kind() == ssh::ErrorKind::no_common_method);
    CHECK(error.phase() == ssh::Phase::key_exchange);
    CHECK(contains(error.reason(), "the device offers diffie-hellman-group16-sha512"));
    CHECK(contains(error.remedy(), "Algorithms::legacy"));
    options.algorithms = ssh::Algorithms::legacy;
    CHECK(run(ssh::fetch(options, "echo hello")) == "hello\n");
}

TEST_CASE("a command that does not end is cut off by its deadline, and the connection with it") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    run([](ssh::Options options) -> Coro<void> {
        auto connection = co_await ssh::connect(std::move(options));
        ssh::CommandOptions command;
        command.timeout = 200ms;
        bool failed = false;
        try {
            co_await connection.run("sleep 60", command);
        } catch (const ssh::Error& error) {
            failed = true;
            CHECK(error.kind() == ssh::ErrorKind::timeout);
            CHECK(error.phase() == ssh::Phase::command);
            CHECK(contains(error.reason(), "'sleep 60'"));
            CHECK(contains(error.reason(), "200 ms"));
        }
        CHECK(failed);
        CHECK(connection.closed());
        bool closed = false;
        try {
            co_await connection.run("echo no");
        } catch (const ssh::Error& error) {
            closed = error.kind() == ssh::ErrorKind::closed;
        }
        CHECK(closed);
    }(server.options()));
}

TEST_CASE("when the server is killed in the middle of a command, that is said, at once") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    run([](ssh::Options options, Sshd& sshd) -> Coro<void> {
        auto connection = co_await ssh::connect(std::move(options));
        auto shell = co_await connection.open_shell();
        co_await shell.write("echo ready\n");
        std::string seen;
        while (!contains(seen, "ready")) {
            seen += co_await wait_for(shell.read(), 10s);
        }
        auto waiting = create_task(connection.run("sleep 60"));
        co_await async_sleep(0s);
        sshd.kill_sessions();
        bool lost = false;
        try {
            co_await wait_for(waiting, 10s);
        } catch (const ssh::Error& error) {
            lost = error.kind() == ssh::ErrorKind::connection_lost;
        }
        CHECK(lost);
        CHECK(connection.closed());
        bool shell_lost = false;
        try {
            while (true) {
                co_await wait_for(shell.read(), 10s);
            }
        } catch (const ssh::Error& error) {
            shell_lost = error.kind() == ssh::ErrorKind::connection_lost;
        }
        CHECK(shell_lost);
    }(server.options(), server.sshd));
}

TEST_CASE("a device that stops answering fails the operation by its deadline, in its phase") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    run([](ssh::Options options, Sshd& sshd) -> Coro<void> {
        auto connection = co_await ssh::connect(std::move(options));
        auto shell = co_await connection.open_shell();
        sshd.kill_sessions(SIGSTOP);
        ssh::ShellOptions terminal;
        terminal.timeout = 200ms;
        bool failed = false;
        try {
            auto second = co_await connection.open_shell(terminal);
        } catch (const ssh::Error& error) {
            failed = true;
            CHECK(error.kind() == ssh::ErrorKind::timeout);
            CHECK(error.phase() == ssh::Phase::channel);
        }
        CHECK(failed);
        CHECK(connection.closed());
        bool closed = false;
        try {
            co_await shell.write("x");
        } catch (const ssh::Error& error) {
            closed = error.kind() == ssh::ErrorKind::closed;
        }
        CHECK(closed);
    }(server.options(), server.sshd));
}

TEST_CASE("closing does not wait for ever for a device that stopped answering") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    auto impatient = server.options();
    impatient.timeouts.close = 100ms;
    run([](ssh::Options options, Sshd& sshd) -> Coro<void> {
        auto connection = co_await ssh::connect(std::move(options));
        ssh::ShellOptions terminal;
        terminal.timeout = 200ms;
        auto shell = co_await connection.open_shell(terminal);
        sshd.kill_sessions(SIGSTOP);
        co_await shell.close();
        CHECK(shell.closed());
        co_await connection.close();
        CHECK(connection.closed());
    }(std::move(impatient), server.sshd));
}

TEST_CASE("a device that has gone without a word is noticed by its silence") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    auto watchful = server.options();
    watchful.keepalive = 100ms;
    watchful.keepalive_tries = 3;
    run([](ssh::Options options, Sshd& sshd) -> Coro<void> {
        auto connection = co_await ssh::connect(std::move(options));
        auto shell = co_await connection.open_shell();
        sshd.kill_sessions(SIGSTOP);
        bool lost = false;
        try {
            while (true) {
                co_await wait_for(shell.read(), 10s);
            }
        } catch (const ssh::Error& error) {
            lost = contains(error.reason(), "keepalive");
            CHECK(error.kind() == ssh::ErrorKind::connection_lost);
        }
        CHECK(lost);
        CHECK(connection.closed());
    }(std::move(watchful), server.sshd));
}

TEST_CASE("a cancelled command closes its connection") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    run([](ssh::Options options) -> Coro<void> {
        auto connection = co_await ssh::connect(std::move(options));
        auto task = create_task(connection.run("echo begun >&2; sleep 60"));
        co_await async_sleep(20ms);
        task.cancel();
        bool cancelled = false;
        try {
            co_await task;
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        CHECK(connection.closed());
    }(server.options()));
}

TEST_CASE("the end of the loop with connections, shells and commands under way is clean") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    const auto options = server.options();
    EventLoop loop;
    loop.run_until_complete([](const ssh::Options& each) -> Coro<void> {
        auto ready = get_running_loop().create_future<void>();
        auto first = create_task([](ssh::Options own, Future<void> opened) -> Coro<void> {
            auto connection = co_await ssh::connect(std::move(own));
            auto shell = co_await connection.open_shell();
            opened.set_result();
            co_await connection.run("sleep 60");
        }(each, ready));
        co_await ready;
        auto second = create_task(ssh::fetch(each, "sleep 60"));
        co_await async_sleep(1ms);
    }(options));
}

TEST_CASE("a fetched command that fails is an error with its words") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    try {
        run(ssh::fetch(server.options(), "echo broken >&2; exit 4"));
        FAIL("no error");
    } catch (const ssh::Error& error) {
        CHECK(error.kind() == ssh::ErrorKind::command_failed);
        CHECK(contains(error.reason(), "status 4"));
        CHECK(contains(error.reason(), "broken"));
    }
}

TEST_CASE("many connections at once on one thread") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    const auto options = server.options();
    run([](const ssh::Options& each) -> Coro<void> {
        std::vector<Coro<std::string>> fetches;
        for (int i = 0; i < 20; ++i) {
            fetches.push_back(ssh::fetch(each, "echo " + std::to_string(i)));
        }
        const auto results = co_await gather(std::move(fetches));
        for (int i = 0; i < 20; ++i) {
            CHECK(results[static_cast<std::size_t>(i)] == std::to_string(i) + "\n");
        }
    }(options));
}

TEST_CASE("a connection and a shell that outlive their loop are closed, and harmless") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    using Both = std::pair<ssh::Connection, ssh::Shell>;
    const auto [connection, shell] = run([](ssh::Options options) -> Coro<Both> {
        auto opened = co_await ssh::connect(std::move(options));
        auto terminal = co_await opened.open_shell();
        co_return Both(std::move(opened), std::move(terminal));
    }(server.options()));
    CHECK(connection.closed());
    // Not closed as long as it holds a prompt that came in time; asking it is harmless in any case.
    static_cast<void>(shell.closed());
}
