#include "ssh/peers.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>

namespace bench {

namespace {

std::string run_command(const std::string& command) {
    const std::unique_ptr<FILE, int (*)(FILE*)> output(::popen(command.c_str(), "re"), ::pclose);
    std::string text;
    std::array<char, 256> part{};
    while (output && std::fgets(part.data(), part.size(), output.get()) != nullptr) {
        text += part.data();
    }
    return text;
}

} // namespace

bool has_go() {
    if (::access(MUSTER_BENCH_GO, X_OK) == 0) {
        return true;
    }
    fmt::print("Go is left out: apt-get install golang-go golang-golang-x-crypto-dev, and build "
               "again\n");
    return false;
}

bool has_asyncssh() {
    if (run_command("/usr/bin/python3 -W ignore -c 'import asyncssh; print(1)' 2>&1") == "1\n") {
        return true;
    }
    fmt::print("AsyncSSH is left out: apt-get install python3-asyncssh\n");
    return false;
}

double run_sessions_on_peer(Peer peer, const SessionLoad& load) {
    const std::string program = peer == Peer::go ? MUSTER_BENCH_GO
                                                 : "/usr/bin/python3 -W ignore " MUSTER_BENCH_PEERS
                                                   "/session.py";
    const std::string command = fmt::format(
        "{} '{}' {} '{}' {} {} '{}'{}", program, load.fleet.known_hosts(), user_name,
        load.login == Login::password ? std::string() : load.fleet.key_file(), load.sessions,
        load.at_once, session_command, peer == Peer::asyncssh_tuned ? " tuned" : "");
    const std::string answer = run_command(command);
    if (answer.empty()) {
        throw std::runtime_error("it has failed: " + command);
    }
    return std::stod(answer);
}

} // namespace bench
