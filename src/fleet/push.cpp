#include "read_back.hpp"

#include <muster/device/platform.hpp>
#include <muster/fleet/push.hpp>

#include <map>
#include <utility>

namespace muster::fleet {

namespace {

using device::Cli;
using device::ConfigText;
using device::Device;
using device::Platform;

const Platform& platform_of(const Device& device) {
    const Platform* platform = device::find_platform(device.platform);
    if (platform == nullptr) {
        throw ValueError(device.name + ": unknown platform `" + device.platform + "`");
    }
    return *platform;
}

// What is known of one device while the job is at work; whoever ends the job, it stays.
struct Part {
    PushReport report;
    bool opened = false;  // the session came up
    bool sending = false; // a line has been sent, and how it ended is not known yet
    bool done = false;    // all that was asked for
};

class Push {
public:
    Push(const std::vector<Device>& devices, const std::string& text, const std::string& source,
         PushOptions options)
        : options_(std::move(options)), parts_(devices.size()) {
        for (std::size_t i = 0; i < devices.size(); ++i) {
            const Platform& platform = platform_of(devices[i]);
            auto found = configs_.find(platform.config_syntax);
            if (found == configs_.end()) {
                auto parsed =
                    ConfigText::parse(text, {.source = source, .syntax = platform.config_syntax});
                found = configs_.emplace(platform.config_syntax, std::move(parsed)).first;
            }
            parts_[i].report.device = devices[i].name;
            parts_[i].report.endpoint = endpoint(devices[i]);
            parts_[i].report.total = found->second.size();
        }
    }

    Coro<void> work(const Device& device, JobContext& context) {
        const ConfigText& config = configs_.at(platform_of(device).config_syntax);
        context.enter_phase("connect");
        Cli cli = co_await Cli::open(device, options_.session);
        Part& part = parts_[context.index()];
        part.opened = true;
        co_await cli.enable();
        std::string before;
        if (options_.compare) {
            context.enter_phase("compare");
            before = co_await read_config(cli);
        }
        if (context.stopping()) {
            co_await cli.close();
            co_return;
        }
        context.enter_phase("configure");
        if (!co_await send(cli, config, part)) {
            if (part.sending) {
                context.enter_phase("read back");
                co_await settle(device, config, before, part);
            }
            co_await cli.close();
            co_return;
        }
        co_await finish(std::move(cli), before, part, context);
    }

    /// The last word on a device, when its part has ended.
    void conclude(const Event& event) {
        Part& part = parts_[event.index];
        PushReport& report = part.report;
        report.elapsed = event.outcome->elapsed;
        if (!part.done) {
            take_ending(*event.outcome, part);
        }
        if (report.failure) {
            report.failure->unreachable = report.state == PushState::unreachable;
        }
        if (options_.on_report) {
            options_.on_report(report);
        }
    }

    std::vector<PushReport> take_reports() {
        std::vector<PushReport> reports;
        reports.reserve(parts_.size());
        for (Part& part : parts_) {
            reports.push_back(std::move(part.report));
        }
        return reports;
    }

private:
    // What became of a device whose job did not come to its end by itself: it was cancelled, its
    // time was up, or it threw what is no DeviceError.
    void take_ending(const DeviceOutcome& outcome, Part& part) const {
        PushReport& report = part.report;
        const bool was_cut_off =
            outcome.ending == Ending::failed || outcome.ending == Ending::cancelled;
        if (!was_cut_off && !part.sending) {
            return;
        }
        const bool known = report.failure.has_value();
        if (!known) {
            report.failure = outcome.failure.value_or(
                FailureReport{.phase = "run", .reason = "interrupted", .remedy = {}});
        }
        if (part.sending) {
            if (report.state != PushState::unknown) {
                report.state = PushState::unknown;
                report.failure->reason += known ? "; reading back was cut off" : so_far(report);
            }
            if (report.failure->remedy.empty()) {
                report.failure->remedy = "look at the device before configuring it again";
            }
        } else if (!known && all_lines_are_in(report)) {
            fail_after_lines(report);
        } else if (!known && outcome.ending == Ending::failed) {
            report.state = part.opened ? PushState::failed : PushState::unreachable;
        }
    }

    // Also when configuration mode is only being left, and the state not yet set.
    static bool all_lines_are_in(const PushReport& report) {
        return report.state != PushState::not_started ||
               (report.total > 0 && report.applied == report.total);
    }

    static std::string so_far(const PushReport& report) {
        return "; " + std::to_string(report.applied) + " of " + std::to_string(report.total) +
               " lines applied, whether line " + std::to_string(report.line) +
               " of the file was is not known, nothing was saved";
    }

    // All lines are in, and what else was asked for is not done.
    void fail_after_lines(PushReport& report) const {
        report.failure->reason = "all lines were applied, but then: " + report.failure->reason +
                                 (options_.save ? "; not known to be saved" : "");
        report.state = PushState::failed;
    }

    // False when the device has not accepted all lines; the report says why.
    static Coro<bool> send(Cli& cli, const ConfigText& config, Part& part) {
        device::ConfigOptions sending;
        sending.on_progress = [&part](const device::ConfigProgress& progress) {
            part.sending = progress.line != 0;
            part.report.applied = progress.applied;
            part.report.line = progress.line;
        };
        try {
            device::ConfigResult result = co_await cli.send_config(config, sending);
            part.report.warnings = std::move(result.warnings);
            part.report.state = !part.report.warnings.empty() ? PushState::changed_with_warnings
                                : result.changed()            ? PushState::changed
                                                              : PushState::unchanged;
            co_return true;
        } catch (const device::ConfigError& error) {
            part.report.failure = describe_failure(std::current_exception(), "configure");
            part.report.applied = error.lines_applied();
            part.report.line = error.file_line();
            part.sending = error.progress().line_unknown;
            if (const auto* rejected = dynamic_cast<const device::ConfigRejected*>(&error)) {
                part.report.words = rejected->words();
            }
        } catch (const device::DeviceError&) {
            // Configuration mode could not be entered: no line was sent.
            part.report.failure = describe_failure(std::current_exception(), "configure");
        }
        part.report.state = PushState::failed;
        co_return false;
    }

    // The connection was lost in the middle: asks the device, once, how far it got.
    Coro<void> settle(const Device& device, const ConfigText& config, const std::string& before,
                      Part& part) {
        PushReport& report = part.report;
        try {
            Cli cli = co_await Cli::open(device, options_.session);
            co_await cli.enable();
            const std::string after = co_await read_config(cli);
            const std::optional<bool> applied = line_applied(config, report.applied, before, after);
            if (applied) {
                part.sending = false;
                report.applied += *applied ? 1U : 0U;
                report.failure->reason +=
                    "; read back over a new connection: " + std::to_string(report.applied) +
                    " of " + std::to_string(report.total) + " lines are in effect";
            } else {
                report.state = PushState::unknown;
                report.failure->reason +=
                    "; the running configuration does not tell whether that line was applied";
            }
            co_await cli.close();
        } catch (const device::DeviceError& error) {
            report.state = PushState::unknown;
            report.failure->reason += std::string("; reading back failed: ") + error.reason();
        }
    }

    // All lines are in: compares, saves, says goodbye. What goes wrong here loses none of it.
    Coro<void> finish(Cli cli, const std::string& before, Part& part, JobContext& context) {
        try {
            if (options_.compare && part.report.state == PushState::changed) {
                context.enter_phase("compare");
                const std::string after = co_await read_config(cli);
                if (!before.empty() && same_config(before, after)) {
                    part.report.state = PushState::unchanged;
                }
            }
            if (options_.save) {
                context.enter_phase("save");
                co_await cli.save();
                part.report.saved = true;
            }
            part.done = true;
        } catch (const device::DeviceError&) {
            part.report.failure = describe_failure(std::current_exception(), context.phase());
            fail_after_lines(part.report);
        }
        co_await cli.close();
    }

    PushOptions options_;
    std::map<device::ConfigSyntax, ConfigText> configs_;
    std::vector<Part> parts_;
};

void require(const std::vector<Device>& devices, const char* problem,
             bool (*refused)(const Device&, const Platform&)) {
    std::string names;
    std::size_t count = 0;
    for (const Device& device : devices) {
        if (refused(device, platform_of(device))) {
            constexpr std::size_t shown = 10;
            if (count++ < shown) {
                names += (names.empty() ? "" : ", ") + device.name + " (" + device.platform + ")";
            }
        }
    }
    if (count > 0) {
        throw ValueError(std::string(problem) + ": " + names +
                         (count > 10 ? " and " + std::to_string(count - 10) + " more" : ""));
    }
}

} // namespace

std::string_view to_string(PushState state) noexcept {
    switch (state) {
    case PushState::changed:
        return "changed";
    case PushState::unchanged:
        return "unchanged";
    case PushState::changed_with_warnings:
        return "changed_with_warnings";
    case PushState::failed:
        return "failed";
    case PushState::unreachable:
        return "unreachable";
    case PushState::not_started:
        return "not_started";
    case PushState::unknown:
        return "unknown";
    }
    return "unknown";
}

void check_push(const std::vector<Device>& devices, const PushOptions& options) {
    require(devices, "configuration is pushed over SSH; reached otherwise",
            [](const Device& device, const Platform&) {
                return device.transport != device::Transport::ssh;
            });
    if (options.save) {
        require(devices, "the platform has no way to save its configuration",
                [](const Device&, const Platform& platform) { return !platform.can.save; });
    }
}

Coro<std::vector<PushReport>> push_config(const std::vector<Device>& devices, std::string text,
                                          std::string source, PushOptions options,
                                          FleetOptions run) {
    check_push(devices, options);
    Push push(devices, text, source, std::move(options));
    run.on_event = [&push, outer = std::move(run.on_event)](const Event& event) {
        if (event.kind == Event::Kind::finished) {
            push.conclude(event);
        }
        if (outer) {
            outer(event);
        }
    };
    const auto job = [&push](const Device& device, JobContext& context) {
        return push.work(device, context);
    };
    static_cast<void>(co_await run_fleet(devices, job, std::move(run)));
    co_return push.take_reports();
}

} // namespace muster::fleet
