// What servers do that neither sshd nor the virtual devices can be asked for.
#include "pumped.hpp"
#include "scripted_server.hpp"

#include <muster/muster.hpp>
#include <muster/ssh/connection.hpp>

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
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

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
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

} // namespace

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
