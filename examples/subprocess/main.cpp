// Runs commands at once and prints what each of them says:
//
//     subprocess 'ping -c 3 192.0.2.1' 'ip -brief address' 'cat /proc/loadavg'

#include <muster/muster.hpp>
#include <muster/net/subprocess.hpp>

#include <iostream>
#include <string>
#include <vector>

using namespace muster;

namespace {

// A command, what it wrote, and how it ended.
Coro<std::string> report(std::string command) {
    Process shell = co_await create_subprocess_shell(
        command, {.stdout_ = Stdio::pipe, .stderr_ = Stdio::stdout_});
    const ProcessOutput output = co_await shell.communicate();
    const int returncode = co_await shell.wait();
    co_return "$ " + command + "\n" + output.stdout_data + "-> " + std::to_string(returncode) +
        "\n";
}

Coro<> run_all(std::vector<std::string> commands) {
    std::vector<Coro<std::string>> reports;
    reports.reserve(commands.size());
    for (std::string& command : commands) {
        reports.push_back(report(std::move(command)));
    }
    const auto texts = co_await gather(std::move(reports));
    for (const std::string& text : texts) {
        std::cout << text;
    }
}

} // namespace

int main(int argc, char** argv) {
    std::vector<std::string> commands(argv + 1, argv + argc);
    if (commands.empty()) {
        commands = {"uname -srm", "sleep 1; date", "ls /no/such/folder"};
    }
    run(run_all(std::move(commands)));
}
