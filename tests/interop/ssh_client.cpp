// What a scenario of tests/interop asks of the ssh room, against somebody else's server.
//
//   interop_ssh_client HOST PORT USER [OPTION...] -- STEP...
//
// Options: --key FILE, --known-hosts FILE, --legacy, --jump PORT (through the server of the same
// user and key there); --password-env NAME and --answers-env NAME, the variables that hold the
// password and, line by line, the answers to a server's questions: secrets do not stand in command
// lines. Steps, all on one connection, each answered with a line of JSON:
//
//   run COMMAND            {"out", "err", "status", "signal"}
//   together N COMMAND     N of them at once, "{}" in the command replaced by 0, 1, ...: a list
//   receive FILE COMMAND   the output goes to FILE, and "out" is empty
//   feed FILE FILE COMMAND the same, with the first FILE as the command's input
//   env NAME=VALUE COMMAND like run, in that environment
//   put LOCAL REMOTE       by SFTP; {"files", "bytes"}
//   get REMOTE LOCAL       the same the other way
//   list FOLDER            by SFTP; {"names"}, sorted
//   shell TEXT UNTIL       {"seen"}: opens a terminal, types TEXT, reads until UNTIL has come
//   hold                   opens a shell that stays open for the steps to follow
//   try-shell              {"refused": "..."} or {"refused": null}
//
// An ssh::Error ends it with {"error", "kind", "phase", "reason", "remedy"} and status 1.
#include <muster/muster.hpp>
#include <muster/ssh/connection.hpp>
#include <muster/ssh/sftp.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr auto patience = 30s;

json to_json(const ssh::Completed& completed) {
    json answer{{"out", completed.out}, {"err", completed.err}, {"signal", completed.exit_signal}};
    if (completed.exit_status) {
        answer["status"] = *completed.exit_status;
    } else {
        answer["status"] = nullptr;
    }
    return answer;
}

json to_json(const ssh::Error& error) {
    return {{"error", error.what()},
            {"kind", to_string(error.kind())},
            {"phase", to_string(error.phase())},
            {"reason", error.reason()},
            {"remedy", error.remedy()}};
}

void print(const json& answer) {
    // A device may send bytes that are no UTF-8.
    std::cout << answer.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
}

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        throw std::runtime_error("cannot read " + path);
    }
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string environment(const std::string& name) {
    const char* value = std::getenv(name.c_str()); // NOLINT(concurrency-mt-unsafe)
    return value == nullptr ? std::string() : std::string(value);
}

/// Gives one line after the other.
ssh::Responder answer_from(const std::string& lines) {
    auto left = std::make_shared<std::istringstream>(lines);
    return [left](const ssh::Challenge& challenge) {
        std::vector<Secret> answers;
        for (std::size_t i = 0; i < challenge.prompts.size(); ++i) {
            std::string answer;
            std::getline(*left, answer);
            answers.emplace_back(answer);
        }
        return answers;
    };
}

/// The words of the command line, one after the other.
class Words {
public:
    Words(int argc, char** argv) : words_(argv + 1, argv + argc) {}

    [[nodiscard]] bool empty() const { return next_ == words_.size(); }

    std::string take() {
        if (empty()) {
            throw std::runtime_error("a word is missing at the end of the command line");
        }
        return words_[next_++];
    }

private:
    std::vector<std::string> words_;
    std::size_t next_ = 0;
};

ssh::Options read_options(Words& words) {
    ssh::Options options;
    options.host = words.take();
    options.port = static_cast<std::uint16_t>(std::stoi(words.take()));
    options.username = words.take();
    for (std::string word = words.take(); word != "--"; word = words.take()) {
        if (word == "--key") {
            options.keys.push_back({.path = words.take()});
        } else if (word == "--known-hosts") {
            options.known_hosts = {words.take()};
        } else if (word == "--password-env") {
            options.password = environment(words.take());
        } else if (word == "--answers-env") {
            options.responder = answer_from(environment(words.take()));
        } else if (word == "--jump") {
            ssh::Options jump = options;
            jump.port = static_cast<std::uint16_t>(std::stoi(words.take()));
            options.proxy_jump.push_back(std::move(jump));
        } else if (word == "--legacy") {
            options.algorithms = ssh::Algorithms::legacy;
        } else {
            throw std::runtime_error("unknown option " + word);
        }
    }
    return options;
}

Coro<void> take_step(ssh::Connection& connection, std::vector<ssh::Shell>& held, Words& words) {
    const std::string step = words.take();
    if (step == "run" || step == "receive" || step == "feed" || step == "env") {
        ssh::CommandOptions options;
        options.timeout = patience;
        if (step == "feed") {
            options.input = read_file(words.take());
        }
        if (step == "env") {
            const std::string variable = words.take();
            const auto equals = variable.find('=');
            options.env = {{variable.substr(0, equals), variable.substr(equals + 1)}};
        }
        const std::string file = step == "receive" || step == "feed" ? words.take() : "";
        auto completed = co_await connection.run(words.take(), std::move(options));
        if (!file.empty()) {
            std::ofstream(file, std::ios::binary) << std::exchange(completed.out, {});
        }
        print(to_json(completed));
    } else if (step == "together") {
        const int count = std::stoi(words.take());
        const std::string command = words.take();
        std::vector<Coro<ssh::Completed>> commands;
        for (int i = 0; i < count; ++i) {
            std::string one = command;
            if (const auto at = one.find("{}"); at != std::string::npos) {
                one.replace(at, 2, std::to_string(i));
            }
            commands.push_back(connection.run(one, {.timeout = patience}));
        }
        json answers = json::array();
        for (const ssh::Completed& completed : co_await gather(std::move(commands))) {
            answers.push_back(to_json(completed));
        }
        print(answers);
    } else if (step == "put" || step == "get") {
        auto sftp = co_await connection.sftp();
        const std::string from = words.take();
        const std::string to = words.take();
        const auto done = step == "put" ? co_await sftp.put(from, to) : co_await sftp.get(from, to);
        co_await sftp.close();
        print({{"files", done.files}, {"bytes", done.bytes}});
    } else if (step == "list") {
        auto sftp = co_await connection.sftp();
        std::vector<std::string> names;
        for (const ssh::SftpEntry& entry : co_await sftp.list(words.take())) {
            names.push_back(entry.name);
        }
        co_await sftp.close();
        std::sort(names.begin(), names.end());
        print({{"names", names}});
    } else if (step == "shell") {
        auto shell = co_await connection.open_shell({.width = 200, .timeout = patience});
        const std::string text = words.take();
        const std::string until = words.take();
        co_await shell.write(text);
        std::string seen;
        while (seen.find(until) == std::string::npos) {
            const std::string more = co_await wait_for(shell.read(), patience);
            if (more.empty()) {
                break;
            }
            seen += more;
        }
        co_await shell.close();
        print({{"seen", seen}});
    } else if (step == "hold") {
        held.push_back(co_await connection.open_shell({.timeout = patience}));
        print({{"held", held.size()}});
    } else if (step == "try-shell") {
        std::optional<std::string> refused;
        try {
            auto shell = co_await connection.open_shell({.timeout = patience});
        } catch (const ssh::Error& error) {
            refused = error.what();
            if (error.kind() != ssh::ErrorKind::request_refused) {
                throw;
            }
        }
        print(refused ? json{{"refused", *refused}} : json{{"refused", nullptr}});
    } else {
        throw std::runtime_error("unknown step " + step);
    }
}

Coro<void> take_steps(ssh::Options options, Words words) {
    auto connection = co_await ssh::connect(std::move(options));
    print({{"server", connection.server()}, {"host_key", connection.host_key_fingerprint()}});
    std::vector<ssh::Shell> held;
    while (!words.empty()) {
        co_await take_step(connection, held, words);
    }
    held.clear();
    co_await connection.close();
}

} // namespace

int main(int argc, char** argv) {
    try {
        Words words(argc, argv);
        ssh::Options options = read_options(words);
        run(take_steps(std::move(options), std::move(words)));
        return 0;
    } catch (const ssh::Error& error) {
        print(to_json(error));
        return 1;
    } catch (const std::exception& error) {
        std::cerr << "interop_ssh_client: " << error.what() << '\n';
        return 2;
    }
}
