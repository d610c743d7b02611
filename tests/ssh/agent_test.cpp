#include "coro_test.hpp"
#include "listening_sshd.hpp"
#include "ssh/agent.hpp"
#include "ssh_agent.hpp"
#include "temp_folder.hpp"

#include <muster/muster.hpp>
#include <muster/ssh/private_key.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using ssh::detail::Agent;
using ssh::detail::AgentError;
using testing_support::turns;

namespace {

bool no_agent() {
    if (!SshAgent::available() || !Sshd::available()) {
        MESSAGE("skipped: no ssh-agent on this machine");
        return true;
    }
    return false;
}

template <class T>
Coro<std::string> error_of(Coro<T> asked) {
    try {
        co_await std::move(asked);
    } catch (const AgentError& error) {
        co_return error.what();
    }
    co_return "no error";
}

/// How the agent's answer is taken: the error, or nothing.
std::string error_after(const AgentAnswer& answer, bool sign) {
    const TempFolder folder;
    return run([](std::string path, AgentAnswer told, bool signs) -> Coro<std::string> {
        const Server server = co_await start_agent(path, std::move(told));
        const Agent agent(path, 10s);
        if (signs) {
            co_return co_await error_of(agent.sign("key", "rsa-sha2-512", "data"));
        }
        co_return co_await error_of(agent.keys());
    }(folder.path() + "/agent", answer, sign));
}

} // namespace

TEST_CASE("an ssh-agent lists its keys and signs as the private keys do") {
    if (no_agent()) {
        return;
    }
    const TempFolder folder;
    const SshAgent ssh_agent;
    std::vector<ssh::PrivateKey> keys;
    for (const std::vector<std::string>& type :
         {std::vector<std::string>{"ed25519"}, {"rsa", "-b", "2048"}, {"ecdsa", "-b", "384"}}) {
        const std::string file = folder.path() + "/" + type.front();
        std::vector<std::string> command{"ssh-keygen", "-q", "-N", "",   "-C",
                                         "ops@home",   "-f", file, "-t", type.front()};
        command.insert(command.end(), type.begin() + 1, type.end());
        REQUIRE(run_program(command) == 0);
        ssh_agent.add(file);
        keys.push_back(ssh::PrivateKey::load(file));
    }
    run([](std::string path, const std::vector<ssh::PrivateKey>& own) -> Coro<void> {
        const Agent agent(std::move(path), 10s);
        const auto listed = co_await agent.keys();
        REQUIRE(listed.size() == own.size());
        for (std::size_t i = 0; i < own.size(); ++i) {
            CHECK(listed[i].public_key == own[i].public_key());
            CHECK(listed[i].comment == "ops@home");
        }
        const std::string ed25519 = co_await agent.sign(own[0].public_key(), "ssh-ed25519", "data");
        CHECK(ed25519 == own[0].sign("ssh-ed25519", "data"));
        for (const std::string algorithm : {"rsa-sha2-256", "rsa-sha2-512", "ssh-rsa"}) {
            CAPTURE(algorithm);
            const std::string rsa = co_await agent.sign(own[1].public_key(), algorithm, "data");
            CHECK(rsa == own[1].sign(algorithm, "data"));
        }
        const std::string ecdsa =
            co_await agent.sign(own[2].public_key(), "ecdsa-sha2-nistp384", "data");
        CHECK(ecdsa.size() > 90); // two numbers of 48 bytes: no two signatures are the same

        const std::string unknown = co_await error_of(agent.sign("none", "ssh-ed25519", "data"));
        CHECK(contains(unknown, "refuses to sign"));
    }(ssh_agent.socket(), keys));

    ssh_agent.lock();
    run([](std::string path, const ssh::PrivateKey& key) -> Coro<void> {
        const Agent agent(std::move(path), 10s);
        const auto listed = co_await agent.keys();
        CHECK(listed.empty());
        const std::string locked =
            co_await error_of(agent.sign(key.public_key(), "ssh-ed25519", "data"));
        CHECK(contains(locked, "locked"));
    }(ssh_agent.socket(), keys[0]));
}

TEST_CASE("an agent that is not there says which and why") {
    const TempFolder folder;
    const auto error = [](const std::string& path) {
        return run([](std::string at) -> Coro<std::string> {
            const Agent agent(std::move(at), 10s);
            co_return co_await error_of(agent.keys());
        }(path));
    };
    const std::string missing = error(folder.path() + "/none");
    CHECK(contains(missing, "the SSH agent at " + folder.path() + "/none cannot be used"));
    CHECK(contains(missing, "No such file"));
    write_text(folder.path() + "/file", "");
    CHECK(contains(error(folder.path() + "/file"), "refused"));
    CHECK(contains(error(std::string(200, 'x')), "200"));
}

TEST_CASE("an agent that answers with nonsense, or not at all, is an error") {
    using namespace std::string_literals;
    const auto always = [](const std::string& reply) {
        return [reply](const std::string&) { return std::optional(reply); };
    };
    for (const bool sign : {false, true}) {
        CAPTURE(sign);
        CHECK(contains(error_after(always(""), sign), "hung up"));
        CHECK(contains(error_after(always(agent_refuses), sign), "refuses"));
        for (const std::string& reply :
             {"\x06"s, "\x0c"s, "\x0e"s, "\x0e\0\0\0"s, "\x0e\0\0\0\x05hello"s,
              "\x0c\xff\xff\xff\xff"s, "\x0c\0\0\0\x02\0\0\0\x01x\0\0\0\x01y"s,
              "\x0c\0\0\0\x01\xff\xff\xff\xff"s, std::string(300'000, 'x'),
              agent_signs("rsa-sha2-512", "")}) {
            CAPTURE(reply.size());
            CHECK(contains(error_after(always(reply), sign), "nonsense"));
        }
    }
    CHECK(error_after(always(agent_lists({})), false) == "no error");
    CHECK(error_after(always(agent_signs("rsa-sha2-512", "x")), true) == "no error");
    // Old agents know no flags.
    CHECK(contains(error_after(always(agent_signs("ssh-rsa", "x")), true),
                   "signs with ssh-rsa, asked for rsa-sha2-512"));
}

TEST_CASE("a comment of the agent is one printable line") {
    const TempFolder folder;
    run([](std::string path) -> Coro<void> {
        const Server server = co_await start_agent(
            path, [](const std::string&) { return std::optional(agent_lists({"key"})); });
        const Agent agent(path, 10s);
        const auto keys = co_await agent.keys();
        REQUIRE(keys.size() == 1);
        CHECK(keys[0].public_key == "key");
        CHECK(keys[0].comment == "some body");
    }(folder.path() + "/agent"));
}

TEST_CASE("an agent that does not answer is given up at its deadline") {
    const TempFolder folder;
    run([](std::string path) -> Coro<void> {
        const Server server =
            co_await start_agent(path, [](const std::string&) { return std::nullopt; });
        const Agent agent(path, 50ms);
        const std::string keys = co_await error_of(agent.keys());
        CHECK(contains(keys, "has not answered in time"));
        const std::string sign = co_await error_of(agent.sign("key", "ssh-ed25519", "data"));
        CHECK(contains(sign, "Timeouts::agent"));
    }(folder.path() + "/agent"));
}

TEST_CASE("a question to the agent can be cancelled at every moment") {
    const TempFolder folder;
    run([](std::string path) -> Coro<void> {
        const Server server =
            co_await start_agent(path, [](const std::string&) { return std::nullopt; });
        const Agent agent(path, 10s);
        for (int moment = 0; moment < 12; ++moment) {
            CAPTURE(moment);
            const auto task = create_task(agent.keys());
            co_await turns(moment);
            task.cancel("enough");
            co_await wait(std::vector{task});
            CHECK(testing_support::ending(task) == "cancelled: enough");
        }
        const auto left = create_task(agent.keys()); // the end of the loop cancels it
        co_await turns(6);
    }(folder.path() + "/agent"));
}
