// Ways of logging in: keys, the agent, questions, passwords, and several of them in a row.
#include "asyncssh_server.hpp"
#include "coro_test.hpp"
#include "listening_sshd.hpp"
#include "ssh_agent.hpp"
#include "temp_folder.hpp"

#include <muster/muster.hpp>
#include <muster/ssh/connection.hpp>
#include <muster/ssh/private_key.hpp>

#include <doctest/doctest.h>
#include <libssh2.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::turns;

namespace {

/// Sets $SSH_AUTH_SOCK while it lives; empty stands for no agent.
class AgentVariable {
public:
    explicit AgentVariable(const std::string& path) {
        const char* before = std::getenv("SSH_AUTH_SOCK"); // NOLINT(concurrency-mt-unsafe)
        before_ = before == nullptr ? "" : before;
        set(path);
    }

    AgentVariable(const AgentVariable&) = delete;
    AgentVariable& operator=(const AgentVariable&) = delete;

    ~AgentVariable() { set(before_); }

private:
    static void set(const std::string& path) {
        ::setenv("SSH_AUTH_SOCK", path.c_str(), 1); // NOLINT(concurrency-mt-unsafe)
    }

    std::string before_;
};

bool no_agent() {
    if (no_sshd()) {
        return true;
    }
    if (!SshAgent::available()) {
        MESSAGE("skipped: no ssh-agent on this machine");
        return true;
    }
    return false;
}

const std::string hello = "echo hello";

ssh::KeySource key_in(const std::string& path) {
    ssh::KeySource source;
    source.path = path;
    return source;
}

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
        ++found;
    }
    return found;
}

/// Connects while an agent listens that answers so; the error, or "in".
std::string login_with_agent(ssh::Options options, const AgentAnswer& answer) {
    const TempFolder folder;
    options.agent = folder.path() + "/agent";
    return run([](ssh::Options own, AgentAnswer told) -> Coro<std::string> {
        const Server agent = co_await start_agent(*own.agent, std::move(told));
        try {
            const auto connection = co_await ssh::connect(std::move(own));
            co_return "in";
        } catch (const ssh::Error& error) {
            CHECK(error.kind() == ssh::ErrorKind::authentication);
            co_return error.what();
        }
    }(std::move(options), answer));
}

/// Signs as a good agent does, with the keys in these files.
AgentAnswer agent_with(const std::vector<std::string>& files) {
    std::vector<ssh::PrivateKey> keys;
    std::vector<std::string> blobs;
    for (const auto& file : files) {
        keys.push_back(ssh::PrivateKey::load(file));
        blobs.push_back(keys.back().public_key());
    }
    return [keys, blobs](const std::string& request) -> std::optional<std::string> {
        if (request.front() == agent_asks_for_keys) {
            return agent_lists(blobs);
        }
        for (const auto& key : keys) {
            const auto at = request.find(key.public_key());
            if (at != std::string::npos && at < 10) {
                const auto data = at + key.public_key().size() + 4;
                return agent_signs(
                    key.type(),
                    key.sign(key.type(), request.substr(data, request.size() - data - 4)));
            }
        }
        return agent_refuses;
    };
}

/// A user key that the server does not know.
std::string strange_key(const TempFolder& folder, const std::string& name,
                        const std::string& passphrase = {}) {
    const std::string file = folder.path() + "/" + name;
    REQUIRE(run_program({"ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-a", "1", "-C",
                         name, "-f", file}) == 0);
    return file;
}

} // namespace

// --- keys ---

TEST_CASE("a long RSA key signs in the executor") {
    if (no_sshd()) {
        return;
    }
    // libssh2 before 1.11 signs with SHA-1, which the server has to be told to take.
    ListeningSshd server("PubkeyAcceptedAlgorithms +ssh-rsa");
    CHECK(run(ssh::fetch(server.options("rsa"), hello)) == "hello\n"); // ssh-keygen makes 3072 bits

    SUBCASE("and its login can be cancelled meanwhile, or the connection be lost") {
        run([](ssh::Options options, Sshd& sshd) -> Coro<void> {
            // The only thread is busy, so the signature waits.
            auto executor = std::make_shared<concurrent::ThreadPoolExecutor>(1);
            get_running_loop().set_default_executor(executor);
            const auto read = co_await ssh::connect(options);
            for (const bool cancel : {true, false}) {
                CAPTURE(cancel);
                auto busy = std::make_shared<std::latch>(1);
                const auto blocked = run_in_executor([busy] { busy->wait(); });
                const auto login = create_task(ssh::connect(options));
                while (executor->metrics().running == 0 || executor->metrics().queued == 0) {
                    co_await turns(1);
                }
                if (cancel) {
                    login.cancel("enough");
                } else {
                    sshd.kill_sessions();
                }
                busy->count_down();
                co_await wait(std::vector{login});
                if (cancel) {
                    CHECK(ending(login) == "cancelled: enough");
                } else {
                    const std::string lost = ending(login);
                    CAPTURE(lost);
                    CHECK(contains(lost, "having been offered: ssh-rsa key"));
                }
                co_await blocked;
                co_await run_in_executor([] {}); // after the signature that nobody wants
            }
        }(server.options("rsa"), server.sshd));
    }
}

TEST_CASE("keys are tried in order, and each refused one is named") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server("PubkeyAcceptedAlgorithms +ssh-rsa");
    const TempFolder folder;
    const std::string first = strange_key(folder, "first");
    const std::string second = strange_key(folder, "second");
    auto options = server.bare_options();
    options.keys = {key_in(first), key_in(second)};
    const auto error = connect_error(options);
    CHECK(contains(error.reason(),
                   "tried: ssh-ed25519 key " + first + ", ssh-ed25519 key " + second));
    options.keys.push_back(key_in(server.sshd.user_key()));
    CHECK(run(ssh::fetch(options, hello)) == "hello\n");

    ssh::KeySource text;
    text.text = read_text(first);
    options.keys = {text};
    CHECK(contains(connect_error(options).reason(), "tried: ssh-ed25519 key in memory"));
}

// --- the agent ---

TEST_CASE("the agent's keys log in") {
    if (no_agent()) {
        return;
    }
    ListeningSshd server("PubkeyAcceptedAlgorithms +ssh-rsa");
    for (const std::string type : {"ed25519", "ecdsa", "rsa"}) {
        CAPTURE(type);
        const SshAgent agent;
        agent.add(server.sshd.user_key(type));
        auto options = server.bare_options();
        options.agent = agent.socket();
        CHECK(run(ssh::fetch(options, hello)) == "hello\n");

        options.agent = std::nullopt;
        {
            const AgentVariable none("");
            CHECK(contains(connect_error(options).reason(), "tried: nothing"));
        }
        const AgentVariable variable(agent.socket());
        CHECK(run(ssh::fetch(options, hello)) == "hello\n");
        options.agent = "";
        CHECK(contains(connect_error(options).reason(), "tried: nothing"));
    }
}

TEST_CASE("an agent that is locked or empty says so") {
    if (no_agent()) {
        return;
    }
    ListeningSshd server;
    const SshAgent agent;
    auto options = server.bare_options();
    options.agent = agent.socket();
    const auto empty = connect_error(options);
    CHECK(contains(empty.reason(), "no key of the SSH agent, which shows none (is it locked?)"));

    agent.add(server.sshd.user_key());
    agent.lock();
    CHECK(contains(connect_error(options).reason(), "is it locked?"));
    options.keys = {key_in(server.sshd.user_key() + ".pub")};
    CHECK(contains(connect_error(options).reason(), "which the SSH agent does not have"));
}

TEST_CASE("a public key has the agent sign for it, and no other key is offered") {
    if (no_agent()) {
        return;
    }
    // One refused key would be one too many.
    ListeningSshd server("MaxAuthTries 1");
    const TempFolder folder;
    const SshAgent agent;
    for (const std::string name : {"a", "b", "c"}) {
        agent.add(strange_key(folder, name));
    }
    agent.add(server.sshd.user_key());
    auto options = server.bare_options();
    options.keys = {key_in(server.sshd.user_key() + ".pub")};
    options.agent = agent.socket();
    CHECK(run(ssh::fetch(options, hello)) == "hello\n");

    ssh::KeySource text;
    text.text = read_text(server.sshd.user_key() + ".pub");
    options.keys = {text};
    CHECK(run(ssh::fetch(options, hello)) == "hello\n");

    {
        const AgentVariable variable(agent.socket());
        options.agent = std::nullopt;
        CHECK(run(ssh::fetch(options, hello)) == "hello\n");
        options.keys = {key_in(server.sshd.user_key())};
        CHECK(run(ssh::fetch(options, hello)) == "hello\n");
    }
    const AgentVariable none("");
    options.keys = {key_in(server.sshd.user_key() + ".pub")};
    const auto alone = connect_error(options);
    CHECK(alone.kind() == ssh::ErrorKind::configuration);
    CHECK(contains(alone.reason(), server.sshd.user_key() + ".pub: this is a public key"));
    CHECK(contains(alone.remedy(), "SSH agent"));
}

TEST_CASE("an encrypted key without its passphrase is the agent's to sign with") {
    if (no_agent()) {
        return;
    }
    ListeningSshd server;
    const std::string file = server.sshd.user_key();
    const SshAgent agent;
    agent.add(file);
    REQUIRE(run_program({"ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-a", "1", "-f",
                         file}) == 0);
    auto options = server.options();
    CHECK(contains(connect_error(options).what(), file + ": the key is encrypted (give its "
                                                         "passphrase, or add it to an SSH agent"));
    options.agent = agent.socket();
    CHECK(run(ssh::fetch(options, hello)) == "hello\n");
    options.keys.front().passphrase = "open sesame";
    options.agent = "";
    CHECK(run(ssh::fetch(options, hello)) == "hello\n");
    options.keys.front().passphrase = "wrong";
    options.agent = agent.socket();
    const auto wrong = connect_error(options);
    CHECK(wrong.kind() == ssh::ErrorKind::configuration);
    CHECK(contains(wrong.reason(), "wrong passphrase"));
}

TEST_CASE("the agent is asked only where nothing else is given, or it is named") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    const std::string key = server.sshd.user_key();
    int asked = 0;
    const AgentAnswer counting = [&, good = agent_with({key})](const std::string& request) {
        ++asked;
        return good(request);
    };
    const TempFolder folder;
    const std::string path = folder.path() + "/agent";
    const auto connects = [&](ssh::Options options) {
        asked = 0;
        return run([](ssh::Options own, std::string at, AgentAnswer answer) -> Coro<bool> {
            const Server agent = co_await start_agent(at, std::move(answer));
            const AgentVariable variable(at);
            try {
                const auto connection = co_await ssh::connect(std::move(own));
                co_return true;
            } catch (const ssh::Error&) {
                co_return false;
            }
        }(std::move(options), path, counting));
    };
    auto options = server.bare_options();
    options.agent = std::nullopt;
    CHECK(connects(options));
    CHECK(asked == 2);

    options.identities_only = true;
    CHECK_FALSE(connects(options));
    CHECK(asked == 0);
    options.agent = path;
    CHECK_FALSE(connects(options));
    CHECK(asked == 0);
    options.identities_only = false;
    CHECK(connects(options));

    options.password = "secret";
    CHECK(connects(options)); // named, it goes before the password
    CHECK(asked == 2);
    options.agent = std::nullopt;
    CHECK_FALSE(connects(options));
    CHECK(asked == 0);

    options.keys = {key_in(strange_key(folder, "strange"))};
    options.agent = path;
    CHECK_FALSE(connects(options)); // its keys would use up the server's patience
    CHECK(asked == 0);
}

TEST_CASE("of an agent's many keys only the first are offered") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    const TempFolder folder;
    std::vector<std::string> files;
    for (int i = 0; i < 7; ++i) {
        files.push_back(strange_key(folder, "key" + std::to_string(i)));
    }
    const std::string error = login_with_agent(server.bare_options(), agent_with(files));
    CHECK(count(error, "ssh-ed25519 key 'some body' of the SSH agent") == 5);
    CHECK(contains(error, "not 2 more keys of the SSH agent (name one in Options::keys)"));
}

TEST_CASE("an agent that fails is named, and the login goes on without it") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    const std::string good = server.sshd.user_key();
    const auto lists_and = [&](std::optional<std::string> then) -> AgentAnswer {
        return [list = agent_lists({ssh::PrivateKey::load(good).public_key()}),
                then](const std::string& request) -> std::optional<std::string> {
            return request.front() == agent_asks_for_keys ? list : then;
        };
    };
    const auto always = [](std::optional<std::string> reply) -> AgentAnswer {
        return [reply](const std::string&) { return reply; };
    };

    struct Case {
        AgentAnswer answer;
        std::string words;
    };

    for (const Case& c :
         {Case{always(std::nullopt), "has not answered in time"}, Case{always(""), "hung up"},
          Case{always("?"), "nonsense"}, Case{lists_and(std::nullopt), "has not answered in time"},
          Case{lists_and(""), "hung up"}, Case{lists_and(agent_refuses), "refuses to sign"},
          Case{lists_and("?"), "nonsense"},
          Case{lists_and(agent_signs("ssh-rsa", "x")), "signs with ssh-rsa"}}) {
        CAPTURE(c.words);
        auto options = server.bare_options();
        options.timeouts.agent = 100ms;
        const std::string error = login_with_agent(options, c.answer);
        CHECK(contains(error, "user '" + options.username + "' was refused"));
        CHECK(contains(error, c.words));
        CHECK(contains(error, "ssh-add -l"));
        options.keys = {key_in(good + ".pub")};
        CHECK(contains(login_with_agent(options, c.answer), c.words));
        options.keys = {key_in(good + ".pub"), key_in(good)};
        CHECK(login_with_agent(options, c.answer) == "in");
    }
    // What it signs with is wrong.
    CHECK(contains(
        login_with_agent(server.bare_options(), lists_and(agent_signs("ssh-ed25519", "x"))),
        "was refused"));
}

TEST_CASE("a connection that is lost while the agent thinks is reported") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    const AgentAnswer good = agent_with({server.sshd.user_key()});
    const std::string error =
        login_with_agent(server.bare_options(), [&](const std::string& request) {
            if (request.front() == agent_asks_to_sign) {
                server.sshd.kill_sessions();
            }
            return good(request);
        });
    CHECK(contains(error, "of the SSH agent"));
    CHECK(contains(error, "having been offered"));
}

TEST_CASE("a login by the agent can be cancelled at every moment") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    const TempFolder folder;
    auto options = server.bare_options();
    options.agent = folder.path() + "/agent";
    // The agent stalls at its first or its second question; cancelled then, or the loop ends.
    for (const char at : {agent_asks_for_keys, agent_asks_to_sign}) {
        CAPTURE(int{at});
        run([](ssh::Options own, AgentAnswer good, char stall) -> Coro<void> {
            for (int after = 0; after < 3; ++after) {
                auto reached = get_running_loop().create_future<void>();
                const Server agent = co_await start_agent(
                    *own.agent, [&](const std::string& request) -> std::optional<std::string> {
                        if (request.front() != stall) {
                            return good(request);
                        }
                        reached.set_result();
                        return std::nullopt;
                    });
                const auto login = create_task(ssh::connect(own));
                co_await reached;
                co_await turns(after);
                login.cancel("enough");
                co_await wait(std::vector{login});
                CHECK(ending(login) == "cancelled: enough");
            }
        }(options, agent_with({server.sshd.user_key()}), at));
        run([](ssh::Options own, AgentAnswer good, char stall) -> Coro<void> {
            auto reached = get_running_loop().create_future<void>();
            const Server agent = co_await start_agent(
                *own.agent, [&](const std::string& request) -> std::optional<std::string> {
                    if (request.front() != stall) {
                        return good(request);
                    }
                    reached.set_result();
                    return std::nullopt;
                });
            const auto login = create_task(ssh::connect(own));
            co_await reached;
        }(options, agent_with({server.sshd.user_key()}), at));
    }
    // And wherever it is after so many turns.
    run([](ssh::Options own, AgentAnswer good) -> Coro<void> {
        const Server agent = co_await start_agent(*own.agent, std::move(good));
        for (int moment = 0; moment < 200; moment += 3) {
            const auto login = create_task(ssh::connect(own));
            co_await turns(moment);
            login.cancel("enough");
            co_await wait(std::vector{login});
            const std::string end = ending(login);
            CHECK((end == "cancelled: enough" || end == "value"));
        }
    }(options, agent_with({server.sshd.user_key()})));
}

// --- several ways in a row ---

TEST_CASE("a server that wants two keys gets two") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server("AuthenticationMethods publickey,publickey");
    auto options = server.options("ed25519");
    const auto one = connect_error(options);
    CHECK(one.kind() == ssh::ErrorKind::authentication);
    CHECK(contains(one.reason(), server.sshd.user_key() + " (accepted, but not enough)"));
    CHECK(contains(one.reason(), "the device still asks for: publickey"));
    options.keys.push_back(key_in(server.sshd.user_key("ecdsa")));
    CHECK(run(ssh::fetch(options, hello)) == "hello\n");
    const std::string in = login_with_agent(
        [&] {
            auto both = server.options("ed25519");
            both.keys.push_back(key_in(server.sshd.user_key("ecdsa") + ".pub"));
            return both;
        }(),
        agent_with({server.sshd.user_key("ecdsa")}));
    CHECK(in == "in");
}

TEST_CASE("a server that wants a key and a password says what it still asks for") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server("AuthenticationMethods publickey,password");
    auto options = server.options();
    const auto key = connect_error(options);
    CHECK(
        contains(key.reason(), "(accepted, but not enough); the device still asks for: password"));
    CHECK(contains(key.remedy(), "give a password as well"));
    options.password = "no such password";
    const auto both = connect_error(options);
    CHECK(contains(both.reason(), "(accepted, but not enough), password; the device still"));
    CHECK_FALSE(contains(both.what(), "no such"));
    options.keys.clear();
    CHECK(contains(connect_error(options).reason(), "no password, since the device accepts none"));
}

// --- banners, questions, expired passwords ---

TEST_CASE("a server's banner does not disturb the login") {
    if (no_sshd()) {
        return;
    }
    const TempFolder folder;
    write_text(folder.path() + "/banner", std::string(3000, '3') + "\n\x1b[2J");
    ListeningSshd server("Banner " + folder.path() + "/banner");
    CHECK(run(ssh::fetch(server.options(), hello)) == "hello\n");
    CHECK(contains(connect_error(server.bare_options()).reason(), "accepts: publickey"));
}

namespace {

struct Asyncssh {
    AsyncsshServer server;

    [[nodiscard]] ssh::Options options(const std::string& user) const {
        ssh::Options options;
        options.host = "127.0.0.1";
        options.port = server.port();
        options.username = user;
        options.host_key_policy = ssh::HostKeyPolicy::insecure_ignore;
        return options;
    }
};

} // namespace

TEST_CASE("a key whose signatures the device does not take is not offered") {
    if (!AsyncsshServer::available()) {
        return;
    }
    const Asyncssh asyncssh;
    const TempFolder folder;
    const std::string rsa = folder.path() + "/rsa";
    REQUIRE(run_program({"ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", rsa}) == 0);
    auto options = asyncssh.options("keyed");
    options.keys = {key_in(rsa)};
    if (libssh2_version(0x010b00) != nullptr) { // older ones do not ask, and this server takes it
        const auto error = connect_error(options);
        CHECK(error.kind() == ssh::ErrorKind::authentication);
        CHECK(contains(error.reason(),
                       "not ssh-rsa key " + rsa + ", since the device takes no such signatures"));
    }
    // libssh2 must not be left in the middle of it.
    options.keys.push_back(key_in(strange_key(folder, "ed25519")));
    CHECK(run(ssh::fetch(options, "x")) == "hello keyed\n");
}

TEST_CASE("an expired password is replaced, if a new one is given") {
    if (!AsyncsshServer::available()) {
        return;
    }
    const Asyncssh asyncssh;
    auto options = asyncssh.options("expired");
    options.password = "old";
    const auto expired = connect_error(options);
    CHECK(expired.kind() == ssh::ErrorKind::authentication);
    CHECK(contains(expired.reason(), "the password of user 'expired' has expired"));
    CHECK(contains(expired.remedy(), "Options::new_password"));

    options.new_password = "new";
    CHECK(run(ssh::fetch(options, "x")) == "hello expired\n");

    options.username = "strict";
    const auto strict = connect_error(options);
    CHECK(contains(strict.reason(), "does not accept the new one"));
    options.username = "forbidden";
    const auto forbidden = connect_error(options);
    CHECK(contains(forbidden.reason(), "password (expired; the device refused to change it)"));
    for (const auto* error : {&expired, &strict, &forbidden}) {
        CHECK_FALSE(contains(error->what(), "old"));
        CHECK_FALSE(contains(error->what(), "'new'"));
    }

    SUBCASE("several banners before it are skipped") {
        options.username = "greeted";
        CHECK(run(ssh::fetch(options, "x")) == "hello greeted\n");
    }
}

TEST_CASE("a responder answers all prompts of all rounds") {
    if (!AsyncsshServer::available()) {
        return;
    }
    const Asyncssh asyncssh;
    std::vector<ssh::Challenge> seen;
    auto options = asyncssh.options("asked");
    options.responder = [&](const ssh::Challenge& challenge) {
        seen.push_back(challenge);
        std::vector<Secret> answers;
        for (const auto& prompt : challenge.prompts) {
            answers.emplace_back(prompt.text == "User: "  ? "ops"
                                 : prompt.text == "PIN: " ? "1234"
                                                          : "567");
        }
        return answers;
    };
    CHECK(run(ssh::fetch(options, "x")) == "hello asked\n");
    REQUIRE(seen.size() == 3);
    CHECK(seen[0].name == "Login");
    CHECK(seen[0].instruction == "First who, then what");
    REQUIRE(seen[0].prompts.size() == 2);
    CHECK(seen[0].prompts[0].echo);
    CHECK_FALSE(seen[0].prompts[1].echo);
    CHECK(seen[1].prompts.size() == 1);
    CHECK(seen[2].prompts.empty());
    CHECK(contains(seen[2].instruction, "last login"));

    SUBCASE("a wrong answer is refused, once, and not told") {
        seen.clear();
        options.password = "1234";
        options.responder = [&](const ssh::Challenge& challenge) {
            seen.push_back(challenge);
            return std::vector<Secret>{"ops"}; // too few: the others are empty
        };
        const auto error = connect_error(options);
        CHECK(contains(error.reason(), "tried: keyboard-interactive; the device accepts"));
        CHECK_FALSE(contains(error.what(), "1234"));
        CHECK(seen.size() == 1);
    }
    SUBCASE("what it throws comes out") {
        for (const std::size_t round : {std::size_t{1}, std::size_t{2}}) {
            seen.clear();
            options.responder = [&](const ssh::Challenge& challenge) -> std::vector<Secret> {
                seen.push_back(challenge);
                if (seen.size() == round) {
                    throw std::out_of_range("no token left");
                }
                return {"ops", "1234"};
            };
            CHECK_THROWS_WITH_AS(run(ssh::connect(options)), "no token left", std::out_of_range);
            CHECK(seen.size() == round);
        }
    }
    SUBCASE("without one, the remedy names it") {
        options.responder = {};
        CHECK(contains(connect_error(options).remedy(), "Options::responder"));
    }
}
