#include <muster/device/config_text.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace muster::device;

namespace {

using Commands = std::vector<std::pair<std::size_t, std::string>>;

Commands read(std::string_view text, ConfigSyntax syntax = ConfigSyntax::cisco) {
    Commands result;
    const ConfigText parsed = ConfigText::parse(text, {.source = "x.cfg", .syntax = syntax});
    for (const ConfigCommand& command : parsed.commands()) {
        result.emplace_back(command.line, command.text);
    }
    return result;
}

std::string failure(std::string_view text) {
    try {
        read(text);
    } catch (const ConfigTextError& error) {
        return error.what();
    }
    return "accepted";
}

} // namespace

TEST_CASE("comments and blank lines are left out, and line numbers are the file's") {
    const Commands expected = {{2, "hostname r1"},
                               {5, "interface Ethernet0"},
                               {6, " no shutdown"},
                               {9, "ntp server 10.0.0.1"}};
    CHECK(read("!\nhostname r1\n\n! the uplink\ninterface Ethernet0\n no shutdown  \n!\n # note\n"
               "ntp server 10.0.0.1") == expected);
}

TEST_CASE("line ends and a byte order mark of other systems do no harm") {
    const Commands expected = {
        {1, "hostname r1"}, {2, "interface Ethernet0"}, {3, "  no shutdown"}};
    CHECK(read("\xEF\xBB\xBFhostname r1\r\ninterface Ethernet0\r\n\t no shutdown\r\n") == expected);
}

TEST_CASE("an empty file has no commands") {
    CHECK(read("").empty());
    CHECK(read("!\n\n   \n").empty());
}

TEST_CASE("a banner is one command, whatever its delimiter") {
    CHECK(read("banner motd #\nKeep out!\n\n! really\n#\nhostname r1\n") ==
          Commands{{1, "banner motd #\nKeep out!\n\n! really\n#"}, {6, "hostname r1"}});
    CHECK(read("banner login @Keep out@\nhostname r1") ==
          Commands{{1, "banner login @Keep out@"}, {2, "hostname r1"}});
    CHECK(read("hostname r1\nbanner exec zHello\nworldz trailing\nend") ==
          Commands{{1, "hostname r1"}, {2, "banner exec zHello\nworldz"}});
    CHECK(read("banner ~\nx\n~") == Commands{{1, "banner ~\nx\n~"}});
    CHECK(read("aaa authentication banner %\nx\n%") ==
          Commands{{1, "aaa authentication banner %\nx\n%"}});
    CHECK(read("no banner motd\nhostname x") == Commands{{1, "no banner motd"}, {2, "hostname x"}});
}

TEST_CASE(
    "a banner delimited as show running-config writes it gets a delimiter that can be typed") {
    CHECK(read("banner motd ^C\nKeep out\n^C\nhostname r1") ==
          Commands{{1, "banner motd ^\nKeep out\n^"}, {4, "hostname r1"}});
    CHECK(read("banner motd ^CKeep ^out^C") == Commands{{1, "banner motd ~Keep ^out~"}});
    CHECK(read("banner motd \x03\nKeep out\n\x03\n") ==
          Commands{{1, "banner motd ^\nKeep out\n^"}});
    // A user who delimits by ^ may well begin his text with a C.
    CHECK(read("banner motd ^Company^\nhostname r1") ==
          Commands{{1, "banner motd ^Company^"}, {2, "hostname r1"}});
}

TEST_CASE("banners of other systems keep their form") {
    CHECK(read("banner motd line Keep out\nhostname r1") ==
          Commands{{1, "banner motd line Keep out"}, {2, "hostname r1"}});
    CHECK(read("banner motd default\n") == Commands{{1, "banner motd default"}});
    CHECK(read("banner motd\nKeep out\nEOF\nhostname r1") ==
          Commands{{1, "banner motd\nKeep out\nEOF"}, {4, "hostname r1"}});
}

TEST_CASE("certificates, key strings and macros are one command each") {
    CHECK(read("crypto pki certificate chain TP-1\n certificate self-signed 01\n  3082022B\n"
               "  30820194\n  \tquit\n certificate ca 02\n  AB\n  quit\nhostname r1\n") ==
          Commands{{1, "crypto pki certificate chain TP-1"},
                   {2, " certificate self-signed 01\n  3082022B\n  30820194\n   quit"},
                   {6, " certificate ca 02\n  AB\n  quit"},
                   {9, "hostname r1"}});
    CHECK(
        read("crypto pki certificate chain TP-1\n certificate self-signed 01 nvram:IOS#1.cer\nx") ==
        Commands{{1, "crypto pki certificate chain TP-1"},
                 {2, " certificate self-signed 01 nvram:IOS#1.cer"},
                 {3, "x"}});
    CHECK(read("  key-string\n   AAAA\n   exit\nx") ==
          Commands{{1, "  key-string\n   AAAA\n   exit"}, {4, "x"}});
    CHECK(read(" key-string 7 0822455D\nx") == Commands{{1, " key-string 7 0822455D"}, {2, "x"}});
    CHECK(read("macro name m\nswitchport\n@\nx") ==
          Commands{{1, "macro name m\nswitchport\n@"}, {4, "x"}});
    // Not in a chain: an ordinary command.
    CHECK(read("certificate one\nx") == Commands{{1, "certificate one"}, {2, "x"}});
}

TEST_CASE("the lines of a command are found again") {
    const ConfigText text = ConfigText::parse("banner motd #\nKeep out\n\n#");
    REQUIRE(text.size() == 1);
    const std::vector<std::string_view> expected = {"banner motd #", "Keep out", "", "#"};
    CHECK(text.commands()[0].lines() == expected);
}

TEST_CASE("the frame of show running-config is not configuration") {
    CHECK(read("Building configuration...\n\nCurrent configuration : 1234 bytes\n!\nhostname "
               "r1\nend\n") == Commands{{5, "hostname r1"}});
    CHECK(read("configure terminal\nhostname r1\nend\n!\n\n") == Commands{{2, "hostname r1"}});
}

TEST_CASE("a construct that never ends is an error that names its first line") {
    CHECK(failure("hostname r1\nbanner motd #\nKeep out\n") ==
          "x.cfg:2: `banner motd` has no second `#`, the delimiter that must end its text");
    CHECK(failure("banner motd ^C\nKeep out\n") ==
          "x.cfg:1: `banner motd` has no second `^C`, the delimiter that must end its text");
    CHECK(failure("crypto pki certificate chain T\n certificate 01\n  AB\n") ==
          "x.cfg:2: `certificate 01` has no `quit` line that ends it");
    CHECK(failure("banner login\nKeep out\n") ==
          "x.cfg:1: `banner login` has no `EOF` line that ends it");
}

TEST_CASE("commands after end would be executed, not configured: an error") {
    CHECK(failure("hostname r1\nend\n! note\nreload\n") ==
          "x.cfg:2: `end` leaves configuration mode, but line 4 has another command; remove it");
}

TEST_CASE("control characters, which a terminal would obey, are an error") {
    CHECK(failure("hostname r1\nhost\x03name\n") ==
          "x.cfg:2: control character 0x03: a terminal would act on it; remove it");
    CHECK(failure(std::string_view("a\0b", 3)) ==
          "x.cfg:1: control character 0x00: a terminal would act on it; remove it");
    CHECK(
        failure("banner motd #\na\x1b[2J\n#\n").starts_with("x.cfg:3: the banner that ends here"));
    try {
        read("\n\n\x7f");
        FAIL("accepted");
    } catch (const ConfigTextError& error) {
        CHECK(error.line() == 3);
        CHECK(error.source() == "x.cfg");
    }
}

TEST_CASE("plain syntax knows comments and nothing else") {
    CHECK(read("# set up\nuname -a\n\n! history\nbanner motd #\nend\n", ConfigSyntax::plain) ==
          Commands{{2, "uname -a"}, {4, "! history"}, {5, "banner motd #"}, {6, "end"}});
}
