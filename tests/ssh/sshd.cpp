#include "sshd.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

extern char** environ; // NOLINT

namespace {

std::string current_user() {
    std::array<char, 4096> buffer{};
    struct passwd record{};

    struct passwd* found = nullptr;
    if (::getpwuid_r(::getuid(), &record, buffer.data(), buffer.size(), &found) != 0 ||
        found == nullptr) {
        throw std::runtime_error("the user who runs the tests has no name");
    }
    return found->pw_name;
}

void generate(const std::string& type, const std::string& path) {
    const std::vector<std::string> command{"ssh-keygen", "-q", "-t", type, "-N",
                                           "",           "-C", "",   "-f", path};
    if (run_program(command) != 0) {
        throw std::runtime_error("ssh-keygen failed for " + type);
    }
}

} // namespace

std::string read_text(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

void write_text(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

bool Sshd::available() {
    return find_program("sshd").has_value() && find_program("ssh-keygen").has_value();
}

Sshd::Sshd(const std::string& more, const std::vector<std::string>& host_key_types)
    : user_(current_user()), program_(find_program("sshd").value()) {
    if (::getuid() == 0) {
        ::mkdir("/run/sshd", 0755); // sshd insists on it when it is root
    }
    std::string config = "UsePAM no\n"
                         "StrictModes no\n"
                         "PidFile none\n"
                         "PermitRootLogin yes\n"
                         "LogLevel VERBOSE\n"
                         "AcceptEnv LANG LC_*\n"
                         "Subsystem sftp internal-sftp\n";
    // Not the start-up files of whoever runs the tests.
    config += "SetEnv HOME=" + folder() + "\n";
    for (const auto& type : host_key_types) {
        generate(type, folder() + "/host_" + type);
        config += "HostKey " + folder() + "/host_" + type + "\n";
    }
    config += "AuthorizedKeysFile " + folder() + "/authorized_keys\n" + more + "\n";
    write_text(folder() + "/config", config);
}

Sshd::~Sshd() {
    if (const int listener = listener_.exchange(-1); listener >= 0) {
        ::shutdown(listener, SHUT_RDWR);
        thread_.join();
        ::close(listener);
    }
    kill_sessions();
    for (const pid_t pid : sessions_) {
        ::waitpid(pid, nullptr, 0);
    }
}

void Sshd::serve(int socket) {
    const std::string log = folder() + "/log";
    const std::string config = folder() + "/config";
    std::array<const char*, 7> arguments{program_.c_str(), "-i",    "-e",   "-f",
                                         config.c_str(),   nullptr, nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, socket, 0);
    posix_spawn_file_actions_adddup2(&actions, socket, 1);
    posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    pid_t pid = -1;
    const int error = posix_spawn(&pid, program_.c_str(), &actions, &attributes,
                                  const_cast<char**>(arguments.data()), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    ::close(socket);
    if (error != 0) {
        throw std::runtime_error("cannot start sshd");
    }
    const std::lock_guard lock(mutex_);
    sessions_.push_back(pid);
}

std::uint16_t Sshd::listen() {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address{};

    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<struct sockaddr*>(&address);
    if (listener < 0 || ::bind(listener, generic, length) != 0 || ::listen(listener, 128) != 0 ||
        ::getsockname(listener, generic, &length) != 0) {
        throw std::runtime_error("cannot listen on 127.0.0.1");
    }
    listener_ = listener;
    thread_ = std::thread([this] { accept_loop(); });
    return ntohs(address.sin_port);
}

void Sshd::accept_loop() {
    for (;;) {
        const int listener = listener_;
        if (listener < 0) {
            return;
        }
        const int connection = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (connection < 0) {
            return;
        }
        serve(connection);
    }
}

void Sshd::kill_sessions(int signal) {
    const std::lock_guard lock(mutex_);
    for (const pid_t pid : sessions_) {
        ::kill(-pid, signal);
    }
}

void Sshd::wait_for_sessions() {
    const std::lock_guard lock(mutex_);
    for (const pid_t pid : sessions_) {
        siginfo_t info{};
        ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
    }
}

std::string Sshd::user_key(const std::string& type) {
    std::string file = folder() + "/user_" + type;
    if (!std::filesystem::exists(file)) {
        generate(type, file);
        std::ofstream(folder() + "/authorized_keys", std::ios::app) << read_text(file + ".pub");
    }
    return file;
}

std::string Sshd::host_key(const std::string& type) const {
    std::istringstream line(read_text(folder() + "/host_" + type + ".pub"));
    std::string name;
    std::string key;
    line >> name >> key;
    return name + " " + key;
}

std::string Sshd::log() const { return read_text(folder() + "/log"); }
