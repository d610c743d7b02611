#pragma once
/// OpenSSH's client configuration, `~/.ssh/config` (ssh_config(5)), for the users who have one.

#include <muster/ssh/options.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace muster::ssh {

/// What OpenSSH's configuration files say about hosts:
///
///     const auto config = ssh::Config::load();
///     auto connection = co_await ssh::connect(config.options("r1"));
///
/// As in OpenSSH the first value that is found counts, apart from IdentityFile, which adds up.
/// Known are Host, Match (all, host, originalhost, user, localuser), Include, HostName, User, Port,
/// IdentityFile, IdentitiesOnly, IdentityAgent, ProxyJump, UserKnownHostsFile,
/// GlobalKnownHostsFile, StrictHostKeyChecking, HostKeyAlias, ConnectTimeout, ServerAliveInterval
/// and ServerAliveCountMax. Everything else is listed in `problems()` and has no effect: no program
/// is ever run (Match exec, ProxyCommand).
class Config {
public:
    /// A line that has no effect, and why.
    struct Problem {
        std::string file;
        std::size_t line = 0;
        std::string what;
    };

    Config() = default;

    /// Reads "~/.ssh/config" and "/etc/ssh/ssh_config", which is read after it. Throws ssh::Error
    /// as below. Short, but it does read files: call it once, before the event loop runs or early.
    static Config load();

    /// The same for other files, in this order. One that does not exist counts as empty. Throws
    /// ssh::Error (ErrorKind::configuration, naming file and line) when a file cannot be read or a
    /// value of a known keyword makes no sense.
    static Config load(const std::vector<std::string>& files);

    /// Adds the lines of a file's text; `file` is its name, for messages and for a relative Include
    /// (from "/etc/ssh" if it lies there, else from "~/.ssh"). Throws ssh::Error as above.
    void add(std::string_view text, const std::string& file);

    /// What `connect` needs for a destination as `ssh` takes it: "r1", "ops@r1" or
    /// "ssh://ops@r1:2222". What the destination says goes before the files. Without any
    /// IdentityFile, those of OpenSSH's default keys are offered that exist and need no passphrase;
    /// an IdentityFile that does not exist is passed over. StrictHostKeyChecking "no" is
    /// `insecure_ignore`, "ask" is `strict`. Jump hosts have their own options from the same files.
    /// Throws ssh::Error when a value cannot be completed (an unknown "%" token, a "${VARIABLE}"
    /// that is not set) or jump hosts lead back to themselves.
    [[nodiscard]] Options options(std::string_view destination) const;

    /// Lines that have no effect, in the order they were read.
    [[nodiscard]] const std::vector<Problem>& problems() const noexcept { return problems_; }

private:
    friend class ConfigReader;
    friend class ConfigLookup;

    /// A Host or Match line: what follows it counts for certain hosts only.
    struct Block {
        std::size_t parent = 0; // of an included file: the block that includes it
        bool is_match = false;
        bool never = false; // nobody can say when it counts
        std::vector<std::string> words;
    };

    struct Setting {
        std::string keyword;
        std::vector<std::string> values;
        std::size_t block = 0;
        std::size_t line = 0;
        std::size_t file = 0;
    };

    std::vector<std::string> files_;
    std::vector<Block> blocks_ = {Block{}}; // the first one counts always
    std::vector<Setting> settings_;
    std::vector<Problem> problems_;
};

} // namespace muster::ssh
