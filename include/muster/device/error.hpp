#pragma once

#include <muster/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace muster::device {

/// Where in a device's session something went wrong, in the order a session goes through.
enum class Phase : std::uint8_t {
    resolve,
    connect,
    key_exchange,
    host_key,
    authentication,
    prompt,
    command,
    transfer,
};

/// "resolve", "connect", "key exchange", "host key", "authentication", ...
[[nodiscard]] std::string_view to_string(Phase phase) noexcept;

/// What is known of a failure. No field ever holds a secret: texts from the device are redacted.
struct Failure {
    /// The device's name in the inventory.
    std::string device;
    /// `host:port`, as it was connected to.
    std::string host;
    Phase phase = Phase::connect;
    /// Why, in one sentence.
    std::string reason;
    /// What to do about it; empty when nothing is known.
    std::string remedy = {};
    /// A deadline passed.
    bool timed_out = false;
    /// The device was reached and said no to a login or an enable secret: do not try again, AAA
    /// counts.
    bool refused = false;
};

/// Something went wrong with one device: `what()` is `name (host): phase: reason; remedy`.
class DeviceError : public Error {
public:
    explicit DeviceError(Failure failure);

    [[nodiscard]] const Failure& failure() const noexcept { return failure_; }

    [[nodiscard]] const std::string& device() const noexcept { return failure_.device; }

    [[nodiscard]] const std::string& host() const noexcept { return failure_.host; }

    [[nodiscard]] Phase phase() const noexcept { return failure_.phase; }

    [[nodiscard]] const std::string& reason() const noexcept { return failure_.reason; }

    [[nodiscard]] const std::string& remedy() const noexcept { return failure_.remedy; }

private:
    Failure failure_;
};

/// A device refused a command. The session goes on.
class CommandRejected : public DeviceError {
public:
    CommandRejected(Failure failure, std::string command, std::string words)
        : DeviceError(std::move(failure)), command_(std::move(command)), words_(std::move(words)) {}

    /// The command, secrets masked.
    [[nodiscard]] const std::string& command() const noexcept { return command_; }

    /// What the device said, secrets masked.
    [[nodiscard]] const std::string& words() const noexcept { return words_; }

private:
    std::string command_;
    std::string words_;
};

/// How far a configuration got.
struct ConfigProgress {
    /// The name of the configuration's file, and the line that was being sent when it went wrong;
    /// 0: before the first or after the last.
    std::string source = {};
    std::size_t line = 0;
    /// Commands (in most cases lines) the device has accepted, and how many there were.
    std::size_t applied = 0;
    std::size_t total = 0;
    /// The line was sent and its answer never came: it may or may not have been applied.
    bool line_unknown = false;
};

/// A configuration was not applied to its end: a deadline passed, the connection was lost, the
/// device left configuration mode, or (see ConfigRejected) refused a line.
class ConfigError : public DeviceError {
public:
    ConfigError(Failure failure, ConfigProgress progress)
        : DeviceError(std::move(failure)), progress_(std::move(progress)) {}

    [[nodiscard]] const ConfigProgress& progress() const noexcept { return progress_; }

    /// In the configuration's file, counted from 1.
    [[nodiscard]] std::size_t file_line() const noexcept { return progress_.line; }

    [[nodiscard]] std::size_t lines_applied() const noexcept { return progress_.applied; }

private:
    ConfigProgress progress_;
};

/// A device refused a configuration line. Nothing after it was sent, configuration mode was left,
/// nothing was saved.
class ConfigRejected : public ConfigError {
public:
    ConfigRejected(Failure failure, ConfigProgress progress, std::string command, std::string words)
        : ConfigError(std::move(failure), std::move(progress)),
          command_(std::move(command)),
          words_(std::move(words)) {}

    /// The refused line, secrets masked.
    [[nodiscard]] const std::string& command() const noexcept { return command_; }

    /// What the device said, secrets masked.
    [[nodiscard]] const std::string& words() const noexcept { return words_; }

private:
    std::string command_;
    std::string words_;
};

} // namespace muster::device
