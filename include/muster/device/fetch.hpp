#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/coro.hpp>
#include <muster/device/cli.hpp>
#include <muster/device/device.hpp>
#include <muster/http/message.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <optional>
#include <string>

namespace muster::device {

/// What is wanted of a device: a command where it is reached over SSH, a path where over HTTP. One
/// request may have both, for a fleet that has both.
struct Request {
    /// Empty: what shows the version on the device's platform.
    std::string command = {};
    /// Begins with `/`; empty: `/`.
    std::string path = {};
    /// Of the HTTP request.
    std::string method = "GET";
    /// Of the HTTP request: nothing, text or JSON.
    http::Body body = {};
    /// For the answer, once connected; by default the device's limit for commands.
    std::optional<std::chrono::milliseconds> timeout = {};
    /// Throw CommandRejected when the device refuses the command, ends it with a status other than
    /// 0, or answers an HTTP status outside 200-299.
    bool check = true;
};

/// What a device answered.
struct Reply {
    /// The device's name.
    std::string device = {};
    /// The answer to the command, or the HTTP response's body.
    std::string text = {};
    /// Where the platform reports one.
    std::optional<int> exit_status = {};
    /// Of an HTTP response.
    std::optional<int> http_status = {};
    /// From the call to the answer, connecting included.
    Clock::duration elapsed{};

    /// The text parsed. Throws Error, which names the device, when it is not JSON.
    [[nodiscard]] nlohmann::json json() const;
};

/// Connects to the device by its transport, asks, and disconnects. Over SSH the command runs on a
/// channel of its own where the platform has that (Linux), else at the prompt, in privileged mode
/// if the device has an enable secret. HTTP uses basic authentication if the device has a user
/// name. Throws DeviceError.
///
///     auto [a, b] = co_await gather(fetch(router), fetch(server, "uptime"));
Coro<Reply> fetch(Device device, Request request = {}, CliOptions options = {});

/// The same for a command (SSH) or a path (HTTP).
Coro<Reply> fetch(Device device, std::string command_or_path, CliOptions options = {});

} // namespace muster::device
