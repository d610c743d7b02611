#include "asyncssh_server.hpp"

#include "sshd.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string_view>

namespace {

/// The first Python that has AsyncSSH: the one in PATH may be another than the system's.
std::optional<std::string> find_python() {
    for (const char* python : {"python3", "/usr/bin/python3"}) {
        if (run_program({python, "-W", "ignore", "-c", "import asyncssh"}) == 0) {
            return python;
        }
    }
    return std::nullopt;
}

const std::optional<std::string>& python() {
    static const auto found = find_python();
    return found;
}

std::string fifo(const std::string& path) {
    if (::mkfifo(path.c_str(), 0600) != 0) {
        throw std::runtime_error("cannot make " + path);
    }
    return path;
}

} // namespace

AsyncsshServer::AsyncsshServer()
    : process_({python().value(), ASYNCSSH_SERVER, fifo(folder_.path() + "/port")}) {
    const std::string text = read_text(folder_.path() + "/port"); // comes when it listens
    port_ = static_cast<std::uint16_t>(std::stoi(text));
}

bool AsyncsshServer::available() {
    if (python()) {
        return true;
    }
    const char* required = std::getenv("MUSTER_REQUIRE_INTEROP"); // NOLINT(concurrency-mt-unsafe)
    const bool must = required != nullptr && std::string_view(required) == "1";
    CHECK_MESSAGE(!must, "no AsyncSSH: see scripts/install-deps.sh --tests");
    MESSAGE("skipped: no AsyncSSH on this machine");
    return false;
}
