#pragma once
/// A network device as an inventory describes it: where it is, what it runs, how to log in.
///
/// Plain data. Nothing here connects; `fetch(device, ...)` and `Cli` do that.

#include <muster/core/secret.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster::device {

/// The protocol a device is reached by.
enum class Transport : std::uint8_t { ssh, http, https };

/// "ssh", "http" or "https".
[[nodiscard]] constexpr std::string_view to_string(Transport transport) noexcept {
    switch (transport) {
    case Transport::ssh:
        return "ssh";
    case Transport::http:
        return "http";
    case Transport::https:
        return "https";
    }
    return "ssh";
}

/// The port a transport uses when the inventory names none: 22, 80 or 443.
[[nodiscard]] constexpr std::uint16_t default_port(Transport transport) noexcept {
    switch (transport) {
    case Transport::ssh:
        return 22;
    case Transport::http:
        return 80;
    case Transport::https:
        return 443;
    }
    return 22;
}

/// Limits an inventory sets for one device; what is empty is the platform's or the program's
/// choice.
struct DeviceTimeouts {
    /// Until the transport is up: resolve, TCP, key exchange or TLS.
    std::optional<std::chrono::milliseconds> connect;
    /// Until the login is accepted.
    std::optional<std::chrono::milliseconds> authenticate;
    /// From a sent command to the next prompt, or from a request to its reply.
    std::optional<std::chrono::milliseconds> command;

    friend bool operator==(const DeviceTimeouts&, const DeviceTimeouts&) = default;
};

/// One device. Its secrets are `Secret`s, so that a device can be passed to a logger only by
/// naming harmless fields.
struct Device {
    /// Unique in its inventory; never contains a path separator, so that it can name a file.
    std::string name;
    /// Host name or address to connect to; IPv6 without brackets, zones (`fe80::1%eth0`) kept.
    std::string host;
    /// 0: `default_port(transport)`.
    std::uint16_t port = 0;
    /// Name or alias of a platform (`cisco_ios`, `ios`, `frr`), as the inventory spells it.
    std::string platform;
    Transport transport = Transport::ssh;
    std::string username;
    Secret password;
    /// The enable secret, for platforms which ask for one.
    Secret secret;
    /// Path of a private key; empty: none.
    std::string key;
    /// Of `key`, where it is encrypted.
    Secret passphrase;
    /// Names of all groups the device is in, nearest first, parents after their children.
    std::vector<std::string> groups;
    /// The user's own facts (`site`, `role`, ...), a JSON object.
    nlohmann::json data = nlohmann::json::object();
    DeviceTimeouts timeouts;
    /// Offer SHA-1, CBC and group 1 too: the device is too old for anything else.
    bool legacy_algorithms = false;
    /// https only: check the certificate. False is for self-signed devices.
    bool verify_tls = true;
    /// https only: PEM file of authorities to trust instead of the system's; empty: the system's.
    std::string ca_file;
    /// Where it was described, `file:line`, for messages; empty when made by hand.
    std::string origin;
};

/// The port to connect to: `port`, or the transport's default.
[[nodiscard]] inline std::uint16_t effective_port(const Device& device) noexcept {
    return device.port != 0 ? device.port : default_port(device.transport);
}

/// `host:port` for messages, with brackets around an IPv6 address.
[[nodiscard]] inline std::string endpoint(const Device& device) {
    const std::string port = std::to_string(effective_port(device));
    if (device.host.find(':') != std::string::npos) {
        return "[" + device.host + "]:" + port;
    }
    return device.host + ":" + port;
}

} // namespace muster::device
