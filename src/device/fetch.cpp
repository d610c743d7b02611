#include "http_fetch.hpp"
#include "platform_of.hpp"
#include "ssh_terminal.hpp"
#include "verdict.hpp"

#include <muster/device/fetch.hpp>
#include <muster/device/redact.hpp>
#include <muster/ssh/connection.hpp>

#include <array>
#include <exception>
#include <utility>

namespace muster::device {

namespace {

/// The command's answer at the device's prompt.
Coro<Reply> ask_at_prompt(Device device, Request request, CliOptions options) {
    Cli cli = co_await Cli::open(device, std::move(options));
    Reply reply;
    std::exception_ptr rejected;
    try {
        if (!device.secret.empty() && cli.mode() == Mode::exec) {
            co_await cli.enable();
        }
        CommandOptions command;
        command.timeout = request.timeout;
        command.check = request.check;
        reply.text = co_await cli.send_command(std::move(request.command), std::move(command));
    } catch (const CommandRejected&) {
        rejected = std::current_exception();
    }
    co_await cli.close();
    if (rejected) {
        std::rethrow_exception(rejected);
    }
    co_return reply;
}

/// The command's answer on a channel of its own.
Coro<Reply> ask_on_channel(Device device, const Platform& platform, Request request,
                           CliOptions options) {
    const PhaseTimeouts limits = limits_for(device, platform, options.timeouts);
    std::optional<ssh::Completed> completed;
    std::optional<DeviceError> failed;
    try {
        ssh::Connection connection = co_await ssh::connect(ssh_options(device, limits, options));
        ssh::CommandOptions command;
        command.timeout = request.timeout.value_or(limits.command);
        completed = co_await connection.run(request.command, std::move(command));
        co_await connection.close();
    } catch (const ssh::Error& error) {
        failed = to_device_error(device, error);
    }
    if (failed) {
        throw DeviceError(*failed);
    }
    Reply reply;
    reply.text = std::move(completed->out);
    reply.exit_status = completed->exit_status;
    const bool ended_well =
        completed->exit_status.value_or(0) == 0 && completed->exit_signal.empty();
    if (!request.check || ended_well) {
        co_return reply;
    }
    const std::array secrets{device.password, device.secret, device.passphrase};
    const std::string shown = redact(request.command, secrets);
    std::string words =
        redact(words_of(head_of(completed->err.empty() ? reply.text : completed->err)), secrets);
    const std::string how = completed->exit_signal.empty()
                                ? "status " + std::to_string(*completed->exit_status)
                                : "signal " + completed->exit_signal;
    Failure failure;
    failure.device = device.name;
    failure.host = endpoint(device);
    failure.phase = Phase::command;
    failure.reason = "`" + shown + "` ended with " + how + (words.empty() ? "" : ": " + words);
    throw CommandRejected(std::move(failure), shown, std::move(words));
}

/// A request that says only what the device's transport has no use for is a mistake.
void check_fits(const Device& device, const Request& request) {
    const bool over_ssh = device.transport == Transport::ssh;
    if (over_ssh ? request.command.empty() && !request.path.empty()
                 : request.path.empty() && !request.command.empty()) {
        Failure failure;
        failure.device = device.name;
        failure.host = endpoint(device);
        failure.phase = Phase::connect;
        failure.reason = over_ssh ? "the device is reached over SSH, and the request has no command"
                                  : "the device is reached over HTTP, and the request has no path";
        failure.remedy = over_ssh ? "set `command` in the request" : "set `path` in the request";
        throw DeviceError(std::move(failure));
    }
}

} // namespace

nlohmann::json Reply::json() const {
    try {
        return nlohmann::json::parse(text);
    } catch (const nlohmann::json::parse_error& error) {
        throw Error(device + ": the answer is not JSON: byte " + std::to_string(error.byte));
    }
}

Coro<Reply> fetch(Device device, Request request, CliOptions options) {
    check_fits(device, request);
    const Clock::time_point start = Clock::now();
    const std::string name = device.name;
    Reply reply;
    if (device.transport != Transport::ssh) {
        reply = co_await fetch_over_http(std::move(device), std::move(request), std::move(options));
    } else {
        const Platform& platform = platform_of(device);
        if (request.command.empty()) {
            request.command = platform.version_command;
        }
        if (platform.exec_channel) {
            reply = co_await ask_on_channel(std::move(device), platform, std::move(request),
                                            std::move(options));
        } else {
            reply =
                co_await ask_at_prompt(std::move(device), std::move(request), std::move(options));
        }
    }
    reply.device = name;
    reply.elapsed = Clock::now() - start;
    co_return reply;
}

Coro<Reply> fetch(Device device, std::string command_or_path, CliOptions options) {
    Request request;
    if (device.transport == Transport::ssh) {
        request.command = std::move(command_or_path);
    } else {
        request.path = std::move(command_or_path);
    }
    return fetch(std::move(device), std::move(request), std::move(options));
}

} // namespace muster::device
