#pragma once

#include <muster/core/coro.hpp>
#include <muster/core/error.hpp>
#include <muster/net/stream.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster {

/// A program that could not be started. The message names it and says why.
class SubprocessError : public Error {
public:
    enum class Kind : std::uint8_t {
        not_found,     ///< no such program (FileNotFoundError)
        not_permitted, ///< it may not be executed (PermissionError)
        directory,     ///< the working directory can't be entered
        other,         ///< no executable format, no processes left, ...
    };

    SubprocessError(Kind kind, const std::string& what) : Error(what), kind_(kind) {}

    [[nodiscard]] Kind kind() const noexcept { return kind_; }

private:
    Kind kind_;
};

/// A signal for a process that has ended (Python: ProcessLookupError).
class ProcessLookupError : public Error {
public:
    using Error::Error;
};

/// Where one of a child's standard streams leads.
class Stdio {
public:
    static const Stdio inherit; ///< where the parent's leads (None)
    static const Stdio pipe;    ///< to the parent: Process::stdin() and its kin (PIPE)
    static const Stdio devnull; ///< nowhere (DEVNULL)
    static const Stdio stdout_; ///< for standard error: where standard output leads (STDOUT)

    /// To an open descriptor, which stays the caller's and must be open when the process is
    /// started.
    static constexpr Stdio descriptor(int fd) noexcept { return Stdio(fd); }

    /// Negative when it is none.
    [[nodiscard]] constexpr int fd() const noexcept { return fd_; }

    friend constexpr bool operator==(Stdio, Stdio) noexcept = default;

private:
    constexpr explicit Stdio(int fd) noexcept : fd_(fd) {}

    int fd_;
};

inline constexpr Stdio Stdio::inherit{-1};
inline constexpr Stdio Stdio::pipe{-2};
inline constexpr Stdio Stdio::devnull{-3};
inline constexpr Stdio Stdio::stdout_{-4};

/// How a child process is started.
struct SubprocessOptions {
    Stdio stdin_ = Stdio::inherit;
    Stdio stdout_ = Stdio::inherit;
    Stdio stderr_ = Stdio::inherit;
    /// The child's working directory; empty: this program's. A relative path to the program is
    /// relative to it.
    std::string cwd = {};
    /// The child's whole environment; default: this program's. A program without '/' is searched in
    /// its PATH.
    std::optional<std::map<std::string, std::string>> env = {};
    /// In bytes: the longest line that reading standard output and error accepts.
    std::size_t limit = default_stream_limit;
    /// Runs it in a session of its own: no controlling terminal, no Ctrl-C from it.
    bool start_new_session = false;
};

/// Arguments of a program, without its name: braces around texts, or a vector.
class Arguments {
public:
    Arguments() = default;

    Arguments(std::initializer_list<std::string_view> args) : args_(args.begin(), args.end()) {}

    Arguments(std::vector<std::string> args) noexcept : args_(std::move(args)) {}

    [[nodiscard]] const std::vector<std::string>& get() const noexcept { return args_; }

private:
    std::vector<std::string> args_;
};

/// What a child wrote, as far as it was piped.
struct ProcessOutput {
    std::string stdout_data;
    std::string stderr_data;
};

/// A child process (asyncio.subprocess.Process), on the loop that started it.
///
/// It is reaped as soon as it ends, whether or not anybody waits, and no other child ever is:
/// SIGCHLD stays the host's. Dropping the Process closes this program's ends of its pipes and
/// leaves the child running. A child that still runs when its loop is closed is killed and reaped,
/// or, where this program may not kill it (sudo), reaped when it ends; a Process that outlives its
/// loop knows the returncode, and its pipes are closed. On a host's io_context a running child is
/// work: run() does not return before it has ended or the loop is closed.
class Process {
public:
    struct Impl;

    explicit Process(std::shared_ptr<Impl> impl) noexcept;
    Process(Process&&) noexcept;
    Process& operator=(Process&&) noexcept;
    ~Process();

    [[nodiscard]] int pid() const noexcept;

    /// The exit status, or the negative number of the signal that ended it; nothing while it runs.
    /// 255 when the host has reaped it.
    [[nodiscard]] std::optional<int> returncode() const noexcept;

    /// This program's ends of the pipes; stdin() is for writing only, the others for reading only.
    /// They live as long as the Process, and may be moved out of it. Throw RuntimeError where the
    /// options did not say Stdio::pipe.
    [[nodiscard]] Stream& stdin();
    [[nodiscard]] Stream& stdout();
    [[nodiscard]] Stream& stderr();

    /// Waits for the end; the returncode. For any number of tasks; cancelling one changes nothing
    /// for the child. A child that fills a pipe nobody reads never ends: use communicate(). The
    /// Process may be dropped meanwhile.
    Coro<int> wait();

    /// Writes `input` to standard input and closes it, reads standard output and error to their
    /// ends, all at once, then waits for the end of the process. That the child does not read all
    /// of `input` is no error. What is not piped stays empty. `input` must live until it returns.
    /// This is the way for a secret: a process's arguments are for all to see. Cancelled, it leaves
    /// the child running, and what has come in the streams. Throws RuntimeError for input without a
    /// pipe.
    Coro<ProcessOutput> communicate(std::string_view input = {});

    /// Throws ProcessLookupError when it has ended, RuntimeError when its loop is gone, Error when
    /// the system refuses.
    void send_signal(int signal);

    /// Asks it to end: SIGTERM.
    void terminate();

    /// Ends it: SIGKILL.
    void kill();

private:
    std::shared_ptr<Impl> impl_;
};

/// Starts `program` with `args` as a child process (asyncio.create_subprocess_exec). Throws
/// SubprocessError when it can't be started; then nothing is left of it. The loop stands still
/// until the program runs, about a millisecond.
///
///     Process ping = co_await create_subprocess_exec("ping", {"-c", "3", host},
///                                                    {.stdout_ = Stdio::pipe});
///     auto [out, err] = co_await ping.communicate();
///
/// The child gets no descriptors but the three standard streams, no blocked signals, and SIGPIPE at
/// its default.
Coro<Process> create_subprocess_exec(std::string program, Arguments args = {},
                                     SubprocessOptions options = {});

/// Runs `command` with /bin/sh (asyncio.create_subprocess_shell). What comes from elsewhere must
/// not be part of the command: pass it to create_subprocess_exec as an argument, or quote it.
Coro<Process> create_subprocess_shell(std::string command, SubprocessOptions options = {});

} // namespace muster
