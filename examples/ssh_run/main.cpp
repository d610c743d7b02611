// ssh-run: a command on many hosts at once, through ~/.ssh/config.

#include "password.hpp"

#include <muster/muster.hpp>
#include <muster/net/descriptor_limit.hpp>
#include <muster/ssh/config.hpp>
#include <muster/ssh/connection.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <iomanip>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

using namespace muster;

namespace {

constexpr const char* footer = R"(
HOST is what ssh takes: a name of ~/.ssh/config, a host, user@host, ssh://user@host:port. Users,
ports, keys, jump hosts and known_hosts files come from the configuration. COMMAND is everything
behind `--`, joined by blanks, and is run by the host's shell or command line.

Each line of output has its host in front, on standard output or standard error as the host sent
it; a host is printed when it is done. Errors and the summary are printed on standard error.
Passwords are never taken from the command line, and are sent to no jump host.

Exit status: 0 the command succeeded everywhere; 1 it failed, or has no result, on some host;
2 wrong usage or configuration, nothing was sent; 130 interrupted.

Examples:
  ssh-run r1 r2 r3 -- show version
  ssh-run -F lab.cfg --user ops --password-from env:NET_PASSWORD --max-at-once 20 r1 r2 -- show clock
)";

struct Arguments {
    std::vector<std::string> hosts;
    std::string command;
    std::string config;
    std::string user;
    std::string known_hosts;
    std::string password_from;
    bool accept_new = false;
    bool verbose = false;
    std::size_t max_at_once = 100;
    double timeout = 60;
};

/// A host as it was called, and the way to it.
struct Job {
    std::string name;
    ssh::Options options;
};

enum class Ending { ok, failed, no_result };

void declare(CLI::App& app, Arguments& arguments) {
    app.footer(footer);
    app.set_version_flag("--version", "ssh-run " MUSTER_VERSION);
    app.add_option("HOST", arguments.hosts, "where to run the command")->required();
    app.add_option("-F,--config", arguments.config,
                   "the configuration instead of ~/.ssh/config and /etc/ssh/ssh_config")
        ->check(CLI::ExistingFile);
    app.add_option("-l,--user", arguments.user, "for each HOST that names none");
    app.add_option("--password-from", arguments.password_from,
                   "of the hosts: env:NAME, file:PATH or prompt");
    app.add_option("--known-hosts", arguments.known_hosts,
                   "host keys to check against, instead of the configuration's");
    app.add_flag("--accept-new", arguments.accept_new,
                 "add unknown host keys to known_hosts; changed ones are refused anyway");
    app.add_option("--max-at-once", arguments.max_at_once, "hosts worked on at the same time")
        ->check(CLI::Range(std::size_t{1}, std::size_t{100'000}))
        ->capture_default_str();
    app.add_option("--timeout", arguments.timeout, "seconds for one host altogether")
        ->check(CLI::Range(0.001, 1e6))
        ->capture_default_str();
    app.add_flag("-v,--verbose", arguments.verbose,
                 "list the lines of the configuration that have no effect");
}

void apply(const Arguments& arguments, ssh::Options& options) {
    if (!arguments.known_hosts.empty()) {
        options.known_hosts = {arguments.known_hosts};
    }
    if (arguments.accept_new) {
        options.host_key_policy = ssh::HostKeyPolicy::accept_new;
    }
    for (ssh::Options& hop : options.proxy_jump) {
        apply(arguments, hop);
    }
}

// Everything that can be wrong is found out here, before the first connection.
std::vector<Job> plan(const Arguments& arguments) {
    const auto config =
        arguments.config.empty() ? ssh::Config::load() : ssh::Config::load({arguments.config});
    if (arguments.verbose) {
        for (const auto& problem : config.problems()) {
            std::cerr << problem.file << ':' << problem.line << ": " << problem.what << '\n';
        }
    }
    const Secret password = programs::read_password(arguments.password_from);
    std::vector<Job> jobs;
    for (const std::string& host : arguments.hosts) {
        std::string destination = host;
        if (!arguments.user.empty() && host.find('@') == std::string::npos) {
            destination.insert(host.starts_with("ssh://") ? 6 : 0, arguments.user + "@");
        }
        Job& job = jobs.emplace_back(Job{host, config.options(destination)});
        apply(arguments, job.options);
        job.options.password = password;
        job.options.timeouts.total = std::chrono::duration<double>(arguments.timeout);
    }
    return jobs;
}

void print_lines(std::ostream& out, const std::string& name, std::string_view text) {
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        line.remove_suffix(line.ends_with('\r') ? 1 : 0);
        out << name << ": " << line << '\n';
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    out.flush();
}

Coro<Ending> run_on(const Job& job, const std::string& command) {
    const auto deadline = job.options.timeouts.total.deadline(Clock::now());
    ssh::Completed done;
    try {
        ssh::Connection connection = co_await ssh::connect(job.options);
        done = co_await connection.run(command, {.timeout = deadline - Clock::now()});
        co_await connection.close();
    } catch (const Error& error) { // one host's; the others go on
        print_lines(std::cerr, job.name, error.what());
        co_return Ending::no_result;
    }
    print_lines(std::cout, job.name, done.out);
    print_lines(std::cerr, job.name, done.err);
    if (!done.exit_signal.empty()) {
        print_lines(std::cerr, job.name, "ended by signal " + done.exit_signal);
        co_return Ending::failed;
    }
    const int status = done.exit_status.value_or(0); // many devices report none
    if (status != 0) {
        print_lines(std::cerr, job.name, "exit status " + std::to_string(status));
    }
    co_return status == 0 ? Ending::ok : Ending::failed;
}

Coro<int> run_all(std::vector<Job> jobs, const Arguments& arguments) {
    const auto start = Clock::now();
    const auto endings =
        co_await amap(jobs, [&](const Job& job) { return run_on(job, arguments.command); },
                      {.max_at_once = arguments.max_at_once});
    const std::chrono::duration<double> taken = Clock::now() - start;
    const auto count = [&](Ending ending) { return std::ranges::count(endings, ending); };
    std::cerr << jobs.size() << (jobs.size() == 1 ? " host: " : " hosts: ") << count(Ending::ok)
              << " ok, " << count(Ending::failed) << " failed, " << count(Ending::no_result)
              << " without result; " << std::fixed << std::setprecision(1) << taken.count()
              << " s\n";
    co_return std::ranges::all_of(endings, [](Ending one) { return one == Ending::ok; }) ? 0 : 1;
}

int usage_error(const std::string& what) {
    std::cerr << "ssh-run: " << what << "\nnothing was sent\n";
    return 2;
}

} // namespace

int main(int argc, char** argv) {
    char** const end = argv + argc;
    char** const dashes = std::find(argv, end, std::string_view("--"));
    Arguments arguments;
    for (char** word = dashes == end ? end : dashes + 1; word != end; ++word) {
        arguments.command += (arguments.command.empty() ? "" : " ") + std::string(*word);
    }
    CLI::App app("Runs a command on many hosts at once: ssh-run [OPTIONS] HOST... -- COMMAND",
                 "ssh-run");
    declare(app, arguments);
    try {
        app.parse(static_cast<int>(dashes - argv), argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    if (arguments.command.empty()) {
        return usage_error("a command is missing: ssh-run HOST... -- COMMAND");
    }
    std::vector<Job> jobs;
    try {
        jobs = plan(arguments);
        const std::size_t at_once = std::min(arguments.max_at_once, jobs.size());
        require_descriptors(at_once, std::to_string(at_once) + " hosts at once (--max-at-once)");
    } catch (const Error& error) {
        return usage_error(error.what());
    }
    try {
        return run(run_all(std::move(jobs), arguments));
    } catch (const KeyboardInterrupt&) {
        std::cerr << "ssh-run: interrupted\n";
        return 130;
    }
}
