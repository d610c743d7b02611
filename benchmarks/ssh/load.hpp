#pragma once
/// What SSH sessions do in the benchmarks, whoever makes them.

#include "harness/bench.hpp"
#include "ssh/fleet.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace bench {

enum class Login : std::uint8_t { password, key };

/// Sessions from connect to close, each with one command of `session_output` bytes; `at_once` of
/// them at any time.
struct SessionLoad {
    const Fleet& fleet;
    std::size_t sessions = 0;
    std::size_t at_once = 1;
    Login login = Login::password;
    bool slow = false;       ///< diffie-hellman-group16-sha512 is offered, too
    bool time_steps = false; ///< the longest one is asked for
};

/// Runs them to the end; the longest time for which nothing else could be done, when it is asked
/// for. Throws when a session fails.
std::chrono::nanoseconds run_sessions_on_muster(const SessionLoad& load);
std::chrono::nanoseconds run_sessions_on_libssh2(const SessionLoad& load);

/// Opens and logs in to so many sessions, `at_once` at a time, calls `opened`, closes them.
void hold_sessions_on_muster(const SessionLoad& load, const std::function<void()>& opened);
void hold_sessions_on_libssh2(const SessionLoad& load, const std::function<void()>& opened);

} // namespace bench
