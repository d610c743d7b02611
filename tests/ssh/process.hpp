#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

/// Runs a program to its end; its exit status. Its output goes to the file, or nowhere.
int run_program(const std::vector<std::string>& command, const std::string& output = "/dev/null");

/// Where a program is (PATH and the sbin folders); nothing where it is not installed.
std::optional<std::string> find_program(const std::string& name);

/// How often this process has the file open.
std::size_t times_open(const std::string& path);

/// A program running in the background; its end comes with this object's.
class Process {
public:
    explicit Process(const std::vector<std::string>& command,
                     const std::string& output = "/dev/null");
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process();

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    /// Waits for the end; the exit status, or 128 + signal.
    int wait();
    void kill(int signal);

private:
    pid_t pid_ = -1;
};
