#pragma once

#include <muster/core/coro.hpp>
#include <muster/device/config_text.hpp>
#include <muster/device/device.hpp>
#include <muster/device/error.hpp>
#include <muster/device/platform.hpp>
#include <muster/device/terminal.hpp>
#include <muster/ssh/options.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster::device {

class Session;

/// A program's own limits for the phases of a session. What a device's inventory entry sets comes
/// before them, what a platform has by default after them.
struct TimeoutOverrides {
    std::optional<std::chrono::milliseconds> connect = {};
    std::optional<std::chrono::milliseconds> authenticate = {};
    std::optional<std::chrono::milliseconds> prompt = {};
    std::optional<std::chrono::milliseconds> command = {};
    std::optional<std::chrono::milliseconds> config_line = {};
    std::optional<std::chrono::milliseconds> save = {};
};

/// How a session is opened and kept.
struct CliOptions {
    ssh::HostKeyPolicy host_key_policy = ssh::HostKeyPolicy::strict;
    /// Empty: the user's and the system's.
    std::vector<std::string> known_hosts = {};
    TimeoutOverrides timeouts = {};
    /// How long the device must be silent after what is only likely to be its prompt.
    std::chrono::milliseconds settle{100};
    /// A larger answer is an error.
    std::size_t max_output = std::size_t{64} << 20;
};

/// For one command.
struct CommandOptions {
    /// For the whole answer; by default the device's limit for commands.
    std::optional<std::chrono::milliseconds> timeout = {};
    /// Throw CommandRejected when the device refuses the command, or ends it with a status other
    /// than 0.
    bool check = true;
    /// Questions the command may raise.
    std::vector<Answer> dialogue = {};
};

/// For a configuration.
struct ConfigOptions {
    /// For each line; by default the device's limit for configuration lines.
    std::optional<std::chrono::milliseconds> line_timeout = {};
    /// Told before each command is sent (`line` is where it stands), and with `line` 0 when the
    /// last was accepted: whoever cancels a configuration knows from it how far that got. Must
    /// neither wait nor throw.
    std::function<void(const ConfigProgress&)> on_progress = {};
};

/// Something a device remarked on a configuration line that it accepted.
struct ConfigWarning {
    /// In the configuration's file, counted from 1.
    std::size_t line = 0;
    /// The device's words, secrets masked.
    std::string words;
};

/// What became of a configuration that was accepted to its end.
struct ConfigResult {
    /// Commands (in most cases lines) sent and accepted.
    std::size_t applied = 0;
    /// `%` lines that are neither errors nor known to be harmless: somebody should look at them.
    std::vector<ConfigWarning> warnings = {};

    /// Something was configured. (Whether it was different from before, only a comparison tells.)
    [[nodiscard]] bool changed() const noexcept { return applied > 0; }
};

/// A session at a device's prompt, over one shell (netmiko's ConnectHandler, scrapli's driver).
///
/// One task at a time. Every wait has a deadline. An operation that is cut off, by its deadline,
/// by cancellation or because the connection is lost, ends the session at once: nobody could tell
/// what the next answer would belong to. A refused command does not end it.
///
/// All members throw DeviceError, which says which device, where, why and what to do, and never
/// holds a secret.
class Cli {
public:
    /// Connects over SSH, logs in, opens a shell, waits for the first prompt and prepares the
    /// terminal (no pager, no wrapping).
    static Coro<Cli> open(Device device, CliOptions options = {});

    /// The same on a terminal that is connected already.
    static Coro<Cli> open(Device device, std::unique_ptr<Terminal> terminal,
                          CliOptions options = {});

    Cli(Cli&&) noexcept;
    Cli& operator=(Cli&&) noexcept;
    /// Ends the connection at once; `close()` says goodbye first.
    ~Cli();

    /// Sends a command and gives the device's answer, without echo and prompt (netmiko's
    /// send_command). Throws CommandRejected when the device refuses it.
    Coro<std::string> send_command(std::string command, CommandOptions options = {});

    /// The same one by one; ends at the first that is refused.
    Coro<std::vector<std::string>> send_commands(std::vector<std::string> commands,
                                                 CommandOptions options = {});

    /// Enters privileged mode with the device's enable secret, unless it is there. A refused secret
    /// ends the session: it is sent once.
    Coro<void> enable();

    /// Enters configuration mode (privileged mode first), sends the configuration command by
    /// command, leaves it again; saves nothing. Stops at the first command the device refuses:
    /// then leaves configuration mode and throws ConfigRejected. Throws ConfigError when it is cut
    /// off in between; both say how many lines were applied.
    Coro<ConfigResult> send_config(ConfigText config, ConfigOptions options = {});

    /// The same, from text in the platform's syntax. Throws ConfigTextError before anything is
    /// sent.
    Coro<ConfigResult> send_config(std::string text, ConfigOptions options = {});

    /// Makes the running configuration permanent; gives the device's words.
    Coro<std::string> save();

    /// Says goodbye and disconnects. Idempotent; no error of the connection is thrown.
    Coro<void> close();

    /// The session was ended, by either side.
    [[nodiscard]] bool closed() const noexcept;

    /// The last prompt: `edge-1(config-if)#`.
    [[nodiscard]] const std::string& prompt() const noexcept;

    /// The host name the prompt shows, without a domain's or a user's part before it.
    [[nodiscard]] std::string hostname() const;

    [[nodiscard]] Mode mode() const noexcept;

    [[nodiscard]] const Platform& platform() const noexcept;

    [[nodiscard]] const Device& device() const noexcept;

private:
    explicit Cli(std::unique_ptr<Session> session) noexcept;

    std::unique_ptr<Session> session_;
};

/// The limits that hold for a device: its own, then the program's, then its platform's.
[[nodiscard]] PhaseTimeouts limits_for(const Device& device, const Platform& platform,
                                       const TimeoutOverrides& overrides = {});

} // namespace muster::device
