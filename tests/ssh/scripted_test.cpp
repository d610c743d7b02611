// What servers do that neither sshd nor the virtual devices can be asked for.
#include "contains.hpp"
#include "process.hpp"
#include "pumped.hpp"
#include "scripted_server.hpp"
#include "temp_folder.hpp"

#include <muster/muster.hpp>
#include <muster/ssh/connection.hpp>

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;

namespace {

ssh::Options options_for(const ScriptedServer& server) {
    ssh::Options options;
    options.host = "127.0.0.1";
    options.port = server.port();
    options.username = "ops";
    options.password = "secret";
    options.host_key_policy = ssh::HostKeyPolicy::insecure_ignore;
    return options;
}

int connect_to(const ScriptedServer& server) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(server.port());
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    return fd;
}

/// A keyboard-interactive dialogue; what was answered.
struct Dialogue {
    std::vector<const char*> prompts;
    std::vector<char> echo;
    std::string expected; // the last answer that lets the user in
    std::vector<std::string> answers = {};
    int rounds = 0;

    /// One round of questions, then yes or no.
    void hold(ssh_session session) {
        while (ssh_message message = ssh_message_get(session)) {
            bool done = false;
            if (ssh_message_type(message) != SSH_REQUEST_AUTH) {
                ssh_message_reply_default(message);
            } else if (ssh_message_subtype(message) != SSH_AUTH_METHOD_INTERACTIVE) {
                ssh_message_auth_set_methods(message, SSH_AUTH_METHOD_INTERACTIVE);
                ssh_message_reply_default(message);
            } else if (ssh_message_auth_kbdint_is_response(message) == 0) {
                ++rounds;
                ssh_message_auth_interactive_request(message, "Login", "AAA says hello",
                                                     static_cast<unsigned>(prompts.size()),
                                                     prompts.data(), echo.data());
            } else {
                const int count = ssh_userauth_kbdint_getnanswers(session);
                for (int i = 0; i < count; ++i) {
                    answers.emplace_back(ssh_userauth_kbdint_getanswer(session, unsigned(i)));
                }
                done = !answers.empty() && answers.back() == expected;
                if (done) {
                    ssh_message_auth_reply_success(message, 0);
                } else if (rounds == 1) {
                    ++rounds; // asks again, as PAM does
                    ssh_message_auth_interactive_request(message, "Login", "Sorry, try again.",
                                                         static_cast<unsigned>(prompts.size()),
                                                         prompts.data(), echo.data());
                } else {
                    ssh_message_auth_set_methods(message, SSH_AUTH_METHOD_INTERACTIVE);
                    ssh_message_reply_default(message);
                }
            }
            ssh_message_free(message);
            if (done) {
                return;
            }
        }
    }
};

// libssh would have callbacks instead, which know nothing of keyboard-interactive.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/// Wants several ways of logging in, one after the other; what was tried.
struct Steps {
    std::vector<int> wanted; // SSH_AUTH_METHOD_..., each one or several of them
    std::vector<std::string> tried = {};

    void hold(ssh_session session) {
        std::size_t at = 0;
        while (ssh_message message = ssh_message_get(session)) {
            if (ssh_message_type(message) != SSH_REQUEST_AUTH) {
                ssh_message_reply_default(message);
            } else if (!asked_for_more(message)) {
                const bool right = judge(session, message, wanted[at]);
                at += right ? 1 : 0;
                if (at == wanted.size()) {
                    ssh_message_auth_reply_success(message, 0);
                    ssh_message_free(message);
                    return;
                }
                ssh_message_auth_set_methods(message, wanted[at]);
                if (right) {
                    ssh_message_auth_reply_success(message, 1);
                } else {
                    ssh_message_reply_default(message);
                }
            }
            ssh_message_free(message);
        }
    }

private:
    static bool asked_for_more(ssh_message message) {
        if (ssh_message_subtype(message) == SSH_AUTH_METHOD_PUBLICKEY &&
            ssh_message_auth_publickey_state(message) == SSH_PUBLICKEY_STATE_NONE) {
            ssh_message_auth_reply_pk_ok_simple(message);
            return true;
        }
        if (ssh_message_subtype(message) == SSH_AUTH_METHOD_INTERACTIVE &&
            ssh_message_auth_kbdint_is_response(message) == 0) {
            const char* prompt = "Token: ";
            char echo = 0;
            ssh_message_auth_interactive_request(message, "", "", 1, &prompt, &echo);
            return true;
        }
        return false;
    }

    bool judge(ssh_session session, ssh_message message, int methods) {
        const int method = ssh_message_subtype(message);
        bool right = false;
        switch (method) {
        case SSH_AUTH_METHOD_PUBLICKEY:
            tried.emplace_back("key");
            right = ssh_message_auth_publickey_state(message) == SSH_PUBLICKEY_STATE_VALID;
            break;
        case SSH_AUTH_METHOD_PASSWORD:
            tried.emplace_back(ssh_message_auth_password(message));
            right = tried.back() == "secret";
            break;
        case SSH_AUTH_METHOD_INTERACTIVE:
            tried.emplace_back(ssh_userauth_kbdint_getanswer(session, 0));
            right = tried.back() == "567";
            break;
        default:
            break;
        }
        return right && (method & methods) != 0;
    }
};

#pragma GCC diagnostic pop

/// What a server that wants these steps was given; `error`: how the login ended.
std::vector<std::string> steps_of(const std::vector<int>& wanted, ssh::Options options,
                                  std::string& error) {
    Steps steps{wanted};
    {
        const ScriptedServer server([&](ssh_session session) { steps.hold(session); });
        options.port = server.port();
        error.clear();
        try {
            run(ssh::connect(std::move(options)));
        } catch (const ssh::Error& refused) {
            CHECK(refused.kind() == ssh::ErrorKind::authentication);
            error = refused.what();
        }
    }
    return steps.tried;
}

} // namespace

TEST_CASE("a server that wants several ways of logging in gets one after the other") {
    const TempFolder folder;
    REQUIRE(run_program({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                         folder.path() + "/key"}) == 0);
    ssh::Options options;
    options.host = "127.0.0.1";
    options.username = "ops";
    options.host_key_policy = ssh::HostKeyPolicy::insecure_ignore;
    ssh::KeySource key;
    key.path = folder.path() + "/key";
    options.keys = {key};
    options.password = "secret";
    options.responder = [](const ssh::Challenge& challenge) {
        return std::vector<Secret>(challenge.prompts.size(), "567");
    };
    using Tried = std::vector<std::string>;
    constexpr int by_key = SSH_AUTH_METHOD_PUBLICKEY;
    constexpr int by_password = SSH_AUTH_METHOD_PASSWORD;
    constexpr int by_answers = SSH_AUTH_METHOD_INTERACTIVE;
    std::string error;
    CHECK(steps_of({by_key, by_answers}, options, error) == Tried{"key", "567"});
    CHECK(error == "");
    CHECK(steps_of({by_key, by_password}, options, error) == Tried{"key", "secret"});
    CHECK(error == "");
    CHECK(steps_of({by_password, by_answers}, options, error) == Tried{"secret", "567"});
    CHECK(error == "");
    CHECK(steps_of({by_answers, by_password}, options, error) == Tried{"567", "secret"});
    CHECK(error == "");
    CHECK(steps_of({by_password, by_key, by_answers}, options, error) ==
          Tried{"secret", "key", "567"});
    CHECK(error == "");

    options.responder = nullptr;
    CHECK(steps_of({by_key, by_answers}, options, error) == Tried{"key", "secret"});
    CHECK(contains(error, "(accepted, but not enough), password (keyboard-interactive); "
                          "the device still asks for: keyboard-interactive"));
    options.password = "";
    CHECK(steps_of({by_key, by_answers}, options, error) == Tried{"key"});
    CHECK(contains(error, "Options::responder"));
    options.keys.clear();
    options.password = "wrong";
    CHECK(steps_of({by_password | by_answers}, options, error) == Tried{"wrong"});
    CHECK(contains(error, "tried: password; the device accepts"));
    CHECK_FALSE(contains(error, "wrong"));
    options.responder = [](const ssh::Challenge&) { return std::vector<Secret>{"wrong"}; };
    CHECK(steps_of({by_password | by_answers}, options, error) == Tried{"wrong"});
    CHECK(contains(error, "tried: keyboard-interactive; the device accepts"));
}

TEST_CASE("a server that is never content is left") {
    ssh::Options options;
    options.host = "127.0.0.1";
    options.username = "ops";
    options.host_key_policy = ssh::HostKeyPolicy::insecure_ignore;
    options.password = "secret";
    std::string error;
    const std::vector<int> never(100, SSH_AUTH_METHOD_PASSWORD);
    CHECK(steps_of(never, options, error).size() == 10);
    CHECK(contains(error, "the device still asks for: password"));
}

TEST_CASE("a password answers a keyboard-interactive prompt") {
    Dialogue dialogue{{"Password: "}, {0}, "secret"};
    {
        const ScriptedServer server([&](ssh_session session) {
            dialogue.hold(session);
            ssh_channel channel = accept_command(session);
            ssh_channel_write(channel, "in", 2);
            ssh_channel_request_send_exit_status(channel, 0);
            ssh_channel_send_eof(channel);
            ssh_channel_close(channel);
        });
        CHECK(run(ssh::fetch(options_for(server), "x")) == "in");
    }
    CHECK(dialogue.answers == std::vector<std::string>{"secret"});
}

TEST_CASE("a refused keyboard-interactive password is not given again") {
    Dialogue dialogue{{"Password: "}, {0}, "something else"};
    {
        const ScriptedServer server([&](ssh_session session) { dialogue.hold(session); });
        try {
            run(ssh::connect(options_for(server)));
            FAIL("it connected");
        } catch (const ssh::Error& error) {
            CHECK(error.kind() == ssh::ErrorKind::authentication);
            CHECK(contains(error.reason(), "password (keyboard-interactive)"));
            CHECK_FALSE(contains(error.what(), "secret"));
        }
    }
    CHECK(dialogue.answers == std::vector<std::string>{"secret", ""});
}

TEST_CASE("a prompt that shows its answer does not get the password") {
    Dialogue dialogue{{"User: ", "Password: "}, {1, 0}, "secret"};
    {
        const ScriptedServer server([&](ssh_session session) { dialogue.hold(session); });
        auto connection = run(ssh::connect(options_for(server)));
    }
    CHECK(dialogue.answers == std::vector<std::string>{"", "secret"});
}

TEST_CASE("a server that asks for nothing lets in") {
    const ScriptedServer server([](ssh_session session) {
        accept_login(session);
        ssh_channel channel = accept_command(session);
        ssh_channel_write(channel, "open", 4);
        ssh_channel_send_eof(channel);
        ssh_channel_close(channel);
    });
    CHECK(run(ssh::fetch(options_for(server), "x")) == "open");
}

TEST_CASE("output and status are whole when the server says goodbye in the same breath") {
    const std::string text(3000, 'x');
    const ScriptedServer server([&](ssh_session session) {
        accept_login(session);
        ssh_channel channel = accept_command(session);
        ssh_channel_write(channel, text.data(), static_cast<std::uint32_t>(text.size()));
        ssh_channel_request_send_exit_status(channel, 5);
        ssh_channel_send_eof(channel);
        ssh_channel_close(channel);
        // libssh drops its farewell unless it knows that the socket takes it.
        ssh_event event = ssh_event_new();
        ssh_event_add_session(event, session);
        ssh_event_dopoll(event, 100);
        ssh_event_remove_session(event, session);
        ssh_event_free(event);
        ssh_disconnect(session);
    });
    Pumped connection(connect_to(server));
    auto& engine = connection.engine;
    REQUIRE(connection.drive([&] { return engine.handshake(); }) == 0);
    std::vector<std::string> methods;
    REQUIRE(connection.drive([&] { return engine.list_methods("ops", methods); }) == 0);
    ssh::detail::EngineChannel* channel = nullptr;
    REQUIRE(connection.drive([&] { return engine.open_channel(channel); }) == 0);
    connection.until_hangup = true; // so that all of it is there at once
    REQUIRE(connection.drive([&] { return engine.request_start(*channel, "exec", "x"); }) == 0);
    connection.drive([&] { return channel->eof() ? 0 : LIBSSH2_ERROR_EAGAIN; });
    CHECK(channel->out == text);
    CHECK(channel->exit_status() == 5);
    CHECK(channel->eof());
    connection.until_hangup = false;
    CHECK(connection.drive([&] { return engine.open_channel(channel); }) ==
          LIBSSH2_ERROR_SOCKET_DISCONNECT);
    CHECK(contains(engine.disconnect_message(), "Bye"));
}

TEST_CASE(
    "a device that hangs up after the exit status, without closing the channel, has said all") {
    const ScriptedServer server([](ssh_session session) {
        accept_login(session);
        ssh_channel channel = accept_command(session);
        ssh_channel_write(channel, "out", 3);
        ssh_channel_request_send_exit_status(channel, 5);
        ssh_channel_send_eof(channel);
        ssh_blocking_flush(session, -1);
        ::shutdown(ssh_get_fd(session), SHUT_RDWR);
    });
    const auto completed = run([](ssh::Options options) -> Coro<ssh::Completed> {
        auto connection = co_await ssh::connect(std::move(options));
        co_return co_await connection.run("show all");
    }(options_for(server)));
    CHECK(completed.out == "out");
    CHECK(completed.exit_status == 5);
}

TEST_CASE("a device that reports no exit status leaves it open") {
    const ScriptedServer server([](ssh_session session) {
        accept_login(session);
        ssh_channel channel = accept_command(session);
        ssh_channel_write(channel, "out", 3);
        ssh_channel_send_eof(channel);
        ssh_channel_close(channel);
    });
    const auto completed = run([](ssh::Options options) -> Coro<ssh::Completed> {
        auto connection = co_await ssh::connect(std::move(options));
        co_return co_await connection.run("show all");
    }(options_for(server)));
    CHECK(completed.out == "out");
    CHECK_FALSE(completed.exit_status.has_value());
}

TEST_CASE("a farewell instead of an answer is quoted") {
    const ScriptedServer server([](ssh_session session) {
        accept_login(session);
        if (ssh_message message = ssh_message_get(session)) {
            ssh_message_free(message);
        }
        ssh_disconnect(session);
    });
    run([](ssh::Options options) -> Coro<void> {
        auto connection = co_await ssh::connect(std::move(options));
        bool told = false;
        try {
            co_await connection.run("x");
        } catch (const ssh::Error& error) {
            told = contains(error.reason(), "the device ended the connection: 'Bye Bye'");
            CHECK(error.kind() == ssh::ErrorKind::connection_lost);
            CHECK(error.phase() == ssh::Phase::channel);
        }
        CHECK(told);
        CHECK(connection.closed());
    }(options_for(server)));
}
