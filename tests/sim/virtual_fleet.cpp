// The program virtual-fleet, as a user meets it.
#include "ssh_client.hpp"

#include <doctest/doctest.h>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

namespace fs = std::filesystem;

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

/// The program with these arguments, its output (and errors) in a pipe.
class Program {
public:
    explicit Program(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), VIRTUAL_FLEET);
        std::vector<char*> argv;
        for (auto& argument : arguments) {
            argv.push_back(argument.data());
        }
        argv.push_back(nullptr);
        std::array<int, 2> pipe{};
        REQUIRE(::pipe(pipe.data()) == 0);
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(&actions, pipe[1], STDERR_FILENO);
        posix_spawn_file_actions_addclose(&actions, pipe[0]);
        REQUIRE(::posix_spawn(&child_, VIRTUAL_FLEET, &actions, nullptr, argv.data(), environ) ==
                0);
        posix_spawn_file_actions_destroy(&actions);
        ::close(pipe[1]);
        output_ = ::fdopen(pipe[0], "r");
    }

    ~Program() {
        if (child_ > 0) {
            ::kill(child_, SIGKILL);
            ::waitpid(child_, nullptr, 0);
        }
        std::fclose(output_);
    }

    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    /// The output up to the line that contains `text`, or to its end.
    std::string read_to(std::string_view text) {
        std::string all;
        std::array<char, 1024> line;
        while (std::fgets(line.data(), line.size(), output_) != nullptr) {
            all += line.data();
            if (!text.empty() && contains(line.data(), text)) {
                break;
            }
        }
        return all;
    }

    std::string read_all() { return read_to(""); }

    void signal(int number) const { ::kill(child_, number); }

    /// Its exit status, when it has ended.
    int wait() {
        int status = 0;
        ::waitpid(std::exchange(child_, 0), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }

private:
    pid_t child_ = 0;
    FILE* output_ = nullptr;
};

/// A folder that is gone after the test.
struct Folder {
    Folder() {
        auto pattern = (fs::temp_directory_path() / "muster-virtual-fleet-XXXXXX").string();
        path = ::mkdtemp(pattern.data());
    }

    ~Folder() { fs::remove_all(path); }

    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    fs::path path;
};

std::string text_of(const fs::path& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

/// The port of the first device in an inventory.
std::uint16_t port_in(const std::string& inventory) {
    const auto at = inventory.find("port: ");
    REQUIRE(at != std::string::npos);
    return static_cast<std::uint16_t>(std::stoi(inventory.substr(at + 6)));
}

} // namespace

TEST_CASE("virtual-fleet serves the devices of the inventory it writes until it is interrupted") {
    const Folder folder;
    Program program({"--devices", "3", "--inventory", (folder.path / "fleet.yaml").string(),
                     "--known-hosts", (folder.path / "hosts").string(), "--fault",
                     "r2=reject-login"});
    const auto banner = program.read_to("Ctrl-C");
    CHECK(contains(banner, "3 devices, r1 to r3\n"));
    CHECK(contains(banner, "key SHA256:"));
    CHECK(contains(banner, "  http   127.1.0.1:"));
    const auto inventory = text_of(folder.path / "fleet.yaml");
    CHECK(contains(inventory, "- name: \"r3\"\n  device_type: cisco_ios\n  host: 127.1.0.3\n"));
    const auto port = port_in(inventory);
    SshClient first("127.1.0.1", port);
    CHECK(first.judge_host(text_of(folder.path / "hosts")) == "ok");
    CHECK(first.login());
    CHECK_FALSE(SshClient("127.1.0.2", port).login());
    program.signal(SIGINT);
    CHECK(contains(program.read_all(), "Ended; at most "));
    CHECK(program.wait() == 0);
}

TEST_CASE("virtual-fleet ends on SIGTERM as well") {
    Program program({"--quiet", "--no-http", "--inventory", "/dev/stdout"});
    program.read_to("secret:");
    program.signal(SIGTERM);
    CHECK(program.read_all().empty());
    CHECK(program.wait() == 0);
}

TEST_CASE("virtual-fleet explains itself and its mistakes, and exits with 0, 1 or 2") {
    struct Case {
        std::vector<std::string> arguments;
        int status;
        std::string says;
    };

    const std::vector<Case> cases{
        {{"--help"}, 0, "--known-hosts"},
        {{"--version"}, 0, "virtual-fleet "},
        {{"--devices", "none"}, 2, "none"},
        {{"--devices", "0"}, 2, "--devices"},
        {{"--bogus"}, 2, "--bogus"},
        {{"--latency", "soon"}, 2, "not a duration: \"soon\""},
        {{"--fault", "r1"}, 2, "write NAME=FAULT"},
        {{"--fault", "r1=nonsense"}, 2, "unknown fault \"nonsense\""},
        {{"--devices", "2", "--fault", "r3=refuse"}, 2, "there is no such device"},
        {{"--inventory", "/nonexistent/file"}, 1, "can't write /nonexistent/file"},
    };
    for (const auto& [arguments, status, says] : cases) {
        Program program(arguments);
        const auto output = program.read_all();
        CAPTURE(output);
        CHECK(program.wait() == status);
        CHECK(contains(output, says));
    }
}

TEST_CASE("virtual-fleet says when its port is taken and what to do") {
    const Folder folder;
    const auto file = (folder.path / "fleet.yaml").string();
    Program first({"--no-http", "--inventory", file});
    first.read_to("Ctrl-C");
    const auto port = std::to_string(port_in(text_of(file)));
    Program second({"--no-http", "--port", port});
    CHECK(contains(second.read_all(),
                   "can't listen on port " + port + ": Address already in use; choose another"));
    CHECK(second.wait() == 1);
}
