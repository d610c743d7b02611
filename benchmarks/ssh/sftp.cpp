#include "harness/processor.hpp"
#include "process.hpp"
#include "ssh/workloads.hpp"
#include "sshd.hpp"

#include <muster/muster.hpp>
#include <muster/ssh/connection.hpp>
#include <muster/ssh/sftp.hpp>

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace bench {

namespace {

constexpr std::uint64_t megabytes = 1000;
constexpr std::size_t megabyte = 1'000'000;

/// OpenSSH's server on another processor, with a large file to fetch.
class FileServer {
public:
    explicit FileServer(std::uint64_t size) {
        std::ofstream out(file(), std::ios::binary);
        std::string part(megabyte, '\0');
        unsigned value = 1;
        for (char& c : part) {
            value = value * 1'664'525U + 1'013'904'223U;
            c = static_cast<char>(value >> 24U);
        }
        for (std::uint64_t i = 0; i < size; ++i) {
            out << part;
        }
        go_elsewhere();
        port_ = sshd_.listen(); // its thread and what that starts stay there
        go_elsewhere();         // back
        write_text(known_hosts(), fmt::format("[127.0.0.1]:{} {}\n", port_, sshd_.host_key()));
        key_ = sshd_.user_key();
    }

    [[nodiscard]] std::string file() const { return sshd_.folder() + "/large"; }

    [[nodiscard]] std::string known_hosts() const { return sshd_.folder() + "/known_hosts"; }

    [[nodiscard]] const std::string& user() const { return sshd_.user(); }

    [[nodiscard]] const std::string& key() const { return key_; }

    [[nodiscard]] std::uint16_t port() const { return port_; }

private:
    Sshd sshd_;
    std::uint16_t port_ = 0;
    std::string key_;
};

muster::Coro<void> fetch(const FileServer& server) {
    muster::ssh::Options options;
    options.host = "127.0.0.1";
    options.port = server.port();
    options.username = server.user();
    options.keys = {{.path = server.key()}};
    options.agent = "";
    options.known_hosts = {server.known_hosts()};
    auto connection = co_await muster::ssh::connect(std::move(options));
    auto sftp = co_await connection.sftp();
    co_await sftp.get(server.file(), "/dev/null");
    co_await sftp.close();
    co_await connection.close();
}

void on_muster(Meter& meter) {
    const std::uint64_t size = meter.count(megabytes);
    const FileServer server(size);
    meter.start();
    muster::run(fetch(server));
    meter.stop(size);
}

void on_openssh(Meter& meter) {
    const std::uint64_t size = meter.count(megabytes);
    const FileServer server(size);
    const std::vector<std::string> command{"sftp",
                                           "-q",
                                           "-F",
                                           "none",
                                           "-i",
                                           server.key(),
                                           "-o",
                                           "UserKnownHostsFile=" + server.known_hosts(),
                                           "-P",
                                           std::to_string(server.port()),
                                           server.user() + "@127.0.0.1:" + server.file(),
                                           "/dev/null"};
    meter.start();
    if (run_program(command) != 0) {
        throw std::runtime_error("sftp has failed");
    }
    meter.stop(size);
}

} // namespace

Workload sftp_get() {
    Workload workload{.name = "sftp",
                      .description = "a file of 1 GB from OpenSSH's server, by the clock",
                      .unit = "MB",
                      .contenders = {{"muster", on_muster}, {"sftp of OpenSSH", on_openssh}},
                      .targets = {{.most = 1.0, .of = "sftp of OpenSSH"}},
                      .clock = Clock::wall};
    if (!Sshd::available() || !find_program("sftp")) {
        fmt::print("sftp is left out: apt-get install openssh-server openssh-sftp-server "
                   "openssh-client\n");
        workload.contenders.clear();
        workload.targets.clear();
    }
    return workload;
}

} // namespace bench
