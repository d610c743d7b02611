#include "ssh/login.hpp"

#include "ssh/agent.hpp"
#include "ssh/wire.hpp"

#include <muster/core/run_in_executor.hpp>
#include <muster/ssh/known_hosts.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace muster::ssh::detail {

namespace {

/// A server that follows OpenSSH's default lets one fail five times; the last try is the
/// password's.
constexpr std::size_t most_agent_keys = 5;

/// No server asks for more ways of logging in than that, one after the other.
constexpr int most_rounds = 10;

bool has(const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// Whether a signature takes so long (RSA of 3072 bits: 2 ms) that others on the loop would notice.
bool signs_slowly(std::string_view public_key) {
    constexpr std::size_t slow = 3072 / 8;
    WireReader reader(public_key);
    const bool rsa = reader.string() == "ssh-rsa";
    reader.string(); // the exponent
    return rsa && reader.string().size() >= slow;
}

std::string sign(const PrivateKey& key, const std::string& algorithm, const std::string& data) {
    return key.sign(algorithm, data);
}

/// Answers one prompt that hides its input, once: a server that asks again has refused it.
class PasswordAnswerer {
public:
    explicit PasswordAnswerer(const Secret& password) : password_(password) {}

    std::vector<Secret> operator()(const Challenge& challenge) {
        std::vector<Secret> answers(challenge.prompts.size());
        for (std::size_t i = 0; i < answers.size(); ++i) {
            if (!challenge.prompts[i].echo && !given_) {
                answers[i] = password_;
                given_ = true;
            }
        }
        return answers;
    }

private:
    const Secret& password_;
    bool given_ = false;
};

/// One login: what was tried, and what there still is to try.
class Login {
public:
    Login(Session& session, const Options& options, std::vector<Identity> identities)
        : session_(session),
          engine_(session.engine()),
          options_(options),
          identities_(std::move(identities)) {
        if (const auto path = agent_path(options)) {
            agent_ = std::make_unique<Agent>(*path, options.timeouts.agent);
        }
    }

    Coro<void> run() {
        const int listed = co_await session_.perform(
            [&] { return engine_.list_methods(options_.username, methods_); });
        check(listed);
        if (engine_.authenticated()) {
            co_return; // it asks for nothing: some console servers do not
        }
        for (int round = 0; round < most_rounds; ++round) {
            const Outcome outcome = co_await try_all();
            if (outcome == Outcome::accepted) {
                co_return;
            }
            if (outcome == Outcome::refused) {
                break;
            }
            partial_ = true; // and its new list says what else it wants
        }
        throw refused();
    }

private:
    enum class Outcome : std::uint8_t { refused, partial, accepted };

    Coro<Outcome> try_all() {
        if (has(methods_, "publickey")) {
            if (offers_agent_keys()) {
                co_await add_agent_keys();
            }
            while (next_ < identities_.size()) {
                const Outcome outcome = co_await try_key(identities_[next_++]);
                if (outcome != Outcome::refused) {
                    co_return outcome;
                }
            }
            if (!too_many_.empty()) {
                tried_.push_back(std::exchange(too_many_, {}));
            }
        } else if (!identities_.empty() && !partial_) {
            tried_.emplace_back("no key, since the device accepts none");
        }
        co_return co_await try_secret();
    }

    // --- keys ---

    /// Unasked for, and so only where nothing better is given.
    [[nodiscard]] bool offers_agent_keys() const {
        return agent_ && !agent_asked_ && identities_.empty() && !options_.identities_only &&
               (options_.agent || options_.password.empty());
    }

    Coro<void> add_agent_keys() {
        co_await list_agent_keys();
        std::size_t left = 0;
        for (const AgentKey& key : agent_keys_) {
            if (!libssh2_knows(key_type(key.public_key))) {
                continue;
            }
            if (identities_.size() == most_agent_keys) {
                ++left;
                continue;
            }
            const std::string name =
                key.comment.empty() ? fingerprint(key.public_key) : "'" + key.comment + "'";
            identities_.push_back({name + " of the SSH agent", key.public_key, {}});
        }
        if (!agent_problem_.empty()) {
            tried_.push_back("no key of the SSH agent, since " + agent_problem_);
        } else if (identities_.empty()) {
            tried_.emplace_back("no key of the SSH agent, which shows none (is it locked?)");
        } else if (left > 0) {
            too_many_ = "not " + std::to_string(left) +
                        " more keys of the SSH agent (name one in Options::keys)";
        }
    }

    /// Asks once; an agent that does not answer has no keys.
    Coro<void> list_agent_keys() {
        if (std::exchange(agent_asked_, true)) {
            co_return;
        }
        try {
            agent_keys_ = co_await agent_->keys();
        } catch (const AgentError& error) {
            agent_problem_ = error.what();
        }
    }

    /// Why a key is not even offered, which costs no try; empty when it is.
    Coro<std::string> objection(const Identity& identity, std::string type) {
        if (!libssh2_knows(type)) {
            co_return "since libssh2 does not support its type";
        }
        if (!device_takes(type)) {
            co_return "since the device takes no such signatures";
        }
        if (!identity.key) {
            co_await list_agent_keys();
            const auto same = [&](const AgentKey& key) {
                return key.public_key == identity.public_key;
            };
            if (std::none_of(agent_keys_.begin(), agent_keys_.end(), same)) {
                co_return agent_problem_.empty() ? "which the SSH agent does not have"
                                                 : "since " + agent_problem_;
            }
        }
        co_return std::string();
    }

    static bool libssh2_knows(std::string_view type) {
        static constexpr std::array<std::string_view, 5> types{"ssh-ed25519", "ecdsa-sha2-nistp256",
                                                               "ecdsa-sha2-nistp384",
                                                               "ecdsa-sha2-nistp521", "ssh-rsa"};
        return std::find(types.begin(), types.end(), type) != types.end();
    }

    /// libssh2 1.11 forgets to clean up when a server takes no signatures of an RSA key, and then
    /// offers all further keys as RSA keys.
    [[nodiscard]] bool device_takes(std::string_view type) const {
        static constexpr std::array<std::string_view, 3> rsa{"rsa-sha2-512", "rsa-sha2-256",
                                                             "ssh-rsa"};
        const auto& taken = engine_.server_signature_algorithms();
        return type != "ssh-rsa" || taken.empty() ||
               std::any_of(rsa.begin(), rsa.end(),
                           [&](std::string_view algorithm) { return has(taken, algorithm); });
    }

    Coro<Outcome> try_key(const Identity& identity) {
        const std::string type = key_type(identity.public_key);
        const std::string name = type + " key " + identity.name;
        if (const std::string reason = co_await objection(identity, type); !reason.empty()) {
            tried_.push_back("not " + name + ", " + reason);
            co_return Outcome::refused;
        }
        tried_.push_back(name);
        SignRequest request;
        int code = 0;
        do {
            if (request.waiting()) {
                co_await make_signature(identity, request);
            }
            code = co_await session_.perform(
                [&] { return engine_.login_key(options_.username, identity.public_key, request); });
        } while (code == signature_wanted);
        rsa_was_old_ =
            rsa_was_old_ || (code != 0 && type == "ssh-rsa" && !engine_.signs_rsa_with_sha2());
        co_return judge(code);
    }

    Coro<void> make_signature(const Identity& identity, SignRequest& request) {
        std::string problem;
        try {
            if (!identity.key) {
                request.signature =
                    co_await agent_->sign(identity.public_key, request.algorithm, request.data);
            } else if (signs_slowly(identity.public_key)) {
                request.signature =
                    co_await run_in_executor(sign, *identity.key, request.algorithm, request.data);
            } else {
                request.signature = sign(*identity.key, request.algorithm, request.data);
            }
            co_return;
        } catch (const AgentError& error) {
            problem = agent_problem_ = error.what();
        } catch (const Error& error) {
            problem = error.reason();
        }
        request.failed = true;
        tried_.back() += " (" + problem + ")";
    }

    // --- passwords and questions ---

    // One way only, and a refusal ends the login: a device that asks an AAA server counts each.
    Coro<Outcome> try_secret() {
        const bool interactive = has(methods_, "keyboard-interactive");
        if (interactive && options_.responder) {
            tried_.emplace_back("keyboard-interactive");
            co_return co_await try_interactive(options_.responder);
        }
        if (options_.password.empty()) {
            if (options_.responder) {
                tried_.emplace_back("no answers, since the device asks no questions");
            }
            co_return Outcome::refused;
        }
        if (has(methods_, "password")) {
            tried_.emplace_back("password");
            co_return co_await try_password();
        }
        if (interactive) {
            tried_.emplace_back("password (keyboard-interactive)");
            co_return co_await try_interactive(PasswordAnswerer(options_.password));
        }
        tried_.emplace_back("no password, since the device accepts none");
        co_return Outcome::refused;
    }

    Coro<Outcome> try_interactive(Responder responder) {
        std::exception_ptr thrown;
        Answerer answerer = [&](const Challenge& challenge) -> std::optional<std::vector<Secret>> {
            try {
                return responder(challenge);
            } catch (...) { // rethrown below: no exception may cross libssh2
                thrown = std::current_exception();
                return std::nullopt;
            }
        };
        const int code = co_await session_.perform(
            [&] { return engine_.login_interactive(options_.username, answerer); });
        if (thrown) {
            std::rethrow_exception(thrown);
        }
        if (code == LIBSSH2_ERROR_METHOD_NOT_SUPPORTED) {
            tried_.back() += " (not with libssh2 " + library_version() +
                             " in a program that was built for an older one)";
            co_return Outcome::refused;
        }
        co_return judge(code);
    }

    Coro<Outcome> try_password() {
        PasswordChange change{options_.new_password};
        const int code = co_await session_.perform(
            [&] { return engine_.login_password(options_.username, options_.password, change); });
        if (code == LIBSSH2_ERROR_PASSWORD_EXPIRED) {
            throw password_expired(change);
        }
        const auto& refusal = engine_.refusal();
        if (change.asked > 0 && refusal && !refusal->partial) {
            tried_.back() += " (expired; the device refused to change it)";
        }
        co_return judge(code);
    }

    [[nodiscard]] Error password_expired(const PasswordChange& change) const {
        const bool tried = change.asked > 1;
        return session_.error(
            Phase::authentication, ErrorKind::authentication,
            "the password of user '" + options_.username + "' has expired" +
                (tried ? ", and the device does not accept the new one" : ""),
            tried ? "choose one that its rules allow"
                  : "give a new one (Options::new_password), or change it on the device or its AAA "
                    "server");
    }

    // --- what comes of it ---

    /// A refusal lets us go on; anything else ends the login.
    Outcome judge(int code) {
        check(code);
        if (code == 0) {
            return Outcome::accepted;
        }
        const auto& refusal = engine_.refusal();
        if (!refusal || (refusal->methods.empty() && !refusal->partial)) {
            return Outcome::refused;
        }
        methods_ = refusal->methods;
        if (!refusal->partial) {
            return Outcome::refused;
        }
        tried_.back() += " (accepted, but not enough)";
        return Outcome::partial;
    }

    void check(int code) {
        if (code == 0 || code == LIBSSH2_ERROR_AUTHENTICATION_FAILED ||
            code == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED || code == LIBSSH2_ERROR_METHOD_NONE) {
            return;
        }
        const Error error = session_.explain(Phase::authentication, code);
        if (error.kind() == ErrorKind::connection_lost && !tried_.empty()) {
            // Many devices hang up instead of saying no.
            throw session_.error(Phase::authentication, ErrorKind::authentication,
                                 error.reason() + ", having been offered: " + join_names(tried_),
                                 "check the user name, the password and the keys");
        }
        throw error;
    }

    [[nodiscard]] Error refused() const {
        std::string reason = "user '" + options_.username + "' was refused; tried: " +
                             (tried_.empty() ? "nothing" : join_names(tried_)) + "; the device " +
                             (partial_ ? "still asks for: " : "accepts: ") + join_names(methods_);
        return session_.error(Phase::authentication, ErrorKind::authentication, std::move(reason),
                              remedy());
    }

    [[nodiscard]] std::string remedy() const {
        if (rsa_was_old_) {
            return "libssh2 " + library_version() +
                   " signs with RSA keys in a way (SHA-1) that OpenSSH refuses since 8.8: use an "
                   "ed25519 key, or libssh2 1.11 or newer";
        }
        if (!agent_problem_.empty()) {
            return "look at the SSH agent: ssh-add -l";
        }
        const std::string questions = has(methods_, "keyboard-interactive")
                                          ? ", or answer its questions (Options::responder)"
                                          : "";
        if (tried_.empty()) {
            return "give a password or a key" + questions;
        }
        if (partial_ && options_.password.empty() && !has(methods_, "publickey")) {
            return "give a password as well" + questions;
        }
        return "check the user name, the password and the keys";
    }

    Session& session_;
    Engine& engine_;
    const Options& options_;
    std::vector<Identity> identities_;
    std::size_t next_ = 0;
    std::unique_ptr<const Agent> agent_;
    std::vector<AgentKey> agent_keys_;
    bool agent_asked_ = false;
    std::string agent_problem_;
    std::string too_many_; // what was left out, once the others have been tried
    std::vector<std::string> methods_;
    std::vector<std::string> tried_;
    bool partial_ = false;
    bool rsa_was_old_ = false;
};

} // namespace

Coro<void> log_in(Session& session, const Options& options, std::vector<Identity> identities) {
    Login login(session, options, std::move(identities));
    co_await login.run();
}

} // namespace muster::ssh::detail
