/// A third party's command line: FRR's vtysh behind OpenSSH. Started by tests/interop/frr.sh, whose
/// environment says where it is.

#include <muster/device/cli.hpp>
#include <muster/device/fetch.hpp>
#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

using namespace muster;
using namespace muster::device;

namespace {

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

std::string variable(const char* name) {
    const char* value = std::getenv(name); // NOLINT(concurrency-mt-unsafe): nobody sets any
    REQUIRE_MESSAGE(value != nullptr, name);
    return value;
}

Device router() {
    std::string password;
    std::ifstream(variable("FRR_PASSWORD_FILE")) >> password;
    Device device;
    device.name = "frr1";
    device.host = variable("FRR_HOST");
    device.port = static_cast<std::uint16_t>(std::stoi(variable("FRR_PORT")));
    device.platform = "frr";
    device.username = variable("FRR_USER");
    device.password = password;
    return device;
}

CliOptions options() {
    CliOptions options;
    options.known_hosts = {variable("FRR_KNOWN_HOSTS")};
    return options;
}

} // namespace

TEST_CASE("FRR is configured, read back from a new session, and saved") {
    const auto configure = []() -> Coro<void> {
        Cli cli = co_await Cli::open(router(), options());
        CHECK(cli.hostname() == "frr1");
        CHECK(cli.mode() == Mode::privileged);
        const ConfigResult result =
            co_await cli.send_config("interface lo\n description set by muster, why?\nexit\n"
                                     "router bgp 65001\n bgp router-id 192.0.2.1\n"
                                     " no bgp ebgp-requires-policy\nend\n");
        CHECK(result.applied == 6);
        CHECK(result.warnings.empty());
        CHECK(cli.prompt() == "frr1#");
        CHECK(contains(co_await cli.save(), "onfiguration saved to"));
        co_await cli.close();
    };
    run(configure());

    Request request;
    request.command = "show running-config";
    const Reply reply = run(fetch(router(), request, options()));
    CHECK(contains(reply.text, " description set by muster, why?\n"));
    CHECK(contains(reply.text, "router bgp 65001\n"));
    CHECK_FALSE(contains(reply.text, "frr1#"));

    std::ostringstream saved;
    saved << std::ifstream(variable("FRR_SAVED")).rdbuf();
    CHECK(contains(saved.str(), "router bgp 65001"));
}

TEST_CASE("FRR refuses a line: the push stops there, outside configuration mode") {
    std::optional<ConfigRejected> rejected;
    const auto main = [&]() -> Coro<void> {
        Cli cli = co_await Cli::open(router(), options());
        try {
            co_await cli.send_config("interface lo\n descripton wrong\n description never\n");
        } catch (const ConfigRejected& error) {
            rejected = error;
        }
        CHECK(cli.mode() == Mode::privileged);
        CHECK_FALSE(contains(co_await cli.send_command("show running-config"), "never"));
        co_await cli.close();
    };
    run(main());
    REQUIRE(rejected.has_value());
    CHECK(rejected->file_line() == 2);
    CHECK(rejected->lines_applied() == 1);
    CHECK(contains(rejected->words(), "% Unknown command"));
}

TEST_CASE("FRR's pager is paged through") {
    const auto main = []() -> Coro<void> {
        Cli cli = co_await Cli::open(router(), options());
        const std::string plain = co_await cli.send_command("show bgp summary json");
        CommandOptions unchecked;
        unchecked.check = false;
        co_await cli.send_command("terminal paginate", unchecked);
        const std::string paged = co_await cli.send_command("show version");
        CHECK(contains(paged, "FRRouting"));
        const std::string help = co_await cli.send_command("list");
        CHECK(contains(help, "show version"));
        CHECK(contains(help, "write terminal"));
        co_await cli.close();
    };
    run(main());
}

TEST_CASE("FRR's host name changes within the session and is followed") {
    const auto main = []() -> Coro<void> {
        Cli cli = co_await Cli::open(router(), options());
        CHECK((co_await cli.send_config("hostname elsewhere\ninterface lo\n")).applied == 2);
        CHECK(cli.hostname() == "elsewhere");
        CHECK((co_await cli.send_config("hostname frr1\n")).applied == 1);
        co_await cli.close();
    };
    run(main());
}
