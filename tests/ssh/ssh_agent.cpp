#include "ssh_agent.hpp"

#include "ssh/wire.hpp"
#include "sshd.hpp"

#include <muster/core/event_loop.hpp>
#include <muster/core/future.hpp>
#include <muster/net/stream.hpp>

#include <sys/stat.h>

#include <csignal>
#include <stdexcept>
#include <utility>

using namespace muster;
using ssh::detail::append_string;
using ssh::detail::append_uint32;

SshAgent::SshAgent() {
    // It goes into the background once it listens, and prints where it is.
    const std::string words = folder_.path() + "/words";
    if (run_program({"ssh-agent", "-a", socket()}, words) != 0) {
        throw std::runtime_error("ssh-agent does not start");
    }
    const std::string text = read_text(words);
    const std::string mark = "SSH_AGENT_PID=";
    pid_ = std::stoi(text.substr(text.find(mark) + mark.size()));
}

SshAgent::~SshAgent() { ::kill(pid_, SIGTERM); }

bool SshAgent::available() {
    return find_program("ssh-agent").has_value() && find_program("ssh-add").has_value();
}

void SshAgent::add(const std::string& key_file) const { tell({"ssh-add", "-q", key_file}); }

void SshAgent::lock() const {
    const std::string script = folder_.path() + "/askpass";
    write_text(script, "#!/bin/sh\necho open sesame\n");
    ::chmod(script.c_str(), 0700);
    tell({"env", "SSH_ASKPASS=" + script, "SSH_ASKPASS_REQUIRE=force", "ssh-add", "-x"});
}

void SshAgent::tell(std::vector<std::string> command) const {
    command.insert(command.begin(), {"env", "SSH_AUTH_SOCK=" + socket()});
    if (run_program(command) != 0) {
        throw std::runtime_error("ssh-add failed");
    }
}

namespace {

Coro<void> answer_client(AgentAnswer answer, Stream stream) {
    for (;;) {
        const std::string head = co_await stream.readexactly(4);
        const std::string request =
            co_await stream.readexactly(ssh::detail::WireReader(head).uint32());
        const auto reply = answer(request);
        if (!reply) {
            co_await get_running_loop().create_future<void>();
        }
        if (reply->empty()) {
            co_return;
        }
        std::string message;
        append_string(message, *reply);
        stream.write(message);
    }
}

Coro<void> serve_client(AgentAnswer answer, Stream stream) {
    try {
        co_await answer_client(std::move(answer), std::move(stream));
    } catch (const IncompleteReadError&) {
        // The client has all it wanted.
    } catch (const ConnectionResetError&) {
        // It wanted no answer any more.
    }
}

} // namespace

Coro<Server> start_agent(std::string path, AgentAnswer answer) {
    return start_unix_server([answer = std::move(answer)](
                                 Stream stream) { return serve_client(answer, std::move(stream)); },
                             std::move(path));
}

std::string agent_lists(const std::vector<std::string>& keys) {
    std::string answer(1, '\x0c');
    append_uint32(answer, static_cast<std::uint32_t>(keys.size()));
    for (const auto& key : keys) {
        append_string(answer, key);
        append_string(answer, "some\nbody");
    }
    return answer;
}

std::string agent_signs(const std::string& algorithm, const std::string& signature) {
    std::string inner;
    append_string(inner, algorithm);
    append_string(inner, signature);
    std::string answer(1, '\x0e');
    append_string(answer, inner);
    return answer;
}
