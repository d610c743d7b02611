#include <muster/device/fetch.hpp>
#include <muster/fleet/inventory.hpp>
#include <muster/muster.hpp>

#include <iostream>

using namespace muster;
using device::fetch;

Coro<> ask_both(const device::Device& a, const device::Device& b) {
    const device::CliOptions options{.known_hosts = {"known_hosts"}};
    auto replies = co_await gather(fetch(a, "show version", options),  // over SSH
                                   fetch(b, "/api/version", options)); // over HTTP
    auto& [version, api] = replies;
    std::cout << a.name << ": " << version.text.substr(0, version.text.find('\n')) << '\n'
              << b.name << ": " << api.json().at("version").get<std::string>() << '\n';
}

int main() {
    const auto devices = fleet::Inventory::load("devices.yaml");
    run(ask_both(*devices.find("r1"), *devices.find("r2")));
}
