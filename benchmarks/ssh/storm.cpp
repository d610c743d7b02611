#include "harness/processor.hpp"
#include "ssh/workloads.hpp"

namespace bench {

namespace {

constexpr std::size_t fleet_size = 250;
constexpr std::size_t sessions = 2000;
constexpr std::size_t at_once = 64;
constexpr std::size_t warm_up = 16;

using RunSessions = std::chrono::nanoseconds (*)(const SessionLoad&);

Contender storm(std::string_view name, RunSessions run_sessions) {
    return {name, [=](Meter& meter) {
                const Fleet fleet(fleet_size);
                SessionLoad load{.fleet = fleet, .sessions = warm_up, .at_once = at_once};
                run_sessions(load);
                load.sessions = meter.count(sessions);
                meter.start();
                run_sessions(load);
                meter.stop(load.sessions);
            }};
}

Contender stepping(std::string_view name, bool slow, RunSessions run_sessions) {
    return {name, [=](Meter& meter) {
                constexpr std::size_t few = 300; // group16 is slow for the server, too
                const Fleet fleet(fleet_size, slow ? fleet_size / 2 : 0);
                SessionLoad load{.fleet = fleet,
                                 .sessions = warm_up,
                                 .at_once = at_once,
                                 .slow = slow,
                                 .time_steps = true};
                run_sessions(load);
                load.sessions = meter.count(slow ? few : sessions);
                run_before_others();
                const std::chrono::nanoseconds longest = run_sessions(load);
                meter.set({.nanoseconds = static_cast<double>(longest.count())});
            }};
}

} // namespace

Workload session_storm() {
    constexpr double each = 1e9 / 700; // 700 a second
    return {.name = "storm",
            .description = "connect to close, password, 4 KB of output, 64 at once, one thread",
            .unit = "session",
            .contenders = {storm("muster", run_sessions_on_muster),
                           storm("libssh2 on epoll", run_sessions_on_libssh2)},
            .targets = {{.most = each}},
            .clock = Clock::wall};
}

Workload longest_step(bool slow) {
    constexpr double milliseconds = 1e6;
    return {.name = slow ? "step-slow" : "step",
            .description =
                slow ? "the same, half of the devices have only diffie-hellman-group16-sha512"
                     : "the longest time for which the loop can do nothing else, in that storm",
            .unit = "storm",
            .contenders = {stepping("muster", slow, run_sessions_on_muster),
                           stepping("libssh2 on epoll", slow, run_sessions_on_libssh2)},
            .targets = {{.most = (slow ? 2 : 1) * milliseconds}},
            .clock = Clock::wall};
}

} // namespace bench
