#include "ssh_terminal.hpp"

#include <muster/ssh/connection.hpp>

#include <optional>
#include <utility>

namespace muster::device {

namespace {

class SshTerminal final : public Terminal {
public:
    SshTerminal(ssh::Connection connection, ssh::Shell shell) noexcept
        : connection_(std::move(connection)), shell_(std::move(shell)) {}

    Coro<std::string> read() override { return shell_.read(); }

    Coro<void> write(std::string text) override { return shell_.write(std::move(text)); }

    Coro<void> close() override {
        co_await shell_.close();
        co_await connection_.close();
    }

private:
    // The shell goes first.
    ssh::Connection connection_;
    ssh::Shell shell_;
};

Phase to_phase(ssh::Phase phase) noexcept {
    switch (phase) {
    case ssh::Phase::resolve:
        return Phase::resolve;
    case ssh::Phase::prepare:
    case ssh::Phase::connect:
        return Phase::connect;
    case ssh::Phase::key_exchange:
        return Phase::key_exchange;
    case ssh::Phase::host_key:
        return Phase::host_key;
    case ssh::Phase::authentication:
        return Phase::authentication;
    case ssh::Phase::channel:
        return Phase::prompt;
    case ssh::Phase::command:
    case ssh::Phase::close:
        return Phase::command;
    case ssh::Phase::transfer:
        return Phase::transfer;
    }
    return Phase::connect;
}

/// What to do about a device that does not answer.
std::string remedy_for_silence(Phase phase) {
    switch (phase) {
    case Phase::resolve:
        return "check the name server";
    case Phase::connect:
        return "check the address, the route to it and the firewalls on the way";
    case Phase::key_exchange:
    case Phase::host_key:
        return "the port is open but SSH is not served in time: check what listens there and the "
               "device's load, or raise the connect time-out";
    case Phase::authentication:
        return "the device's AAA server may be slow or out of reach: check it, or raise the "
               "authentication time-out";
    case Phase::prompt:
    case Phase::command:
    case Phase::transfer:
        break;
    }
    return "check the device's load, or raise the time-out";
}

} // namespace

ssh::Options ssh_options(const Device& device, const PhaseTimeouts& limits,
                         const CliOptions& options) {
    ssh::Options result;
    result.host = device.host;
    result.port = effective_port(device);
    result.username = device.username;
    result.password = device.password;
    if (!device.key.empty()) {
        ssh::KeySource source;
        source.path = device.key;
        source.passphrase = device.passphrase;
        result.keys.push_back(std::move(source));
    }
    result.host_key_policy = options.host_key_policy;
    result.known_hosts = options.known_hosts;
    result.algorithms =
        device.legacy_algorithms ? ssh::Algorithms::legacy : ssh::Algorithms::standard;
    result.timeouts.connect = limits.connect;
    result.timeouts.handshake = limits.connect;
    result.timeouts.authenticate = limits.authenticate;
    return result;
}

DeviceError to_device_error(const Device& device, const ssh::Error& error) {
    Failure failure;
    failure.device = device.name;
    failure.host = endpoint(device);
    failure.phase = to_phase(error.phase());
    failure.reason = error.reason();
    failure.remedy = error.remedy();
    failure.timed_out = error.kind() == ssh::ErrorKind::timeout;
    if (failure.remedy.empty() && failure.timed_out) {
        failure.remedy = remedy_for_silence(failure.phase);
    }
    failure.refused = error.kind() == ssh::ErrorKind::authentication;
    return DeviceError(std::move(failure));
}

Coro<std::unique_ptr<Terminal>> open_ssh_terminal(const Device& device, const Platform& platform,
                                                  const CliOptions& options) {
    const PhaseTimeouts limits = limits_for(device, platform, options.timeouts);
    std::optional<DeviceError> failed;
    try {
        ssh::Connection connection = co_await ssh::connect(ssh_options(device, limits, options));
        ssh::ShellOptions shell_options;
        shell_options.timeout = limits.prompt;
        ssh::Shell shell = co_await connection.open_shell(std::move(shell_options));
        co_return std::make_unique<SshTerminal>(std::move(connection), std::move(shell));
    } catch (const ssh::Error& error) {
        failed = to_device_error(device, error);
    }
    throw DeviceError(*failed);
}

} // namespace muster::device
