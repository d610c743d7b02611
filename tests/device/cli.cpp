#include "fake_router.hpp"

#include <muster/device/cli.hpp>
#include <muster/muster.hpp>
#include <muster/testing.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace muster::device;
using namespace std::chrono_literals;

namespace {

using Lines = std::vector<std::string>;

/// Opens a session to the router, runs `body` with it, all in virtual time.
void with_cli(FakeRouter& router, const std::function<Coro<void>(Cli&)>& body,
              Device device = fake_device(), CliOptions options = {}) {
    const auto main = [&]() -> Coro<void> {
        Cli cli = co_await Cli::open(device, router.terminal(), options);
        co_await body(cli);
    };
    testing::run_virtual(main());
}

/// What opening a session to the router fails with.
Failure open_failure(FakeRouter& router, Device device = fake_device()) {
    try {
        with_cli(router, [](Cli&) -> Coro<void> { co_return; }, std::move(device));
    } catch (const DeviceError& error) {
        return error.failure();
    }
    FAIL("it opened");
    return {};
}

/// What `body` fails with.
template <class E = DeviceError>
E failure_of(FakeRouter& router, const std::function<Coro<void>(Cli&)>& body,
             Device device = fake_device(), CliOptions options = {}) {
    try {
        with_cli(router, body, std::move(device), std::move(options));
    } catch (const E& error) {
        return error;
    }
    FAIL("it succeeded");
    std::abort();
}

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

constexpr const char* log_message =
    "\r\n*Mar  1 00:00:07.123: %SYS-5-CONFIG_I: Configured from console by vty0\r\n";

} // namespace

TEST_CASE("a session opens at the first prompt, prepares the terminal and learns the host name") {
    FakeRouter router;
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        CHECK(cli.prompt() == "r1>");
        CHECK(cli.hostname() == "r1");
        CHECK(cli.mode() == Mode::exec);
        CHECK(cli.platform().name == "cisco_ios");
        CHECK_FALSE(cli.closed());
        CHECK(router.received == Lines{"terminal width 511", "terminal length 0"});
        co_await cli.close();
        CHECK(router.said_goodbye);
        CHECK(cli.closed());
        co_await cli.close();
    });
    CHECK(router.disconnected);
}

TEST_CASE("commands are answered without echo and prompt, however the bytes are cut") {
    for (const std::size_t piece : {std::size_t{0}, std::size_t{1}, std::size_t{7}}) {
        CAPTURE(piece);
        FakeRouter router;
        router.wire.piece = piece;
        router.answers["show clock"] = "12:00:00 UTC\n\nNTP is synchronised\n";
        router.answers["show nothing"] = "";
        with_cli(router, [&](Cli& cli) -> Coro<void> {
            CHECK(co_await cli.send_command("show clock") ==
                  "12:00:00 UTC\n\nNTP is synchronised\n");
            Lines commands{"show nothing", "show clock"};
            const Lines answers = co_await cli.send_commands(std::move(commands));
            CHECK(answers == Lines{"", "12:00:00 UTC\n\nNTP is synchronised\n"});
        });
    }
}

TEST_CASE("an answer of 5 MB arrives whole") {
    FakeRouter router;
    std::string table;
    while (table.size() < 5'000'000) {
        table += "*> 10.1.2.0/24 192.0.2.1 0 100 0 65000 i r1# > (config)#\n";
    }
    router.answers["show ip bgp"] = table;
    router.wire.piece = 1400;
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        CHECK((co_await cli.send_command("show ip bgp")) == table);
    });
}

TEST_CASE("a larger answer than allowed is an error and ends the session") {
    FakeRouter router;
    router.answers["show tech"] = std::string(5000, 'x') + "\n";
    CliOptions options;
    options.max_output = 4096;
    const auto error = failure_of(
        router, [](Cli& cli) -> Coro<void> { co_await cli.send_command("show tech"); },
        fake_device(), options);
    CHECK(error.phase() == Phase::transfer);
    CHECK(error.reason() == "the answer to `show tech` is larger than 4096 bytes");
    CHECK(router.disconnected);
}

TEST_CASE("banners that look like prompts do not shift the answers") {
    FakeRouter router;
    router.answers["show clock"] = "12:00\n";
    SUBCASE("a banner line is a prompt") {
        router.greeting = "router#\r\nr1>\r\nWelcome to sw1#\r\n";
    }
    SUBCASE("the banner glues to the prompt") { router.greeting = "Welcome! "; }
    SUBCASE("without even a blank") { router.greeting = "Welcome"; }
    SUBCASE("colours and a cleared screen") {
        router.greeting = "\x1b[2J\x1b[1;1H\x1b[31mKeep out\x1b[0m\r\n\x1b]0;r1\a";
    }
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        CHECK(cli.hostname() == "r1");
        CHECK((co_await cli.send_command("show clock")) == "12:00\n");
    });
}

TEST_CASE("a banner that pauses after a line like a prompt does not shift the answers") {
    // The device types its banner while the first command is on its way already: only the echo
    // tells which prompt is the answer's.
    FakeRouter router;
    router.hostname = "router";
    router.answers["show clock"] = "12:00\n";
    router.latency = 300ms;
    const auto main = [&]() -> Coro<void> {
        auto terminal = router.terminal(); // says "router>", which here is the banner's
        router.wire.say_later(200ms, "\r\nmore of the banner\r\nrouter>");
        Cli cli = co_await Cli::open(fake_device(), std::move(terminal));
        CHECK((co_await cli.send_command("show clock")) == "12:00\n");
        CHECK((co_await cli.send_command("show clock")) == "12:00\n");
    };
    testing::run_virtual(main());
}

TEST_CASE("the echo is recognised wrapped, after noise, and not taken for the answer") {
    FakeRouter router;
    router.special = [&](const std::string& line) -> std::optional<std::string> {
        if (line != "show interfaces description") {
            return std::nullopt;
        }
        return std::string(log_message) + "r1>show interfaces \r\ndescription\r\nGi0/1 up\r\nr1>";
    };
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        CHECK((co_await cli.send_command("show interfaces description")) == "Gi0/1 up\n");
    });
}

TEST_CASE("a device that does not echo is talked to all the same") {
    FakeRouter router;
    router.echoes = false;
    router.answers["show clock"] = "12:00\n";
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        CHECK((co_await cli.send_command("show clock")) == "12:00\n");
        const auto before = Clock::now();
        co_await cli.send_command("show clock");
        // Known by now: no waiting for an echo.
        CHECK(Clock::now() - before < 100ms);
    });
}

TEST_CASE("log messages after the prompt are no part of the answer") {
    FakeRouter router;
    router.special = [&](const std::string& line) -> std::optional<std::string> {
        if (line != "show clock") {
            return std::nullopt;
        }
        return line + "\r\n12:00\r\nr1>" + log_message + log_message;
    };
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        CHECK((co_await cli.send_command("show clock")) == "12:00\n");
        CHECK(cli.prompt() == "r1>");
        CHECK((co_await cli.send_command("show clock")) == "12:00\n");
    });
}

TEST_CASE("a pager is paged through") {
    FakeRouter router;
    bool paging = false;
    router.special = [&](const std::string& line) -> std::optional<std::string> {
        if (line == "show log") {
            paging = true;
            return line + "\r\none\r\n --More-- ";
        }
        return std::nullopt;
    };
    const auto main = [&]() -> Coro<void> {
        class Keys final : public Terminal {
        public:
            Keys(std::unique_ptr<Terminal> inner, Wire& wire, bool& paging)
                : inner_(std::move(inner)), wire_(wire), paging_(paging) {}

            Coro<std::string> read() override { return inner_->read(); }

            Coro<void> write(std::string text) override {
                if (paging_ && text == " ") {
                    const bool last = ++pages_ == 2;
                    wire_.say("\b\b\b\b\b\b\b\b\b\b          \b\b\b\b\b\b\b\b\b\b" +
                              std::string(last ? "three\r\nr1>" : "two\r\n --More-- "));
                    co_return;
                }
                co_await inner_->write(std::move(text));
            }

            Coro<void> close() override { return inner_->close(); }

        private:
            std::unique_ptr<Terminal> inner_;
            Wire& wire_;
            bool& paging_;
            int pages_ = 0;
        };

        auto keys = std::make_unique<Keys>(router.terminal(), router.wire, paging);
        Cli cli = co_await Cli::open(fake_device(), std::move(keys));
        CHECK((co_await cli.send_command("show log")) == "one\ntwo\nthree\n");
    };
    testing::run_virtual(main());
}

TEST_CASE("enable sends the secret once and says nothing of it") {
    FakeRouter router;
    SUBCASE("accepted") {
        with_cli(router, [&](Cli& cli) -> Coro<void> {
            co_await cli.enable();
            CHECK(cli.mode() == Mode::privileged);
            CHECK(cli.prompt() == "r1#");
            co_await cli.enable();
            CHECK(router.received.size() == 4); // two to prepare, enable, the secret
        });
    }
    SUBCASE("refused") {
        router.secret = "another";
        const auto error =
            failure_of(router, [](Cli& cli) -> Coro<void> { co_await cli.enable(); });
        CHECK(error.phase() == Phase::authentication);
        CHECK(error.failure().refused);
        CHECK(error.reason() == "the device refused the enable secret");
        CHECK(error.remedy() == "check `secret` for the device in the inventory");
        CHECK_FALSE(contains(error.what(), "s3cret-enable"));
        CHECK(router.received.size() == 4);
        CHECK(router.disconnected);
    }
    SUBCASE("none configured") {
        Device device = fake_device();
        device.secret = Secret();
        const auto error =
            failure_of(router, [](Cli& cli) -> Coro<void> { co_await cli.enable(); }, device);
        CHECK(error.reason() == "the device asks for an enable secret, and there is none for it");
        CHECK(router.received.size() == 3);
    }
    SUBCASE("refused without a question") {
        router.special = [](const std::string& line) -> std::optional<std::string> {
            if (line == "enable") {
                return "enable\r\n% No password set\r\nr1>";
            }
            return std::nullopt;
        };
        const auto error =
            failure_of(router, [](Cli& cli) -> Coro<void> { co_await cli.enable(); });
        CHECK(error.reason() == "the device did not enter privileged mode: % No password set");
    }
}

TEST_CASE("a question that log messages have scrolled away is answered") {
    FakeRouter router;
    router.special = [&](const std::string& line) -> std::optional<std::string> {
        if (line == "enable") {
            return "enable\r\nPassword: " + std::string(log_message) + log_message;
        }
        if (line == "s3cret-enable") {
            router.mode = "privileged";
            return "\r\nr1#" + std::string(log_message);
        }
        return std::nullopt;
    };
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        co_await cli.enable();
        CHECK(cli.mode() == Mode::privileged);
        CHECK(router.received.size() == 4);
    });
}

TEST_CASE("a login on the terminal itself is answered, once") {
    FakeRouter router;
    router.first_words = "User Access Verification\r\n\r\nUsername: ";
    bool accept = true;
    router.special = [&](const std::string& line) -> std::optional<std::string> {
        if (line == "ops") {
            return "ops\r\nPassword: ";
        }
        if (line == "pa55-word") {
            return accept ? "\r\n\r\nr1>" : "\r\n% Login invalid\r\n\r\nUsername: ";
        }
        return std::nullopt;
    };
    SUBCASE("accepted") {
        with_cli(router, [&](Cli& cli) -> Coro<void> {
            CHECK(cli.prompt() == "r1>");
            CHECK(router.received ==
                  Lines{"ops", "pa55-word", "terminal width 511", "terminal length 0"});
            co_return;
        });
    }
    SUBCASE("refused") {
        accept = false;
        const Failure failure = open_failure(router);
        CHECK(failure.phase == Phase::authentication);
        CHECK(failure.refused);
        CHECK(failure.reason == "the device refused the login on its terminal");
        CHECK(router.received == Lines{"ops", "pa55-word"});
    }
}

TEST_CASE("a device without a prompt is given up in time, with its last line") {
    FakeRouter router;
    SUBCASE("an unknown prompt") {
        router.first_words = "Welcome\r\npress fire to start ";
        const Failure failure = open_failure(router);
        CHECK(failure.phase == Phase::prompt);
        CHECK(failure.timed_out);
        CHECK(failure.reason == "no prompt within 30 s; last line seen: `press fire to start`");
        CHECK(failure.remedy == "if that is its prompt, its platform is not cisco_ios");
        CHECK(failure.device == "r1");
        CHECK(failure.host == "192.0.2.1:22");
    }
    SUBCASE("silence") {
        router.first_words = "";
        CHECK(open_failure(router).reason == "no prompt within 30 s; the device said nothing");
    }
    CHECK(router.disconnected);
}

TEST_CASE("a device that hangs up is reported where it happened") {
    FakeRouter router;
    SUBCASE("before its prompt") {
        router.first_words = "All lines are in use\r\n";
        router.wire.hang_up();
        const Failure failure = open_failure(router);
        CHECK(failure.phase == Phase::prompt);
        CHECK(failure.reason == "the device closed the connection before its first prompt; "
                                "last line seen: `All lines are in use`");
    }
    SUBCASE("during a command") {
        router.special = [&](const std::string& line) -> std::optional<std::string> {
            if (line != "reload") {
                return std::nullopt;
            }
            router.wire.hang_up();
            return "reload\r\n";
        };
        const auto error =
            failure_of(router, [](Cli& cli) -> Coro<void> { co_await cli.send_command("reload"); });
        CHECK(error.phase() == Phase::command);
        CHECK(contains(error.reason(), "closed the connection during `reload`"));
    }
}

TEST_CASE("a command has a deadline, after it the session is closed, not reused") {
    FakeRouter router;
    router.special = [](const std::string& line) -> std::optional<std::string> {
        if (line == "ping") {
            return "ping\r\nSending 5 echos\r\n!!";
        }
        return std::nullopt;
    };
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        const auto start = Clock::now();
        bool thrown = false;
        try {
            CommandOptions options;
            options.timeout = 1500ms;
            co_await cli.send_command("ping", std::move(options));
        } catch (const DeviceError& error) {
            thrown = true;
            CHECK(error.failure().timed_out);
            CHECK(error.reason() == "no answer to `ping` within 1.5 s; last line seen: `!!`");
        }
        CHECK(thrown);
        CHECK(Clock::now() - start == 1500ms);
        CHECK(cli.closed());
        CHECK(router.disconnected);
        CHECK_THROWS_WITH_AS(co_await cli.send_command("show clock"),
                             doctest::Contains("the session is closed"), DeviceError);
    });
}

TEST_CASE("a cancelled command closes the session") {
    FakeRouter router;
    router.latency = 10ms;
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        Task<std::string> task = create_task(cli.send_command("show clock"));
        co_await async_sleep(1ms);
        task.cancel();
        bool cancelled = false;
        try {
            co_await task;
        } catch (const CancelledError&) {
            cancelled = true;
        }
        CHECK(cancelled);
        CHECK(cli.closed());
    });
}

TEST_CASE("two tasks cannot use one session at once") {
    FakeRouter router;
    router.latency = 10ms;
    router.answers["show clock"] = "12:00\n";
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        Task<std::string> task = create_task(cli.send_command("show clock"));
        co_await async_sleep(1ms);
        CHECK_THROWS_AS(co_await cli.send_command("show version"), RuntimeError);
        CHECK(co_await task == "12:00\n");
        CHECK_FALSE(cli.closed());
    });
}

TEST_CASE("a refused command is an error that leaves the session usable") {
    FakeRouter router;
    router.answers["shwo clock"] = "   ^\n% Invalid input detected at '^' marker.\n\n";
    router.answers["show log"] = "1\n2\n3\n4\n5\n6\n7\n8\n9\n% Invalid input detected\n";
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        bool thrown = false;
        try {
            co_await cli.send_command("shwo clock");
        } catch (const CommandRejected& error) {
            thrown = true;
            CHECK(error.command() == "shwo clock");
            CHECK(error.words() == "% Invalid input detected at '^' marker.");
            CHECK(error.phase() == Phase::command);
        }
        CHECK(thrown);
        CommandOptions unchecked;
        unchecked.check = false;
        CHECK(contains(co_await cli.send_command("shwo clock", unchecked), "% Invalid input"));
        // Far below, it is a part of what was asked for.
        co_await cli.send_command("show log");
    });
}

TEST_CASE("questions a command raises are answered as the caller says") {
    FakeRouter router;
    int questions = 0;
    router.special = [&](const std::string& line) -> std::optional<std::string> {
        if (line == "clear counters") {
            return "clear counters\r\nClear \"show interface\" counters on all interfaces "
                   "[confirm]";
        }
        if (line.empty()) {
            ++questions;
            return "\r\nr1>";
        }
        return std::nullopt;
    };
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        CommandOptions options;
        Answer yes;
        yes.question = "[confirm]";
        options.dialogue.push_back(yes);
        co_await cli.send_command("clear counters", options);
        CHECK(questions == 1);
    });
}

TEST_CASE("what would ask for help is sent as it stands, and a command is one line") {
    FakeRouter router;
    std::string raw;
    with_cli(router, [&](Cli& cli) -> Coro<void> {
        co_await cli.send_command("show ip route | include what?");
        CHECK(router.received.back() == "show ip route | include what?");
        CHECK_THROWS_AS(co_await cli.send_command("show clock\nreload"), ValueError);
    });
}

TEST_CASE("a configuration is saved when the device says so, and only then") {
    FakeRouter router;
    router.mode = "privileged";
    SUBCASE("saved") {
        router.answers["write memory"] = "Building configuration...\n[OK]\n";
        with_cli(router, [&](Cli& cli) -> Coro<void> {
            CHECK((co_await cli.save()) == "Building configuration... / [OK]");
        });
    }
    SUBCASE("after a question") {
        router.special = [&](const std::string& line) -> std::optional<std::string> {
            if (line == "write memory") {
                return "write memory\r\nOverwrite the previous NVRAM configuration?[confirm]";
            }
            if (line.empty()) {
                return "\r\nBuilding configuration...\r\n[OK]\r\nr1#";
            }
            return std::nullopt;
        };
        with_cli(router,
                 [&](Cli& cli) -> Coro<void> { CHECK(contains(co_await cli.save(), "[OK]")); });
    }
    SUBCASE("busy") {
        router.answers["write memory"] =
            "startup-config file open failed (Device or resource busy)\n";
        const auto error = failure_of(router, [](Cli& cli) -> Coro<void> { co_await cli.save(); });
        CHECK(contains(error.reason(), "was not saved: startup-config file open failed"));
    }
    SUBCASE("nothing to save") {
        const auto error = failure_of(
            router, [](Cli& cli) -> Coro<void> { co_await cli.save(); }, fake_device("generic"));
        CHECK(contains(error.reason(), "has nothing to save"));
    }
}

TEST_CASE("an unknown platform is refused with the ones there are") {
    FakeRouter router;
    const Failure failure = open_failure(router, fake_device("cisco_nxos"));
    CHECK(failure.reason == "nothing is known of the platform `cisco_nxos`");
    CHECK(failure.remedy == "use one of: cisco_ios, frr, generic, linux");
}

TEST_CASE("limits: the device's come before the program's, those before the platform's") {
    Device device = fake_device();
    const Platform& platform = *find_platform("cisco_ios");
    TimeoutOverrides program;
    program.command = 7s;
    program.save = 8s;
    CHECK(limits_for(device, platform).command == platform.timeouts.command);
    CHECK(limits_for(device, platform, program).command == 7s);
    CHECK(limits_for(device, platform, program).save == 8s);
    device.timeouts.command = 9s;
    device.timeouts.connect = 1s;
    CHECK(limits_for(device, platform, program).command == 9s);
    CHECK(limits_for(device, platform, program).config_line == 9s);
    CHECK(limits_for(device, platform, program).connect == 1s);
}
