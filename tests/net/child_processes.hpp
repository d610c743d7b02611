#pragma once
/// What the tests of subprocesses share.

#include <muster/muster.hpp>
#include <muster/net/subprocess.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <set>
#include <string>
#include <system_error>
#include <utility>

/// All three streams piped.
inline muster::SubprocessOptions piped() {
    return {.stdin_ = muster::Stdio::pipe,
            .stdout_ = muster::Stdio::pipe,
            .stderr_ = muster::Stdio::pipe};
}

/// No child is left, neither running nor a zombie.
inline bool no_children() {
    siginfo_t info{};
    return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
}

/// Lets the loop look at the world until it is as wanted.
template <class F>
muster::Coro<void> until(F condition) {
    while (!condition()) {
        co_await muster::async_sleep(std::chrono::seconds(0));
    }
}

/// This program's open descriptors, but for what a loop waits with.
inline std::set<std::string> descriptors() {
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone; // the one that reads the directory
        const auto target = std::filesystem::read_symlink(entry.path(), gone);
        if (!gone && target.string().find("/fd") == std::string::npos &&
            target != "anon_inode:[eventpoll]") {
            found.insert(entry.path().filename().string() + " " + target.string());
        }
    }
    return found;
}

/// A pipe of the test's own.
struct TestPipe {
    TestPipe() {
        std::array<int, 2> ends{};
        REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
        read_end = ends[0];
        write_end = ends[1];
    }

    TestPipe(const TestPipe&) = delete;
    TestPipe& operator=(const TestPipe&) = delete;

    ~TestPipe() {
        ::close(read_end);
        close_write();
    }

    void close_write() {
        if (write_end >= 0) {
            ::close(std::exchange(write_end, -1));
        }
    }

    /// What was written; only after close_write().
    [[nodiscard]] std::string text() const {
        std::string all;
        std::array<char, 4096> buffer{};
        ssize_t got = 0;
        while ((got = ::read(read_end, buffer.data(), buffer.size())) > 0) {
            all.append(buffer.data(), static_cast<std::size_t>(got));
        }
        return all;
    }

    int read_end = -1;
    int write_end = -1;
};

/// A signal's disposition, for a scope.
class Disposition {
public:
    Disposition(int signal, void (*handler)(int)) : signal_(signal) {
        struct sigaction action{};
        action.sa_handler = handler;
        ::sigaction(signal, &action, &before_);
    }

    Disposition(const Disposition&) = delete;
    Disposition& operator=(const Disposition&) = delete;

    ~Disposition() { ::sigaction(signal_, &before_, nullptr); }

private:
    int signal_;
    struct sigaction before_{};
};

/// What a shell command writes to standard output.
inline muster::Coro<std::string> output_of(std::string command,
                                           muster::SubprocessOptions options = {}) {
    options.stdout_ = muster::Stdio::pipe;
    muster::Process shell =
        co_await muster::create_subprocess_shell(std::move(command), std::move(options));
    co_return (co_await shell.communicate()).stdout_data;
}

/// Runs until its standard input is closed.
inline muster::Coro<muster::Process> start_cat() {
    return muster::create_subprocess_exec("cat", {}, piped());
}
