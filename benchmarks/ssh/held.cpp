#include "ssh/workloads.hpp"

namespace bench {

namespace {

constexpr std::size_t at_once = 64;
constexpr std::size_t warm_up = 16;

using HoldSessions = void (*)(const SessionLoad&, const std::function<void()>&);

Contender holder(std::string_view name, std::size_t sessions, HoldSessions hold_sessions) {
    return {name, [=](Meter& meter) {
                const std::size_t count = meter.count(sessions);
                const Fleet fleet(count);
                SessionLoad load{.fleet = fleet, .sessions = warm_up, .at_once = at_once};
                hold_sessions(load, [] {});
                load.sessions = count;
                meter.start();
                hold_sessions(load, [&] { meter.stop(count); });
            }};
}

} // namespace

Workload held_sessions(std::size_t sessions) {
    constexpr double kilobytes = 1024;
    const bool many = sessions > 5000;
    Workload workload{
        .name = many ? "held-10000" : "held-5000",
        .description = many ? "the same with 10,000"
                            : "5,000 sessions opened, 64 at a time, logged in and held",
        .unit = "session",
        .contenders = {holder("muster", sessions, hold_sessions_on_muster),
                       holder("libssh2 on epoll", sessions, hold_sessions_on_libssh2)},
        .targets = {{.figure = Figure::bytes,
                     .most = 12 * kilobytes,
                     .beyond = "libssh2 on epoll"}},
        .clock = Clock::wall};
    if (!many) {
        workload.targets.push_back({.most = 8e9 / 5000}); // 8 s in all
    }
    return workload;
}

} // namespace bench
