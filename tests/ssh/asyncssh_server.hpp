#pragma once

#include "process.hpp"
#include "temp_folder.hpp"

#include <cstdint>
#include <string>

/// A running asyncssh_server.py, which says what it does for which user.
class AsyncsshServer {
public:
    AsyncsshServer();

    /// Whether this machine has Python and AsyncSSH. Where MUSTER_REQUIRE_INTEROP is 1 it must.
    static bool available();

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

private:
    TempFolder folder_;
    Process process_;
    std::uint16_t port_ = 0;
};
