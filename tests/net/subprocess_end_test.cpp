// How a child ends: by signals, by itself, and with its loop.
#include "child_processes.hpp"
#include "coro_test.hpp"
#include "loop_reports.hpp"
#include "temp_folder.hpp"

#include <boost/asio/io_context.hpp>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace muster;
using muster::testing_support::LoopReports;
using muster::testing_support::outcome;
using muster::testing_support::turns;
using namespace std::chrono_literals;

namespace {

/// It runs, or is a zombie.
bool exists(int pid) { return ::kill(pid, 0) == 0; }

/// Runs until it is killed, whatever becomes of its streams: the end of a loop closes them first.
Coro<Process> start_sleep() { return create_subprocess_exec("sleep", {"60"}, piped()); }

} // namespace

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
    const TempFolder folder;
    const std::string written = folder.path() + "/written";
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
