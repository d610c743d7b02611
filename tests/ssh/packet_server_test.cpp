// What servers say that no real server says, message by message.
#include "packet_server.hpp"
#include "pumped.hpp"
#include "ssh/engine.hpp"
#include "ssh/methods.hpp"
#include "ssh/sftp_engine.hpp"
#include "ssh/wire.hpp"

#include <muster/ssh/known_hosts.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

using namespace muster::ssh;
using namespace muster::ssh::detail;

namespace {

/// A client that is connected to the server by nothing but memory.
struct Connected {
    explicit Connected(
        PacketServer::KeyExchange key_exchange = PacketServer::KeyExchange::curve25519)
        : server(key_exchange) {
        server.on_message = [this](std::string_view payload) {
            if (!server.let_in(payload)) {
                messages.emplace_back(payload);
            }
        };
    }

    /// Carries bytes both ways until neither side has anything to say.
    void settle() {
        for (;;) {
            const std::string up = client.take_output();
            server.receive(up);
            const std::string down = server.take_output();
            if (up.empty() && down.empty()) {
                return;
            }
            client.receive(down);
        }
    }

    template <class Step>
    int drive(Step step) {
        Waiting<Step> operation(std::move(step));
        client.start(operation);
        settle();
        const int result = operation.finished() ? operation.result() : LIBSSH2_ERROR_EAGAIN;
        client.finish(operation);
        return result;
    }

    Engine client{legacy_methods()};
    PacketServer server;
    std::vector<std::string> messages;
};

} // namespace

TEST_CASE("a key exchange and a login need no socket and no other SSH library") {
    for (const auto method :
         {PacketServer::KeyExchange::curve25519, PacketServer::KeyExchange::group16}) {
        Connected pair(method);
        REQUIRE(pair.drive([&] { return pair.client.handshake(); }) == 0);
        CHECK(key_type(pair.client.host_key()) == "ssh-ed25519");
        CHECK(pair.server.encrypted());
        std::vector<std::string> methods;
        REQUIRE(pair.drive([&] { return pair.client.list_methods("ops", methods); }) == 0);
        CHECK(pair.client.authenticated());

        // New keys in the middle of it all.
        pair.server.renew_keys();
        pair.settle();
        CHECK(pair.client.failure() == 0);
        pair.client.send_keepalive();
        pair.settle();
        REQUIRE(pair.messages.size() == 1);
        CHECK(pair.messages[0].front() == 80); // SSH_MSG_GLOBAL_REQUEST
    }
}

TEST_CASE("a host key that is not one is refused when keys are renewed, too") {
    Connected pair;
    REQUIRE(pair.drive([&] { return pair.client.handshake(); }) == 0);
    std::vector<std::string> methods;
    REQUIRE(pair.drive([&] { return pair.client.list_methods("ops", methods); }) == 0);
    std::string blob;
    append_string(blob, "ssh-ed25519");
    append_uint32(blob, 255);
    pair.server.claim_host_key(blob + std::string(32, 'k'));
    pair.server.renew_keys();
    EngineChannel* channel = nullptr; // what is in progress is what reads
    CHECK(pair.drive([&] { return pair.client.open_channel(channel); }) < 0);
    CHECK(pair.client.offence() == "a malformed host key");
}

TEST_CASE("SFTP has ended when the device has closed its channel, not before") {
    Connected pair;
    REQUIRE(pair.drive([&] { return pair.client.handshake(); }) == 0);
    std::vector<std::string> methods;
    REQUIRE(pair.drive([&] { return pair.client.list_methods("ops", methods); }) == 0);
    const auto send = [&](unsigned char kind, std::initializer_list<std::uint32_t> values,
                          std::string_view data = {}) {
        std::string message(1, static_cast<char>(kind));
        for (const std::uint32_t value : values) {
            append_uint32(message, value);
        }
        pair.server.send(message + std::string(data));
        pair.settle();
    };
    SftpEngine sftp(pair.client);
    const auto open = [&] { return sftp.open(); };
    Waiting<decltype(open)> opening(open);
    pair.client.start(opening);
    pair.settle();
    send(91, {0, 7, 65536, 32768});                              // CHANNEL_OPEN_CONFIRMATION
    send(99, {0});                                               // CHANNEL_SUCCESS
    send(94, {0, 9, 5}, "\x02" + std::string(3, '\0') + "\x03"); // SSH_FXP_VERSION
    REQUIRE(opening.finished());
    REQUIRE(opening.result() == 0);
    pair.client.finish(opening);

    const auto shutdown = [&] { return sftp.shutdown(); };
    Waiting<decltype(shutdown)> ending(shutdown);
    pair.client.start(ending);
    pair.settle();
    send(94, {0, 4}, "late"); // CHANNEL_DATA
    CHECK_FALSE(ending.finished());
    send(96, {0}); // CHANNEL_EOF
    CHECK_FALSE(ending.finished());
    send(97, {0}); // CHANNEL_CLOSE
    CHECK(ending.finished());
    CHECK(ending.result() == 0);
    pair.client.finish(ending);
    CHECK(pair.client.failure() == 0);
}

TEST_CASE("the name of a signal is what the server has sent, whatever length it claims") {
    struct Case {
        std::uint32_t claimed;
        std::string sent;
        std::string expected;
    };

    // The last two make libssh2 keep memory that nobody has written, or all there is.
    for (const Case& one :
         {Case{4, "KILL", "KILL"}, Case{5000, "KILL", ""}, Case{0xFFFFFFF0U, "KILL", ""}}) {
        CAPTURE(one.claimed);
        Connected pair;
        REQUIRE(pair.drive([&] { return pair.client.handshake(); }) == 0);
        std::vector<std::string> methods;
        REQUIRE(pair.drive([&] { return pair.client.list_methods("ops", methods); }) == 0);

        EngineChannel* channel = nullptr;
        const auto open = [&] { return pair.client.open_channel(channel); };
        Waiting<decltype(open)> opening(open);
        pair.client.start(opening);
        pair.settle();
        std::string confirmation(1, 91);
        for (const std::uint32_t value : {0U, 7U, 65536U, 32768U}) {
            append_uint32(confirmation, value);
        }
        pair.server.send(confirmation);
        pair.settle();
        REQUIRE(opening.result() == 0);
        pair.client.finish(opening);

        std::string signal(1, 98);
        append_uint32(signal, 0);
        append_string(signal, "exit-signal");
        signal += '\0';
        append_uint32(signal, one.claimed);
        pair.server.send(signal + one.sent);
        std::string end(1, 97);
        append_uint32(end, 0);
        pair.server.send(end);
        pair.settle();
        REQUIRE(channel != nullptr);
        pair.drive([&] { return pair.client.close_channel(*channel); });
        CHECK(channel->exit_signal() == one.expected);
    }
}
