// What servers say that no real server says, message by message.
#include "packet_server.hpp"
#include "pumped.hpp"
#include "ssh/engine.hpp"
#include "ssh/methods.hpp"
#include "ssh/wire.hpp"

#include <muster/ssh/known_hosts.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using namespace muster::ssh;
using namespace muster::ssh::detail;

namespace {

/// A client that is connected to the server by nothing but memory.
struct Connected {
    Connected() {
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

    Engine client{default_methods()};
    PacketServer server;
    std::vector<std::string> messages;
};

} // namespace

TEST_CASE("a key exchange and a login need no socket and no other SSH library") {
    Connected pair;
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
