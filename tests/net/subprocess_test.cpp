#include "child_processes.hpp"
#include "coro_test.hpp"

#include <cerrno>
#include <csignal>
#include <optional>
#include <string>

using namespace muster;
using muster::testing_support::outcome;
using muster::testing_support::turns;
using namespace std::chrono_literals;

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
