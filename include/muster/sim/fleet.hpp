#pragma once
/// Thousands of virtual network devices in one process, behind real SSH and HTTP on loopback: for
/// tests, demonstrations and load measurements. Nothing here can be reached from outside the host.

#include <muster/core/secret.hpp>
#include <muster/sim/fault.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace muster::sim {

/// One device of a fleet.
struct DeviceSpec {
    std::string hostname;
    std::string username = "admin";
    Secret password = "admin";
    Secret enable_secret = "secret";
    bool starts_privileged = false; ///< logs in at `name#`
    bool own_host_key = false;      ///< an ed25519 key of its own instead of the fleet's
    /// The SSH key exchange methods it offers, separated by commas, such as
    /// "diffie-hellman-group16-sha512" for an old and slow device; empty: modern ones.
    std::string key_exchange = {};
    std::vector<std::string> config; ///< configuration lines it starts with
    Latency latency;
    Fault fault;
};

/// How devices are told apart.
enum class Addressing {
    automatic,  ///< by address where the system allows it, else by port
    by_address, ///< one port, an address in 127.0.0.0/8 for each device (Linux)
    by_port,    ///< 127.0.0.1, a port for each device
};

/// The ways to talk to a device.
enum class Face { ssh, http, https };

struct FleetOptions {
    int devices = 1;
    std::string name_prefix = "r"; ///< names are `r1`, `r2`, ...
    DeviceSpec device;             ///< what all devices are like; the name is set for each
    /// Called for each device, counted from 0, before it is made: change what differs.
    std::function<void(int index, DeviceSpec& spec)> each;

    Addressing addressing = Addressing::automatic;
    std::uint16_t ssh_port = 0;   ///< 0: a free one; by port: the first of consecutive ones
    std::uint16_t http_port = 0;  ///< likewise
    std::uint16_t https_port = 0; ///< likewise
    bool http = true;             ///< a REST API beside SSH
    bool https = false;           ///< the same over TLS, with certificates of the fleet's own CA

    /// OpenSSH public key lines which every device accepts for its user.
    std::vector<std::string> authorized_keys;
    /// Where the fleet's host key is kept, made if missing; empty: a new key for each fleet.
    std::filesystem::path host_key_file;
    unsigned seed = 1; ///< of the jitter
};

/// A running fleet. It serves from a thread of its own, until it is stopped or destroyed; all
/// members may be called from any thread.
///
/// REST API, HTTP basic authentication as for SSH, JSON: `GET /api/version`, `GET /api/interfaces`,
/// `GET /api/config`, `POST /api/config` with `{"lines": [...]}`.
class Fleet {
public:
    /// Starts it. Throws ValueError for options that make no sense and Error when ports or file
    /// descriptors are not to be had.
    explicit Fleet(FleetOptions options);

    /// Stops it.
    ~Fleet();
    Fleet(const Fleet&) = delete;
    Fleet& operator=(const Fleet&) = delete;

    /// Ends all sessions and stops listening. Idempotent.
    void stop();

    [[nodiscard]] int size() const;
    [[nodiscard]] bool by_address() const;

    /// Where device `index` (from 0) listens. A port is 0 if that service is off.
    [[nodiscard]] const std::string& name(int index) const;
    [[nodiscard]] const std::string& host(int index) const;
    [[nodiscard]] std::uint16_t ssh_port(int index = 0) const;
    [[nodiscard]] std::uint16_t http_port(int index = 0) const;
    [[nodiscard]] std::uint16_t https_port(int index = 0) const;

    /// A netmiko device list (YAML) of all devices, with their passwords. Other faces than SSH are
    /// told by a key `transport`, which netmiko does not know.
    [[nodiscard]] std::string inventory(Face face = Face::ssh) const;
    void write_inventory(const std::filesystem::path& file, Face face = Face::ssh) const;

    /// A known_hosts file's text: one line `[host]:port ssh-ed25519 ...` for each device.
    [[nodiscard]] std::string known_hosts() const;
    void write_known_hosts(const std::filesystem::path& file) const;

    /// `SHA256:...` of the key known_hosts lists for the device.
    [[nodiscard]] std::string host_key_fingerprint(int index = 0) const;

    /// The certificate (PEM) which signs the devices' HTTPS certificates; empty without `https`.
    [[nodiscard]] std::string ca_certificate() const;
    void write_ca_certificate(const std::filesystem::path& file) const;

    /// What the device holds now: configuration from `version` to `end`.
    [[nodiscard]] std::string running_config(int index) const;
    [[nodiscard]] std::string startup_config(int index) const;

    /// Counted since the start: SSH connections accepted, logins accepted and refused, lines
    /// received on terminals and exec channels, HTTP requests.
    [[nodiscard]] std::uint64_t sessions_opened(int index) const;
    [[nodiscard]] std::uint64_t logins(int index) const;
    [[nodiscard]] std::uint64_t refused_logins(int index) const;
    [[nodiscard]] std::uint64_t lines_received(int index) const;
    [[nodiscard]] std::uint64_t http_requests(int index) const;

    /// SSH connections that are open now, and the most that ever were at once.
    [[nodiscard]] std::uint64_t concurrent_sessions() const;
    [[nodiscard]] std::uint64_t concurrent_sessions_peak() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace muster::sim
