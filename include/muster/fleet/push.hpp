#pragma once
/// One configuration, many devices: what `config-push` does, as a function.

#include <muster/core/coro.hpp>
#include <muster/device/cli.hpp>
#include <muster/device/device.hpp>
#include <muster/fleet/outcome.hpp>
#include <muster/fleet/run.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster::fleet {

/// How a push to one device ended.
enum class PushState : std::uint8_t {
    changed,               ///< all lines were accepted
    unchanged,             ///< all lines were accepted, and the configuration is what it was before
    changed_with_warnings, ///< all lines were accepted, some with a remark somebody should read
    failed,                ///< a line was refused, or it went wrong on the way (after the last
                           ///< line, too); see `applied`
    unreachable,           ///< no session came up: no line was sent
    not_started,           ///< the run ended before this device's first line
    unknown, ///< cut off in the middle, and reading back did not settle how far it got
};

/// The name as users and JSON see it: "changed_with_warnings".
[[nodiscard]] std::string_view to_string(PushState state) noexcept;

/// What became of one device.
struct PushReport {
    std::string device;
    std::string endpoint; ///< `host:port`
    PushState state = PushState::not_started;
    std::size_t applied = 0; ///< configuration lines the device has accepted
    std::size_t total = 0;
    bool saved = false;
    std::vector<device::ConfigWarning> warnings;
    /// Where in the configuration's file it went wrong; 0: before the first line, or after the
    /// last.
    std::size_t line = 0;
    /// What the device said to a line it refused, secrets masked.
    std::string words;
    std::optional<FailureReport> failure;
    Clock::duration elapsed{};
};

struct PushOptions {
    device::CliOptions session = {};
    /// Make the configuration permanent on each device that accepted all lines.
    bool save = false;
    /// Read the running configuration before and after, to tell `unchanged` from `changed`.
    bool compare = true;
    /// Told of each device as its part ends. Must not wait.
    std::function<void(const PushReport&)> on_report = {};
};

/// Throws ValueError, which names the devices, when one of them can't do what is asked: its
/// platform has no way to save, or it is not reached over SSH.
void check_push(const std::vector<device::Device>& devices, const PushOptions& options);

/// Sends a configuration (`text`, called `source` in messages) to all `devices`, which must outlive
/// the run; a report for each, in their order. A device stops at its first refused line; no failure
/// stops another device. After a connection was lost in the middle it is made once more, to read
/// back what was applied. Throws ConfigTextError and ValueError (see check_push) before anything
/// is sent. `run.control` ends it early: devices that have not been sent a line stay `not_started`.
Coro<std::vector<PushReport>> push_config(const std::vector<device::Device>& devices,
                                          std::string text, std::string source, PushOptions options,
                                          FleetOptions run);

} // namespace muster::fleet
