#pragma once
/// Pushes to virtual devices over real SSH.

#include "../device/virtual_fleet.hpp"

#include <muster/fleet/push.hpp>
#include <muster/muster.hpp>

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fleet_test {

inline constexpr const char* three_lines =
    "ntp server 10.0.0.1\nntp server 10.0.0.2\nntp server 10.0.0.3\n";

inline bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

/// A virtual fleet, and what is pushed to it. Every push checks what holds for all of them: a
/// report for each device, in their order, told exactly once and as it is in the result.
struct Pushed {
    explicit Pushed(muster::sim::FleetOptions fleet_options) : fleet(std::move(fleet_options)) {
        for (int i = 0; i < fleet.fleet().size(); ++i) {
            devices.push_back(fleet.device(i));
        }
        options.session = fleet.options();
    }

    /// Devices that misbehave as `script` says.
    static Pushed faulty(std::string_view script, int count = 1) {
        muster::sim::DeviceSpec spec;
        if (!script.empty()) {
            spec.fault = muster::sim::Fault::parse(script);
        }
        return Pushed(VirtualFleet::many(count, std::move(spec)));
    }

    std::vector<muster::fleet::PushReport> push(std::string text = three_lines) {
        std::vector<muster::fleet::PushReport> told;
        muster::fleet::PushOptions with_log = options;
        with_log.on_report = [&](const muster::fleet::PushReport& report) {
            told.push_back(report);
            if (options.on_report) {
                options.on_report(report);
            }
        };
        std::vector<muster::fleet::PushReport> reports = muster::run(muster::fleet::push_config(
            devices, std::move(text), "c.cfg", std::move(with_log), run));
        check(reports, told);
        return reports;
    }

    /// For one device.
    muster::fleet::PushReport push_one(std::string text = three_lines) {
        return push(std::move(text)).front();
    }

    /// Calls `action` when a device enters `phase`.
    void on_phase(std::string phase, std::function<void()> action) {
        run.on_event = [phase = std::move(phase),
                        action = std::move(action)](const muster::fleet::Event& event) {
            if (event.kind == muster::fleet::Event::Kind::phase && event.phase == phase) {
                action();
            }
        };
    }

    [[nodiscard]] std::string running(int index = 0) { return fleet.fleet().running_config(index); }

    [[nodiscard]] std::string startup(int index = 0) { return fleet.fleet().startup_config(index); }

    VirtualFleet fleet;
    std::vector<muster::device::Device> devices;
    muster::fleet::PushOptions options;
    muster::fleet::FleetOptions run;

private:
    void check(const std::vector<muster::fleet::PushReport>& reports,
               const std::vector<muster::fleet::PushReport>& told) const {
        if (reports.size() != devices.size() || told.size() != devices.size()) {
            throw std::logic_error("not one report for each device");
        }
        for (std::size_t i = 0; i < devices.size(); ++i) {
            std::size_t times = 0;
            for (const muster::fleet::PushReport& report : told) {
                if (report.device == devices[i].name) {
                    ++times;
                    if (report.state != reports[i].state) {
                        throw std::logic_error("told another state than the result has");
                    }
                }
            }
            if (reports[i].device != devices[i].name || times != 1) {
                throw std::logic_error(devices[i].name + " was reported " + std::to_string(times) +
                                       " times");
            }
        }
    }
};

/// What a report says went wrong; empty when nothing did.
inline std::string reason_of(const muster::fleet::PushReport& report) {
    return report.failure ? report.failure->reason : std::string();
}

} // namespace fleet_test
