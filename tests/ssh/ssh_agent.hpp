#pragma once
/// Agents for tests: OpenSSH's, and one that answers as it is told.

#include "process.hpp"
#include "temp_folder.hpp"

#include <muster/core/coro.hpp>
#include <muster/net/server.hpp>

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

/// A running ssh-agent.
class SshAgent {
public:
    SshAgent();
    SshAgent(const SshAgent&) = delete;
    SshAgent& operator=(const SshAgent&) = delete;
    ~SshAgent();

    /// Whether the machine has ssh-agent and ssh-add.
    static bool available();

    [[nodiscard]] std::string socket() const { return folder_.path() + "/agent"; }

    /// Gives it the private key in a file.
    void add(const std::string& key_file) const;

    /// Takes all its keys out of use, until the end.
    void lock() const;

private:
    void tell(std::vector<std::string> command) const;

    TempFolder folder_;
    pid_t pid_ = -1;
};

/// The answer to a request, without its length; nothing: it never answers.
using AgentAnswer = std::function<std::optional<std::string>(const std::string& request)>;

/// Listens at `path`, on the running loop. An empty answer hangs up.
muster::Coro<muster::Server> start_agent(std::string path, AgentAnswer answer);

/// The answer that lists these public keys (wire format).
std::string agent_lists(const std::vector<std::string>& keys);

/// The answer to a request for a signature.
std::string agent_signs(const std::string& algorithm, const std::string& signature);

constexpr char agent_asks_for_keys = 11;
constexpr char agent_asks_to_sign = 13;
inline const std::string agent_refuses(1, '\x05');
