// Servers that do not follow the protocol, or end it with words of their own.
#include "contains.hpp"
#include "fault_proxy.hpp"
#include "scripted_server.hpp"
#include "ssh/wire.hpp"
#include "sshd.hpp"

#include <muster/muster.hpp>
#include <muster/net/server.hpp>
#include <muster/sim/fleet.hpp>
#include <muster/ssh/connection.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

using namespace muster;
using namespace std::chrono_literals;

namespace {

constexpr auto patience = 20s;

ssh::Options options_for(std::uint16_t port) {
    ssh::Options options;
    options.host = "127.0.0.1";
    options.port = port;
    options.username = "ops";
    options.password = "secret";
    options.host_key_policy = ssh::HostKeyPolicy::insecure_ignore;
    return options;
}

/// What a server does with the stream to its client; the connection ends with it.
using Script = std::function<Coro<void>(Stream&)>;

/// What connecting to it ends with.
ssh::Error error_from(Script script, TimeLimit handshake = patience) {
    return run([](Script lies, TimeLimit limit) -> Coro<ssh::Error> {
        auto server = co_await start_server(
            [&](Stream stream) -> Coro<void> {
                try {
                    co_await lies(stream);
                } catch (const Error&) {
                    // The client has had enough.
                }
            },
            "127.0.0.1", 0);
        ssh::Options options = options_for(server.port());
        options.timeouts.handshake = limit;
        std::optional<ssh::Error> error;
        try {
            co_await wait_for(ssh::connect(std::move(options)), patience);
        } catch (const ssh::Error& failed) {
            error = failed;
        }
        server.close();
        server.abort_clients();
        co_await server.wait_closed();
        REQUIRE(error);
        co_return *error;
    }(std::move(script), handshake));
}

/// Writes the text, then reads until the client goes.
Script says(std::string text) {
    return [text = std::move(text)](Stream& stream) -> Coro<void> {
        co_await stream.write(text);
        co_await stream.read();
    };
}

const std::string identification = "SSH-2.0-Liar_1.0\r\n";

/// A packet of the clear text (RFC 4253 section 6).
std::string packet(const std::string& payload) {
    constexpr std::size_t block = 8;
    const std::size_t padding = block + (block - (5 + payload.size()) % block);
    std::string bytes;
    ssh::detail::append_uint32(bytes, static_cast<std::uint32_t>(1 + payload.size() + padding));
    bytes += static_cast<char>(padding);
    return bytes + payload + std::string(padding, '\0');
}

/// SSH_MSG_KEXINIT with one key exchange method and one cipher; all else is what everybody has.
std::string kexinit(const std::string& method, const std::string& cipher) {
    std::string payload(1, '\x14');
    payload += std::string(16, 'c');
    for (const std::string& names :
         {method, std::string("ssh-ed25519"), cipher, cipher, std::string("hmac-sha2-256"),
          std::string("hmac-sha2-256"), std::string("none"), std::string("none"), std::string(),
          std::string()}) {
        ssh::detail::append_string(payload, names);
    }
    payload += std::string(5, '\0');
    return packet(payload);
}

/// SSH_MSG_KEX_ECDH_REPLY with a host key of these bytes, and a signature that proves nothing.
std::string exchange_reply(const std::string& host_key) {
    std::string payload(1, '\x1f');
    std::string signature;
    ssh::detail::append_string(signature, "ssh-ed25519");
    ssh::detail::append_string(signature, std::string(64, 's'));
    ssh::detail::append_string(payload, host_key);
    ssh::detail::append_string(payload, '\x09' + std::string(31, '\0'));
    ssh::detail::append_string(payload, signature);
    return packet(payload);
}

/// SSH_MSG_DISCONNECT.
std::string disconnect(const std::string& text) {
    std::string payload(1, '\x01');
    ssh::detail::append_uint32(payload, 11);
    ssh::detail::append_string(payload, text);
    ssh::detail::append_string(payload, "en");
    return packet(payload);
}

} // namespace

TEST_CASE("an identification that comes drip by drip is waited for, and quoted") {
    const auto error = error_from(
        [](Stream& stream) -> Coro<void> {
            for (const char c : identification) {
                co_await stream.write(std::string(1, c));
                co_await async_sleep(1ms);
            }
            co_await stream.read();
        },
        400ms);
    CHECK(error.phase() == ssh::Phase::key_exchange);
    CHECK(error.kind() == ssh::ErrorKind::timeout);
    CHECK(contains(error.reason(), "after identifying itself as 'SSH-2.0-Liar_1.0'"));
}

TEST_CASE("lines before the identification are read over") {
    sim::FleetOptions options;
    options.http = false;
    const sim::Fleet fleet(options);
    run([](const sim::Fleet& devices) -> Coro<void> {
        FaultProxy proxy(devices.host(0), devices.ssh_port(0));
        std::string greeting;
        for (int i = 0; i < 100; ++i) {
            greeting += "Authorised users only, line " + std::to_string(i) + "\r\n";
        }
        proxy.greet(greeting);
        ssh::Options through = options_for(co_await proxy.listen());
        through.username = "admin";
        through.password = "admin";
        const std::string out = co_await ssh::fetch(std::move(through), "show version");
        CHECK(contains(out, "Version"));
    }(fleet));
}

TEST_CASE("lines that never end in an identification, and a line without end, are given up") {
    struct Case {
        std::string piece;
        std::string quoted;
    };

    for (const Case& c : {Case{"Nobody here speaks SSH\r\n", "'Nobody here speaks SSH'"},
                          Case{std::string(65536, 'x'), "'xxx"}}) {
        std::size_t sent = 0;
        const auto error = error_from([&](Stream& stream) -> Coro<void> {
            while (sent < 100'000'000) {
                sent += c.piece.size();
                co_await stream.write(c.piece);
            }
        });
        CAPTURE(std::string(error.what()));
        CHECK(error.phase() == ssh::Phase::key_exchange);
        CHECK(error.kind() == ssh::ErrorKind::protocol);
        CHECK(contains(error.reason(), c.quoted));
        CHECK(contains(error.reason(), "not the greeting of an SSH server"));
        CHECK(contains(error.remedy(), "port"));
        CHECK(sent < 20'000'000); // what the sockets take
    }
}

TEST_CASE("a server of the first version of SSH is called one") {
    const auto error = error_from(says("SSH-1.5-Cisco-1.25\n"));
    CAPTURE(std::string(error.what()));
    CHECK(error.phase() == ssh::Phase::key_exchange);
    CHECK(error.kind() == ssh::ErrorKind::protocol);
    CHECK(contains(error.reason(), "SSH-1.5-Cisco-1.25"));
    CHECK(contains(error.reason(), "version 1"));
}

TEST_CASE("a packet of an impossible length is refused at once") {
    for (const std::string length : {"\x7f\xff\xff\xff", "\xff\xff\xff\xff"}) {
        const auto error = error_from(says(identification + length + std::string(1000, 'x')));
        CAPTURE(std::string(error.what()));
        CHECK(error.phase() == ssh::Phase::key_exchange);
        CHECK(error.kind() == ssh::ErrorKind::protocol);
    }
}

TEST_CASE("packets too short to be any end in an error") {
    for (const char length : {'\0', '\1', '\2', '\5'}) {
        const std::string empty{'\0', '\0', '\0', length, '\0', '\0', '\0', '\0'};
        std::string many;
        for (int i = 0; i < 100; ++i) {
            many += empty;
        }
        const auto error = error_from(says(identification + many), 300ms);
        CAPTURE(int(length));
        CAPTURE(std::string(error.what()));
        CHECK(error.phase() == ssh::Phase::key_exchange);
    }
}

TEST_CASE("a host key that is not one is refused before libssh2 reads past its end") {
    const std::string start = identification + kexinit("curve25519-sha256", "aes128-ctr");
    const auto host_key = [](std::uint32_t said, std::size_t size) {
        std::string bytes;
        ssh::detail::append_string(bytes, "ssh-ed25519");
        ssh::detail::append_uint32(bytes, said);
        return bytes + std::string(size, 'k');
    };
    for (const std::string& bad : {host_key(32, 31), host_key(255, 32), host_key(0xFFFFFFFF, 32),
                                   host_key(31, 31), host_key(32, 33), host_key(0, 0)}) {
        const auto error = error_from(says(start + exchange_reply(bad)));
        CAPTURE(std::string(error.what()));
        CHECK(error.phase() == ssh::Phase::key_exchange);
        CHECK(error.reason() == "the device sends a malformed host key");
        // What would be the end of the key exchange does not end the caution.
        CHECK(error_from(says(start + packet("\x15") + exchange_reply(bad))).reason() ==
              error.reason());
    }
}

TEST_CASE("messages without end before the keys are exchanged are given up") {
    std::string flood = identification + kexinit("curve25519-sha256", "aes128-ctr");
    for (int i = 0; i < 2000; ++i) {
        flood += packet("\xc8 of no known kind");
    }
    const auto error = error_from(says(flood));
    CAPTURE(std::string(error.what()));
    CHECK(error.phase() == ssh::Phase::key_exchange);
    CHECK(error.reason() == "the device sends messages without end in the login");
}

TEST_CASE("without a common algorithm both offers are shown, and the option that would help") {
    auto error =
        error_from(says(identification + kexinit("diffie-hellman-group1-sha1", "aes128-ctr")));
    CHECK(error.phase() == ssh::Phase::key_exchange);
    CHECK(error.kind() == ssh::ErrorKind::no_common_method);
    CHECK(contains(error.reason(), "the device offers diffie-hellman-group1-sha1"));
    CHECK(contains(error.reason(), "offered to it: curve25519-sha256"));
    CHECK(contains(error.remedy(), "Algorithms::legacy"));

    error = error_from(says(identification + kexinit("curve25519-sha256", "aes128-cbc")));
    CHECK(error.kind() == ssh::ErrorKind::no_common_method);
    CHECK(contains(error.reason(), "ciphers: the device offers aes128-cbc"));
    CHECK(contains(error.remedy(), "Algorithms::legacy"));

    error = error_from(says(identification + kexinit("curve25519-sha256", "rot13")));
    CHECK(error.kind() == ssh::ErrorKind::no_common_method);
    CHECK(contains(error.remedy(), "has nothing that the device accepts"));
}

TEST_CASE("a farewell in the key exchange is quoted, in one printable line") {
    const std::string farewell = disconnect("Too many\r\nsessions\x1b[2J");
    for (const std::string& before :
         {identification, identification + kexinit("curve25519-sha256", "aes128-ctr")}) {
        for (const bool hangs_up : {true, false}) {
            const auto error = error_from([&](Stream& stream) -> Coro<void> {
                co_await stream.write(before + farewell);
                if (!hangs_up) {
                    co_await stream.read();
                }
            });
            CAPTURE(std::string(error.what()));
            CHECK(error.phase() == ssh::Phase::key_exchange);
            CHECK(error.kind() == ssh::ErrorKind::connection_lost);
            CHECK(contains(error.reason(), "the device ended the connection: 'Too many  sessions"));
            CHECK_FALSE(contains(error.reason(), "\x1b"));
        }
    }
}

TEST_CASE("a farewell later is quoted with the phase in which it came") {
    struct Case {
        int requests; ///< that are answered, before the farewell comes instead of an answer
        ssh::Phase phase;
    };

    // The service, the login, the channel, the command.
    for (const Case& c : {Case{0, ssh::Phase::authentication}, Case{1, ssh::Phase::authentication},
                          Case{2, ssh::Phase::channel}, Case{3, ssh::Phase::channel}}) {
        const ScriptedServer server([&c](ssh_session session) {
            int answered = 0;
            while (ssh_message message = ssh_message_get(session)) {
                const int type = ssh_message_type(message);
                if (answered++ == c.requests) {
                    ssh_message_free(message);
                    ssh_session_set_disconnect_message(session, "down for maintenance");
                    return; // which disconnects
                }
                if (type == SSH_REQUEST_SERVICE) {
                    ssh_message_service_reply_success(message);
                } else if (type == SSH_REQUEST_AUTH) {
                    ssh_message_auth_reply_success(message, 0);
                } else if (type == SSH_REQUEST_CHANNEL_OPEN) {
                    ssh_message_channel_request_open_reply_accept(message);
                } else {
                    ssh_message_reply_default(message);
                }
                ssh_message_free(message);
            }
        });
        std::optional<ssh::Error> error;
        try {
            run(ssh::fetch(options_for(server.port()), "show version"));
        } catch (const ssh::Error& failed) {
            error = failed;
        }
        CAPTURE(c.requests);
        REQUIRE(error);
        CAPTURE(error->reason());
        CHECK(error->phase() == c.phase);
        CHECK(error->kind() == ssh::ErrorKind::connection_lost);
        CHECK(contains(error->reason(), "'down for maintenance'"));
    }
}

TEST_CASE("a server that hangs up after too many keys says so in the error") {
    if (!Sshd::available()) {
        MESSAGE("skipped: no sshd on this machine");
        return;
    }
    Sshd server("MaxAuthTries 2");
    Sshd stranger;
    ssh::Options options = options_for(server.listen());
    options.username = server.user();
    for (const std::string type : {"ed25519", "ecdsa", "ed25519", "ecdsa"}) {
        options.keys.push_back({.path = stranger.user_key(type)});
    }
    try {
        run(ssh::connect(std::move(options)));
        FAIL("it connected");
    } catch (const ssh::Error& error) {
        CAPTURE(std::string(error.what()));
        CHECK(error.phase() == ssh::Phase::authentication);
        CHECK(error.kind() == ssh::ErrorKind::authentication);
        CHECK(contains(error.reason(), "Too many authentication failures"));
        CHECK(contains(error.reason(), "ecdsa-sha2-nistp256 key"));
    }
}
