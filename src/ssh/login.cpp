#include "ssh/login.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace muster::ssh::detail {

namespace {

bool offers(const std::vector<std::string>& methods, const std::string& name) {
    return std::find(methods.begin(), methods.end(), name) != methods.end();
}

/// Answers one prompt that hides its input, once: a server that asks again has refused it.
class PasswordResponder {
public:
    explicit PasswordResponder(const Secret& password) : password_(password) {}

    std::vector<std::string> operator()(const std::vector<Prompt>& prompts) {
        std::vector<std::string> answers(prompts.size());
        for (std::size_t i = 0; i < prompts.size(); ++i) {
            if (!prompts[i].echo && !given_) {
                answers[i] = password_.reveal();
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
    Login(Session& session, const Options& options) : session_(session), options_(options) {}

    Coro<void> run(std::vector<PrivateKey> keys) {
        Engine& engine = session_.engine();
        const int listed = co_await session_.perform(
            [&] { return engine.list_methods(options_.username, methods_); });
        check(listed);
        if (engine.authenticated()) {
            co_return; // it asks for nothing: some console servers do not
        }
        if (offers(methods_, "publickey")) {
            for (const PrivateKey& key : keys) {
                if (co_await try_key(key)) {
                    co_return;
                }
            }
        } else if (!keys.empty()) {
            tried_.push_back("no key, since the device accepts none");
        }
        if (!options_.password.empty() && co_await try_password()) {
            co_return;
        }
        throw refused();
    }

private:
    Coro<bool> try_key(const PrivateKey& key) {
        Engine& engine = session_.engine();
        const int code =
            co_await session_.perform([&] { return engine.login_key(options_.username, key); });
        if (code == 0) {
            co_return true;
        }
        tried_.push_back(key.type() + " key " + key.name());
        rsa_was_old_ = rsa_was_old_ || (key.type() == "ssh-rsa" && !engine.signs_rsa_with_sha2());
        check(code);
        co_return false;
    }

    // One way only: a device that asks an AAA server counts each refusal.
    Coro<bool> try_password() {
        Engine& engine = session_.engine();
        int code = 0;
        if (offers(methods_, "password")) {
            tried_.emplace_back("password");
            code = co_await session_.perform([&] {
                return engine.login_password(options_.username, options_.password.reveal());
            });
        } else if (offers(methods_, "keyboard-interactive")) {
            tried_.emplace_back("password (keyboard-interactive)");
            PasswordResponder answers(options_.password);
            Responder responder = [&](const std::string&, const std::string&,
                                      const std::vector<Prompt>& prompts) {
                return answers(prompts);
            };
            code = co_await session_.perform(
                [&] { return engine.login_interactive(options_.username, responder); });
        } else {
            tried_.emplace_back("no password, since the device accepts none");
            co_return false;
        }
        if (code == LIBSSH2_ERROR_PASSWORD_EXPIRED) {
            throw session_.error(Phase::authentication, ErrorKind::authentication,
                                 "the password of user '" + options_.username + "' has expired",
                                 "change it on the device or its AAA server");
        }
        check(code);
        co_return code == 0;
    }

    /// A refusal lets us go on; anything else ends the login.
    void check(int code) {
        if (code == 0 || code == LIBSSH2_ERROR_AUTHENTICATION_FAILED ||
            code == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED) {
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
                             (tried_.empty() ? "nothing" : join_names(tried_)) +
                             "; the device accepts: " + join_names(methods_);
        std::string remedy;
        if (tried_.empty()) {
            remedy = "give a password or a key";
        } else if (rsa_was_old_) {
            remedy = "libssh2 " + library_version() +
                     " signs with RSA keys in a way (SHA-1) that OpenSSH refuses since 8.8: use an "
                     "ed25519 key, or libssh2 1.11 or newer";
        } else {
            remedy = "check the user name, the password and the keys";
        }
        return session_.error(Phase::authentication, ErrorKind::authentication, std::move(reason),
                              std::move(remedy));
    }

    Session& session_;
    const Options& options_;
    std::vector<std::string> methods_;
    std::vector<std::string> tried_;
    bool rsa_was_old_ = false;
};

} // namespace

Coro<void> log_in(Session& session, const Options& options, std::vector<PrivateKey> keys) {
    Login login(session, options);
    co_await login.run(std::move(keys));
}

} // namespace muster::ssh::detail
