#include "listening_sshd.hpp"

#include <muster/muster.hpp>
#include <muster/ssh/connection.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;

TEST_CASE("a connection goes through two others, each with its own keys") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd outer;
    ListeningSshd inner;
    ListeningSshd target;
    run([](ssh::Options first, ssh::Options second, ssh::Options last) -> Coro<void> {
        auto one = co_await ssh::connect(std::move(first));
        second.via = &one;
        auto two = co_await ssh::connect(std::move(second));
        last.via = &two;
        auto three = co_await ssh::connect(std::move(last));
        const auto hello = co_await three.run("echo hello");
        CHECK(hello.out == "hello\n");
        const auto large = co_await three.run("head -c 3000000 /dev/zero | tr '\\0' x");
        CHECK(large.out == std::string(3'000'000, 'x'));
        ssh::CommandOptions copy;
        copy.input = std::string(2'000'000, 'y');
        const auto back = co_await three.run("cat", copy);
        CHECK(back.out == copy.input);
        co_await three.close();
        CHECK_FALSE(two.closed());
        const auto still = co_await two.run("echo still");
        CHECK(still.out == "still\n");
        co_await two.close();
        co_await one.close();
    }(outer.options(), inner.options(), target.options()));
}

TEST_CASE("jump hosts are connected on the way, and end with the connection") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd outer;
    ListeningSshd inner;
    ListeningSshd target;
    run([](ssh::Options first, ssh::Options second, ssh::Options last) -> Coro<void> {
        last.proxy_jump = {std::move(first), std::move(second)};
        auto connection = co_await ssh::connect(std::move(last));
        const auto hello = co_await connection.run("echo hello");
        CHECK(hello.out == "hello\n");
        co_await connection.close();
        CHECK(connection.closed());
    }(outer.options(), inner.options(), target.options()));
    outer.sshd.wait_for_sessions();
    inner.sshd.wait_for_sessions();
}

TEST_CASE("jump hosts end with a connection that is dropped, or that failed") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd bastion;
    ListeningSshd target;
    auto options = target.options();
    options.proxy_jump = {bastion.options()};
    run([](const ssh::Options& each) -> Coro<void> {
        {
            auto dropped = co_await ssh::connect(each);
        }
        auto refused = each;
        refused.username = "nobody-of-that-name";
        bool failed = false;
        try {
            co_await ssh::connect(refused);
        } catch (const ssh::Error& error) {
            failed = error.kind() == ssh::ErrorKind::authentication;
        }
        CHECK(failed);
    }(options));
    bastion.sshd.wait_for_sessions();
}

TEST_CASE("what fails on the way says where, and for whom") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd outer;
    ListeningSshd target;
    auto wrong = outer.options();
    wrong.username = "nobody-of-that-name";
    auto options = target.options();
    options.proxy_jump = {wrong};
    options.host = "localhost";
    const auto refused = connect_error(options);
    CHECK(refused.kind() == ssh::ErrorKind::authentication);
    CHECK(refused.host() == "127.0.0.1");
    CHECK(contains(refused.reason(), "on the way to localhost"));

    // The bastion cannot reach the target.
    auto nowhere = target.options();
    nowhere.port = 1;
    nowhere.proxy_jump = {outer.options()};
    const auto unreachable = connect_error(nowhere);
    CHECK(unreachable.kind() == ssh::ErrorKind::unreachable);
    CHECK(unreachable.phase() == ssh::Phase::connect);
    CHECK(unreachable.port() == 1);
    CHECK(contains(unreachable.reason(), "through 127.0.0.1"));

    ListeningSshd closed("AllowTcpForwarding no");
    auto forbidden = target.options();
    forbidden.proxy_jump = {closed.options()};
    const auto prohibited = connect_error(forbidden);
    CHECK(prohibited.kind() == ssh::ErrorKind::unreachable);
    CHECK(contains(prohibited.remedy(), "forwarding"));
}

TEST_CASE("one connection carries many, and survives those that fail") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd bastion;
    ListeningSshd target;
    run([](ssh::Options first, ssh::Options last) -> Coro<void> {
        auto carrier = co_await ssh::connect(std::move(first));
        last.via = &carrier;
        auto refused = last;
        refused.username = "nobody-of-that-name";
        auto nowhere = last;
        nowhere.port = 1;
        std::vector<Coro<std::string>> fetches;
        for (int i = 0; i < 12; ++i) {
            fetches.push_back(ssh::fetch(i % 3 == 0   ? refused
                                         : i % 3 == 1 ? nowhere
                                                      : last,
                                         "echo " + std::to_string(i)));
        }
        const auto results = co_await gather(return_exceptions, std::move(fetches));
        for (std::size_t i = 0; i < results.size(); ++i) {
            CHECK(results[i].has_value() == (i % 3 == 2));
        }
        CHECK_FALSE(carrier.closed());
        co_await carrier.close();
    }(bastion.options(), target.options()));
}

TEST_CASE("a tunnel whose opening is given up leaves the carrier and the others alone") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd bastion;
    ListeningSshd target;
    run([](ssh::Options first, ssh::Options last, Sshd& sshd) -> Coro<void> {
        auto carrier = co_await ssh::connect(std::move(first));
        last.via = &carrier;
        sshd.kill_sessions(SIGSTOP); // nothing is answered now
        auto given_up = last;
        given_up.timeouts.connect = 50ms;
        bool late = false;
        try {
            co_await ssh::connect(given_up);
        } catch (const ssh::Error& error) {
            late = true;
            CHECK(error.kind() == ssh::ErrorKind::timeout);
            CHECK(error.phase() == ssh::Phase::connect);
        }
        CHECK(late);
        auto cancelled = create_task(carrier.open_tcp("127.0.0.1", last.port));
        co_await async_sleep(1ms);
        cancelled.cancel();
        sshd.kill_sessions(SIGCONT);
        CHECK_FALSE(carrier.closed());
        const std::string hello = co_await ssh::fetch(last, "echo hello");
        CHECK(hello == "hello\n");
        co_await carrier.close();
    }(bastion.options(), target.options(), bastion.sshd));
}

TEST_CASE("a connection ends when the one that carries it does") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd bastion;
    ListeningSshd target;
    run([](ssh::Options first, ssh::Options last, Sshd& sshd) -> Coro<void> {
        auto carrier = co_await ssh::connect(std::move(first));
        last.via = &carrier;
        auto carried = co_await ssh::connect(std::move(last));
        auto shell = co_await carried.open_shell();
        sshd.kill_sessions();
        bool lost = false;
        try {
            while (true) {
                co_await shell.read();
            }
        } catch (const ssh::Error& error) {
            lost = true;
            CHECK(error.kind() == ssh::ErrorKind::connection_lost);
            CHECK(contains(error.reason(), "the connection through 127.0.0.1 ended"));
        }
        CHECK(lost);
        ssh::Options again;
        again.host = "127.0.0.1";
        again.via = &carrier;
        bool closed = false;
        try {
            co_await ssh::connect(again);
        } catch (const ssh::Error& error) {
            closed = error.kind() == ssh::ErrorKind::closed;
        }
        CHECK(closed);
    }(bastion.options(), target.options(), bastion.sshd));
}

TEST_CASE("connecting through another connection can be cancelled at any moment") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd bastion;
    ListeningSshd target;
    run([](ssh::Options first, ssh::Options last) -> Coro<void> {
        auto carrier = co_await ssh::connect(std::move(first));
        last.via = &carrier;
        for (int turns = 0; turns < 60; turns += 3) {
            auto connecting = create_task(ssh::connect(last));
            for (int i = 0; i < turns; ++i) {
                co_await async_sleep(100us);
            }
            connecting.cancel();
            co_await wait(std::vector<Task<ssh::Connection>>{connecting});
        }
        CHECK_FALSE(carrier.closed());
        const std::string hello = co_await ssh::fetch(last, "echo hello");
        CHECK(hello == "hello\n");
        co_await carrier.close();
    }(bastion.options(), target.options()));
}
