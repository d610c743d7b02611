/// Boost.Process v2 was considered and does not serve, as of Boost 1.81: a program that can't be
/// started leaves a zombie, its fork runs the host's exit handlers in the child, the handle kills
/// on destruction, and without pidfd it takes SIGCHLD. posix_spawn has none of these.
#include "net/spawn.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <system_error>

namespace muster::detail {

namespace {

constexpr int standard_streams = 3;

std::string reason(int error) { return std::generic_category().message(error); }

[[noreturn]] void fail(SubprocessError::Kind kind, const std::string& program,
                       const std::string& why) {
    throw SubprocessError(kind, "cannot run '" + program + "': " + why);
}

void check(int error) {
    if (error != 0) {
        throw Error("cannot prepare a child process: " + reason(error));
    }
}

void check_text(const std::string& text, const char* what) {
    if (text.find('\0') != std::string::npos) {
        throw ValueError(std::string("embedded null byte in ") + what);
    }
}

/// What happens between the fork and the program.
class FileActions {
public:
    FileActions() { check(::posix_spawn_file_actions_init(&actions_)); }

    FileActions(const FileActions&) = delete;
    FileActions& operator=(const FileActions&) = delete;

    ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }

    void duplicate(int from, int to) {
        check(::posix_spawn_file_actions_adddup2(&actions_, from, to));
    }

    void open_null(int fd) {
        check(::posix_spawn_file_actions_addopen(&actions_, fd, "/dev/null", O_RDWR, 0));
    }

    void change_directory(const std::string& path) {
        check(::posix_spawn_file_actions_addchdir_np(&actions_, path.c_str()));
    }

    /// Also what the host opened without O_CLOEXEC stays here.
    void close_from(int first) {
        check(::posix_spawn_file_actions_addclosefrom_np(&actions_, first));
    }

    [[nodiscard]] const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

private:
    posix_spawn_file_actions_t actions_{};
};

/// Signals as a program expects to find them, whatever the host has blocked or ignores: what
/// Python's restore_signals does, and an empty mask, or a host that blocks SIGTERM could not
/// terminate its children.
class Attributes {
public:
    explicit Attributes(bool new_session) {
        check(::posix_spawnattr_init(&attributes_));
        sigset_t none;
        ::sigemptyset(&none);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        sigset_t restored;
        ::sigemptyset(&restored);
        ::sigaddset(&restored, SIGPIPE);
        ::sigaddset(&restored, SIGXFSZ);
        ::posix_spawnattr_setsigdefault(&attributes_, &restored);
        const int flags =
            POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (new_session ? POSIX_SPAWN_SETSID : 0);
        ::posix_spawnattr_setflags(&attributes_, static_cast<short>(flags));
    }

    Attributes(const Attributes&) = delete;
    Attributes& operator=(const Attributes&) = delete;

    ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }

    [[nodiscard]] const posix_spawnattr_t* get() const noexcept { return &attributes_; }

private:
    posix_spawnattr_t attributes_{};
};

/// A null-terminated array of pointers to texts that must outlive it.
std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> array;
    array.reserve(texts.size() + 1);
    for (const std::string& text : texts) {
        array.push_back(const_cast<char*>(text.c_str())); // posix_spawn changes nothing
    }
    array.push_back(nullptr);
    return array;
}

std::vector<std::string> environment_lines(const std::map<std::string, std::string>& variables) {
    std::vector<std::string> lines;
    for (const auto& [name, value] : variables) {
        if (name.empty() || name.find('=') != std::string::npos) {
            throw ValueError("illegal environment variable name '" + name + "'");
        }
        lines.push_back(name);
        lines.back().append("=").append(value);
        check_text(lines.back(), "an environment variable");
    }
    return lines;
}

/// The PATH that counts is the child's.
std::string search_path(const SubprocessOptions& options) {
    std::optional<std::string> path;
    if (!options.env) {
        // NOLINTNEXTLINE(concurrency-mt-unsafe): muster never writes the environment
        if (const char* own = std::getenv("PATH")) {
            path = own;
        }
    } else if (const auto found = options.env->find("PATH"); found != options.env->end()) {
        path = found->second;
    }
    return path.value_or("/bin:/usr/bin");
}

std::vector<std::string> candidates(const std::string& program, std::string_view path) {
    if (program.find('/') != std::string::npos) {
        return {program};
    }
    std::vector<std::string> found;
    for (;;) {
        const std::size_t colon = path.find(':');
        const std::string_view folder = path.substr(0, colon);
        found.push_back(std::string(folder.empty() ? "." : folder) + "/" + program);
        if (colon == std::string_view::npos) {
            return found;
        }
        path.remove_prefix(colon + 1);
    }
}

bool missing(int error) { return error == ENOENT || error == ENOTDIR; }

/// Spares a fork for each folder of PATH. A relative one is relative to the child's directory.
bool surely_missing(const std::string& file) {
    return file.starts_with('/') && ::access(file.c_str(), F_OK) != 0 && missing(errno);
}

/// Why the child could not enter its directory; 0 when that was not the reason.
int directory_error(const std::string& directory) {
    struct stat status{};
    if (directory.empty()) {
        return 0;
    }
    if (::stat(directory.c_str(), &status) != 0) {
        return errno;
    }
    if (!S_ISDIR(status.st_mode)) {
        return ENOTDIR;
    }
    return ::access(directory.c_str(), X_OK) != 0 ? errno : 0;
}

[[noreturn]] void explain(const std::string& program, const SubprocessOptions& options,
                          const std::string& path, int error) {
    using Kind = SubprocessError::Kind;
    if (const int inside = directory_error(options.cwd); inside != 0) {
        fail(Kind::directory, program,
             "working directory '" + options.cwd + "': " + reason(inside));
    }
    if (!missing(error)) {
        fail(error == EACCES || error == EPERM ? Kind::not_permitted : Kind::other, program,
             reason(error));
    }
    if (program.find('/') == std::string::npos) {
        fail(Kind::not_found, program, "not found in PATH (" + path + ")");
    }
    if (options.cwd.empty() && ::access(program.c_str(), F_OK) == 0) {
        fail(Kind::not_found, program, "the interpreter it names was not found");
    }
    fail(Kind::not_found, program, reason(error));
}

} // namespace

pid_t spawn(const std::string& program, const std::vector<std::string>& args,
            const SubprocessOptions& options, const std::array<int, 3>& ends) {
    std::vector<std::string> words{program};
    words.insert(words.end(), args.begin(), args.end());
    for (const std::string& word : words) {
        check_text(word, "a program or argument");
    }
    check_text(options.cwd, "a working directory");
    if (program.empty()) {
        throw ValueError("the program has no name");
    }

    FileActions actions;
    const std::array<Stdio, 3> streams{options.stdin_, options.stdout_, options.stderr_};
    for (int fd = 0; fd < standard_streams; ++fd) {
        const auto i = static_cast<std::size_t>(fd);
        if (ends[i] >= 0) {
            actions.duplicate(ends[i], fd);
        } else if (streams[i] == Stdio::devnull) {
            actions.open_null(fd);
        } else if (streams[i] == Stdio::stdout_) {
            actions.duplicate(STDOUT_FILENO, fd);
        }
    }
    if (!options.cwd.empty()) {
        actions.change_directory(options.cwd);
    }
    actions.close_from(standard_streams);
    const Attributes attributes(options.start_new_session);

    const std::vector<char*> argv = pointers(words);
    std::vector<std::string> lines;
    std::vector<char*> own_environment;
    if (options.env) {
        lines = environment_lines(*options.env);
        own_environment = pointers(lines);
    }
    char* const* const envp = options.env ? own_environment.data() : environ;

    const std::string path = search_path(options);
    int error = ENOENT;
    for (const std::string& file : candidates(program, path)) {
        if (surely_missing(file)) {
            continue;
        }
        pid_t pid = 0;
        const int failed =
            ::posix_spawn(&pid, file.c_str(), actions.get(), attributes.get(), argv.data(), envp);
        if (failed == 0) {
            return pid;
        }
        if (missing(error)) { // as in execvp, a file that is there but can't be run says more
            error = failed;
        }
    }
    explain(program, options, path, error);
}

} // namespace muster::detail
