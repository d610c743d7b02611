#include "listening_sshd.hpp"
#include "pumped.hpp"
#include "ssh/kex_cost.hpp"
#include "ssh/sftp_engine.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace muster::ssh::detail;
using namespace std::chrono_literals;

namespace {

/// A handshake with sshd, computing where the engine wants it: how often that was.
int computed_steps(const std::string& kex, Clock::duration budget) {
    Sshd sshd("KexAlgorithms " + kex);
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
    sshd.serve(fds[1]);
    Pumped connection(fds[0], legacy_methods());
    connection.engine.set_compute_budget(budget);
    REQUIRE(connection.drive([&] { return connection.engine.handshake(); }) == 0);
    return connection.computed;
}

} // namespace

TEST_CASE("key exchange steps over the budget are left to another thread, others are not") {
    if (no_sshd()) {
        return;
    }
    CHECK(computed_steps("diffie-hellman-group16-sha512", 1ms) > 0);
    CHECK(computed_steps("diffie-hellman-group16-sha512", Clock::duration::max()) == 0);
    CHECK(computed_steps("curve25519-sha256", 0ms) > 0);
    CHECK(computed_steps("curve25519-sha256", 1s) == 0);
}

TEST_CASE("what a key exchange costs is learned, and one long step does not decide") {
    KexCost cost("", 500us);
    cost.note(7ms);
    CHECK(cost.estimate() < 1ms);
    for (int i = 0; i < 100; ++i) {
        cost.note(7ms);
    }
    CHECK(cost.estimate() > 6ms);
    for (int i = 0; i < 1000; ++i) {
        cost.note(10us);
    }
    CHECK(cost.estimate() < 1ms);
    CHECK(KexCost::of("diffie-hellman-group16-sha512").estimate() > 1ms);
    CHECK(KexCost::of("of the future").estimate() > 1ms);
    CHECK(&KexCost::of("curve25519-sha256") != &KexCost::of("ecdh-sha2-nistp256"));
}

TEST_CASE("sessions with every key exchange on other threads do all that others do") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server("RekeyLimit 100K\nMaxSessions 50");
    auto options = server.options();
    options.key_exchange_budget = 0ms;
    const TempFolder folder;
    run([](ssh::Options each, std::string path) -> Coro<void> {
        std::vector<Coro<std::string>> fetches;
        for (int i = 0; i < 20; ++i) {
            fetches.push_back(ssh::fetch(each, "echo " + std::to_string(i)));
        }
        const auto results = co_await gather(std::move(fetches));
        for (std::size_t i = 0; i < results.size(); ++i) {
            CHECK(results[i] == std::to_string(i) + "\n");
        }
        auto connection = co_await ssh::connect(each);
        const auto [a, b] =
            co_await gather(connection.run("head -c 2000000 /dev/zero | tr '\\0' a"),
                            connection.run("head -c 2000000 /dev/zero | tr '\\0' b >&2; exit 2"));
        CHECK(a.out == std::string(2'000'000, 'a'));
        CHECK(b.err == std::string(2'000'000, 'b'));
        CHECK(b.exit_status == 2);
        auto shell = co_await connection.open_shell();
        co_await shell.write("echo he''llo\n");
        std::string seen;
        while (!contains(seen, "hello")) {
            seen += co_await shell.read();
        }
        co_await shell.close();

        // Beside a command, and alone.
        auto sftp = co_await connection.sftp();
        const std::string content(1'500'000, 'c');
        write_text(path + "/here", content);
        const auto [put, c] = co_await gather(sftp.put(path + "/here", path + "/there"),
                                              connection.run("head -c 500000 /dev/zero"));
        CHECK(put.bytes == content.size());
        CHECK(c.out.size() == 500'000);
        co_await sftp.get(path + "/there", path + "/back");
        CHECK(read_text(path + "/back") == content);
        co_await sftp.close();
        co_await connection.close();
    }(std::move(options), folder.path()));
}

TEST_CASE("a session with nothing but SFTP renews its keys on other threads, too") {
    if (no_sshd()) {
        return;
    }
    Sshd sshd("RekeyLimit 100K");
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
    sshd.serve(fds[1]);
    Pumped connection(fds[0]);
    Engine& engine = connection.engine;
    engine.set_compute_budget(0ms);
    REQUIRE(connection.drive([&] { return engine.handshake(); }) == 0);
    REQUIRE(log_in(connection, sshd.user(), ssh::PrivateKey::load(sshd.user_key())) == 0);
    SftpEngine sftp(engine);
    REQUIRE(connection.drive([&] { return sftp.open(); }) == 0);

    const int before = connection.computed;
    const std::string path = sshd.folder() + "/file";
    std::string content;
    for (int i = 0; content.size() < 1'000'000; ++i) {
        content += std::to_string(i) + "\n";
    }
    write_text(path, content);
    std::shared_ptr<SftpHandle> file;
    REQUIRE(connection.drive([&] { return sftp.open_file(path, LIBSSH2_FXF_READ, 0, file); }) == 0);
    std::string got;
    std::vector<char> buffer(SftpEngine::read_size);
    for (int size = 1; size > 0;) {
        size = connection.drive(
            [&] { return sftp.read(*file, got.size(), buffer.data(), buffer.size()); });
        REQUIRE(size >= 0);
        got.append(buffer.data(), static_cast<std::size_t>(size));
    }
    CHECK(got == content);
    CHECK(connection.computed > before);
    CHECK(connection.drive([&] { return sftp.shutdown(); }) == 0);

    // Nothing of it is read any more.
    const int after = connection.computed;
    CHECK(connection.drive([&] { return engine.disconnect(); }) == 0);
    CHECK(connection.computed == after);
}

TEST_CASE("a key exchange on another thread can be cancelled, dropped and outlived") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server("KexAlgorithms diffie-hellman-group16-sha512");
    auto options = server.options();
    options.algorithms = ssh::Algorithms::legacy;
    run([](const ssh::Options& each) -> Coro<void> {
        for (int step = 0; step < 24; ++step) {
            auto connecting = create_task(ssh::connect(each));
            co_await async_sleep(step * 4ms);
            connecting.cancel();
            co_await wait(std::vector<Task<ssh::Connection>>{connecting});
        }
        auto late = each;
        late.timeouts.handshake = 20ms;
        bool timed_out = false;
        try {
            co_await ssh::connect(late);
        } catch (const ssh::Error& error) {
            timed_out = error.kind() == ssh::ErrorKind::timeout;
            CHECK(error.phase() == ssh::Phase::key_exchange);
        }
        CHECK(timed_out);
    }(options));
    for (int step = 0; step < 8; ++step) {
        EventLoop loop;
        auto connecting = loop.create_task(ssh::connect(options));
        loop.run_until_complete([](int milliseconds) -> Coro<void> {
            co_await async_sleep(milliseconds * 1ms);
        }(step * 10));
    }
}
