#include "fleet/secret_source.hpp"

#include "fleet/read_file.hpp"
#include "net/descriptor.hpp"

#include <muster/core/error.hpp>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <utility>

namespace muster::fleet::detail {
namespace {

using muster::detail::Descriptor;

// Long enough for a person to unlock a vault.
constexpr std::chrono::seconds command_limit{120};

// Editors and `echo` end a file with a newline that is no part of the secret.
void drop_line_end(std::string& text) {
    if (!text.empty() && text.back() == '\n') {
        text.pop_back();
    }
    if (!text.empty() && text.back() == '\r') {
        text.pop_back();
    }
}

Secret from_environment(const std::string& name) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing in muster changes the environment
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) {
        throw ValueError("the environment variable " + name + " is not set");
    }
    return {value};
}

Secret from_file(const std::string& written, const std::string& folder) {
    std::filesystem::path path = expand_home(written);
    if (path.is_relative()) {
        path = std::filesystem::path(folder) / path;
    }
    std::string text = read_file(path.string());
    drop_line_end(text);
    if (text.empty()) {
        throw ValueError("the file " + path.string() + " is empty");
    }
    return {std::move(text)};
}

// Everything that can be read until the end of file; false when the limit passed first.
bool read_all(int fd, std::string& text) {
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + command_limit;
    std::array<char, 4096> buffer{};
    for (;;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        pollfd waiting{fd, POLLIN, 0};
        const int ready =
            left.count() <= 0 ? 0 : ::poll(&waiting, 1, static_cast<int>(left.count()));
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (ready <= 0) {
            return false;
        }
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return true;
        }
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

int wait_for_exit(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

// Standard input and error stay the user's, so that a vault can ask for its passphrase. Messages
// don't repeat the command: it may hold a token.
Secret from_command(const std::string& command) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw ValueError("no pipe for the command");
    }
    Descriptor read_end(ends[0]);
    Descriptor write_end(ends[1]);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
    std::string shell = "sh";
    std::string option = "-c";
    std::string text = command;
    std::array<char*, 4> arguments{shell.data(), option.data(), text.data(), nullptr};
    pid_t child = 0;
    const int failed =
        ::posix_spawn(&child, "/bin/sh", &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    write_end.close();
    if (failed != 0) {
        throw ValueError("the shell could not be started");
    }
    std::string output;
    const bool ended = read_all(read_end.get(), output);
    if (!ended) {
        ::kill(child, SIGKILL);
    }
    const int status = wait_for_exit(child);
    Secret secret = [&output] {
        drop_line_end(output);
        return Secret(std::move(output));
    }();
    if (!ended) {
        throw ValueError("the command did not end within " + std::to_string(command_limit.count()) +
                         " s");
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        throw ValueError("the command failed with " +
                         (WIFEXITED(status) ? "status " + std::to_string(WEXITSTATUS(status))
                                            : "signal " + std::to_string(WTERMSIG(status))));
    }
    if (secret.empty()) {
        throw ValueError("the command printed nothing");
    }
    return secret;
}

// The rest of `reference` if it begins with `prefix`.
const char* after(std::string_view prefix, const std::string& reference) {
    return reference.starts_with(prefix) ? reference.c_str() + prefix.size() : nullptr;
}

} // namespace

const Secret& SecretSource::resolve(const std::string& reference) {
    const auto [place, is_new] = answers_.try_emplace(reference);
    Answer& answer = place->second;
    if (is_new) {
        try {
            answer.secret = read(reference);
        } catch (const ValueError& error) {
            answer.error = error.what();
        }
    }
    if (!answer.error.empty()) {
        throw ValueError(answer.error);
    }
    return answer.secret;
}

Secret SecretSource::read(const std::string& reference) const {
    if (const char* name = after("env:", reference)) {
        return from_environment(name);
    }
    if (const char* path = after("file:", reference)) {
        return from_file(path, folder_);
    }
    if (const char* command = after("cmd:", reference)) {
        return from_command(command);
    }
    if (const char* text = after("text:", reference)) {
        return {text};
    }
    return {reference};
}

} // namespace muster::fleet::detail
