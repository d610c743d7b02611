#include "http_fetch.hpp"

#include "verdict.hpp"

#include <muster/device/redact.hpp>
#include <muster/http/client.hpp>

#include <array>
#include <optional>
#include <utility>

namespace muster::device {

namespace {

constexpr int unauthorized = 401;
constexpr int forbidden = 403;

Phase to_phase(const http::Error& error) noexcept {
    switch (error.phase()) {
    case http::Phase::resolve:
        return Phase::resolve;
    case http::Phase::prepare:
    case http::Phase::connect:
        return Phase::connect;
    case http::Phase::tls:
        return error.kind() == http::ErrorKind::certificate ? Phase::host_key : Phase::key_exchange;
    case http::Phase::request:
    case http::Phase::response:
        return Phase::command;
    }
    return Phase::command;
}

Failure failure_of(const Device& device, const http::Error& error) {
    Failure failure;
    failure.device = device.name;
    failure.host = endpoint(device);
    failure.phase = to_phase(error);
    failure.reason = error.reason();
    failure.remedy = error.remedy();
    failure.timed_out = error.kind() == http::ErrorKind::timeout;
    return failure;
}

http::Request to_http(const Device& device, const PhaseTimeouts& limits, Request request) {
    http::Request result;
    result.method = std::move(request.method);
    result.url = std::string(to_string(device.transport)) + "://" + endpoint(device) +
                 (request.path.starts_with('/') ? "" : "/") + request.path;
    result.body = std::move(request.body);
    if (!device.username.empty()) {
        http::BasicAuth auth;
        auth.username = device.username;
        auth.password = device.password;
        result.options.auth = std::move(auth);
    }
    http::Timeouts timeouts;
    timeouts.connect = limits.connect;
    timeouts.tls = limits.connect;
    timeouts.response = request.timeout.value_or(limits.command);
    timeouts.idle = timeouts.response;
    timeouts.total = 2 * limits.connect + request.timeout.value_or(limits.command);
    result.options.timeouts = timeouts;
    return result;
}

[[noreturn]] void refuse(const Device& device, const std::string& what,
                         const http::Response& response) {
    const std::array secrets{device.password, device.secret, device.passphrase};
    std::string words = redact(words_of(head_of(response.body)), secrets);
    Failure failure;
    failure.device = device.name;
    failure.host = endpoint(device);
    failure.phase = Phase::command;
    failure.reason = "`" + what + "` was answered " + std::to_string(response.status) + " " +
                     response.reason + (words.empty() ? "" : ": " + words);
    if (response.status == unauthorized || response.status == forbidden) {
        failure.phase = Phase::authentication;
        failure.refused = true;
        failure.remedy =
            "check `username` and `password` in the inventory, and what the user may do";
    }
    throw CommandRejected(std::move(failure), what, std::move(words));
}

} // namespace

Coro<Reply> fetch_over_http(Device device, Request request, CliOptions options) {
    // An HTTP device may be of a platform whose command line nothing is known of.
    const Platform* known = find_platform(device.platform);
    const Platform& platform = known != nullptr ? *known : *find_platform("generic");
    const PhaseTimeouts limits = limits_for(device, platform, options.timeouts);
    const bool check = request.check;
    const std::string what =
        request.method + " " + (request.path.empty() ? std::string("/") : request.path);
    http::ClientOptions client;
    client.tls.verify = device.verify_tls ? http::Verify::full : http::Verify::insecure;
    client.tls.ca_file = device.ca_file;
    client.max_body = options.max_output;
    http::Request message = to_http(device, limits, std::move(request));

    std::optional<http::Response> response;
    std::optional<Failure> failed;
    try {
        response = co_await http::fetch(std::move(message), std::move(client));
    } catch (const http::Error& error) {
        failed = failure_of(device, error);
    }
    if (failed) {
        throw DeviceError(std::move(*failed));
    }
    if (check && !response->ok()) {
        refuse(device, what, *response);
    }
    Reply reply;
    reply.text = std::move(response->body);
    reply.http_status = response->status;
    co_return reply;
}

} // namespace muster::device
