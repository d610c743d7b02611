#include "coro_test.hpp"
#include "loop_reports.hpp"

#include <muster/muster.hpp>
#include <muster/net/subprocess.hpp>

#include <boost/asio/io_context.hpp>
#include <doctest/doctest.h>

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace muster;
using muster::testing_support::LoopReports;
using muster::testing_support::outcome;
using muster::testing_support::turns;
using namespace std::chrono_literals;

namespace {

/// All three streams piped.
SubprocessOptions piped() {
    return {.stdin_ = Stdio::pipe, .stdout_ = Stdio::pipe, .stderr_ = Stdio::pipe};
}

/// No child is left, neither running nor a zombie.
bool no_children() {
    siginfo_t info{};
    return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
}

/// It runs, or is a zombie.
bool exists(int pid) { return ::kill(pid, 0) == 0; }

/// Lets the loop look at the world until it is as wanted.
template <class F>
Coro<void> until(F condition) {
    while (!condition()) {
        co_await async_sleep(0s);
    }
}

/// This program's open descriptors, but for what a loop waits with.
std::set<std::string> descriptors() {
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

std::string link_of(int fd) {
    return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd)).string();
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

/// A folder that goes with the test.
class Folder {
public:
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "muster-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = std::filesystem::canonical(name);
    }

    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] std::string path(const std::string& name = {}) const {
        return name.empty() ? path_.string() : (path_ / name).string();
    }

    std::string file(const std::string& name, const std::string& text, bool executable) const {
        std::ofstream(path(name)) << text;
        std::filesystem::permissions(path(name), executable ? std::filesystem::perms::owner_all
                                                            : std::filesystem::perms::owner_read);
        return path(name);
    }

private:
    std::filesystem::path path_;
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

/// Standard input, output and error are closed, for a scope.
class StandardStreamsClosed {
public:
    StandardStreamsClosed() {
        for (int fd = 0; fd < 3; ++fd) {
            saved_[static_cast<std::size_t>(fd)] = ::fcntl(fd, F_DUPFD_CLOEXEC, 10);
        }
        for (int fd = 0; fd < 3; ++fd) {
            ::close(fd);
        }
    }

    StandardStreamsClosed(const StandardStreamsClosed&) = delete;
    StandardStreamsClosed& operator=(const StandardStreamsClosed&) = delete;

    ~StandardStreamsClosed() {
        for (int fd = 0; fd < 3; ++fd) {
            ::dup2(saved_[static_cast<std::size_t>(fd)], fd);
            ::close(saved_[static_cast<std::size_t>(fd)]);
        }
    }

private:
    std::array<int, 3> saved_{};
};

/// What a shell command writes to standard output.
Coro<std::string> output_of(std::string command, SubprocessOptions options = {}) {
    options.stdout_ = Stdio::pipe;
    Process shell = co_await create_subprocess_shell(std::move(command), std::move(options));
    co_return (co_await shell.communicate()).stdout_data;
}

/// The error of a program that can't be started.
Coro<SubprocessError> start_error(std::string program, Arguments args = {},
                                  SubprocessOptions options = {}) {
    const auto before = descriptors();
    std::optional<SubprocessError> error;
    try {
        co_await create_subprocess_exec(std::move(program), std::move(args), std::move(options));
    } catch (const SubprocessError& caught) {
        error = caught;
    }
    CHECK(no_children());
    CHECK(descriptors() == before);
    REQUIRE(error.has_value());
    co_return *error;
}

/// Runs until its standard input is closed.
Coro<Process> start_cat() { return create_subprocess_exec("cat", {}, piped()); }

/// Runs until it is killed, whatever becomes of its streams: the end of a loop closes them first.
Coro<Process> start_sleep() { return create_subprocess_exec("sleep", {"60"}, piped()); }

} // namespace

CO_TEST_CASE("communicate feeds standard input and gives what the child writes") {
    Process cat = co_await start_cat();
    CHECK_FALSE(cat.returncode().has_value());
    const auto [out, err] = co_await cat.communicate("some data");
    CHECK(out == "some data");
    CHECK(err.empty());
    CHECK(cat.returncode() == 0);
    CHECK(no_children());
}

CO_TEST_CASE("communicate moves megabytes both ways without deadlock") {
    std::string input;
    for (int i = 0; input.size() < 5'000'000; ++i) {
        input += std::to_string(i) + "\n";
    }
    Process tee = co_await create_subprocess_exec("tee", {"/dev/stderr"}, piped());
    const auto [out, err] = co_await tee.communicate(input);
    CHECK(out == input);
    CHECK(err == input);
    CHECK(tee.returncode() == 0);
}

CO_TEST_CASE("communicate without input closes standard input") {
    Process count = co_await create_subprocess_exec("wc", {"-c"}, piped());
    const auto [out, err] = co_await count.communicate();
    CHECK(out == "0\n");
}

CO_TEST_CASE("communicate gives nothing for what is not piped") {
    Process shell = co_await create_subprocess_shell(
        "echo out; echo err >&2", {.stdout_ = Stdio::pipe, .stderr_ = Stdio::devnull});
    const auto [out, err] = co_await shell.communicate();
    CHECK(out == "out\n");
    CHECK(err.empty());
}

CO_TEST_CASE("communicate takes long output whatever the limit of a line") {
    Process shell = co_await create_subprocess_shell("printf '%01000d' 0",
                                                     {.stdout_ = Stdio::pipe, .limit = 10});
    const auto [out, err] = co_await shell.communicate();
    CHECK(out == std::string(1000, '0'));
}

CO_TEST_CASE("starting and communicating fit in one expression") {
    const ProcessOutput output =
        co_await (co_await create_subprocess_exec("cat", {}, piped())).communicate("text");
    CHECK(output.stdout_data == "text");
}

CO_TEST_CASE("a child that does not read its input is no error, and SIGPIPE stays the host's") {
    const Disposition ends_us(SIGPIPE, SIG_DFL);
    sigset_t before;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
    REQUIRE(::sigismember(&before, SIGPIPE) == 0);
    Process closed = co_await create_subprocess_shell("exit 3", {.stdin_ = Stdio::pipe});
    co_await closed.communicate(std::string(1'000'000, 'x'));
    CHECK(closed.returncode() == 3);
    sigset_t after;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
    CHECK(::sigismember(&after, SIGPIPE) == 0);
    sigset_t pending;
    ::sigpending(&pending);
    CHECK(::sigismember(&pending, SIGPIPE) == 0);
}

CO_TEST_CASE("a returncode is the exit status, or the signal's negative number") {
    Process seven = co_await create_subprocess_shell("exit 7");
    const int exited = co_await seven.wait();
    CHECK(exited == 7);
    CHECK(seven.returncode() == 7);
    Process killed = co_await create_subprocess_shell("kill -USR1 $$");
    const int signalled = co_await killed.wait();
    CHECK(signalled == -SIGUSR1);
    const int again = co_await killed.wait();
    CHECK(again == -SIGUSR1);
}

// --- the pipes as streams ---

CO_TEST_CASE("standard input and output are streams") {
    Process cat = co_await start_cat();
    cat.stdin().write("some ");
    cat.stdin().write("data");
    co_await cat.stdin().drain();
    cat.stdin().close();
    const std::string out = co_await cat.stdout().read();
    CHECK(out == "some data");
    CHECK(cat.stdout().at_eof());
    const int returncode = co_await cat.wait();
    CHECK(returncode == 0);
}

CO_TEST_CASE("a conversation, line by line") {
    Process shell = co_await create_subprocess_shell(
        "while read line; do echo \"out: $line\"; echo \"err: $line\" >&2; done", piped());
    for (const std::string word : {"one", "two"}) {
        co_await shell.stdin().write(word + "\n");
        const std::string out = co_await shell.stdout().readline();
        CHECK(out == "out: " + word + "\n");
        const std::string err = co_await shell.stderr().readuntil(word);
        CHECK(err.ends_with("err: " + word));
    }
    shell.stdin().write_eof();
    const std::string rest = co_await shell.stdout().read();
    CHECK(rest.empty());
    const int returncode = co_await shell.wait();
    CHECK(returncode == 0);
}

CO_TEST_CASE("what a process wrote can be read after its end") {
    Process shell = co_await create_subprocess_shell("echo late", {.stdout_ = Stdio::pipe});
    co_await shell.wait();
    const std::string out = co_await shell.stdout().read();
    CHECK(out == "late\n");
}

CO_TEST_CASE("streams exist where there are pipes") {
    Process shell = co_await create_subprocess_shell("exit 0", {.stdin_ = Stdio::devnull});
    CHECK_THROWS_AS(static_cast<void>(shell.stdin()), RuntimeError);
    CHECK_THROWS_AS(static_cast<void>(shell.stdout()), RuntimeError);
    CHECK_THROWS_WITH_AS(static_cast<void>(shell.stderr()),
                         "stderr of the process is not piped: start it with .stderr_ = Stdio::pipe",
                         RuntimeError);
    bool refused = false;
    try {
        co_await shell.communicate("input");
    } catch (const RuntimeError&) {
        refused = true;
    }
    CHECK(refused);
    co_await shell.wait();
}

CO_TEST_CASE("drain waits while the child does not read") {
    Process cat = co_await create_subprocess_exec(
        "cat", {}, {.stdin_ = Stdio::pipe, .stdout_ = Stdio::devnull});
    cat.send_signal(SIGSTOP);
    cat.stdin().write(std::string(1'000'000, 'x'));
    auto draining = create_task(cat.stdin().drain());
    auto cancelled = create_task(cat.stdin().drain());
    co_await turns(5);
    CHECK_FALSE(draining.done());
    cancelled.cancel();
    co_await until([&] { return cancelled.done(); });
    CHECK(outcome(cancelled) == "cancelled");
    CHECK_FALSE(draining.done());
    cat.send_signal(SIGCONT);
    co_await draining;
    cat.stdin().close();
    const int returncode = co_await cat.wait();
    CHECK(returncode == 0);
}

CO_TEST_CASE("a child that writes without end is held back") {
    Process yes = co_await create_subprocess_exec("yes", {}, {.stdout_ = Stdio::pipe});
    const std::string some = co_await yes.stdout().readexactly(300'000);
    CHECK(some.substr(299'996) == "y\ny\n");
    yes.kill();
    const int returncode = co_await yes.wait();
    CHECK(returncode == -SIGKILL);
}

CO_TEST_CASE("writing to a process that has ended tells so at drain") {
    Process shell = co_await create_subprocess_shell("exit 0", {.stdin_ = Stdio::pipe});
    co_await shell.wait();
    shell.stdin().write("text");
    std::string error;
    try {
        co_await shell.stdin().drain();
    } catch (const ConnectionResetError& caught) {
        error = caught.what();
    }
    CHECK(error == "sending to stdin of /bin/sh failed: Broken pipe");
}

CO_TEST_CASE("a line may not be longer than the limit") {
    Process shell =
        co_await create_subprocess_shell("printf '%021d' 0", {.stdout_ = Stdio::pipe, .limit = 10});
    std::string error;
    try {
        co_await shell.stdout().readline();
    } catch (const ValueError& caught) {
        error = caught.what();
    }
    CHECK(error.find("stdout of /bin/sh") != std::string::npos);
    co_await shell.wait();
}

CO_TEST_CASE("a pipe goes one way") {
    Process cat = co_await start_cat();
    CHECK(cat.stdin().at_eof());
    const std::string nothing = co_await cat.stdin().read();
    CHECK(nothing.empty());
    cat.stdout().write("text");
    bool refused = false;
    try {
        co_await cat.stdout().drain();
    } catch (const ConnectionResetError&) {
        refused = true;
    }
    CHECK(refused);
    const ProcessOutput output = co_await cat.communicate("as usual");
    CHECK(output.stdout_data == "as usual");
}

CO_TEST_CASE("a stream can be taken out of its Process") {
    std::optional<Process> cat = co_await start_cat();
    co_await cat->stdin().write("text");
    Stream out = std::move(cat->stdout());
    cat.reset(); // its standard input closes, and the child ends
    const std::string text = co_await out.read();
    CHECK(text == "text");
}

// --- where the standard streams lead ---

CO_TEST_CASE("standard streams are this program's where nothing else is said") {
    Process same = co_await create_subprocess_exec(
        "sh",
        {"-c", R"sh(for fd in 0 1 2; do test "$(readlink /proc/$$/fd/$fd)" = "$1" || exit 1; shift
                  done)sh",
         "sh", link_of(0), link_of(1), link_of(2)});
    const int returncode = co_await same.wait();
    CHECK(returncode == 0);
}

CO_TEST_CASE("standard error goes where standard output goes") {
    Process shell = co_await create_subprocess_shell(
        "echo 1; echo 2 >&2; echo 3", {.stdout_ = Stdio::pipe, .stderr_ = Stdio::stdout_});
    const auto [out, err] = co_await shell.communicate();
    CHECK(out == "1\n2\n3\n");
    CHECK(err.empty());
}

CO_TEST_CASE("only standard error can go where standard output goes") {
    for (const bool input : {true, false}) {
        SubprocessOptions options;
        (input ? options.stdin_ : options.stdout_) = Stdio::stdout_;
        bool refused = false;
        try {
            co_await create_subprocess_exec("true", {}, options);
        } catch (const ValueError&) {
            refused = true;
        }
        CHECK(refused);
    }
    CHECK(no_children());
}

CO_TEST_CASE("devnull is empty, and swallows all") {
    Process cat = co_await create_subprocess_exec(
        "cat", {}, {.stdin_ = Stdio::devnull, .stdout_ = Stdio::pipe});
    const auto [out, err] = co_await cat.communicate();
    CHECK(out.empty());
    CHECK(cat.returncode() == 0);
    Process loud = co_await create_subprocess_shell(
        "echo out && echo err >&2", {.stdout_ = Stdio::devnull, .stderr_ = Stdio::devnull});
    const int returncode = co_await loud.wait();
    CHECK(returncode == 0);
}

CO_TEST_CASE("a stream can be any descriptor, and stays the caller's") {
    TestPipe pipe;
    Process shell = co_await create_subprocess_shell(
        "echo out; echo err >&2", {.stdout_ = Stdio::descriptor(pipe.write_end),
                                   .stderr_ = Stdio::descriptor(pipe.write_end)});
    co_await shell.wait();
    CHECK(::write(pipe.write_end, "mine\n", 5) == 5);
    pipe.close_write();
    CHECK(pipe.text() == "out\nerr\nmine\n");
}

CO_TEST_CASE("streams can change places") {
    Process same = co_await create_subprocess_exec(
        "sh",
        {"-c",
         R"sh(test "$(readlink /proc/$$/fd/1)" = "$1" && test "$(readlink /proc/$$/fd/2)" = "$2")sh",
         "sh", link_of(2), link_of(1)},
        {.stdout_ = Stdio::descriptor(2), .stderr_ = Stdio::descriptor(1)});
    const int returncode = co_await same.wait();
    CHECK(returncode == 0);
}

CO_TEST_CASE("a descriptor that is not open is an error") {
    bool refused = false;
    try {
        co_await create_subprocess_exec("true", {}, {.stdin_ = Stdio::descriptor(9999)});
    } catch (const Error&) {
        refused = true;
    }
    CHECK(refused);
}

CO_TEST_CASE("pipes work for a host that has closed its standard streams") {
    // The pipes lie where the child's streams are to be.
    std::string out;
    std::string err;
    std::string only_err;
    {
        const StandardStreamsClosed closed;
        Process tee = co_await create_subprocess_exec("tee", {"/dev/stderr"}, piped());
        const ProcessOutput output = co_await tee.communicate("text");
        out = output.stdout_data;
        err = output.stderr_data;
        Process shell = co_await create_subprocess_shell(
            "echo err >&2", {.stdout_ = Stdio::devnull, .stderr_ = Stdio::pipe});
        only_err = (co_await shell.communicate()).stderr_data;
    }
    CHECK(out == "text");
    CHECK(err == "text");
    CHECK(only_err == "err\n");
}

// --- what a child gets ---

CO_TEST_CASE("arguments arrive as they are") {
    const std::string from_text = "a string";
    Process print = co_await create_subprocess_exec(
        "printf", {"<%s>", "", "two words", "$HOME *", "'\"\\", "line\nline", from_text},
        {.stdout_ = Stdio::pipe});
    const auto [out, err] = co_await print.communicate();
    CHECK(out == "<><two words><$HOME *><'\"\\><line\nline><a string>");
    std::vector<std::string> words{"<%s>", "a", "b"};
    Process again = co_await create_subprocess_exec("printf", words, {.stdout_ = Stdio::pipe});
    const ProcessOutput second = co_await again.communicate();
    CHECK(second.stdout_data == "<a><b>");
}

CO_TEST_CASE("a shell runs a command line") {
    const std::string output = co_await output_of("printf 'b\\na\\n' | sort; exit 1");
    CHECK(output == "a\nb\n");
}

CO_TEST_CASE("the working directory is the child's, and relative programs are in it") {
    const Folder folder;
    folder.file("program", "#!/bin/sh\npwd\n", true);
    Process program = co_await create_subprocess_exec(
        "./program", {}, {.stdout_ = Stdio::pipe, .cwd = folder.path()});
    const auto [out, err] = co_await program.communicate();
    CHECK(out == folder.path() + "\n");
}

CO_TEST_CASE("the environment is this program's, or exactly the given one") {
    // NOLINTBEGIN(concurrency-mt-unsafe): no other thread runs
    ::setenv("MUSTER_TEST_VARIABLE", "inherited", 1);
    const std::string inherited = co_await output_of("echo $MUSTER_TEST_VARIABLE");
    ::unsetenv("MUSTER_TEST_VARIABLE");
    // NOLINTEND(concurrency-mt-unsafe)
    CHECK(inherited == "inherited\n");
    Process given = co_await create_subprocess_exec(
        "/usr/bin/env", {}, {.stdout_ = Stdio::pipe, .env = {{{"A", "1"}, {"B", "x=y z"}}}});
    const auto [out, err] = co_await given.communicate();
    CHECK(out == "A=1\nB=x=y z\n");
    Process none = co_await create_subprocess_exec(
        "/usr/bin/env", {}, {.stdout_ = Stdio::pipe, .env = std::map<std::string, std::string>()});
    const ProcessOutput nothing = co_await none.communicate();
    CHECK(nothing.stdout_data.empty());
}

CO_TEST_CASE("a program is searched in the child's PATH") {
    const Folder folder;
    const Folder empty;
    folder.file("muster-program", "#!/bin/sh\necho found\n", true);
    Process program = co_await create_subprocess_exec(
        "muster-program", {},
        {.stdout_ = Stdio::pipe, .env = {{{"PATH", empty.path() + ":" + folder.path()}}}});
    const auto [out, err] = co_await program.communicate();
    CHECK(out == "found\n");
    // A file that can't be run does not hide one that can.
    empty.file("muster-program", "#!/bin/sh\necho wrong\n", false);
    Process second = co_await create_subprocess_exec(
        "muster-program", {},
        {.stdout_ = Stdio::pipe, .env = {{{"PATH", empty.path() + ":" + folder.path()}}}});
    const ProcessOutput output = co_await second.communicate();
    CHECK(output.stdout_data == "found\n");
}

CO_TEST_CASE("a child gets no descriptor but its standard streams") {
    const int careless = ::open("/dev/null", O_RDONLY); // no O_CLOEXEC
    Process other = co_await start_cat();
    Process list = co_await create_subprocess_exec("ls", {"/proc/self/fd"}, piped());
    const auto [out, err] = co_await list.communicate();
    ::close(careless);
    CHECK(out == "0\n1\n2\n3\n"); // 3 is what ls reads
    co_await other.communicate();
}

CO_TEST_CASE("a child has no signals blocked, and SIGPIPE at its default") {
    const Disposition ignored(SIGPIPE, SIG_IGN);
    sigset_t term;
    ::sigemptyset(&term);
    ::sigaddset(&term, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &term, nullptr);
    Process cat = co_await start_cat();
    cat.terminate();
    const int terminated = co_await cat.wait();
    ::pthread_sigmask(SIG_UNBLOCK, &term, nullptr);
    CHECK(terminated == -SIGTERM);
    Process shell = co_await create_subprocess_shell("kill -PIPE $$");
    const int piped_out = co_await shell.wait();
    CHECK(piped_out == -SIGPIPE);
}

CO_TEST_CASE("a session of its own") {
    Process shell = co_await create_subprocess_shell(
        "cut -d' ' -f6 /proc/$$/stat", {.stdout_ = Stdio::pipe, .start_new_session = true});
    const auto [out, err] = co_await shell.communicate();
    CHECK(out == std::to_string(shell.pid()) + "\n");
}

// --- programs that can't be started ---

CO_TEST_CASE("a program that is not in PATH is named, with the PATH") {
    const auto error = co_await start_error("no-such-program", {"argument"}, piped());
    CHECK(error.kind() == SubprocessError::Kind::not_found);
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes it
    const std::string path = ::getenv("PATH");
    CHECK(error.what() == "cannot run 'no-such-program': not found in PATH (" + path + ")");
    const auto without =
        co_await start_error("no-such-program", {}, {.env = std::map<std::string, std::string>()});
    CHECK(std::string(without.what()) ==
          "cannot run 'no-such-program': not found in PATH (/bin:/usr/bin)");
}

CO_TEST_CASE("a path that leads nowhere is named") {
    const auto error = co_await start_error("/no/such/program", {}, piped());
    CHECK(error.kind() == SubprocessError::Kind::not_found);
    CHECK(std::string(error.what()) == "cannot run '/no/such/program': No such file or directory");
}

CO_TEST_CASE("a file that may not be executed is named") {
    const Folder folder;
    const std::string file = folder.file("text", "echo no\n", false);
    const auto error = co_await start_error(file, {}, piped());
    CHECK(error.kind() == SubprocessError::Kind::not_permitted);
    CHECK(std::string(error.what()) == "cannot run '" + file + "': Permission denied");
}

CO_TEST_CASE("of several reasons, the file that is there counts") {
    const Folder folder;
    folder.file("muster-program", "#!/bin/sh\n", false);
    const auto error = co_await start_error(
        "muster-program", {}, {.env = {{{"PATH", folder.path() + ":no-such-folder"}}}});
    CHECK(error.kind() == SubprocessError::Kind::not_permitted);
}

CO_TEST_CASE("a file that is no program is named") {
    const Folder folder;
    const std::string file = folder.file("data", "\x01\x02", true);
    const auto error = co_await start_error(file, {}, piped());
    CHECK(error.kind() == SubprocessError::Kind::other);
    CHECK(std::string(error.what()) == "cannot run '" + file + "': Exec format error");
}

CO_TEST_CASE("a script without its interpreter says so") {
    const Folder folder;
    const std::string file = folder.file("script", "#!/no/such/interpreter\n", true);
    const auto error = co_await start_error(file);
    CHECK(error.kind() == SubprocessError::Kind::not_found);
    CHECK(std::string(error.what()) ==
          "cannot run '" + file + "': the interpreter it names was not found");
}

CO_TEST_CASE("a working directory that can't be entered is named") {
    const Folder folder;
    const auto missing = co_await start_error("true", {}, {.cwd = folder.path("missing")});
    CHECK(missing.kind() == SubprocessError::Kind::directory);
    CHECK(std::string(missing.what()) == "cannot run 'true': working directory '" +
                                             folder.path("missing") +
                                             "': No such file or directory");
    const std::string file = folder.file("file", "", false);
    const auto no_directory = co_await start_error("true", {}, {.cwd = file});
    CHECK(no_directory.kind() == SubprocessError::Kind::directory);
}

CO_TEST_CASE("texts a program can't be given are refused") {
    const std::string null("a\0b", 3);
    std::vector<std::pair<std::string, SubprocessOptions>> wrong;
    wrong.emplace_back("", SubprocessOptions());
    wrong.emplace_back(null, SubprocessOptions());
    wrong.emplace_back("true", SubprocessOptions{.cwd = null});
    wrong.emplace_back("true", SubprocessOptions{.env = {{{"", "value"}}}});
    wrong.emplace_back("true", SubprocessOptions{.env = {{{"a=b", "value"}}}});
    wrong.emplace_back("true", SubprocessOptions{.env = {{{"name", null}}}});
    std::size_t refused = 0;
    for (const auto& [program, options] : wrong) {
        try {
            co_await create_subprocess_exec(program, {}, options);
        } catch (const ValueError&) {
            ++refused;
        }
    }
    CHECK(refused == wrong.size());
    bool argument = false;
    try {
        co_await create_subprocess_exec("true", {null});
    } catch (const ValueError&) {
        argument = true;
    }
    CHECK(argument);
    CHECK(no_children());
}

// --- signals and the end ---

CO_TEST_CASE("kill, terminate and send_signal end a process") {
    Process killed = co_await start_cat();
    killed.kill();
    const int by_kill = co_await killed.wait();
    CHECK(by_kill == -SIGKILL);
    Process terminated = co_await start_cat();
    terminated.terminate();
    const int by_terminate = co_await terminated.wait();
    CHECK(by_terminate == -SIGTERM);
    Process signalled = co_await start_cat();
    signalled.send_signal(SIGHUP);
    const int by_signal = co_await signalled.wait();
    CHECK(by_signal == -SIGHUP);
}

CO_TEST_CASE("a process that has ended gets no signals") {
    Process cat = co_await start_cat();
    CHECK_THROWS_AS(cat.send_signal(12345), Error);
    cat.kill();
    cat.kill(); // it may not be gone yet
    co_await cat.wait();
    CHECK_THROWS_AS(cat.kill(), ProcessLookupError);
    CHECK_THROWS_AS(cat.terminate(), ProcessLookupError);
    CHECK_THROWS_AS(cat.send_signal(SIGHUP), ProcessLookupError);
}

CO_TEST_CASE("many processes at once leave nothing behind") {
    const auto before = descriptors();
    std::vector<Coro<std::string>> commands;
    for (int i = 0; i < 50; ++i) {
        commands.push_back(output_of("cat; echo " + std::to_string(i), {.stdin_ = Stdio::devnull}));
    }
    const auto outputs = co_await gather(std::move(commands));
    for (int i = 0; i < 50; ++i) {
        CHECK(outputs[static_cast<std::size_t>(i)] == std::to_string(i) + "\n");
    }
    CHECK(no_children());
    CHECK(descriptors() == before);
}

CO_TEST_CASE("several tasks wait for the same end") {
    Process cat = co_await start_cat();
    auto first = create_task(cat.wait());
    auto cancelled = create_task(cat.wait());
    auto last = create_task(cat.wait());
    co_await turns(2);
    cancelled.cancel();
    co_await until([&] { return cancelled.done(); });
    CHECK(outcome(cancelled) == "cancelled");
    CHECK(outcome(first) == "pending");
    CHECK(exists(cat.pid()));
    cat.terminate();
    co_await first;
    co_await last;
    CHECK(first.result() == -SIGTERM);
    CHECK(last.result() == -SIGTERM);
}

CO_TEST_CASE("wait is cancelled at any moment, and the process runs on") {
    Process cat = co_await start_cat();
    auto unstarted = create_task(cat.wait());
    unstarted.cancel();
    auto before_await = create_task([&cat]() -> Coro<int> {
        current_task().cancel();
        co_return co_await cat.wait();
    });
    auto waiting = create_task(cat.wait());
    co_await turns(2);
    waiting.cancel();
    co_await until([&] { return waiting.done(); });
    CHECK(outcome(unstarted) == "cancelled");
    CHECK(outcome(before_await) == "cancelled");
    CHECK(outcome(waiting) == "cancelled");
    CHECK_FALSE(cat.returncode().has_value());
    CHECK(exists(cat.pid()));
    co_await cat.communicate();
    CHECK(cat.returncode() == 0);
}

CO_TEST_CASE("a cancellation in the turn of the end comes after it, and nothing is lost") {
    Process cat = co_await start_cat();
    Task<> waiting;
    auto canceller = create_task([&]() -> Coro<void> {
        co_await cat.wait();
        waiting.cancel();
    });
    waiting = create_task([&]() -> Coro<void> {
        const int returncode = co_await cat.wait();
        CHECK(returncode == -SIGKILL);
        co_await async_sleep(0s);
        FAIL("the cancellation was lost");
    });
    co_await turns(2);
    cat.kill();
    co_await canceller;
    co_await until([&] { return waiting.done(); });
    CHECK(outcome(waiting) == "cancelled");
    CHECK(cat.returncode() == -SIGKILL);
}

CO_TEST_CASE("communicate is cancelled at any moment, and the process runs on") {
    for (const int moment : {0, 1, 3}) {
        Process cat = co_await start_cat();
        const std::string input(1'000'000, 'x'); // more than the pipes hold
        auto talking = create_task(cat.communicate(input));
        co_await turns(moment);
        talking.cancel();
        co_await until([&] { return talking.done(); });
        CHECK(outcome(talking) == "cancelled");
        CHECK_FALSE(cat.returncode().has_value());
        cat.kill();
        co_await cat.wait();
    }
    CHECK(no_children());
}

CO_TEST_CASE("a dropped Process runs on, and is reaped when it ends") {
    TestPipe input;
    int pid = 0;
    {
        Process cat = co_await create_subprocess_exec(
            "cat", {}, {.stdin_ = Stdio::descriptor(input.read_end), .stdout_ = Stdio::pipe});
        pid = cat.pid();
    }
    co_await async_sleep(1ms);
    siginfo_t info{};
    CHECK(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0);
    CHECK(info.si_pid == 0); // it has not ended
    input.close_write();
    co_await until([pid] { return !exists(pid); });
    CHECK(no_children());
}

CO_TEST_CASE("a wait outlives its Process") {
    auto waiting = create_task((co_await start_cat()).wait());
    const int returncode = co_await waiting; // dropping the Process has closed its input
    CHECK(returncode == 0);
}

CO_TEST_CASE("children that are not muster's are left alone") {
    struct sigaction before{};
    ::sigaction(SIGCHLD, nullptr, &before);
    const pid_t own = ::fork();
    if (own == 0) {
        ::_exit(42);
    }
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(own), &info, WEXITED | WNOWAIT) == 0);
    Process shell = co_await create_subprocess_shell("exit 1");
    const int returncode = co_await shell.wait();
    CHECK(returncode == 1);
    int status = 0;
    CHECK(::waitpid(own, &status, WNOHANG) == own);
    CHECK(WEXITSTATUS(status) == 42);
    struct sigaction after{};
    ::sigaction(SIGCHLD, nullptr, &after);
    CHECK((after.sa_handler == before.sa_handler));
    CHECK(after.sa_flags == before.sa_flags);
}

CO_TEST_CASE("a child that the host has reaped ends with 255 and a report") {
    const LoopReports reports(get_running_loop());
    const Disposition reaps_all(SIGCHLD, SIG_IGN);
    Process cat = co_await start_cat();
    co_await cat.communicate();
    CHECK(cat.returncode() == 255);
    REQUIRE(reports.texts().size() == 1);
    CHECK(reports.texts()[0] == "Unknown child process pid " + std::to_string(cat.pid()) +
                                    ", will report returncode 255");
}

CO_TEST_CASE("what a cancelled communicate has read is still there") {
    const Folder folder;
    const std::string written = folder.path("written");
    Process shell = co_await create_subprocess_exec(
        "sh", {"-c", "echo partial; touch \"$0\"; cat", written}, piped());
    auto talking = create_task(shell.communicate());
    co_await until([&] { return std::filesystem::exists(written); });
    co_await until([&] { return talking.done() || shell.stdin().is_closing(); });
    talking.cancel();
    co_await until([&] { return talking.done(); });
    const std::string line = co_await shell.stdout().readline();
    CHECK(line == "partial\n");
    co_await shell.communicate();
    CHECK(shell.returncode() == 0);
}

// --- the end of the loop ---

TEST_CASE("a child that outlives its loop is killed and reaped, its Process knows") {
    const auto before = descriptors();
    {
        const Process sleeper = run(start_sleep());
        CHECK(no_children());
        CHECK(sleeper.returncode() == -SIGKILL);
        CHECK(descriptors() == before);
    }
    Process ended = run([]() -> Coro<Process> {
        Process shell = co_await create_subprocess_shell("exit 5", piped());
        co_await shell.wait();
        co_return shell;
    }());
    CHECK(descriptors() == before);
    CHECK(ended.returncode() == 5);
    CHECK_THROWS_AS(ended.kill(), ProcessLookupError);
    CHECK(run(ended.wait()) == 5);
    CHECK_THROWS_AS(run(ended.communicate()), Error);
}

TEST_CASE("a loop goes while tasks wait for children and talk to them") {
    const auto before = descriptors();
    {
        EventLoop loop;
        loop.run_until_complete([]() -> Coro<void> {
            for (const bool talk : {true, false}) {
                create_task([talk]() -> Coro<void> {
                    Process cat = co_await start_cat();
                    if (talk) {
                        const std::string input(1'000'000, 'x');
                        TestPipe unread;
                        Process full = co_await create_subprocess_exec(
                            "cat", {},
                            {.stdin_ = Stdio::pipe,
                             .stdout_ = Stdio::descriptor(unread.write_end)});
                        co_await gather(cat.communicate(input), full.communicate(input));
                    }
                    co_await cat.wait();
                });
            }
            co_await turns(5);
        }());
        CHECK_FALSE(no_children());
    }
    CHECK(no_children());
    CHECK(descriptors() == before);
}

TEST_CASE(
    "a loop in a host's io_context runs children, and the host goes on when they have ended") {
    boost::asio::io_context host;
    EventLoop loop(host);
    std::string out;
    loop.create_task([](std::string& text) -> Coro<void> {
        text = co_await output_of("echo from the child");
    }(out));
    host.run();
    CHECK(out == "from the child\n");
    CHECK(no_children());
}

TEST_CASE("an embedded loop is closed while a child runs") {
    boost::asio::io_context host;
    std::optional<Process> process;
    {
        EventLoop loop(host);
        loop.create_task([](std::optional<Process>& started) -> Coro<void> {
            started = co_await start_sleep();
            get_running_loop().call_soon([] {});
        }(process));
        while (!process) {
            host.run_one();
        }
    }
    CHECK(no_children());
    CHECK(process->returncode() == -SIGKILL);
    host.restart();
    host.run(); // nothing holds it
}

TEST_CASE("a host's io_context goes before its loop while a child runs") {
    auto host = std::make_unique<boost::asio::io_context>();
    EventLoop loop(*host);
    std::optional<Process> process;
    loop.create_task([](std::optional<Process>& started) -> Coro<void> {
        started = co_await start_sleep();
        co_await started->wait();
    }(process));
    while (!process) {
        host->run_one();
    }
    host.reset();
    CHECK(no_children());
    CHECK(process->returncode() == -SIGKILL);
}

// --- what the system refuses ---

namespace {

/// Makes a system call fail for this thread: as on an old kernel, as without permission.
void refuse(unsigned call, int error) {
    std::array<sock_filter, 4> program{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    REQUIRE(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    REQUIRE(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

} // namespace

TEST_CASE("without pidfd a thread waits for each child") {
    const auto before = descriptors();
    std::thread([] {
        refuse(SYS_pidfd_open, ENOSYS);
        REQUIRE(::syscall(SYS_pidfd_open, ::getpid(), 0) == -1);
        run([]() -> Coro<void> {
            Process seven = co_await create_subprocess_shell("exit 7");
            Process cat = co_await start_cat();
            Process killed = co_await start_cat();
            const int first = co_await seven.wait();
            CHECK(first == 7);
            auto cancelled = create_task(cat.wait());
            co_await turns(2);
            cancelled.cancel();
            co_await until([&] { return cancelled.done(); });
            CHECK(outcome(cancelled) == "cancelled");
            const auto [out, err] = co_await cat.communicate("text");
            CHECK(out == "text");
            CHECK(cat.returncode() == 0);
            killed.kill();
            const int second = co_await killed.wait();
            CHECK(second == -SIGKILL);
            CHECK(no_children());
            co_await start_cat(); // the end of the loop kills it
        }());
    }).join();
    CHECK(no_children());
    CHECK(descriptors() == before);
}

TEST_CASE("a child that may not be killed outlives its loop, and is reaped when it ends") {
    TestPipe input;
    std::optional<Process> cat;
    std::thread([&] {
        refuse(SYS_kill, EPERM);
        cat = run([](int stdin_fd) -> Coro<Process> {
            Process started =
                co_await create_subprocess_exec("cat", {}, {.stdin_ = Stdio::descriptor(stdin_fd)});
            CHECK_THROWS_AS(started.kill(), Error);
            co_return started;
        }(input.read_end));
    }).join();
    CHECK_FALSE(cat->returncode().has_value());
    CHECK(exists(cat->pid()));
    CHECK_THROWS_AS(cat->kill(), RuntimeError);
    CHECK_THROWS_AS(run(cat->wait()), RuntimeError);
    input.close_write();
    while (exists(cat->pid())) {
        std::this_thread::yield();
    }
    CHECK(no_children());
}
