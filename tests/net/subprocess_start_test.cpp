// How a child begins: where its streams lead, what it gets, and why it can't be started.
#include "child_processes.hpp"
#include "coro_test.hpp"
#include "temp_folder.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;

namespace {

std::string link_of(int fd) {
    return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd)).string();
}

/// A file in the folder, which may be executed or not: its path.
std::string write_file(const TempFolder& folder, const std::string& name, const std::string& text,
                       bool executable) {
    std::string path = folder.path() + "/" + name;
    std::ofstream(path) << text;
    std::filesystem::permissions(path, executable ? std::filesystem::perms::owner_all
                                                  : std::filesystem::perms::owner_read);
    return path;
}

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

} // namespace

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
    const TempFolder folder;
    write_file(folder, "program", "#!/bin/sh\npwd\n", true);
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
    const TempFolder folder;
    const TempFolder empty;
    write_file(folder, "muster-program", "#!/bin/sh\necho found\n", true);
    Process program = co_await create_subprocess_exec(
        "muster-program", {},
        {.stdout_ = Stdio::pipe, .env = {{{"PATH", empty.path() + ":" + folder.path()}}}});
    const auto [out, err] = co_await program.communicate();
    CHECK(out == "found\n");
    // A file that can't be run does not hide one that can.
    write_file(empty, "muster-program", "#!/bin/sh\necho wrong\n", false);
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
    const TempFolder folder;
    const std::string file = write_file(folder, "text", "echo no\n", false);
    const auto error = co_await start_error(file, {}, piped());
    CHECK(error.kind() == SubprocessError::Kind::not_permitted);
    CHECK(std::string(error.what()) == "cannot run '" + file + "': Permission denied");
}

CO_TEST_CASE("of several reasons, the file that is there counts") {
    const TempFolder folder;
    write_file(folder, "muster-program", "#!/bin/sh\n", false);
    const auto error = co_await start_error(
        "muster-program", {}, {.env = {{{"PATH", folder.path() + ":no-such-folder"}}}});
    CHECK(error.kind() == SubprocessError::Kind::not_permitted);
}

CO_TEST_CASE("a file that is no program is named") {
    const TempFolder folder;
    const std::string file = write_file(folder, "data", "\x01\x02", true);
    const auto error = co_await start_error(file, {}, piped());
    CHECK(error.kind() == SubprocessError::Kind::other);
    CHECK(std::string(error.what()) == "cannot run '" + file + "': Exec format error");
}

CO_TEST_CASE("a script without its interpreter says so") {
    const TempFolder folder;
    const std::string file = write_file(folder, "script", "#!/no/such/interpreter\n", true);
    const auto error = co_await start_error(file);
    CHECK(error.kind() == SubprocessError::Kind::not_found);
    CHECK(std::string(error.what()) ==
          "cannot run '" + file + "': the interpreter it names was not found");
}

CO_TEST_CASE("a working directory that can't be entered is named") {
    const TempFolder folder;
    const auto missing = co_await start_error("true", {}, {.cwd = folder.path() + "/missing"});
    CHECK(missing.kind() == SubprocessError::Kind::directory);
    CHECK(std::string(missing.what()) == "cannot run 'true': working directory '" + folder.path() +
                                             "/missing" + "': No such file or directory");
    const std::string file = write_file(folder, "file", "", false);
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
