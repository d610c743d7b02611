#include "virtual_fleet.hpp"

#include <muster/device/fetch.hpp>
#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <utility>

using namespace muster;
using namespace muster::device;

namespace {

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

sim::FleetOptions with_http() {
    sim::FleetOptions options = VirtualFleet::one();
    options.http = true;
    options.https = true;
    return options;
}

Device over_http(VirtualFleet& fleet) {
    Device device = fleet.device();
    device.transport = Transport::http;
    device.port = fleet.fleet().http_port();
    return device;
}

/// What fetching fails with.
template <class E = DeviceError>
std::optional<E> fetch_failure(Device device, Request request, CliOptions options) {
    try {
        static_cast<void>(run(fetch(std::move(device), std::move(request), std::move(options))));
    } catch (const E& error) {
        return error;
    }
    return std::nullopt;
}

} // namespace

TEST_CASE("the same question to an SSH and an HTTP device at once") {
    VirtualFleet fleet(with_http());
    const auto main = [&]() -> Coro<void> {
        Device router = fleet.device();
        Device server = over_http(fleet);
        auto replies = co_await gather(fetch(router, "show version", fleet.options()),
                                       fetch(server, "/api/version"));
        const auto& [cli, rest] = replies;
        CHECK(cli.device == "r1");
        CHECK(contains(cli.text, "Software"));
        CHECK_FALSE(cli.http_status.has_value());
        CHECK(cli.elapsed > Clock::duration::zero());
        CHECK(rest.http_status == 200);
        CHECK(rest.json().is_object());
    };
    run(main());
}

TEST_CASE("without a question, the version is asked for") {
    VirtualFleet fleet(VirtualFleet::one());
    CHECK(contains(run(fetch(fleet.device(), Request{}, fleet.options())).text, "Software"));
}

TEST_CASE("commands that need it are asked in privileged mode, if there is a secret") {
    VirtualFleet fleet(VirtualFleet::one());
    Request request;
    request.command = "show running-config";
    CHECK(contains(run(fetch(fleet.device(), request, fleet.options())).text, "hostname r1"));
    Device device = fleet.device();
    device.secret = Secret();
    const auto error = fetch_failure<CommandRejected>(device, request, fleet.options());
    REQUIRE(error.has_value());
    CHECK(contains(error->words(), "% Invalid input"));
    request.check = false;
    CHECK(contains(run(fetch(device, request, fleet.options())).text, "% Invalid input"));
}

TEST_CASE("HTTPS checks the certificate") {
    VirtualFleet fleet(with_http());
    Device device = fleet.device();
    device.transport = Transport::https;
    device.port = fleet.fleet().https_port();
    Request request;
    request.path = "/api/version";
    const auto error = fetch_failure(device, request, {});
    REQUIRE(error.has_value());
    CHECK(error->phase() == Phase::host_key);
    CHECK_FALSE(error->remedy().empty());
    device.verify_tls = false;
    CHECK(run(fetch(device, request)).http_status == 200);
}

TEST_CASE("JSON is posted and read") {
    VirtualFleet fleet(with_http());
    Request request;
    request.path = "/api/config";
    request.method = "POST";
    request.body = nlohmann::json{{"lines", {"ntp server 10.0.0.9"}}};
    static_cast<void>(run(fetch(over_http(fleet), request)));
    CHECK(contains(fleet.fleet().running_config(0), "ntp server 10.0.0.9"));
}

TEST_CASE("HTTP failures say where, why and whether the login was refused") {
    VirtualFleet fleet(with_http());
    Device device = over_http(fleet);
    Request request;
    request.path = "/api/nothing";
    SUBCASE("a status is an error unless asked otherwise") {
        const auto error = fetch_failure<CommandRejected>(device, request, {});
        REQUIRE(error.has_value());
        CHECK(error->phase() == Phase::command);
        CHECK(contains(error->reason(), "`GET /api/nothing` was answered 404"));
        request.check = false;
        CHECK(run(fetch(device, request)).http_status == 404);
    }
    SUBCASE("a wrong password") {
        device.password = "swordfish";
        const auto error = fetch_failure(device, request, {});
        REQUIRE(error.has_value());
        CHECK(error->phase() == Phase::authentication);
        CHECK(error->failure().refused);
        CHECK_FALSE(contains(error->what(), "swordfish"));
    }
    SUBCASE("a closed port") {
        fleet.fleet().stop();
        const auto error = fetch_failure(device, request, {});
        REQUIRE(error.has_value());
        CHECK(error->phase() == Phase::connect);
        CHECK(error->host() == endpoint(device));
    }
    SUBCASE("not JSON") {
        const auto parse = [] {
            Reply reply;
            reply.device = "r1";
            reply.text = "<html>";
            static_cast<void>(reply.json());
        };
        CHECK_THROWS_WITH_AS(parse(), "r1: the answer is not JSON: byte 1", Error);
    }
}

TEST_CASE("a request must fit the transport") {
    Device device;
    device.name = "r1";
    device.host = "192.0.2.1";
    device.platform = "cisco_ios";
    Request request;
    request.path = "/api";
    const auto over_ssh = fetch_failure(device, request, {});
    REQUIRE(over_ssh.has_value());
    CHECK(contains(over_ssh->reason(), "reached over SSH, and the request has no command"));
    device.transport = Transport::http;
    request.path.clear();
    request.command = "show version";
    const auto over_http = fetch_failure(device, request, {});
    REQUIRE(over_http.has_value());
    CHECK(contains(over_http->reason(), "reached over HTTP, and the request has no path"));
}
