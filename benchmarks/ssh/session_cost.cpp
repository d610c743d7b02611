#include "ssh/peers.hpp"
#include "ssh/workloads.hpp"

#include <fmt/format.h>

namespace bench {

namespace {

constexpr std::size_t fleet_size = 250;
constexpr std::size_t warm_up = 16;

using RunSessions = std::chrono::nanoseconds (*)(const SessionLoad&);

void measure(Meter& meter, Login login, std::size_t at_once, std::size_t sessions,
             RunSessions run_sessions) {
    const Fleet fleet(fleet_size);
    SessionLoad load{.fleet = fleet, .sessions = warm_up, .at_once = at_once, .login = login};
    run_sessions(load);
    load.sessions = meter.count(sessions);
    meter.start();
    run_sessions(load);
    meter.stop(load.sessions);
}

Contender here(std::string_view name, Login login, std::size_t at_once, std::size_t sessions,
               RunSessions run_sessions) {
    return {name, [=](Meter& meter) { measure(meter, login, at_once, sessions, run_sessions); }};
}

Contender elsewhere(std::string_view name, Peer peer, Login login, std::size_t at_once,
                    std::size_t sessions) {
    return {name, [=](Meter& meter) {
                const Fleet fleet(fleet_size);
                meter.set(
                    {.nanoseconds = run_sessions_on_peer(peer, {.fleet = fleet,
                                                                .sessions = meter.count(sessions),
                                                                .at_once = at_once,
                                                                .login = login})});
            }};
}

struct Names {
    std::string_view name;
    std::string_view description;
};

Names names_of(Login login, std::size_t at_once) {
    if (login == Login::key) {
        return {"session-key", "connect to close, ed25519 key, 4 KB of output, 64 at once"};
    }
    switch (at_once) {
    case 1:
        return {"session-1", "connect to close, password, 4 KB of output, one at a time"};
    case 256:
        return {"session-256", "the same, 256 at once"};
    default:
        return {"session-64", "the same, 64 at once"};
    }
}

} // namespace

Workload session_cost(Login login, std::size_t at_once) {
    constexpr std::size_t sessions = 1500;
    constexpr std::size_t few = 300; // of what is slower by far
    const auto [name, description] = names_of(login, at_once);
    Workload workload{
        .name = name,
        .description = description,
        .unit = "session",
        .contenders = {here("muster", login, at_once, sessions, run_sessions_on_muster),
                       here("libssh2 on epoll", login, at_once, sessions, run_sessions_on_libssh2)},
        .targets = {{.most = 1.1, .of = "libssh2 on epoll"},
                    {.most = 1.0, .of = "Go x/crypto"},
                    {.most = 1.0 / 7, .of = "AsyncSSH"}}};
    static const bool go = has_go();
    static const bool asyncssh = has_asyncssh();
    if (go) {
        workload.contenders.push_back(elsewhere("Go x/crypto", Peer::go, login, at_once, sessions));
    }
    if (asyncssh) {
        workload.contenders.push_back(
            elsewhere("AsyncSSH, tuned", Peer::asyncssh_tuned, login, at_once, few));
        workload.contenders.push_back(elsewhere("AsyncSSH", Peer::asyncssh, login, at_once, few));
    }
    return workload;
}

} // namespace bench
