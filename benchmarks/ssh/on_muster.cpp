// As a user would write it.

#include "ssh/load.hpp"

#include <muster/muster.hpp>
#include <muster/net/descriptor_limit.hpp>
#include <muster/ssh/connection.hpp>

#include <stdexcept>
#include <utility>
#include <vector>

namespace bench {

namespace {

muster::ssh::Options options_for(const SessionLoad& load, std::size_t session) {
    const Fleet::Device& device = load.fleet.device(session);
    muster::ssh::Options options;
    options.host = device.host;
    options.port = device.port;
    options.username = user_name;
    if (load.login == Login::password) {
        options.password = user_password;
    } else {
        options.keys = {{.path = load.fleet.key_file()}};
    }
    options.known_hosts = {load.fleet.known_hosts()};
    if (load.slow) {
        options.algorithms = muster::ssh::Algorithms::legacy;
    }
    return options;
}

muster::Coro<void> work_through(const SessionLoad& load, std::size_t& next) {
    while (next < load.sessions) {
        auto connection = co_await muster::ssh::connect(options_for(load, next++));
        const auto result = co_await connection.run(session_command);
        if (result.out.size() < session_output || result.exit_status != 0) {
            throw std::runtime_error("a command has failed");
        }
        co_await connection.close();
    }
}

muster::Coro<std::chrono::nanoseconds> run_all(const SessionLoad& load) {
    muster::EventLoop& loop = muster::get_running_loop();
    loop.set_step_times(load.time_steps);
    std::size_t next = 0;
    std::vector<muster::Coro<void>> workers;
    workers.reserve(load.at_once);
    for (std::size_t i = 0; i < load.at_once; ++i) {
        workers.push_back(work_through(load, next));
    }
    co_await muster::gather(std::move(workers));
    co_return loop.metrics().step_times.max();
}

muster::Coro<void> open_some(const SessionLoad& load, std::size_t& next,
                             std::vector<muster::ssh::Connection>& held) {
    while (next < load.sessions) {
        held.push_back(co_await muster::ssh::connect(options_for(load, next++)));
    }
}

muster::Coro<void> hold_all(const SessionLoad& load, const std::function<void()>& opened) {
    std::size_t next = 0;
    std::vector<muster::ssh::Connection> held;
    held.reserve(load.sessions);
    std::vector<muster::Coro<void>> workers;
    workers.reserve(load.at_once);
    for (std::size_t i = 0; i < load.at_once; ++i) {
        workers.push_back(open_some(load, next, held));
    }
    co_await muster::gather(std::move(workers));
    opened();
}

} // namespace

std::chrono::nanoseconds run_sessions_on_muster(const SessionLoad& load) {
    return muster::run(run_all(load));
}

void hold_sessions_on_muster(const SessionLoad& load, const std::function<void()>& opened) {
    muster::require_descriptors(load.sessions, "held sessions");
    muster::run(hold_all(load, opened));
}

} // namespace bench
