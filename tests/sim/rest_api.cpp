#include <muster/sim/fleet.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

using namespace muster::sim;
using boost::asio::ip::tcp;
using nlohmann::json;
namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

constexpr std::string_view admin = "Basic YWRtaW46YWRtaW4="; // admin:admin

using Response = http::response<http::string_body>;

template <class Stream>
Response exchange(Stream& stream, http::verb method, const std::string& target,
                  std::string_view authorization = admin, const std::string& body = {}) {
    http::request<http::string_body> request(method, target, 11, body);
    request.set(http::field::host, "device");
    if (!authorization.empty()) {
        request.set(http::field::authorization,
                    boost::beast::string_view(authorization.data(), authorization.size()));
    }
    request.prepare_payload();
    http::write(stream, request);
    boost::beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.skip(method == http::verb::head);
    http::read(stream, buffer, parser);
    return parser.release();
}

/// A connection to the REST API of a device.
struct Client {
    explicit Client(const Fleet& fleet, int index = 0) : socket(io) {
        socket.connect({asio::ip::make_address(fleet.host(index)), fleet.http_port(index)});
    }

    Response get(const std::string& target, std::string_view authorization = admin) {
        return exchange(socket, http::verb::get, target, authorization);
    }

    asio::io_context io;
    tcp::socket socket;
};

FleetOptions devices(int count) {
    FleetOptions options;
    options.devices = count;
    return options;
}

} // namespace

TEST_CASE("Each device gives its version and interfaces as JSON over one kept connection") {
    Fleet fleet(devices(2));
    Client client(fleet, 1);
    const auto version = client.get("/api/version");
    CHECK(version.result_int() == 200);
    CHECK(version[http::field::content_type] == "application/json");
    CHECK(version.keep_alive());
    CHECK(json::parse(version.body())["hostname"] == "r2");
    const auto list = json::parse(client.get("/api/interfaces").body())["interfaces"];
    REQUIRE(list.size() == 4);
    CHECK(list[0]["name"] == "GigabitEthernet0/0");
    CHECK(list[0]["ip"] == "10.0.0.2");
    CHECK(list[0]["status"] == "up");
    CHECK(list[1]["enabled"] == false);
    CHECK(fleet.http_requests(1) == 2);
    CHECK(fleet.http_requests(0) == 0);
}

TEST_CASE("Configuration posted to the API is what the terminal would show") {
    Fleet fleet(devices(1));
    Client client(fleet);
    const auto done = exchange(
        client.socket, http::verb::post, "/api/config", admin,
        R"({"lines": ["interface GigabitEthernet0/1", "description core", "hostname x"]})");
    CHECK(done.result_int() == 200);
    CHECK(json::parse(done.body())["applied"] == 3);
    CHECK(fleet.running_config(0).find("description core") != std::string::npos);
    CHECK(json::parse(client.get("/api/version").body())["hostname"] == "x");
    CHECK(json::parse(client.get("/api/config").body())["config"] == fleet.running_config(0));

    const auto refused = exchange(client.socket, http::verb::post, "/api/config", admin,
                                  R"({"lines": ["ntp server 10.0.0.1", "nonsense", "end"]})");
    CHECK(refused.result_int() == 400);
    CHECK(json::parse(refused.body())["applied"] == 1);
    CHECK(json::parse(refused.body())["error"]["line"] == "nonsense");
    for (const auto* body : {"", "[]", "{\"lines\": [1]}", "{\"lines\": \"x\"}", "{"}) {
        CHECK(exchange(client.socket, http::verb::post, "/api/config", admin, body).result_int() ==
              400);
    }
}

TEST_CASE("Errors are JSON: 401 with a challenge, 404, 405 with what would do") {
    Fleet fleet(devices(1));
    Client client(fleet);
    const auto anonymous = client.get("/api/version", "");
    CHECK(anonymous.result_int() == 401);
    CHECK(anonymous[http::field::www_authenticate] == "Basic realm=\"device\"");
    CHECK(client.get("/api/version", "Basic YWRtaW46eA==").result_int() == 401);
    const auto missing = client.get("/api/nothing");
    CHECK(missing.result_int() == 404);
    CHECK(json::parse(missing.body())["error"]["code"] == 404);
    const auto wrong = exchange(client.socket, http::verb::delete_, "/api/version");
    CHECK(wrong.result_int() == 405);
    CHECK(wrong[http::field::allow] == "GET, HEAD");
    const auto head = exchange(client.socket, http::verb::head, "/api/version?x=1");
    CHECK(head.result_int() == 200);
    CHECK(head.body().empty());
    CHECK(client.get("/api/version").result_int() == 200);
}

TEST_CASE("A device's faults hold for HTTP too") {
    auto options = devices(3);
    options.each = [](int index, DeviceSpec& spec) {
        constexpr const char* scripts[]{"reset-after-accept", "refuse", "close-after-banner"};
        spec.fault = Fault::parse(scripts[index]);
    };
    Fleet fleet(std::move(options));
    CHECK_THROWS_WITH_AS(Client(fleet, 0).get("/api/version"), doctest::Contains("reset"),
                         boost::system::system_error);
    CHECK_THROWS_WITH_AS(Client(fleet, 1), doctest::Contains("refused"),
                         boost::system::system_error);
    CHECK_THROWS_WITH_AS(Client(fleet, 2).get("/api/version"), doctest::Contains("end of stream"),
                         boost::system::system_error);
}

TEST_CASE("HTTPS certificates verify against the fleet's authority and name the device") {
    auto options = devices(2);
    options.https = true;
    Fleet fleet(std::move(options));
    Fleet other([] {
        auto stranger = devices(1);
        stranger.https = true;
        return stranger;
    }());
    const auto version = [&](const std::string& authority, const std::string& expected_host) {
        asio::io_context io;
        asio::ssl::context context(asio::ssl::context::tls_client);
        context.set_verify_mode(asio::ssl::verify_peer);
        context.add_certificate_authority(asio::buffer(authority));
        asio::ssl::stream<tcp::socket> stream(io, context);
        stream.set_verify_callback(asio::ssl::host_name_verification(expected_host));
        stream.next_layer().connect({asio::ip::make_address(fleet.host(1)), fleet.https_port(1)});
        stream.handshake(asio::ssl::stream_base::client);
        return exchange(stream, http::verb::get, "/api/version").body();
    };
    const auto authority = fleet.ca_certificate();
    CHECK(json::parse(version(authority, fleet.host(1)))["hostname"] == "r2");
    CHECK(json::parse(version(authority, "r2"))["hostname"] == "r2");
    CHECK_THROWS_AS(version(authority, fleet.host(0)), boost::system::system_error);
    CHECK_THROWS_AS(version(other.ca_certificate(), fleet.host(1)), boost::system::system_error);
    CHECK(fleet.ca_certificate() != other.ca_certificate());
}
