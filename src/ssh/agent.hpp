#pragma once
/// The SSH agent: a program that keeps private keys and signs with them (draft-miller-ssh-agent).

#include <muster/core/clock.hpp>
#include <muster/core/coro.hpp>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace muster::ssh::detail {

/// Why the agent is of no help.
class AgentError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

struct AgentKey {
    std::string public_key; ///< in wire format
    std::string comment;    ///< one line, printable
};

/// Asks the agent at a Unix socket. Each question has a connection of its own: thousands of logins
/// would otherwise hold as many while they wait for their devices, and an answer that came too late
/// would be taken for that of the next question. Cancelling a question closes its connection.
class Agent {
public:
    /// `limit` is for each question; its answer may need the agent's user.
    Agent(std::string path, TimeLimit limit) : path_(std::move(path)), limit_(limit) {}

    /// The keys that it has, in its order; a locked one shows none. Throws AgentError.
    Coro<std::vector<AgentKey>> keys() const;

    /// What PrivateKey::sign gives. Throws AgentError.
    Coro<std::string> sign(std::string public_key, std::string algorithm, std::string data) const;

private:
    Coro<std::string> ask(std::string request) const;
    Coro<std::string> exchange(std::string request) const;
    [[nodiscard]] AgentError error(const std::string& what) const;

    std::string path_;
    TimeLimit limit_;
};

} // namespace muster::ssh::detail
