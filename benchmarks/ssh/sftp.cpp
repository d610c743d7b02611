// A large file over SFTP, from and to memory: muster beside OpenSSH's sftp and beside a bare loop
// on libssh2, against the same sshd.

#include "sshd.hpp"

#include <muster/muster.hpp>
#include <muster/ssh/connection.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <libssh2.h>
#include <libssh2_sftp.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using muster::Coro;

struct Place {
    std::string folder = "/dev/shm/muster-bench-sftp";

    Place() { fs::create_directories(folder); }

    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    ~Place() {
        std::error_code ignored;
        fs::remove_all(folder, ignored);
    }

    [[nodiscard]] std::string path(const std::string& name) const { return folder + "/" + name; }
};

void make_file(const std::string& path, std::size_t megabytes) {
    std::ofstream out(path, std::ios::binary);
    std::vector<std::uint64_t> block(1024UL * 1024 / sizeof(std::uint64_t));
    std::uint64_t state = 88172645463325252U;
    for (std::size_t i = 0; i < megabytes; ++i) {
        for (auto& word : block) {
            state ^= state << 13U;
            state ^= state >> 7U;
            state ^= state << 17U;
            word = state;
        }
        out.write(reinterpret_cast<const char*>(block.data()), 1024L * 1024);
    }
}

/// Of this process, so far.
long peak_kilobytes() {
    struct rusage usage{};

    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/// CPU time of this process and of the programs that it has waited for.
double cpu_seconds() {
    double sum = 0;
    for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
        struct rusage usage{};

        ::getrusage(who, &usage);
        for (const timeval& time : {usage.ru_utime, usage.ru_stime}) {
            sum += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
        }
    }
    return sum;
}

muster::ssh::Options options_for(Sshd& sshd) {
    muster::ssh::Options options;
    options.host = "127.0.0.1";
    options.port = sshd.listen();
    options.username = sshd.user();
    options.keys.push_back({.path = sshd.user_key()});
    options.known_hosts = {sshd.folder() + "/known_hosts"};
    write_text(options.known_hosts.front(),
               "[127.0.0.1]:" + std::to_string(options.port) + " " + sshd.host_key() + "\n");
    return options;
}

void by_muster(const muster::ssh::Options& options, bool get, const std::string& from,
               const std::string& to) {
    muster::run([](muster::ssh::Options login, bool fetch, std::string source,
                   std::string target) -> Coro<void> {
        auto connection = co_await muster::ssh::connect(std::move(login));
        auto sftp = co_await connection.sftp();
        if (fetch) {
            co_await sftp.get(source, target);
        } else {
            co_await sftp.put(source, target);
        }
        co_await connection.close();
    }(options, get, from, to));
}

void by_openssh(const muster::ssh::Options& options, const std::string& ciphers, bool get,
                const std::string& from, const std::string& to, const std::string& batch) {
    write_text(batch, (get ? "get " : "put ") + from + " " + to + "\n");
    std::vector<std::string> command{"sftp", "-q",
                                     "-P",   std::to_string(options.port),
                                     "-i",   options.keys.front().path,
                                     "-o",   "UserKnownHostsFile=" + options.known_hosts.front(),
                                     "-F",   "/dev/null",
                                     "-b",   batch};
    if (!ciphers.empty()) {
        command.insert(command.end(), {"-c", ciphers});
    }
    command.push_back(options.username + "@127.0.0.1");
    if (run_program(command, "/dev/stderr") != 0) {
        throw std::runtime_error("sftp failed");
    }
}

/// The fastest that libssh2 can be used: it has the socket, and waits by itself.
void by_libssh2(const muster::ssh::Options& options, bool get, const std::string& from,
                const std::string& to) {
    const auto check = [](bool good, const char* what) {
        if (!good) {
            throw std::runtime_error(what);
        }
    };
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(options.port);
    check(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "connect");
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    LIBSSH2_SESSION* session = libssh2_session_init();
    libssh2_session_set_blocking(session, 1);
    check(libssh2_session_handshake(session, fd) == 0, "handshake");
    check(libssh2_userauth_publickey_fromfile(session, options.username.c_str(), nullptr,
                                              options.keys.front().path.c_str(), nullptr) == 0,
          "login");
    LIBSSH2_SFTP* sftp = libssh2_sftp_init(session);
    check(sftp != nullptr, "sftp");
    const std::string& remote = get ? from : to;
    const auto flags =
        get ? LIBSSH2_FXF_READ : LIBSSH2_FXF_WRITE | LIBSSH2_FXF_CREAT | LIBSSH2_FXF_TRUNC;
    LIBSSH2_SFTP_HANDLE* file = libssh2_sftp_open(sftp, remote.c_str(), flags, 0600);
    check(file != nullptr, "open");
    const int local = get ? ::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
                          : ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
    check(local >= 0, "open");
    std::vector<char> buffer(get ? 512 * 1024 : 2 * 1024 * 1024);
    if (get) {
        for (;;) {
            const auto count = libssh2_sftp_read(file, buffer.data(), buffer.size());
            check(count >= 0, "read");
            if (count == 0) {
                break;
            }
            check(::write(local, buffer.data(), static_cast<std::size_t>(count)) == count, "write");
        }
    } else {
        std::size_t filled = 0;
        bool more = true;
        while (more || filled > 0) {
            if (more && filled < buffer.size()) {
                const auto count = ::read(local, buffer.data() + filled, buffer.size() - filled);
                more = count > 0;
                filled += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
            }
            if (filled > 0) {
                const auto count = libssh2_sftp_write(file, buffer.data(), filled);
                check(count > 0, "write");
                filled -= static_cast<std::size_t>(count);
                std::copy_n(buffer.data() + count, filled, buffer.data());
            }
        }
    }
    ::close(local);
    libssh2_sftp_close(file);
    libssh2_sftp_shutdown(sftp);
    libssh2_session_disconnect(session, "done");
    libssh2_session_free(session);
    ::close(fd);
}

void measure(const std::string& name, int runs, double megabytes, const std::string& result,
             const std::string& source, const std::function<void()>& work) {
    double best = 0;
    double cpu = 1e9;
    for (int i = 0; i < runs; ++i) {
        std::error_code ignored;
        fs::remove(result, ignored);
        const double cpu_before = cpu_seconds();
        const auto began = std::chrono::steady_clock::now();
        work();
        const std::chrono::duration<double> time = std::chrono::steady_clock::now() - began;
        best = std::max(best, megabytes / time.count());
        cpu = std::min(cpu, cpu_seconds() - cpu_before);
        if (fs::file_size(result) != fs::file_size(source)) {
            throw std::runtime_error(name + " lost something");
        }
    }
    fmt::print("{:<20} {:6.0f} MB/s, client CPU {:5.2f} ms/MB\n", name, best,
               1000 * cpu / megabytes);
    std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv) {
    int megabytes = 1024;
    int runs = 3;
    std::string only;
    CLI::App app("Files over SFTP: muster, OpenSSH's sftp, and a bare loop on libssh2");
    app.add_option("--megabytes", megabytes, "size of the file");
    app.add_option("--runs", runs, "of which the best counts");
    app.add_option("--only", only, "muster, sftp or libssh2");
    CLI11_PARSE(app, argc, argv);
    if (!Sshd::available()) {
        fmt::print("left out: apt-get install openssh-server openssh-sftp-server\n");
        constexpr int skipped = 77;
        return skipped;
    }

    Place place;
    const std::string source = place.path("source");
    const std::string result = place.path("result");
    make_file(source, static_cast<std::size_t>(megabytes));
    // Without a cipher given, each takes what it likes best of what both have.
    for (const std::string cipher : {"", "aes128-ctr", "aes256-ctr"}) {
        Sshd server(cipher.empty() ? "" : "Ciphers " + cipher);
        const auto options = options_for(server);
        fmt::print("-- cipher: {}\n", cipher.empty() ? "each its own" : cipher);
        for (const bool get : {true, false}) {
            const std::string what = get ? "get" : "put";
            const auto wanted = [&](const std::string& who) { return only.empty() || only == who; };
            if (wanted("muster")) {
                measure(what + " muster", runs, megabytes, result, source,
                        [&] { by_muster(options, get, source, result); });
                fmt::print("   peak memory of this process {:.1f} MB\n",
                           static_cast<double>(peak_kilobytes()) / 1024);
            }
            if (wanted("sftp")) {
                measure(what + " sftp", runs, megabytes, result, source, [&] {
                    by_openssh(options, cipher, get, source, result, place.path("batch"));
                });
            }
            if (wanted("libssh2")) {
                measure(what + " libssh2 alone", runs, megabytes, result, source,
                        [&] { by_libssh2(options, get, source, result); });
            }
        }
    }
    return 0;
}
