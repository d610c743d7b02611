#include "config_push.hpp"
#include "platform_of.hpp"
#include "session.hpp"
#include "ssh_terminal.hpp"
#include "verdict.hpp"

#include <muster/device/cli.hpp>

#include <utility>

namespace muster::device {

PhaseTimeouts limits_for(const Device& device, const Platform& platform,
                         const TimeoutOverrides& overrides) {
    PhaseTimeouts limits = platform.timeouts;
    limits.connect = overrides.connect.value_or(limits.connect);
    limits.authenticate = overrides.authenticate.value_or(limits.authenticate);
    limits.prompt = overrides.prompt.value_or(limits.prompt);
    limits.command = overrides.command.value_or(limits.command);
    limits.config_line = overrides.config_line.value_or(limits.config_line);
    limits.save = overrides.save.value_or(limits.save);

    limits.connect = device.timeouts.connect.value_or(limits.connect);
    limits.authenticate = device.timeouts.authenticate.value_or(limits.authenticate);
    // Whoever says how long the device may take for a prompt means all its prompts.
    limits.prompt = device.timeouts.command.value_or(limits.prompt);
    limits.command = device.timeouts.command.value_or(limits.command);
    limits.config_line = device.timeouts.command.value_or(limits.config_line);
    return limits;
}

Cli::Cli(std::unique_ptr<Session> session) noexcept : session_(std::move(session)) {}

Cli::Cli(Cli&&) noexcept = default;
Cli& Cli::operator=(Cli&&) noexcept = default;
Cli::~Cli() = default;

Coro<Cli> Cli::open(Device device, CliOptions options) {
    const Platform& platform = platform_of(device);
    std::unique_ptr<Terminal> terminal = co_await open_ssh_terminal(device, platform, options);
    co_return co_await open(std::move(device), std::move(terminal), std::move(options));
}

Coro<Cli> Cli::open(Device device, std::unique_ptr<Terminal> terminal, CliOptions options) {
    const Platform& platform = platform_of(device);
    auto session = std::make_unique<Session>(std::move(device), platform, std::move(options),
                                             std::move(terminal));
    co_await session->start();
    co_return Cli(std::move(session));
}

Coro<std::string> Cli::send_command(std::string command, CommandOptions options) {
    if (command.find_first_of("\r\n") != std::string::npos) {
        throw ValueError("a command is one line; send_commands() sends several");
    }
    Turn turn;
    turn.lines = {command};
    turn.dialogue = options.dialogue;
    turn.limit = options.timeout.value_or(session_->limits().command);
    turn.what = "`" + session_->masked(command) + "`";
    co_await session_->say(std::move(turn));
    const ReplyReader& reader = session_->reader();
    std::string answer = reader.answer();
    if (!options.check) {
        co_return answer;
    }
    const std::optional<std::string> error =
        find_marker(head_of(answer), session_->platform().errors);
    const int status = reader.prompt().exit_status.value_or(0);
    if (!error && status == 0) {
        co_return answer;
    }
    std::string words = session_->masked(words_of(head_of(answer)));
    const std::string shown = session_->masked(command);
    const std::string reason = error
                                   ? "the device refused `" + shown + "`: " + words
                                   : "`" + shown + "` ended with status " + std::to_string(status) +
                                         (words.empty() ? "" : ": " + words);
    throw CommandRejected(session_->failure(Phase::command, reason), shown, std::move(words));
}

Coro<std::vector<std::string>> Cli::send_commands(std::vector<std::string> commands,
                                                  CommandOptions options) {
    std::vector<std::string> answers;
    answers.reserve(commands.size());
    for (std::string& command : commands) {
        answers.push_back(co_await send_command(std::move(command), options));
    }
    co_return answers;
}

Coro<void> Cli::enable() {
    if (mode() == Mode::exec) {
        co_await session_->enter(Mode::privileged);
    }
}

Coro<ConfigResult> Cli::send_config(ConfigText config, ConfigOptions options) {
    ConfigPush push(*session_, config, options);
    co_return co_await push.run();
}

Coro<ConfigResult> Cli::send_config(std::string text, ConfigOptions options) {
    ConfigTextOptions reading;
    reading.syntax = platform().config_syntax;
    ConfigText config = ConfigText::parse(text, reading);
    co_return co_await send_config(std::move(config), options);
}

Coro<std::string> Cli::save() {
    const Platform& platform = session_->platform();
    if (!platform.can.save) {
        throw DeviceError(session_->failure(Phase::command,
                                            "platform " + platform.name + " has nothing to save",
                                            "leave --save out for this device"));
    }
    co_await session_->enter(Mode::privileged);
    Turn turn;
    turn.lines = {platform.save.command};
    turn.dialogue = platform.save.dialogue;
    turn.limit = session_->limits().save;
    turn.what = "`" + platform.save.command + "`";
    co_await session_->say(std::move(turn));
    const std::string& answer = session_->reader().answer();
    std::string words = session_->masked(words_of(answer));
    if (find_marker(answer, platform.errors) || !find_marker(answer, platform.save.success)) {
        throw DeviceError(session_->failure(
            Phase::command, "the configuration was not saved: " + words,
            "what was configured runs, and is lost at the next restart: save it again"));
    }
    co_return words;
}

Coro<void> Cli::close() { return session_->close(); }

bool Cli::closed() const noexcept { return session_->closed(); }

const std::string& Cli::prompt() const noexcept { return session_->reader().prompt_text(); }

std::string Cli::hostname() const {
    const std::string& name = session_->reader().name();
    // Junos shows user@host, IOS XR the place of the route processor before a colon.
    return name.substr(name.find_last_of("@:") + 1);
}

Mode Cli::mode() const noexcept { return session_->mode(); }

const Platform& Cli::platform() const noexcept { return session_->platform(); }

const Device& Cli::device() const noexcept { return session_->device(); }

} // namespace muster::device
