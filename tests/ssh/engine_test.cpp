#include "pumped.hpp"
#include "ssh/crypto.hpp"
#include "sshd.hpp"

#include <muster/ssh/private_key.hpp>

#include <doctest/doctest.h>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

using namespace muster::ssh;
using namespace muster::ssh::detail;

namespace {

std::pair<int, int> socket_pair() {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
    return {fds[0], fds[1]};
}

/// A session that is logged in to sshd.
struct LoggedIn {
    explicit LoggedIn(const std::string& config = {}, const std::string& key = "ed25519")
        : sshd(config), connection(connect()) {
        REQUIRE(connection.drive([this] { return connection.engine.handshake(); }) == 0);
        const auto identity = PrivateKey::load(sshd.user_key(key));
        REQUIRE(log_in(connection, sshd.user(), identity) == 0);
        REQUIRE(connection.engine.authenticated());
    }

    EngineChannel& open() {
        EngineChannel* channel = nullptr;
        REQUIRE(connection.drive([&] { return connection.engine.open_channel(channel); }) == 0);
        return *channel;
    }

    void start(EngineChannel& channel, const std::string& command) {
        REQUIRE(connection.drive([&] {
            return connection.engine.request_start(channel, "exec", command);
        }) == 0);
    }

    /// Everything up to the end.
    std::pair<std::string, std::string> read_all(EngineChannel& channel) {
        std::string out;
        std::string err;
        while (!channel.eof() || !channel.out.empty() || !channel.err.empty()) {
            out += std::exchange(channel.out, {});
            err += std::exchange(channel.err, {});
            connection.engine.run(); // there is room again
            const int code = connection.drive([&] {
                return channel.eof() || !channel.out.empty() || !channel.err.empty()
                           ? 0
                           : LIBSSH2_ERROR_EAGAIN;
            });
            if (code != 0) {
                break;
            }
        }
        return {out, err};
    }

    int connect() {
        const auto [ours, theirs] = socket_pair();
        sshd.serve(theirs);
        return ours;
    }

    Sshd sshd;
    Pumped connection;
};

bool no_sshd() {
    if (!Sshd::available()) {
        MESSAGE("skipped: no sshd on this machine");
        return true;
    }
    return false;
}

} // namespace

TEST_CASE("operations with the same key take turns, in the order they were started") {
    class Counted : public Operation {
    public:
        explicit Counted(const void* key) : Operation(key) {}

        int step() override { return ++steps, ready ? 1 : LIBSSH2_ERROR_EAGAIN; }

        void wake() noexcept override {}

        int steps = 0;
        bool ready = false;
    };

    Engine engine(default_methods());
    Counted first(&engine);
    Counted second(&engine);
    Counted third(&engine);
    Counted other(nullptr);
    for (Counted* operation : {&first, &second, &third, &other}) {
        engine.start(*operation);
    }
    CHECK(first.steps > 0);
    CHECK(other.steps > 0);
    CHECK(second.steps == 0);
    // One that has not begun may go without harm.
    engine.finish(second);
    CHECK(engine.failure() == 0);
    first.ready = true;
    engine.run();
    CHECK(first.finished());
    CHECK(third.steps > 0);
    // One that has begun may not.
    engine.finish(third);
    CHECK(engine.failure() == error_abandoned);
    CHECK(other.finished());
    CHECK(other.result() == error_abandoned);
    engine.finish(first);
    engine.finish(other);
}

TEST_CASE("a handshake shows the server's host key and both sides' offers") {
    if (no_sshd()) {
        return;
    }
    Sshd sshd;
    const auto [ours, theirs] = socket_pair();
    sshd.serve(theirs);
    Pumped connection(ours);
    REQUIRE(connection.drive([&] { return connection.engine.handshake(); }) == 0);
    const std::string known = sshd.host_key();
    CHECK(base64_encode(connection.engine.host_key()) == known.substr(known.find(' ') + 1));
    CHECK(connection.engine.server_side().identification().starts_with("SSH-2.0-OpenSSH"));
    REQUIRE(connection.engine.server_side().message().has_value());
    REQUIRE(connection.engine.client_side().message().has_value());
    CHECK(connection.engine.server_side().message()->host_key ==
          std::vector<std::string>{"ssh-ed25519"});
    CHECK(explain_mismatch(*connection.engine.client_side().message(),
                           *connection.engine.server_side().message())
              .empty());

    std::vector<std::string> methods;
    REQUIRE(connection.drive([&] { return connection.engine.list_methods("nobody", methods); }) ==
            0);
    CHECK(std::find(methods.begin(), methods.end(), "publickey") != methods.end());
    CHECK_FALSE(connection.engine.authenticated());
}

TEST_CASE("a command's output, errors and exit status arrive") {
    if (no_sshd()) {
        return;
    }
    LoggedIn session;
    for (const int status : {0, 7}) {
        CAPTURE(status);
        EngineChannel& channel = session.open();
        session.start(channel, "echo out; echo err >&2; exit " + std::to_string(status));
        const auto [out, err] = session.read_all(channel);
        CHECK(out == "out\n");
        CHECK(err == "err\n");
        CHECK(session.connection.drive(
                  [&] { return session.connection.engine.close_channel(channel); }) == 0);
        CHECK(channel.exit_status() == status);
        CHECK(channel.exit_signal().empty());
        session.connection.engine.free_channel(channel);
    }
    CHECK(session.connection.drive([&] { return session.connection.engine.disconnect(); }) == 0);
}

TEST_CASE("a command that a signal ended has a signal and no status") {
    if (no_sshd()) {
        return;
    }
    LoggedIn session;
    EngineChannel& channel = session.open();
    session.start(channel, "kill -TERM $$");
    session.read_all(channel);
    CHECK(session.connection.drive(
              [&] { return session.connection.engine.close_channel(channel); }) == 0);
    CHECK_FALSE(channel.exit_status().has_value());
    CHECK(channel.exit_signal() == "TERM");
}

TEST_CASE("two channels interleave, and output larger than the windows is complete") {
    if (no_sshd()) {
        return;
    }
    LoggedIn session;
    EngineChannel& first = session.open();
    EngineChannel& second = session.open();
    constexpr std::size_t size = 3'000'000;
    session.start(first, "head -c 3000000 /dev/zero | tr '\\0' a");
    session.start(second, "head -c 3000000 /dev/zero | tr '\\0' b");
    // The second channel fills its buffer and its window; the first is read to its end meanwhile.
    REQUIRE(session.connection.drive([&] {
        return second.out.size() >= EngineChannel::buffer_limit ? 0 : LIBSSH2_ERROR_EAGAIN;
    }) == 0);
    const auto [a, no_error] = session.read_all(first);
    CHECK(second.out.size() <= 2 * EngineChannel::buffer_limit);
    const auto [b, no_error_either] = session.read_all(second);
    CHECK(a == std::string(size, 'a'));
    CHECK(b == std::string(size, 'b'));
    CHECK(no_error.empty());
    CHECK(no_error_either.empty());
}

TEST_CASE("it does not matter how the bytes are cut") {
    if (no_sshd()) {
        return;
    }
    LoggedIn session;
    session.connection.chunk = 1;
    EngineChannel& channel = session.open();
    session.start(channel, "seq 1 300; exit 3");
    const auto [out, err] = session.read_all(channel);
    CHECK(out.starts_with("1\n2\n3\n"));
    CHECK(out.ends_with("\n299\n300\n"));
    CHECK(session.connection.drive(
              [&] { return session.connection.engine.close_channel(channel); }) == 0);
    CHECK(channel.exit_status() == 3);
}

TEST_CASE("writing reaches the command, and the end of input too") {
    if (no_sshd()) {
        return;
    }
    LoggedIn session;
    EngineChannel& channel = session.open();
    session.start(channel, "wc -c");
    const std::string text(1'000'000, 'x');
    std::string_view rest = text;
    while (!rest.empty()) {
        const int sent = session.connection.drive(
            [&] { return session.connection.engine.write(channel, rest); });
        REQUIRE(sent > 0);
        rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    REQUIRE(session.connection.drive([&] { return session.connection.engine.send_eof(channel); }) ==
            0);
    CHECK(session.read_all(channel).first == "1000000\n");
}

TEST_CASE("each kind of user key logs in, or says why it can not") {
    if (no_sshd()) {
        return;
    }
    for (const std::string type : {"ed25519", "ecdsa"}) {
        CAPTURE(type);
        const LoggedIn session({}, type);
        CHECK(session.connection.engine.authenticated());
    }
    Sshd sshd;
    const auto [ours, theirs] = socket_pair();
    sshd.serve(theirs);
    Pumped connection(ours);
    REQUIRE(connection.drive([&] { return connection.engine.handshake(); }) == 0);
    const auto rsa = PrivateKey::load(sshd.user_key("rsa"));
    const int code = log_in(connection, sshd.user(), rsa);
    CHECK((code == 0) == connection.engine.signs_rsa_with_sha2());
    CHECK_FALSE(is_fatal(code));
}

TEST_CASE("a rekey in the middle of output and input does no harm") {
    if (no_sshd()) {
        return;
    }
    LoggedIn session("RekeyLimit 64K");
    EngineChannel& down = session.open();
    session.start(down, "head -c 1500000 /dev/zero");
    CHECK(session.read_all(down).first.size() == 1'500'000);

    EngineChannel& up = session.open();
    session.start(up, "wc -c");
    const std::string text(500'000, 'x');
    std::string_view rest = text;
    while (!rest.empty()) {
        const int sent =
            session.connection.drive([&] { return session.connection.engine.write(up, rest); });
        REQUIRE(sent > 0);
        rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    REQUIRE(session.connection.drive([&] { return session.connection.engine.send_eof(up); }) == 0);
    CHECK(session.read_all(up).first == "500000\n");
}

TEST_CASE("a session that is dropped at any moment leaves nothing behind") {
    if (no_sshd()) {
        return;
    }
    // How many bytes from the server the session lives through; the leak checker does the rest.
    Sshd sshd;
    const auto identity = PrivateKey::load(sshd.user_key());
    std::size_t cut = 0;
    for (std::size_t budget = 1; budget < 4000; budget += 31) {
        CAPTURE(budget);
        const auto [ours, theirs] = socket_pair();
        sshd.serve(theirs);
        Pumped connection(ours);
        connection.chunk = 16;
        connection.budget = budget;
        EngineChannel* channel = nullptr;
        int code = connection.drive([&] { return connection.engine.handshake(); });
        if (code == 0) {
            code = log_in(connection, sshd.user(), identity);
        }
        if (code == 0) {
            code = connection.drive([&] { return connection.engine.open_channel(channel); });
        }
        if (code == 0) {
            code = connection.drive(
                [&] { return connection.engine.request_start(*channel, "exec", "seq 1 1000"); });
        }
        if (code != 0) {
            ++cut;
            CHECK(code == Pumped::cut_off);
            CHECK(connection.engine.failure() == error_abandoned);
        }
    }
    CHECK(cut > 10);
}

TEST_CASE("when the server dies, what arrived is kept and the rest is an error") {
    if (no_sshd()) {
        return;
    }
    LoggedIn session;
    EngineChannel& channel = session.open();
    session.start(channel, "echo here; sleep 60");
    REQUIRE(session.connection.drive(
                [&] { return channel.out == "here\n" ? 0 : LIBSSH2_ERROR_EAGAIN; }) == 0);
    session.sshd.kill_sessions();
    const int code =
        session.connection.drive([&] { return channel.eof() ? 0 : LIBSSH2_ERROR_EAGAIN; });
    CHECK(code == error_connection_lost);
    CHECK(session.connection.engine.failure() == error_connection_lost);
    CHECK(session.connection.engine.failure_reason().find("closed by the device") !=
          std::string::npos);
    CHECK(channel.out == "here\n");
    CHECK_FALSE(channel.eof());
}

TEST_CASE("algorithms that the two sides do not share are listed") {
    if (no_sshd()) {
        return;
    }
    Sshd sshd("KexAlgorithms diffie-hellman-group16-sha512");
    const auto [ours, theirs] = socket_pair();
    sshd.serve(theirs);
    Pumped connection(ours);
    CHECK(connection.drive([&] { return connection.engine.handshake(); }) < 0);
    CHECK(connection.engine.failure() != 0);
    REQUIRE(connection.engine.server_side().message().has_value());
    const std::string why = explain_mismatch(*connection.engine.client_side().message(),
                                             *connection.engine.server_side().message());
    CHECK(why.find("no common key exchange methods") != std::string::npos);
    CHECK(why.find("the device offers diffie-hellman-group16-sha512") != std::string::npos);
    CHECK(why.find("curve25519-sha256") != std::string::npos);
}
