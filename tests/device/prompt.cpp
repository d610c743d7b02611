#include <muster/device/prompt.hpp>
#include <muster/device/terminal_text.hpp>

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>

using namespace muster::device;

namespace {

using Strength = PromptMatch::Strength;

const Platform& ios() { return *find_platform("cisco_ios"); }

PromptMatcher knowing(const char* name, const Platform& platform = ios()) {
    PromptMatcher matcher(platform);
    matcher.learn_name(name);
    return matcher;
}

/// Feeds terminal bytes as a session does and says what the matcher thinks at the end.
PromptMatch after(PromptMatcher& matcher, std::string_view bytes) {
    TerminalText text;
    text.feed(bytes);
    std::string_view lines = text.lines();
    while (!lines.empty()) {
        const std::size_t end = lines.find('\n');
        matcher.complete_line(lines.substr(0, end));
        lines.remove_prefix(end + 1);
    }
    return matcher.match(text.line());
}

} // namespace

TEST_CASE("prompts are recognised by their shape before the host name is known") {
    struct Row {
        const char* platform;
        const char* line;
        Mode mode;
        const char* name;
        const char* context;
    };

    const Row rows[] = {
        {"cisco_ios", "r1>", Mode::exec, "r1", ""},
        {"cisco_ios", "r1#", Mode::privileged, "r1", ""},
        {"cisco_ios", "r1# ", Mode::privileged, "r1", ""},
        {"cisco_ios", "edge-1.ams_a@x/y:z#", Mode::privileged, "edge-1.ams_a@x/y:z", ""},
        {"cisco_ios", "r1(config)#", Mode::config, "r1", "config"},
        {"cisco_ios", "r1(config-if)#", Mode::config, "r1", "config-if"},
        {"cisco_ios", "r1(dhcp-config)#", Mode::config, "r1", "dhcp-config"},
        {"cisco_ios", "r1(ca-trustpoint)#", Mode::config, "r1", "ca-trustpoint"},
        {"cisco_ios", "r1(tcl)#", Mode::other, "r1", "tcl"},
        {"cisco_ios", "fw1/pri/act#", Mode::privileged, "fw1/pri/act", ""},
        {"cisco_ios", "r1-stby>", Mode::exec, "r1-stby", ""},
        {"frr", "vm# ", Mode::privileged, "vm", ""},
        {"frr", "vm> ", Mode::exec, "vm", ""},
        {"frr", "vm(config-router)# ", Mode::config, "vm", "config-router"},
        {"generic", "user@host:~$ ", Mode::exec, "user@host:~", ""},
        {"generic", "host%", Mode::exec, "host", ""},
        {"generic", "sw(config)# ", Mode::config, "sw", "config"},
    };
    for (const Row& row : rows) {
        CAPTURE(std::string(row.platform));
        CAPTURE(std::string(row.line));
        const PromptMatcher matcher(*find_platform(row.platform));
        const PromptMatch found = matcher.match(row.line);
        CHECK(found.strength == Strength::likely);
        CHECK(found.mode == row.mode);
        CHECK(found.name == row.name);
        CHECK(found.context == row.context);
        CHECK(found.position == 0);
    }
}

TEST_CASE("what is no prompt is not taken for one") {
    const PromptMatcher matcher(ios());
    for (const char* line :
         {"", " ", "r1", "r1#x", "#", ">", "-----#", "====>", "r1()#", "interface Gi0/1",
          "Username:", "r1$", "r1#   ", "a(b)c(#", "--More--",
          "x123456789012345678901234567890123456789012345678901234567890123456789#"}) {
        CAPTURE(std::string(line));
        CHECK_FALSE(matcher.match(line));
    }
}

TEST_CASE("a banner without a newline glues to the first prompt") {
    const PromptMatcher matcher(ios());
    const PromptMatch found = matcher.match("Authorised access only! r1#");
    CHECK(found.strength == Strength::likely);
    CHECK(found.name == "r1");
    CHECK(found.position == 24);
}

TEST_CASE("the device's own prompt alone on its line is certain, other shapes are likely") {
    const PromptMatcher matcher = knowing("r1");
    CHECK(matcher.match("r1#").strength == Strength::certain);
    CHECK(matcher.match("r1>").strength == Strength::certain);
    CHECK(matcher.match("r1(config-if)#").strength == Strength::certain);
    CHECK(matcher.match("r2#").strength == Strength::likely);
    CHECK(matcher.match("r2#").name == "r2");
    const PromptMatch glued = matcher.match("no newline at the end of this filer1#");
    CHECK(glued.strength == Strength::likely);
    CHECK(glued.name == "r1");
    CHECK(glued.position == 34);
}

TEST_CASE("the host name in configuration prompts is cut to 20 characters on IOS") {
    const PromptMatcher matcher = knowing("amsterdam-core-router-01");
    CHECK(matcher.match("amsterdam-core-router-01#").strength == Strength::certain);
    const PromptMatch cut = matcher.match("amsterdam-core-route(config-if)#");
    CHECK(cut.strength == Strength::certain);
    CHECK(cut.name == "amsterdam-core-router-01");
    CHECK(cut.mode == Mode::config);
    // Only there, and only to that length.
    CHECK(matcher.match("amsterdam-core-route#").strength == Strength::likely);
    CHECK(matcher.match("amsterdam-core(config)#").strength == Strength::likely);
    CHECK(knowing("amsterdam-core-router-01", *find_platform("frr"))
              .match("amsterdam-core-route(config)#")
              .strength == Strength::likely);
}

TEST_CASE("a host name that is changed in configuration mode is seen whole") {
    const PromptMatcher matcher = knowing("r1");
    const PromptMatch found = matcher.match("bar1(config)#");
    CHECK(found.strength == Strength::likely);
    CHECK(found.name == "bar1");
    CHECK(found.position == 0);
}

TEST_CASE("a host name with parentheses is learned as it stands") {
    PromptMatcher matcher(ios());
    matcher.learn(matcher.match("r1(lab)#"));
    CHECK(matcher.name() == "r1(lab)");
    CHECK(matcher.match("r1(lab)#").mode == Mode::privileged);
    CHECK(matcher.match("r1(lab)#").strength == Strength::certain);
    CHECK(matcher.match("r1(lab)(config)#").mode == Mode::config);
}

TEST_CASE("a shell whose prompt was set by us shows the exit status") {
    const PromptMatcher matcher = knowing("muster-5f3a", *find_platform("linux"));
    const PromptMatch ok = matcher.match("muster-5f3a:0> ");
    CHECK(ok.strength == Strength::certain);
    CHECK(ok.exit_status == 0);
    CHECK(matcher.match("muster-5f3a:127> ").exit_status == 127);
    CHECK(matcher.match("xmuster-5f3a:1> ").strength == Strength::likely);
    for (const char* line :
         {"user@host> ", "muster-5f3a> ", "muster-5f3a:> ", "muster-5f3b:0> ", "a:1>"}) {
        CAPTURE(std::string(line));
        CHECK_FALSE(matcher.match(line));
    }
}

TEST_CASE("log messages after the prompt leave it a prompt") {
    constexpr const char* log =
        "*Mar  1 00:00:07.123: %SYS-5-CONFIG_I: Configured from console\r\n";
    SUBCASE("on lines of their own") {
        PromptMatcher matcher = knowing("r1");
        const PromptMatch found =
            after(matcher, std::string("text\r\nr1#\r\n") + log + "\r\n" + log);
        CHECK(found.strength == Strength::likely);
        CHECK(found.followed_by_log);
        CHECK(found.mode == Mode::privileged);
    }
    SUBCASE("glued to it") {
        PromptMatcher matcher = knowing("r1");
        const PromptMatch found = after(matcher, std::string("r1(config)#") + log);
        CHECK(found.followed_by_log);
        CHECK(found.context == "config");
    }
    SUBCASE("but not while one is incomplete") {
        PromptMatcher matcher = knowing("r1");
        CHECK_FALSE(after(matcher, "r1#\r\n*Mar  1 00:00:07.123: %SYS-5-CON"));
    }
    SUBCASE("and nothing else may follow") {
        PromptMatcher matcher = knowing("r1");
        CHECK_FALSE(after(matcher, std::string("r1#\r\n") + log + "interface Ethernet0\r\n" + log));
    }
    SUBCASE("a prompt and a blank line is not enough") {
        PromptMatcher matcher = knowing("r1");
        CHECK_FALSE(after(matcher, "r1#\r\n\r\n"));
    }
    SUBCASE("another name is not taken for the device's") {
        // `hostname r2` may have been configured; who reads has to think twice.
        PromptMatcher matcher = knowing("r1");
        CHECK(after(matcher, std::string("r2(config)#\r\n") + log).name == "r2");
        CHECK_FALSE(after(matcher, std::string("not r1#\r\n") + log));
    }
    SUBCASE("before the host name is known, too") {
        PromptMatcher matcher(ios());
        const PromptMatch found = after(matcher, std::string("Keep out\r\nr1>\r\n") + log);
        CHECK(found.name == "r1");
        CHECK(found.strength == Strength::likely);
        CHECK(found.followed_by_log);
    }
    SUBCASE("a command sent since makes it an old one") {
        PromptMatcher matcher = knowing("r1");
        CHECK(after(matcher, std::string("r1#\r\n") + log));
        matcher.forget_lines();
        CHECK_FALSE(after(matcher, log));
    }
    SUBCASE("redrawn after them it is certain") {
        PromptMatcher matcher = knowing("r1");
        CHECK(after(matcher, std::string("r1#\r\n") + log + "r1#").strength == Strength::certain);
    }
}

namespace {

/// About 5 MB of output of all kinds: short and long lines, lines that look like prompts.
std::string much_output() {
    std::string output;
    std::mt19937 random(11);
    while (output.size() < 5'000'000) {
        switch (std::uniform_int_distribution<int>(0, 5)(random)) {
        case 0:
            output += "interface GigabitEthernet0/0/1\r\n";
            break;
        case 1:
            output += "r1#\r\n*Mar  1 00:00:07.123: %SYS-5-CONFIG_I: Configured\r\n";
            break;
        case 2:
            output += "router#show version\r\n";
            break;
        case 3:
            output += "BGP >>>>> 10.0.0.0/8 (config) > # r1# text\r\n";
            break;
        case 4:
            output += std::string(300, 'a') + ">\r\n";
            break;
        default:
            output += "\x1b[1m*>i10.1.2.0/24\x1b[0m     192.0.2.1     0    100      0 65000 i\r\n";
            break;
        }
    }
    return output + "r1#";
}

/// Feeds the output in pieces and looks for a prompt after each; gives the work the matcher did.
std::size_t work(std::string_view output, std::size_t piece, bool known, bool& found) {
    TerminalText text;
    PromptMatcher matcher(ios());
    if (known) {
        matcher.learn_name("r1");
    }
    PromptMatch match;
    while (!output.empty()) {
        const std::size_t size = std::min(piece, output.size());
        text.feed(output.substr(0, size));
        output.remove_prefix(size);
        std::string_view lines = text.lines();
        while (!lines.empty()) {
            const std::size_t end = lines.find('\n');
            matcher.complete_line(lines.substr(0, end));
            lines.remove_prefix(end + 1);
        }
        text.drop_lines();
        match = matcher.match(text.line());
    }
    found = static_cast<bool>(match);
    return matcher.examined();
}

} // namespace

TEST_CASE("the work is linear in the output, whatever the pieces") {
    const std::string output = much_output();
    for (const bool known : {false, true}) {
        for (const std::size_t piece :
             {std::size_t{1}, std::size_t{3}, std::size_t{1000}, output.size()}) {
            CAPTURE(known);
            CAPTURE(piece);
            bool found = false;
            CHECK(work(output, piece, known, found) < 2 * output.size());
            CHECK(found);
        }
    }
}

TEST_CASE("a line of 5 MB without an end costs no more") {
    const std::string output(5'000'000, '#');
    bool found = false;
    CHECK(work(output, 1, true, found) < 8 * output.size());
    CHECK_FALSE(found);
}
