#include "scripted_server.hpp"

#include <muster/http/client.hpp>
#include <muster/muster.hpp>
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
