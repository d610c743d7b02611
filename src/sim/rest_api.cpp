#include "rest_api.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace muster::sim {

namespace {

using nlohmann::json;

ApiResponse reply(unsigned status, const json& body) {
    // A byte that is not UTF-8, from a banner perhaps, must not end the server.
    return {status, body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n", {}};
}

ApiResponse problem(unsigned status, std::string_view what) {
    return reply(status, {{"error", {{"code", status}, {"message", what}}}});
}

std::string base64(std::string_view text) {
    constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string result;
    for (std::size_t i = 0; i < text.size(); i += 3) {
        std::uint32_t bits = 0;
        for (std::size_t j = 0; j < 3; ++j) {
            const auto byte = i + j < text.size() ? static_cast<unsigned char>(text[i + j]) : 0U;
            bits = bits << 8 | byte;
        }
        for (std::size_t j = 0; j < 4; ++j) {
            result += i + j > text.size() ? '=' : alphabet[bits >> (18 - 6 * j) & 63];
        }
    }
    return result;
}

bool authorized(const DeviceSpec& spec, std::string_view header) {
    return !spec.fault.reject_login &&
           header == "Basic " + base64(spec.username + ":" + spec.password.reveal());
}

json version(const IosDevice& ios) {
    return {{"hostname", ios.hostname()},
            {"version", IosDevice::version()},
            {"serial", ios.serial()},
            {"uptime_seconds", ios.uptime().count()}};
}

json interfaces(const IosDevice& ios) {
    auto list = json::array();
    for (const auto& interface : ios.interfaces()) {
        list.push_back({{"name", interface.name},
                        {"ip", interface.ip},
                        {"mask", interface.mask},
                        {"description", interface.description},
                        {"enabled", interface.enabled},
                        {"status", interface.enabled ? "up" : "down"}});
    }
    return {{"interfaces", std::move(list)}};
}

ApiResponse configure(VirtualDevice& device, std::string_view body) {
    const auto request = json::parse(body, nullptr, false);
    if (!request.is_object() || !request.contains("lines") || !request["lines"].is_array()) {
        return problem(400, "expected {\"lines\": [\"...\", ...]}");
    }
    std::vector<std::string> lines;
    for (const auto& line : request["lines"]) {
        if (!line.is_string()) {
            return problem(400, "a line is not a string");
        }
        lines.push_back(line.get<std::string>());
    }
    const auto& reject = device.spec.fault.reject_line;
    const auto result = device.ios.configure(lines, device.spec.username, reject);
    if (!result.rejected) {
        return reply(200, {{"applied", result.applied}});
    }
    return reply(
        400, {{"applied", result.applied},
              {"error",
               {{"code", 400}, {"message", "line rejected"}, {"line", lines[result.applied]}}}});
}

} // namespace

ApiResponse answer(VirtualDevice& device, const ApiRequest& request) {
    ++device.requests;
    if (!authorized(device.spec, request.authorization)) {
        return problem(401, "user name or password is wrong");
    }
    const auto path = request.target.substr(0, request.target.find('?'));
    constexpr std::array<std::string_view, 3> known{"/api/version", "/api/interfaces",
                                                    "/api/config"};
    if (path != known[0] && path != known[1] && path != known[2]) {
        return problem(404, "there is no such resource");
    }
    const bool reads = request.method == "GET" || request.method == "HEAD";
    const std::scoped_lock lock(device.mutex);
    if (path == "/api/config" && request.method == "POST") {
        return configure(device, request.body);
    }
    if (!reads) {
        auto response = problem(405, "the method does not fit the resource");
        response.allow = path == "/api/config" ? "GET, HEAD, POST" : "GET, HEAD";
        return response;
    }
    if (path == "/api/version") {
        return reply(200, version(device.ios));
    }
    if (path == "/api/interfaces") {
        return reply(200, interfaces(device.ios));
    }
    return reply(200, {{"config", device.ios.running_config()}});
}

} // namespace muster::sim
