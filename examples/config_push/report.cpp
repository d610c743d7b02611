#include "report.hpp"

#include <muster/fleet/progress.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <map>
#include <numeric>

namespace config_push {

using muster::fleet::PushReport;
using muster::fleet::PushState;

namespace {

constexpr std::array states = {
    PushState::changed, PushState::unchanged,   PushState::changed_with_warnings,
    PushState::failed,  PushState::unreachable, PushState::not_started,
    PushState::unknown};

bool went_well(const PushReport& report) {
    return report.state == PushState::changed || report.state == PushState::unchanged;
}

double seconds(muster::Clock::duration time) { return std::chrono::duration<double>(time).count(); }

const char* colour(PushState state) {
    switch (state) {
    case PushState::changed:
    case PushState::unchanged:
        return "\033[32m";
    case PushState::changed_with_warnings:
    case PushState::not_started:
        return "\033[33m";
    default:
        return "\033[31m";
    }
}

nlohmann::json to_json(const PushReport& report) {
    nlohmann::json json = {{"device", report.device},
                           {"host", report.endpoint},
                           {"state", to_string(report.state)},
                           {"applied", report.applied},
                           {"total", report.total},
                           {"saved", report.saved},
                           {"seconds", std::round(seconds(report.elapsed) * 1000) / 1000},
                           {"warnings", nlohmann::json::array()},
                           {"failure", nullptr}};
    for (const auto& warning : report.warnings) {
        json["warnings"].push_back({{"line", warning.line}, {"words", warning.words}});
    }
    if (report.line != 0) {
        json["line"] = report.line;
    }
    if (!report.words.empty()) {
        json["words"] = report.words;
    }
    if (report.failure) {
        json["failure"] = {{"phase", report.failure->phase},
                           {"reason", report.failure->reason},
                           {"remedy", report.failure->remedy},
                           {"timed_out", report.failure->timed_out}};
    }
    return json;
}

std::map<PushState, std::size_t> count_states(const std::vector<PushReport>& reports) {
    std::map<PushState, std::size_t> counts;
    for (const PushReport& report : reports) {
        ++counts[report.state];
    }
    return counts;
}

muster::Clock::duration total_time(const std::vector<PushReport>& reports) {
    return std::accumulate(
        reports.begin(), reports.end(), muster::Clock::duration::zero(),
        [](muster::Clock::duration sum, const PushReport& report) { return sum + report.elapsed; });
}

// Invalid UTF-8 in a device's words must not end the program.
std::string dump(const nlohmann::json& json, int indent) {
    return json.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

} // namespace

bool is_terminal(std::FILE* stream) { return ::isatty(::fileno(stream)) != 0; }

void print_table(const std::vector<PushReport>& reports, std::size_t limit) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody writes the environment
    const bool colours = is_terminal(stdout) && std::getenv("NO_COLOR") == nullptr;
    std::size_t device_width = 6;
    std::size_t host_width = 4;
    std::size_t state_width = 5;
    for (const PushReport& report : reports) {
        device_width = std::max(device_width, report.device.size());
        host_width = std::max(host_width, report.endpoint.size());
        state_width = std::max(state_width, to_string(report.state).size());
    }
    fmt::print("{:<{}}  {:<{}}  {:<{}}  {:>7}  {:>8}\n", "DEVICE", device_width, "HOST", host_width,
               "STATE", state_width, "LINES", "TIME");
    std::size_t shown = 0;
    std::size_t left_out = 0;
    for (const PushReport& report : reports) {
        if (went_well(report) && ++shown > limit) {
            ++left_out;
            continue;
        }
        const std::string state = fmt::format("{:<{}}", to_string(report.state), state_width);
        fmt::print("{:<{}}  {:<{}}  {}{}{}  {:>7}  {:>8}{}\n", report.device, device_width,
                   report.endpoint, host_width, colours ? colour(report.state) : "", state,
                   colours ? "\033[0m" : "", fmt::format("{}/{}", report.applied, report.total),
                   muster::fleet::to_words(report.elapsed), report.saved ? "  saved" : "");
        for (const auto& warning : report.warnings) {
            fmt::print("    warning, line {}: {}\n", warning.line, warning.words);
        }
        if (report.failure) {
            fmt::print("    {}: {}\n", report.failure->phase, report.failure->reason);
            if (!report.failure->remedy.empty()) {
                fmt::print("    remedy: {}\n", report.failure->remedy);
            }
        }
    }
    if (left_out > 0) {
        fmt::print("{:<{}}  {} more that went as well\n", "...", device_width, left_out);
    }
}

std::string summary_line(const std::vector<PushReport>& reports, muster::Clock::duration elapsed) {
    std::string text = fmt::format("{} device{}: ", reports.size(), reports.size() == 1 ? "" : "s");
    const auto counts = count_states(reports);
    bool first = true;
    for (const PushState state : states) {
        const auto found = counts.find(state);
        if (found != counts.end()) {
            text += fmt::format("{}{} {}", first ? "" : ", ", found->second, to_string(state));
            first = false;
        }
    }
    if (first) {
        text += "nothing to do";
    }
    return text + fmt::format("; {}, one after the other {}", muster::fleet::to_words(elapsed),
                              muster::fleet::to_words(total_time(reports)));
}

void print_json(const std::vector<PushReport>& reports, muster::Clock::duration elapsed) {
    nlohmann::json summary = {{"devices", reports.size()},
                              {"seconds", seconds(elapsed)},
                              {"seconds_one_by_one", seconds(total_time(reports))},
                              {"exit_status", exit_status(reports)}};
    const auto counts = count_states(reports);
    for (const PushState state : states) {
        const auto found = counts.find(state);
        summary["states"][std::string(to_string(state))] =
            found == counts.end() ? 0 : found->second;
    }
    nlohmann::json devices = nlohmann::json::array();
    for (const PushReport& report : reports) {
        devices.push_back(to_json(report));
    }
    fmt::print("{}\n", dump({{"devices", devices}, {"summary", summary}}, 2));
}

void print_ndjson(const PushReport& report) {
    fmt::print("{}\n", dump(to_json(report), -1));
    static_cast<void>(std::fflush(stdout));
}

std::string one_line(const PushReport& report) {
    std::string text =
        fmt::format("{}: {}, {} of {} lines, {}", report.device, to_string(report.state),
                    report.applied, report.total, muster::fleet::to_words(report.elapsed));
    if (report.failure) {
        text += ": " + to_string(*report.failure);
    }
    return text;
}

int exit_status(const std::vector<PushReport>& reports) {
    int status = 0;
    for (const PushReport& report : reports) {
        if (report.state == PushState::unknown) {
            return 4;
        }
        if (!went_well(report) && report.state != PushState::changed_with_warnings) {
            status = 1;
        }
    }
    return status;
}

} // namespace config_push
