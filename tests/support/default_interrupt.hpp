#pragma once

#include <csignal>

namespace muster::testing_support {

/// While alive: SIGINT as a program has it at its start. doctest has a handler of its own.
class DefaultInterrupt {
public:
    DefaultInterrupt() {
        struct sigaction action{};
        action.sa_handler = SIG_DFL;
        ::sigaction(SIGINT, &action, &previous_);
    }

    DefaultInterrupt(const DefaultInterrupt&) = delete;
    DefaultInterrupt& operator=(const DefaultInterrupt&) = delete;

    ~DefaultInterrupt() { ::sigaction(SIGINT, &previous_, nullptr); }

private:
    struct sigaction previous_{};
};

} // namespace muster::testing_support
