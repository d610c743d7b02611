#include "certificates.hpp"
#include "coro_test.hpp"
#include "loop_reports.hpp"
#include "unix_peer.hpp"

#include <muster/muster.hpp>
#include <muster/net/open_connection.hpp>
#include <muster/net/server.hpp>

#include <filesystem>
#include <fstream>
#include <string>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::LoopReports;
using testing_support::outcome;
using testing_support::turns;

namespace {

const Certificate& authority() {
    static const Certificate made = [] {
        CertificateRequest request;
        request.name = "Test Authority";
        request.authority = true;
        return make_certificate(request);
    }();
    return made;
}

Certificate issue(const CertificateRequest& request = {}) {
    return make_certificate(request, &authority());
}

/// Certificates as files, which is how servers are given them.
class Files {
public:
    std::string write(const std::string& name, const std::string& text) const {
        std::string path = folder_.path() + "/" + name;
        std::ofstream(path) << text;
        return path;
    }

    [[nodiscard]] TlsServerOptions server(const Certificate& certificate) const {
        TlsServerOptions options;
        options.certificate_file = write("certificate.pem", certificate.certificate);
        options.key_file = write("key.pem", certificate.key);
        return options;
    }

private:
    TempFolder folder_;
};

TlsOptions trusting(const std::string& pem = authority().certificate) {
    TlsOptions options;
    options.ca_pem = pem;
    return options;
}

OpenOptions with_tls(TlsOptions tls) {
    OpenOptions options;
    options.tls = std::move(tls);
    return options;
}

Coro<void> echo(Stream stream) {
    while (auto line = co_await stream.next_line()) {
        co_await stream.write(*line);
    }
}

/// A TLS server with this certificate.
Coro<Server> serve(ClientHandler handler, TlsServerOptions tls) {
    ServerOptions options;
    options.tls = std::move(tls);
    return start_server(std::move(handler), "127.0.0.1", 0, std::move(options));
}

Coro<Stream> open(const Server& server, TlsOptions tls, std::string host = "127.0.0.1") {
    return open_connection(std::move(host), server.port(), with_tls(std::move(tls)));
}

/// The error of a connection that is refused.
Coro<TlsError> refusal(const Certificate& certificate, TlsOptions tls, std::string host) {
    const Files files;
    bool reached = false;
    const auto handler = [&](Stream stream) -> Coro<void> {
        reached = true;
        co_await echo(std::move(stream));
    };
    Server server = co_await serve(handler, files.server(certificate));
    std::optional<TlsError> refused;
    try {
        static_cast<void>(co_await open(server, std::move(tls), std::move(host)));
    } catch (const TlsError& error) {
        refused = error;
    }
    server.close();
    co_await server.wait_closed();
    CHECK_FALSE(reached);
    REQUIRE(refused);
    co_return *refused;
}

bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// What the options of a server are refused for.
std::string server_trouble(TlsServerOptions options) {
    try {
        static_cast<void>(run(serve(echo, std::move(options))));
    } catch (const TlsError& error) {
        CHECK(error.kind() == TlsError::Kind::configuration);
        return error.what();
    }
    return "none";
}

} // namespace

CO_TEST_CASE("a connection with TLS is verified, encrypted, and knows what was agreed on") {
    const Files files;
    std::optional<TlsInfo> seen;
    const auto handler = [&](Stream stream) -> Coro<void> {
        seen = stream.tls_info();
        co_await echo(std::move(stream));
    };
    Server server = co_await serve(handler, files.server(issue()));
    Stream stream = co_await open(server, trusting(), "localhost");
    co_await stream.write("hello\n");
    const std::string answer = co_await stream.readline();
    CHECK(answer == "hello\n");
    REQUIRE(stream.tls_info());
    CHECK(stream.tls_info()->version == "TLSv1.3");
    CHECK(holds(stream.tls_info()->cipher, "TLS_"));
    CHECK(holds(stream.tls_info()->peer_certificate, "BEGIN CERTIFICATE"));
    REQUIRE(seen);
    CHECK(seen->server_name == "localhost");
    CHECK(seen->peer_certificate.empty());
    stream.close();
    co_await stream.wait_closed();
    CHECK(stream.tls_info());

    Stream by_address = co_await open(server, trusting());
    co_await by_address.write("again\n");
    const std::string second = co_await by_address.readline();
    CHECK(second == "again\n");
    CHECK(seen->server_name.empty()); // no SNI for addresses
}

CO_TEST_CASE("each certificate that is not to be trusted is refused, with the remedy") {
    const auto self_signed = co_await refusal(make_certificate({}), trusting(), "127.0.0.1");
    CHECK(self_signed.kind() == TlsError::Kind::certificate);
    CHECK(holds(self_signed.what(), "TLS with 127.0.0.1:"));
    CHECK(holds(self_signed.reason(), "self-signed"));
    CHECK(holds(self_signed.remedy(), "ca_file"));

    CertificateRequest other;
    other.alternative_names = "DNS:r7.example,IP:192.0.2.7";
    const auto mismatch = co_await refusal(issue(other), trusting(), "localhost");
    CHECK(mismatch.kind() == TlsError::Kind::certificate);
    CHECK(holds(mismatch.reason(), "is for r7.example, 192.0.2.7, not for localhost"));
    CHECK(holds(mismatch.remedy(), "server_name"));
    const auto address = co_await refusal(issue(other), trusting(), "127.0.0.1");
    CHECK(holds(address.reason(), "not for 127.0.0.1"));

    CertificateRequest old;
    old.begins = -7200;
    old.ends = -3600;
    const auto expired = co_await refusal(issue(old), trusting(), "127.0.0.1");
    CHECK(holds(expired.reason(), "expired on 20"));

    const auto unknown = co_await refusal(issue(), TlsOptions(), "127.0.0.1");
    CHECK(unknown.kind() == TlsError::Kind::certificate); // not one of the system's
}

CO_TEST_CASE("insecure and server_name have to be said") {
    const Files files;
    CertificateRequest other;
    other.alternative_names = "DNS:r7.example";
    Server server = co_await serve(echo, files.server(issue(other)));
    TlsOptions named = trusting();
    named.server_name = "r7.example";
    Stream stream = co_await open(server, named);
    co_await stream.write("x\n");
    const std::string answer = co_await stream.readline();
    CHECK(answer == "x\n");
    TlsOptions insecure;
    insecure.verify = Verify::insecure;
    Stream second = co_await open(server, insecure);
    co_await second.write("y\n");
    const std::string again = co_await second.readline();
    CHECK(again == "y\n");
}

CO_TEST_CASE("much data goes both ways at once over TLS, and drain holds it back") {
    const Files files;
    const std::string much(std::size_t{5} << 20, 'x');
    Server server = co_await serve(
        [&](Stream stream) -> Coro<void> {
            Task<std::string> reading = create_task(stream.readexactly(much.size()));
            co_await stream.write(much);
            CHECK(stream.write_buffer_size() <= default_stream_limit);
            const std::string got = co_await reading;
            CHECK(got == much);
            co_await stream.write("done\n");
        },
        files.server(issue()));
    Stream stream = co_await open(server, trusting());
    Task<std::string> reading = create_task(stream.readexactly(much.size()));
    co_await stream.write(much);
    const std::string got = co_await reading;
    CHECK(got == much);
    const std::string last = co_await stream.readline();
    CHECK(last == "done\n");
    const std::string end = co_await stream.read();
    CHECK(end.empty());
}

CO_TEST_CASE(
    "a connection that ends without TLS's goodbye is an error, unless it is an old peer's") {
    const Files files;
    Server server = co_await serve(
        [&](Stream stream) -> Coro<void> {
            co_await stream.write("hello");
            stream.abort();
        },
        files.server(issue()));
    Stream stream = co_await open(server, trusting());
    auto kind = TlsError::Kind::configuration;
    try {
        static_cast<void>(co_await stream.read());
    } catch (const TlsError& error) {
        kind = error.kind();
        CHECK(holds(error.what(), "127.0.0.1"));
        CHECK(holds(error.remedy(), "legacy"));
    }
    CHECK(kind == TlsError::Kind::truncated);
    const std::string kept = co_await stream.read(100); // what came can be had
    CHECK(kept == "hello");
    TlsOptions legacy = trusting();
    legacy.legacy = true;
    Stream old = co_await open(server, legacy);
    const std::string all = co_await old.read();
    CHECK(all == "hello");
}

CO_TEST_CASE("closing says goodbye, and waits for the peer's") {
    const Files files;
    Server server = co_await serve(
        [&](Stream stream) -> Coro<void> {
            const std::string all = co_await stream.read();
            CHECK(all == "bye");
        },
        files.server(issue()));
    Stream stream = co_await open(server, trusting());
    CHECK_FALSE(stream.can_write_eof());
    CHECK_THROWS_AS(stream.write_eof(), RuntimeError);
    stream.write("bye");
    stream.close();
    co_await stream.wait_closed();
    server.close();
    co_await server.wait_closed();
}

CO_TEST_CASE("start_tls upgrades a connection on both sides") {
    const Files files;
    const TlsServerOptions tls = files.server(issue());
    const auto handler = [&](Stream stream) -> Coro<void> {
        const std::string line = co_await stream.readline();
        CHECK(line == "STARTTLS\n");
        co_await stream.write("OK\n");
        co_await stream.start_tls(tls);
        co_await echo(std::move(stream));
    };
    Server server = co_await start_server(handler, "127.0.0.1", 0);
    Stream stream = co_await open_connection("localhost", server.port());
    co_await stream.write("STARTTLS\n");
    const std::string ready = co_await stream.readline();
    CHECK(ready == "OK\n");
    co_await stream.start_tls(trusting()); // the name is the one that was connected to
    co_await stream.write("secret\n");
    const std::string answer = co_await stream.readline();
    CHECK(answer == "secret\n");
    CHECK(stream.tls_info()->version == "TLSv1.3");
    Task<void> again = create_task(stream.start_tls(trusting()));
    co_await turns(2);
    CHECK(holds(ending(again), "has TLS already"));
}

CO_TEST_CASE("what came in clear text before the handshake is never taken for data") {
    const Files files;
    const TlsServerOptions tls = files.server(issue());
    std::string trouble;
    const auto handler = [&](Stream stream) -> Coro<void> {
        static_cast<void>(co_await stream.readline());
        try {
            co_await stream.start_tls(tls);
        } catch (const TlsError& error) {
            trouble = error.what();
            CHECK(stream.is_closing());
            co_return;
        }
        co_await echo(std::move(stream));
    };
    Server server = co_await start_server(handler, "127.0.0.1", 0);
    // A client in a hurry: its handshake is in the server's buffer already.
    Stream hasty = co_await open_connection("localhost", server.port());
    hasty.write("STARTTLS\n");
    co_await hasty.start_tls(trusting());
    co_await hasty.write("x\n");
    const std::string answer = co_await hasty.readline();
    CHECK(answer == "x\n");
    // Somebody on the way who adds a command of his own.
    Stream attacked = co_await open_connection("localhost", server.port());
    attacked.write("STARTTLS\nDELETE ALL\n");
    bool failed = false;
    try {
        co_await attacked.start_tls(trusting());
    } catch (const Error&) {
        failed = true;
    }
    CHECK(failed);
    CHECK(holds(trouble, "does not seem to speak TLS"));
}

CO_TEST_CASE("nobody reads or writes during start_tls, and it needs a name to check") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    Task<void> nameless = create_task(stream.start_tls(trusting()));
    co_await turns(2);
    CHECK(holds(ending(nameless), "server_name"));
    TlsOptions named = trusting();
    named.server_name = "localhost";
    Task<std::string> reader = create_task(stream.readline());
    co_await turns();
    Task<void> busy = create_task(stream.start_tls(named));
    co_await turns(2);
    CHECK(holds(ending(busy), "another coroutine reads"));
    reader.cancel();
    co_await turns(2);
    Task<void> upgrade = create_task(stream.start_tls(named));
    co_await turns(2);
    CHECK_THROWS_AS(stream.write("clear text"), RuntimeError);
    CHECK_FALSE(peer.hear().empty());
    peer.hang_up();
    co_await until([&] { return upgrade.done(); });
    CHECK(holds(ending(upgrade), "closed the connection during the TLS handshake"));
}

CO_TEST_CASE("a handshake can be cancelled at any moment, which closes the connection") {
    TlsOptions named = trusting();
    named.server_name = "localhost";
    {
        UnixPeer peer;
        Stream stream = co_await peer.connect();
        Task<void> unstarted = create_task(stream.start_tls(named));
        unstarted.cancel();
        co_await turns(2);
        CHECK(outcome(unstarted) == "cancelled");
        CHECK_FALSE(stream.is_closing()); // it never began
        Task<void> waiting = create_task(stream.start_tls(named));
        co_await turns(2);
        CHECK_FALSE(waiting.done());
        waiting.cancel();
        co_await turns(2);
        CHECK(outcome(waiting) == "cancelled");
        CHECK(stream.is_closing());
        static_cast<void>(peer.hear());
        CHECK(peer.hears_end());
    }
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    Task<void> before = create_task([](Stream& to, TlsOptions tls) -> Coro<void> {
        current_task().cancel();
        co_await to.start_tls(std::move(tls));
    }(stream, named));
    co_await turns(3);
    CHECK(outcome(before) == "cancelled");
}

TEST_CASE("a peer that never answers is given up in time") {
    UnixPeer peer;
    const auto main = [&]() -> Coro<void> {
        OpenOptions options = with_tls(trusting());
        options.tls->server_name = "localhost";
        options.timeout = 20ms;
        try {
            static_cast<void>(co_await open_unix_connection(peer.path(), options));
            FAIL("it connected");
        } catch (const TimeoutError& error) {
            CHECK(holds(error.what(), peer.path()));
            CHECK(holds(error.what(), "handshake"));
        }
    };
    run(main());
}

TEST_CASE("a server drops clients that do not finish the handshake, quietly but in debug mode") {
    const Files files;
    TlsServerOptions tls = files.server(issue());
    tls.handshake_timeout = 20ms;
    const auto main = [&]() -> Coro<void> {
        LoopReports reports(get_running_loop());
        Server server = co_await serve(echo, tls);
        Stream silent = co_await open_connection("127.0.0.1", server.port());
        const std::string end = co_await silent.read();
        CHECK(end.empty());
        Stream lost = co_await open_connection("127.0.0.1", server.port());
        co_await lost.write("GET / HTTP/1.1\r\n\r\n");
        while (!lost.at_eof()) {
            static_cast<void>(co_await lost.read(100)); // an alert
        }
        CHECK(reports.texts().empty());
        get_running_loop().set_debug(true);
        Stream again = co_await open_connection("127.0.0.1", server.port());
        co_await again.write("GET / HTTP/1.1\r\n\r\n");
        while (!again.at_eof()) {
            static_cast<void>(co_await again.read(100));
        }
        co_await until([&] { return !reports.texts().empty(); });
        CHECK(holds(reports.texts().front(), "TLS handshake failed (client 127.0.0.1:"));
        get_running_loop().set_debug(false);
        get_running_loop().set_exception_handler(nullptr);
    };
    run(main());
}

CO_TEST_CASE("a server without TLS is named as such") {
    Server server = co_await start_server(
        [](Stream stream) -> Coro<void> {
            co_await stream.write("220 ready\r\n");
            static_cast<void>(co_await stream.read());
        },
        "127.0.0.1", 0);
    bool named = false;
    try {
        static_cast<void>(co_await open(server, trusting()));
    } catch (const TlsError& error) {
        CHECK(error.kind() == TlsError::Kind::protocol);
        named = holds(error.remedy(), "does not seem to speak TLS");
    }
    CHECK(named);
}

CO_TEST_CASE("a server may ask for clients' certificates") {
    const Files files;
    TlsServerOptions tls = files.server(issue());
    tls.client_ca_file = files.write("clients.pem", authority().certificate);
    std::string shown;
    Server server = co_await serve(
        [&](Stream stream) -> Coro<void> {
            shown = stream.tls_info()->peer_certificate;
            co_await echo(std::move(stream));
        },
        tls);
    const Certificate mine = issue();
    TlsOptions client = trusting();
    client.certificate_file = files.write("mine.pem", mine.certificate + mine.key);
    Stream stream = co_await open(server, client);
    co_await stream.write("x\n");
    const std::string answer = co_await stream.readline();
    CHECK(answer == "x\n");
    CHECK(shown == mine.certificate);
    // In TLS 1.3 a client learns of its refusal when it reads.
    bool refused = false;
    try {
        Stream nobody = co_await open(server, trusting());
        static_cast<void>(co_await nobody.readline());
    } catch (const TlsError& error) {
        refused = holds(error.what(), "certificate required");
    }
    CHECK(refused);
}

TEST_CASE("certificates and keys that can't be used are named, without their secrets") {
    const Files files;
    const Certificate certificate = issue();
    CHECK(holds(server_trouble({}), "needs a certificate"));
    TlsServerOptions missing = files.server(certificate);
    missing.certificate_file = "/nonexistent/server.pem";
    CHECK(holds(server_trouble(missing), "/nonexistent/server.pem: No such file"));
    TlsServerOptions empty = files.server(certificate);
    empty.certificate_file = files.write("empty.pem", "nothing");
    CHECK(holds(server_trouble(empty), "there is no certificate in " + empty.certificate_file));
    TlsServerOptions foreign = files.server(certificate);
    foreign.key_file = files.write("foreign.pem", issue().key);
    CHECK(holds(server_trouble(foreign), "is not the one of the certificate"));
    TlsServerOptions locked = files.server(certificate);
    locked.key_file = files.write("locked.pem", encrypt_key(certificate, "correct horse"));
    CHECK(holds(server_trouble(locked), "key_password"));
    locked.key_password = "wrong horse";
    const std::string wrong = server_trouble(locked);
    CHECK(holds(wrong, "check key_password"));
    CHECK_FALSE(holds(wrong, "horse"));
    locked.key_password = "correct horse";
    CHECK(server_trouble(locked) == "none");
    TlsServerOptions clients = files.server(certificate);
    clients.client_ca_file = files.write("none.pem", "nothing");
    CHECK(holds(server_trouble(clients), "none.pem"));
}

CO_TEST_CASE("TLS works over Unix sockets") {
    const Files files;
    const TempFolder folder;
    const std::string path = folder.path() + "/tls";
    ServerOptions options;
    options.tls = files.server(issue());
    Server server = co_await start_unix_server(echo, path, options);
    OpenOptions tls = with_tls(trusting());
    tls.tls->server_name = "localhost";
    Stream stream = co_await open_unix_connection(path, tls);
    co_await stream.write("hello\n");
    const std::string answer = co_await stream.readline();
    CHECK(answer == "hello\n");
}

TEST_CASE("a loop that is destroyed during handshakes and goodbyes leaves nothing behind") {
    const Files files;
    UnixPeer peer;
    EventLoop loop;
    bool closing = false;
    const auto shake = [&]() -> Coro<void> {
        Stream stream = co_await peer.connect();
        TlsOptions named = trusting();
        named.server_name = "localhost";
        co_await stream.start_tls(named);
    };
    const auto leave = [&]() -> Coro<void> {
        Server server = co_await serve(
            [](Stream stream) -> Coro<void> {
                co_await get_running_loop().create_future<void>();
                stream.close();
            },
            files.server(issue()));
        Stream stream = co_await open(server, trusting());
        stream.close();
        closing = true;
        co_await stream.wait_closed();
    };
    const auto main = [&]() -> Coro<void> {
        create_task(shake());
        create_task(leave());
        co_await until([&] { return closing && peer.connected(); });
        co_await turns(2);
    };
    loop.run_until_complete(main());
}
