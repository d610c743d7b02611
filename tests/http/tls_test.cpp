#include "scripted_server.hpp"
#include "support.hpp"

#include <muster/sim/fleet.hpp>

#include <doctest/doctest.h>

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using http::ClientOptions;
using http::ErrorKind;
using http::Phase;
using http::Response;

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

void answer(Peer& peer, int /*connection*/) {
    while (!peer.request().empty()) {
        peer.send(ok("secret"));
    }
}

ClientOptions trusting(std::string pem) {
    ClientOptions options;
    options.tls.ca_pem = std::move(pem);
    return options;
}

http::Error refusal(const Certificate& certificate, const ClientOptions& options,
                    std::string_view host = "localhost") {
    const ScriptedServer server(answer, certificate);
    const http::Error error = run(error_of(http::fetch(
        "https://" + std::string(host) + ":" + std::to_string(server.port()) + "/", options)));
    CHECK(error.phase() == Phase::tls);
    CHECK(server.requests() == 0);
    return error;
}

/// A file that goes with its scope.
class TempFile {
public:
    explicit TempFile(const std::string& text)
        : path_(std::filesystem::temp_directory_path() /
                ("muster-http-" + std::to_string(::getpid()) + ".pem")) {
        std::ofstream(path_) << text;
    }

    TempFile(const TempFile&) = delete;
    TempFile& operator=(const TempFile&) = delete;

    ~TempFile() {
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }

    [[nodiscard]] std::string path() const { return path_.string(); }

private:
    std::filesystem::path path_;
};

} // namespace

TEST_CASE("a certificate of a trusted authority is accepted, by name and by address") {
    const ScriptedServer server(answer, issue());
    const ClientOptions options = trusting(authority().certificate);
    CHECK(run(http::fetch(server.url(), options)).body == "secret");
    const std::string by_address = "https://127.0.0.1:" + std::to_string(server.port()) + "/";
    CHECK(run(http::fetch(by_address, options)).body == "secret");
    const TempFile file(authority().certificate);
    ClientOptions from_file;
    from_file.tls.ca_file = file.path();
    CHECK(run(http::fetch(server.url(), from_file)).body == "secret");
}

TEST_CASE("the virtual fleet's certificates are accepted with its authority, and only with it") {
    sim::FleetOptions fleet_options;
    fleet_options.https = true;
    const sim::Fleet fleet(fleet_options);
    ClientOptions options = trusting(fleet.ca_certificate());
    options.auth = http::BasicAuth{"admin", "admin"};
    const std::string url =
        "https://" + fleet.host(0) + ":" + std::to_string(fleet.https_port(0)) + "/api/version";
    CHECK(run(http::fetch(url, options)).json()["hostname"] == "r1");
    const http::Error error = run(error_of(http::fetch(url)));
    CHECK(error.kind() == ErrorKind::certificate);
    CHECK(holds(error.what(), "muster virtual fleet"));
    CHECK(holds(error.what(), "no authority trusted here"));
    CHECK(holds(error.remedy(), "ca_file"));
}

TEST_CASE("each reason to refuse a certificate has its name and its remedy") {
    const ClientOptions options = trusting(authority().certificate);
    const http::Error self_signed = refusal(make_certificate({}), options);
    CHECK(self_signed.kind() == ErrorKind::certificate);
    CHECK(holds(self_signed.what(), "self-signed"));
    CHECK(holds(self_signed.remedy(), "ca_file"));

    CertificateRequest other;
    other.name = "r7";
    other.alternative_names = "DNS:r7.example,DNS:*.lab.example,IP:192.0.2.7";
    const http::Error mismatch = refusal(issue(other), options);
    CHECK(mismatch.kind() == ErrorKind::certificate);
    CHECK(holds(mismatch.what(), "is for r7.example, *.lab.example, 192.0.2.7, not for localhost"));
    CHECK(holds(mismatch.remedy(), "server_name"));
    CHECK(holds(refusal(issue(other), options, "127.0.0.1").what(), "not for 127.0.0.1"));

    CertificateRequest old;
    old.begins = -7200;
    old.ends = -3600;
    const http::Error expired = refusal(issue(old), options);
    CHECK(holds(expired.what(), "expired on 20"));
    CHECK(holds(expired.remedy(), "clock"));

    CertificateRequest early;
    early.begins = 3600;
    early.ends = 7200;
    CHECK(holds(refusal(issue(early), options).what(), "not valid before 20"));

    CHECK(refusal(issue(), {}).kind() == ErrorKind::certificate); // not one of the system's
}

TEST_CASE("a server's own certificate can be trusted, self-signed or not, and no other is then") {
    const Certificate own = make_certificate({});
    const Certificate signed_one = issue();
    for (const Certificate& certificate : {own, signed_one}) {
        const ScriptedServer server(answer, certificate);
        CHECK(run(http::fetch(server.url(), trusting(certificate.certificate))).ok());
    }
    CHECK(refusal(make_certificate({}), trusting(own.certificate)).kind() ==
          ErrorKind::certificate);
    // The name is checked all the same.
    CertificateRequest other;
    other.alternative_names = "DNS:r7.example";
    const Certificate elsewhere = make_certificate(other);
    CHECK(holds(refusal(elsewhere, trusting(elsewhere.certificate)).what(), "r7.example"));
}

TEST_CASE("insecure accepts everything, and has to be said") {
    CertificateRequest worst;
    worst.alternative_names = "DNS:r7.example";
    worst.begins = -7200;
    worst.ends = -3600;
    const ScriptedServer server(answer, make_certificate(worst));
    ClientOptions options;
    options.tls.verify = http::Verify::insecure;
    CHECK(run(http::fetch(server.url(), options)).ok());
    CHECK(run(error_of(http::fetch(server.url()))).kind() == ErrorKind::certificate);
}

TEST_CASE("server_name is what is asked for and checked in place of the URL's host") {
    std::mutex mutex;
    std::vector<std::string> asked;
    CertificateRequest request;
    request.alternative_names = "DNS:r7.example";
    const ScriptedServer server(
        [&](Peer& peer, int connection) {
            {
                const std::scoped_lock lock(mutex);
                asked.push_back(peer.server_name());
            }
            answer(peer, connection);
        },
        issue(request));
    ClientOptions options = trusting(authority().certificate);
    options.tls.server_name = "r7.example";
    const std::string url = "https://127.0.0.1:" + std::to_string(server.port()) + "/";
    CHECK(run(http::fetch(url, options)).ok());
    options.tls.verify = http::Verify::insecure;
    options.tls.server_name.clear();
    CHECK(run(http::fetch(url, options)).ok());
    const std::scoped_lock lock(mutex);
    CHECK(asked == std::vector<std::string>{"r7.example", ""}); // no SNI for addresses
}

TEST_CASE("TLS connections are kept, and sessions resumed when a new one is needed") {
    std::atomic<int> resumed = 0;
    const ScriptedServer server(
        [&](Peer& peer, int connection) {
            resumed += peer.resumed() ? 1 : 0;
            answer(peer, connection);
        },
        issue());
    const auto main = [&]() -> Coro<void> {
        http::Client client(trusting(authority().certificate));
        const Response first = co_await client.get(server.url());
        const Response second = co_await client.get(server.url());
        CHECK(server.connections() == 1);
        client.close_idle();
        const Response third = co_await client.get(server.url());
        CHECK(server.connections() == 2);
        CHECK(resumed == 1);
        // Another client with the same options, while there is one: the same context.
        http::Client other(trusting(authority().certificate));
        const Response fourth = co_await other.get(server.url());
        CHECK(resumed == 2);
        // What was not checked then must not pass for checked now.
        ClientOptions insecure;
        insecure.tls.verify = http::Verify::insecure;
        const Response fifth = co_await http::fetch(server.url(), insecure);
        CHECK(resumed == 2);
    };
    run(main());
}

TEST_CASE("certificates that cannot be read are an error before anything is sent") {
    ClientOptions options;
    options.tls.ca_file = "/nonexistent/ca.pem";
    const http::Error missing = run(error_of(http::fetch("https://localhost:1/", options)));
    CHECK(missing.kind() == ErrorKind::configuration);
    CHECK(missing.phase() == Phase::prepare);
    CHECK(holds(missing.what(), "/nonexistent/ca.pem: No such file"));
    const http::Error empty =
        run(error_of(http::fetch("https://localhost:1/", trusting("no certificate"))));
    CHECK(empty.kind() == ErrorKind::configuration);
    CHECK(holds(empty.what(), "ca_pem"));
}

TEST_CASE("the two ways to mix up http and https are named") {
    const ScriptedServer plain([](Peer& peer, int) {
        peer.closed_by_client();
        peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    const http::Error no_tls =
        run(error_of(http::fetch("https://127.0.0.1:" + std::to_string(plain.port()) + "/")));
    CHECK(no_tls.kind() == ErrorKind::tls);
    CHECK(holds(no_tls.remedy(), "http://"));
}

TEST_CASE("a connection that breaks in the handshake says so") {
    const ScriptedServer server([](Peer& peer, int) { peer.closed_by_client(); });
    const http::Error error =
        run(error_of(http::fetch("https://127.0.0.1:" + std::to_string(server.port()) + "/")));
    CHECK(error.kind() == ErrorKind::connection_lost);
    CHECK(error.phase() == Phase::tls);
    CHECK(holds(error.what(), "during the handshake"));
}

TEST_CASE("a body that ends with the connection needs TLS's goodbye, or an old server's excuse") {
    const auto script = [](bool rude) {
        return [rude](Peer& peer, int) {
            peer.request();
            peer.send("HTTP/1.0 200 OK\r\n\r\nhello");
            if (rude) {
                peer.be_rude();
            }
        };
    };
    ClientOptions options = trusting(authority().certificate);
    const ScriptedServer polite(script(false), issue());
    CHECK(run(http::fetch(polite.url(), options)).body == "hello");
    const ScriptedServer rude(script(true), issue());
    const http::Error error = run(error_of(http::fetch(rude.url(), options)));
    CHECK(error.kind() == ErrorKind::connection_lost);
    CHECK(holds(error.remedy(), "legacy"));
    options.tls.legacy = true;
    CHECK(run(http::fetch(rude.url(), options)).body == "hello");
}

TEST_CASE("a large body comes over TLS in both directions") {
    const std::string large(std::size_t{3} << 20, 'x');
    std::atomic<std::size_t> received = 0;
    const ScriptedServer server(
        [&](Peer& peer, int) {
            received = peer.request().size();
            peer.send(ok(large));
        },
        issue());
    const auto main = [&]() -> Coro<void> {
        http::Client client(trusting(authority().certificate));
        const Response response = co_await client.post(server.url(), large);
        CHECK(response.body == large);
    };
    run(main());
    CHECK(received > large.size());
}

TEST_CASE("cancelling a TLS request in the middle of its response closes the connection") {
    std::atomic<bool> closed = false;
    std::atomic<bool> half = false;
    const ScriptedServer server(
        [&](Peer& peer, int) {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
            half = true;
            closed = peer.closed_by_client();
        },
        issue());
    const auto main = [&]() -> Coro<void> {
        http::Client client(trusting(authority().certificate));
        const Task<Response> task = create_task(client.get(server.url()));
        co_await until([&] { return half.load(); });
        task.cancel();
        co_await until([&] { return task.done(); });
        CHECK(task.cancelled());
        CHECK(client.idle_connections() == 0);
        co_await until([&] { return closed.load(); });
    };
    run(main());
}

TEST_CASE("a loop that is destroyed in the middle of a TLS response leaves nothing behind") {
    const ScriptedServer server(
        [&](Peer& peer, int) {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
            peer.closed_by_client();
        },
        issue());
    const ClientOptions options = trusting(authority().certificate);
    EventLoop loop;
    const auto main = [&]() -> Coro<void> {
        create_task(http::fetch(server.url(), options));
        co_await until([&] { return server.requests() == 1; });
    };
    loop.run_until_complete(main());
}
