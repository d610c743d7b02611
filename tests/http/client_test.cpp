#include "support.hpp"

#include <muster/sim/fleet.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using http::Client;
using http::ClientOptions;
using http::Response;

namespace {

std::unique_ptr<sim::Fleet> one_device() {
    sim::FleetOptions options;
    options.https = true;
    return std::make_unique<sim::Fleet>(std::move(options));
}

std::string http_url(const sim::Fleet& fleet) {
    return "http://" + fleet.host(0) + ":" + std::to_string(fleet.http_port(0));
}

ClientOptions as_admin(std::string base_url) {
    ClientOptions options;
    options.base_url = std::move(base_url);
    options.auth = http::BasicAuth{"admin", "admin"};
    return options;
}

} // namespace

TEST_CASE("GET brings JSON from a device") {
    const auto fleet = one_device();
    const auto main = [&]() -> Coro<void> {
        Client client(as_admin(http_url(*fleet)));
        const Response response = co_await client.get("/api/version");
        CHECK(response.status == 200);
        CHECK(response.reason == "OK");
        CHECK(response.ok());
        CHECK(response.headers.get("content-type") == "application/json");
        CHECK(response.json()["hostname"] == "r1");
    };
    run(main());
}

TEST_CASE("POST carries JSON, and the device holds what it says") {
    const auto fleet = one_device();
    const auto main = [&]() -> Coro<void> {
        Client client(as_admin(http_url(*fleet)));
        const nlohmann::json change{{"lines", {"interface GigabitEthernet0/1", "description x1"}}};
        const Response response = co_await client.post("/api/config", change);
        response.raise_for_status();
        CHECK(response.json()["applied"] == 2);
    };
    run(main());
    CHECK(fleet->running_config(0).find("description x1") != std::string::npos);
}

TEST_CASE("a wrong password is a status, and an error only when asked for") {
    const auto fleet = one_device();
    const auto main = [&]() -> Coro<void> {
        ClientOptions options = as_admin(http_url(*fleet));
        options.auth = http::BasicAuth{"admin", "hunter2"};
        Client client(options);
        const Response response = co_await client.get("/api/version");
        CHECK(response.status == 401);
        try {
            response.raise_for_status();
            FAIL("passed");
        } catch (const http::StatusError& error) {
            CHECK(error.status() == 401);
            CHECK_FALSE(holds(error.what(), "hunter2"));
        }
    };
    run(main());
}

TEST_CASE("HEAD has the header of GET and no body, and the connection goes on") {
    const auto fleet = one_device();
    const auto main = [&]() -> Coro<void> {
        Client client(as_admin(http_url(*fleet)));
        const Response head = co_await client.head("/api/version");
        CHECK(head.ok());
        CHECK(head.body.empty());
        CHECK(head.headers.get("Content-Length") != "0");
        const Response missing = co_await client.get("/api/nothing");
        CHECK(missing.status == 404);
        CHECK(client.idle_connections() == 1);
    };
    run(main());
    CHECK(fleet->http_requests(0) == 2);
}

TEST_CASE("two hundred devices are asked at once, in clear text and TLS") {
    sim::FleetOptions fleet_options;
    fleet_options.devices = 100;
    fleet_options.https = true;
    const sim::Fleet fleet(fleet_options);
    ClientOptions options;
    options.auth = http::BasicAuth{"admin", "admin"};
    options.tls.ca_pem = fleet.ca_certificate();
    const auto main = [&]() -> Coro<void> {
        Client client(options);
        std::vector<Coro<Response>> requests;
        for (int i = 0; i < fleet.size(); ++i) {
            requests.push_back(client.get("http://" + fleet.host(i) + ":" +
                                          std::to_string(fleet.http_port(i)) + "/api/version"));
            requests.push_back(client.get("https://" + fleet.host(i) + ":" +
                                          std::to_string(fleet.https_port(i)) + "/api/version"));
        }
        const std::vector<Response> responses = co_await gather(std::move(requests));
        for (std::size_t i = 0; i < responses.size(); ++i) {
            CHECK(responses[i].json()["hostname"] == fleet.name(static_cast<int>(i / 2)));
        }
    };
    run(main());
}

TEST_CASE("fetch of two devices at once: the first program of the README") {
    sim::FleetOptions fleet_options;
    fleet_options.devices = 2;
    const sim::Fleet fleet(fleet_options);
    const auto main = [&]() -> Coro<void> {
        ClientOptions options;
        options.auth = http::BasicAuth{"admin", "admin"};
        const auto url = [&](int i) {
            return "http://" + fleet.host(i) + ":" + std::to_string(fleet.http_port(i)) +
                   "/api/interfaces";
        };
        const auto results =
            co_await gather(http::fetch(url(0), options), http::fetch(url(1), options));
        const auto& [a, b] = results;
        CHECK(a.json()["interfaces"].size() > 0);
        CHECK(b.json()["interfaces"].size() > 0);
    };
    run(main());
}

TEST_CASE("a device that hangs ends with a timeout, and one that resets with a lost connection") {
    sim::FleetOptions fleet_options;
    fleet_options.devices = 2;
    fleet_options.each = [](int index, sim::DeviceSpec& spec) {
        spec.fault = sim::Fault::parse(index == 0 ? "hang-after-accept" : "reset-after-banner");
    };
    const sim::Fleet fleet(fleet_options);
    const auto main = [&]() -> Coro<void> {
        ClientOptions options;
        options.timeouts.response = 100ms;
        Client client(options);
        const auto url = [&](int i) {
            return "http://" + fleet.host(i) + ":" + std::to_string(fleet.http_port(i)) + "/";
        };
        const http::Error hung = co_await error_of(client.get(url(0)));
        CHECK(hung.kind() == http::ErrorKind::timeout);
        CHECK(hung.phase() == http::Phase::response);
        const http::Error reset = co_await error_of(client.get(url(1)));
        CHECK(reset.kind() == http::ErrorKind::connection_lost);
    };
    run(main());
}
