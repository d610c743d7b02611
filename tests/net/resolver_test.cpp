#include "coro_test.hpp"

#include <muster/muster.hpp>
#include <muster/net/resolver.hpp>

#include <doctest/doctest.h>

#include <netdb.h>

#include <algorithm>
#include <string>

using namespace muster;
using testing_support::outcome;
using testing_support::turns;

namespace {

template <class T>
Coro<std::string> trouble(Coro<T> lookup) {
    try {
        static_cast<void>(co_await std::move(lookup));
    } catch (const ResolveError& error) {
        CHECK(error.kind() == ConnectError::Kind::resolve);
        co_return error.what();
    }
    co_return "none";
}

} // namespace

CO_TEST_CASE("an address resolves to itself, with the port") {
    const auto ipv4 = co_await getaddrinfo("192.0.2.1", 22);
    REQUIRE(ipv4.size() == 1);
    CHECK(ipv4.front() == SocketAddress{"192.0.2.1", 22, {}});
    CHECK(ipv4.front().str() == "192.0.2.1:22");
    const auto ipv6 = co_await getaddrinfo("[2001:DB8::1]", 22);
    REQUIRE(ipv6.size() == 1);
    CHECK(ipv6.front().host == "2001:db8::1");
    CHECK(ipv6.front().str() == "[2001:db8::1]:22");
}

CO_TEST_CASE("a name resolves to all its addresses, or those of one family") {
    const auto all = co_await getaddrinfo("localhost", 80);
    const SocketAddress loopback{"127.0.0.1", 80, {}};
    CHECK(std::ranges::count(all, loopback) == 1);
    ResolveOptions options;
    options.family = AddressFamily::ipv4;
    const auto ipv4 = co_await getaddrinfo("localhost", 80, options);
    CHECK(ipv4 == std::vector<SocketAddress>(1, loopback));
    options.passive = true;
    const auto everywhere = co_await getaddrinfo("", 0, options);
    CHECK(everywhere == std::vector<SocketAddress>(1, SocketAddress{"0.0.0.0", 0, {}}));
}

CO_TEST_CASE("a service has a port") {
    ResolveOptions options;
    options.family = AddressFamily::ipv4;
    const auto numeric = co_await getaddrinfo("127.0.0.1", std::string("8080"), options);
    REQUIRE(numeric.size() == 1);
    CHECK(numeric.front().port == 8080);
    const std::string unknown =
        co_await trouble(getaddrinfo("127.0.0.1", std::string("no-such-service"), options));
    CHECK(unknown.find("no-such-service") != std::string::npos);
}

CO_TEST_CASE("what can't be resolved is named") {
    const std::string name = co_await trouble(getaddrinfo("no-such-host.invalid", 22));
    CHECK(name.find("'no-such-host.invalid'") != std::string::npos);
    ResolveOptions options;
    options.numeric_host = true;
    const std::string numeric = co_await trouble(getaddrinfo("localhost", 22, options));
    CHECK(numeric.find("'localhost'") != std::string::npos);
    options.numeric_host = false;
    options.family = AddressFamily::ipv6;
    const std::string family = co_await trouble(getaddrinfo("127.0.0.1", 22, options));
    CHECK(family.find("'127.0.0.1'") != std::string::npos);
}

CO_TEST_CASE("an address has a name") {
    NameInfoOptions options;
    options.numeric_host = options.numeric_service = true;
    const NameInfo numeric = co_await getnameinfo(SocketAddress{"127.0.0.1", 22, {}}, options);
    CHECK(numeric.host == "127.0.0.1");
    CHECK(numeric.service == "22");
    bool refused = false;
    try {
        static_cast<void>(co_await getnameinfo(SocketAddress{"localhost", 22, {}}));
    } catch (const ValueError&) {
        refused = true;
    }
    CHECK(refused);
    refused = false;
    try {
        static_cast<void>(co_await getnameinfo(SocketAddress{"", 0, "/path"}));
    } catch (const ValueError&) {
        refused = true;
    }
    CHECK(refused);
}

CO_TEST_CASE("a lookup can be cancelled at any moment") {
    auto unstarted = create_task(getaddrinfo("localhost", 80));
    unstarted.cancel();
    co_await turns();
    CHECK(outcome(unstarted) == "cancelled");
    auto waiting = create_task(getaddrinfo("localhost", 80));
    co_await turns();
    waiting.cancel();
    co_await turns(3);
    CHECK(outcome(waiting) == "cancelled"); // at once, whatever the thread does
    auto before = create_task([]() -> Coro<void> {
        current_task().cancel();
        static_cast<void>(co_await getaddrinfo("localhost", 80));
    }());
    co_await turns(4);
    CHECK(outcome(before) == "cancelled");
}

TEST_CASE("a loop that is destroyed during a lookup does not wait for it") {
    EventLoop loop;
    const auto main = []() -> Coro<void> {
        create_task(getaddrinfo("localhost", 80));
        co_await turns(2);
    };
    loop.run_until_complete(main());
}
