#include "fake_router.hpp"

#include <muster/device/cli.hpp>
#include <muster/muster.hpp>
#include <muster/testing.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace muster::device;
using namespace std::chrono_literals;

namespace {

using Lines = std::vector<std::string>;

void with_cli(FakeRouter& router, const std::function<Coro<void>(Cli&)>& body,
              Device device = fake_device()) {
    const auto main = [&]() -> Coro<void> {
        Cli cli = co_await Cli::open(device, router.terminal());
        router.received.clear();
        co_await body(cli);
    };
    testing::run_virtual(main());
}

ConfigText config(std::string_view text) { return ConfigText::parse(text, {.source = "ntp.cfg"}); }

/// What pushing `text` fails with. The session is checked by `after`, if it is still open.
template <class E>
E push_failure(FakeRouter& router, std::string_view text,
               const std::function<Coro<void>(Cli&)>& after = {}) {
    std::optional<E> failure;
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        try {
            co_await cli.send_config(config(text));
        } catch (const E& error) {
            failure = error;
        }
        if (after) {
            co_await after(cli);
        }
    });
    REQUIRE(failure.has_value());
    return *failure;
}

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

constexpr const char* invalid = "         ^\n% Invalid input detected at '^' marker.\n\n";

} // namespace

TEST_CASE("a configuration is sent line by line, in and out of configuration mode") {
    FakeRouter router;
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        const ConfigResult result =
            co_await cli.send_config(config("! time\nntp server 10.0.0.1\ninterface Gi0/1\n no "
                                            "shutdown\n"));
        CHECK(result.applied == 3);
        CHECK(result.changed());
        CHECK(result.warnings.empty());
        CHECK(cli.mode() == Mode::privileged);
        CHECK(router.received == Lines{"enable", "s3cret-enable", "configure terminal",
                                       "ntp server 10.0.0.1", "interface Gi0/1", " no shutdown",
                                       "end"});
    });
}

TEST_CASE("each line waits for the answer to the one before") {
    FakeRouter router;
    router.mode = "privileged";
    router.latency = 1s;
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        Task<ConfigResult> task = create_task(cli.send_config(config("a\nb\nc\n")));
        co_await async_sleep(1500ms);
        CHECK(router.received == Lines{"configure terminal", "a"});
        co_await async_sleep(1s);
        CHECK(router.received == Lines{"configure terminal", "a", "b"});
        CHECK((co_await task).applied == 3);
    });
}

TEST_CASE("an empty configuration sends nothing") {
    FakeRouter router;
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        const ConfigResult result = co_await cli.send_config(config("!\n"));
        CHECK_FALSE(result.changed());
        CHECK(router.received.empty());
    });
}

TEST_CASE("the first rejected line stops the configuration, there and then") {
    FakeRouter router;
    router.mode = "privileged";
    router.answers["ntp servr 10.0.0.2"] = invalid;
    const auto error = push_failure<ConfigRejected>(
        router, "! time\nntp server 10.0.0.1\nntp servr 10.0.0.2\nntp server 10.0.0.3\n",
        [&](Cli& cli) -> Coro<void> {
            // Out of configuration mode, nothing saved, and the session still works.
            CHECK(cli.mode() == Mode::privileged);
            CHECK_FALSE(cli.closed());
            CHECK(router.received ==
                  Lines{"configure terminal", "ntp server 10.0.0.1", "ntp servr 10.0.0.2", "end"});
            router.answers["show clock"] = "12:00\n";
            CHECK((co_await cli.send_command("show clock")) == "12:00\n");
        });
    CHECK(error.file_line() == 3);
    CHECK(error.lines_applied() == 1);
    CHECK(error.progress().total == 3);
    CHECK(error.progress().source == "ntp.cfg");
    CHECK_FALSE(error.progress().line_unknown);
    CHECK(error.command() == "ntp servr 10.0.0.2");
    CHECK(error.words() == "% Invalid input detected at '^' marker.");
    CHECK(error.phase() == Phase::command);
    CHECK(std::string(error.what()) ==
          "r1 (192.0.2.1:22): command: ntp.cfg:3 `ntp servr 10.0.0.2` was refused: % Invalid input "
          "detected at '^' marker.; 1 of 3 lines applied, configuration mode was left, nothing was "
          "saved; correct the line; those before it are in effect");
}

TEST_CASE("what devices say about lines they refuse is recognised") {
    for (const char* words : {
             "% Incomplete command.",
             "% Ambiguous command:  \"n\"",
             "% Invalid address",
             "% 10.0.0.0 overlaps with GigabitEthernet0/0",
             "Command authorization failed.",
             "Command rejected: Port is not an access port",
             "%Error: no such VLAN",
             "Bad mask /33 for address 10.0.0.1",
         }) {
        CAPTURE(std::string(words));
        FakeRouter router;
        router.mode = "privileged";
        router.answers["x"] = std::string(words) + "\n";
        const auto error = push_failure<ConfigRejected>(router, "x\n");
        CHECK(error.words() == words);
    }
}

TEST_CASE("a remark that is neither an error nor known to be harmless is a warning") {
    FakeRouter router;
    router.mode = "privileged";
    router.answers["vrf forwarding A"] =
        "% Interface Gi0/1 IPv4 disabled and address(es) removed due to enabling VRF A\n";
    router.answers["crypto key generate rsa"] = "% Generating 2048 bit RSA keys ...\n[OK]\n";
    router.answers["logging"] = "*Mar  1 00:00:07.123: %SYS-5-CONFIG_I: Configured\n"
                                "%LINK-3-UPDOWN: Interface Gi0/1, changed state to up\n";
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        const ConfigResult result = co_await cli.send_config(
            config("logging\ncrypto key generate rsa\nvrf forwarding A\n"));
        CHECK(result.applied == 3);
        REQUIRE(result.warnings.size() == 1);
        CHECK(result.warnings[0].line == 3);
        CHECK(result.warnings[0].words.starts_with("% Interface Gi0/1 IPv4 disabled"));
    });
}

TEST_CASE("confirmations a line asks for are given") {
    FakeRouter router;
    router.mode = "privileged";
    Lines said;
    router.special = [&](const std::string& line) -> std::optional<std::string> {
        if (line == "crypto key zeroize rsa") {
            return line + "\r\n% All keys will be removed.\r\nDo you really want to remove these "
                          "keys? [yes/no]: ";
        }
        if (line == "no username bob") {
            return line + "\r\nThis operation will remove all. Do you want to continue? [confirm]";
        }
        if (line == "yes" || line.empty()) {
            said.push_back(line);
            return line + "\r\n" + router.prompt();
        }
        return std::nullopt;
    };
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        const ConfigResult result =
            co_await cli.send_config(config("crypto key zeroize rsa\nno username bob\n"));
        CHECK(result.applied == 2);
        CHECK(said == Lines{"yes", ""});
    });
}

TEST_CASE("a banner is typed as text only when the device takes it as text") {
    FakeRouter router;
    router.mode = "privileged";
    bool in_banner = false;
    bool accepts = true;
    router.special = [&](const std::string& line) -> std::optional<std::string> {
        if (line == "banner motd #") {
            in_banner = accepts;
            return line + "\r\n" +
                   (accepts ? "Enter TEXT message.  End with the character '#'.\r\n"
                            : "Command authorization failed.\r\n\r\n" + router.prompt());
        }
        if (in_banner) {
            in_banner = line.find('#') == std::string::npos;
            return line + "\r\n" + (in_banner ? "" : router.prompt());
        }
        return std::nullopt;
    };
    constexpr const char* text =
        "banner motd #\nr1(config)#? no:\nreload\n#\nntp server 10.0.0.1\n";
    SUBCASE("it does") {
        with_cli(router, [&](Cli& cli) -> Coro<void> {
            // A line of it even begins with the router's prompt, and ends the banner.
            const ConfigResult result = co_await cli.send_config(
                config("banner motd #\nreload?\n\nr1(config)\n#\nntp server 10.0.0.1\n"));
            CHECK(result.applied == 2);
            CHECK(router.received == Lines{"configure terminal", "banner motd #", "reload?", "",
                                           "r1(config)", "#", "ntp server 10.0.0.1", "end"});
        });
    }
    SUBCASE("it does not: none of its lines is executed") {
        accepts = false;
        const auto error = push_failure<ConfigRejected>(router, text);
        CHECK(error.file_line() == 1);
        CHECK(error.lines_applied() == 0);
        CHECK(router.received == Lines{"configure terminal", "banner motd #", "end"});
    }
}

TEST_CASE("a block whose lines are prompted for is sent line by line") {
    FakeRouter router;
    router.mode = "privileged";
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        const ConfigResult result =
            co_await cli.send_config(config("ip ssh pubkey-chain\n key-string\n  AAAA\n  exit\n"));
        CHECK(result.applied == 2);
        CHECK(router.received == Lines{"configure terminal", "ip ssh pubkey-chain", " key-string",
                                       "  AAAA", "  exit", "end"});
    });
}

TEST_CASE("a host name that changes is followed, cut as it is in configuration mode") {
    FakeRouter router;
    router.mode = "privileged";
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        const ConfigResult result = co_await cli.send_config(
            config("hostname amsterdam-core-router-01\ninterface Gi0/1\n no shutdown\n"));
        CHECK(result.applied == 3);
        CHECK(cli.prompt() == "amsterdam-core-router-01#");
        CHECK(cli.hostname() == "amsterdam-core-router-01");
    });
}

TEST_CASE("a line that leaves configuration mode stops the configuration") {
    FakeRouter router;
    router.mode = "privileged";
    router.special = [&](const std::string& line) -> std::optional<std::string> {
        if (line == "exit") {
            router.mode = "privileged";
            return "exit\r\n" + router.prompt();
        }
        return std::nullopt;
    };
    SUBCASE("with lines to go") {
        const auto error = push_failure<ConfigError>(router, "ntp server 1\nexit\nreload\n");
        CHECK(error.file_line() == 2);
        CHECK(error.lines_applied() == 2);
        CHECK(contains(error.reason(), "ntp.cfg:2 `exit` left configuration mode"));
        CHECK(router.received == Lines{"configure terminal", "ntp server 1", "exit"});
    }
    SUBCASE("as the last one it may") {
        with_cli(router, [&](Cli& cli) -> Coro<void> {
            CHECK((co_await cli.send_config(config("ntp server 1\nexit\n"))).applied == 2);
            CHECK(router.received == Lines{"configure terminal", "ntp server 1", "exit"});
        });
    }
}

TEST_CASE("a connection that is lost on the way says how far the configuration got") {
    FakeRouter router;
    router.mode = "privileged";
    router.special = [&](const std::string& line) -> std::optional<std::string> {
        if (line == "no ip route 0.0.0.0 0.0.0.0") {
            router.wire.hang_up();
            return "";
        }
        return std::nullopt;
    };
    const auto error = push_failure<ConfigError>(
        router, "ntp server 1\nntp server 2\nno ip route 0.0.0.0 0.0.0.0\nntp server 3\n",
        [](Cli& cli) -> Coro<void> {
            CHECK(cli.closed());
            co_return;
        });
    CHECK(error.lines_applied() == 2);
    CHECK(error.file_line() == 3);
    CHECK(error.progress().line_unknown);
    CHECK(contains(error.reason(), "ntp.cfg:3: the device closed the connection"));
    CHECK(contains(error.reason(), "2 of 4 lines applied, whether this line was is not known"));
    CHECK_FALSE(error.failure().timed_out);
}

TEST_CASE("a device that hangs on the way runs into the line's deadline") {
    FakeRouter router;
    router.mode = "privileged";
    router.special = [&](const std::string& line) -> std::optional<std::string> {
        return line == "hang" ? std::optional<std::string>("hang\r\n") : std::nullopt;
    };
    std::optional<ConfigError> failure;
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        const auto start = Clock::now();
        try {
            co_await cli.send_config(config("ntp server 1\nhang\n"), {.line_timeout = 5s});
        } catch (const ConfigError& error) {
            failure = error;
        }
        CHECK(Clock::now() - start == 5s);
    });
    REQUIRE(failure.has_value());
    CHECK(failure->failure().timed_out);
    CHECK(failure->lines_applied() == 1);
    CHECK(contains(failure->reason(), "no answer to `hang` within 5 s"));
}

TEST_CASE("a connection that is lost at the very end is not taken for success") {
    FakeRouter router;
    router.mode = "privileged";
    router.special = [&](const std::string& line) -> std::optional<std::string> {
        if (line == "end") {
            router.wire.hang_up();
            return "";
        }
        return std::nullopt;
    };
    const auto error = push_failure<ConfigError>(router, "ntp server 1\n");
    CHECK(error.lines_applied() == 1);
    CHECK(error.file_line() == 0);
}

TEST_CASE("a configuration mode that is locked is an error before any line") {
    FakeRouter router;
    router.mode = "privileged";
    router.special = [&](const std::string& line) -> std::optional<std::string> {
        if (line == "configure terminal") {
            return line + "\r\n% Configuration mode is locked by process '3'\r\nr1#";
        }
        return std::nullopt;
    };
    const auto error = push_failure<DeviceError>(router, "ntp server 1\n");
    CHECK(contains(error.reason(), "did not lead to configuration mode: % Configuration mode is"));
    CHECK(error.remedy() == "somebody else may be configuring the device: try again later");
    CHECK(router.received == Lines{"configure terminal"});
}

TEST_CASE("secrets in the configuration reach no error") {
    FakeRouter router;
    router.mode = "privileged";
    SUBCASE("a refused line") {
        router.answers["username bob secret hunter2"] =
            "username bob secret hunter2\n  ^\n% Invalid input detected at '^' marker.\n";
        const auto error = push_failure<ConfigRejected>(router, "username bob secret hunter2\n");
        CHECK_FALSE(contains(error.what(), "hunter2"));
        CHECK_FALSE(contains(error.words(), "hunter2"));
        CHECK(error.command() == "username bob secret ***");
    }
    SUBCASE("a line that is never answered") {
        router.special = [&](const std::string& line) -> std::optional<std::string> {
            return line.starts_with("snmp") ? std::optional<std::string>(line) : std::nullopt;
        };
        const auto error = push_failure<ConfigError>(router, "snmp-server community hunter2 RO\n");
        CHECK_FALSE(contains(error.what(), "hunter2"));
        CHECK(contains(error.what(), "no answer to `snmp-server community ***`"));
    }
    SUBCASE("the device's own secrets, wherever") {
        router.answers["x"] = "% Invalid s3cret-enable pa55-word\n";
        const auto error = push_failure<ConfigRejected>(router, "x\n");
        CHECK(error.words() == "% Invalid *** ***");
    }
}

TEST_CASE("log messages between lines are neither errors nor prompts") {
    FakeRouter router;
    router.mode = "privileged";
    router.special = [&](const std::string& line) -> std::optional<std::string> {
        if (line.starts_with("ntp")) {
            return line + "\r\n" + router.prompt() +
                   "\r\n*Mar  1 00:00:07.123: %SYS-3-BADLINE: % Invalid input detected\r\n";
        }
        return std::nullopt;
    };
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        const ConfigResult result = co_await cli.send_config(config("ntp 1\nntp 2\nntp 3\n"));
        CHECK(result.applied == 3);
        CHECK(result.warnings.empty());
    });
}

TEST_CASE("a host name that changes is followed even when log messages hide the prompt") {
    FakeRouter router;
    router.mode = "privileged";
    router.special = [&](const std::string& line) -> std::optional<std::string> {
        if (line == "hostname r2") {
            router.hostname = "r2";
            return line + "\r\nr2(config)#\r\n*Mar  1 00:00:07.123: %SYS-5-X: changed\r\n";
        }
        return std::nullopt;
    };
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        CHECK((co_await cli.send_config(config("hostname r2\nntp server 1\n"))).applied == 2);
        CHECK(cli.hostname() == "r2");
    });
}

TEST_CASE("text that is no configuration is refused before anything is sent") {
    FakeRouter router;
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        CHECK_THROWS_AS(co_await cli.send_config("banner motd #\n"), ConfigTextError);
        CHECK(router.received.empty());
    });
}
