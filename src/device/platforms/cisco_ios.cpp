#include "builtin.hpp"

namespace muster::device::builtin {

Platform cisco_ios() {
    Platform p;
    p.name = "cisco_ios";
    p.aliases = {"cisco_xe", "cisco_iosxe",   "ios",         "iosxe",
                 "ios_xe",   "cisco.ios.ios", "cisco_ios_xe"};

    p.prompts = {
        {.mode = Mode::exec, .end = '>'},
        {.mode = Mode::privileged, .end = '#'},
        {.mode = Mode::other, .end = '#', .context = "tcl"},
        // Not all begin with "config": (dhcp-config), (ca-trustpoint), (cfg-crypto-trans), (vlan).
        {.mode = Mode::config, .end = '#', .context = "*"},
    };
    // `router-1(config)#` shows 20 characters of the host name, `router-1#` all of it.
    p.config_name_limit = 20;

    p.login_dialogue = {
        {.question = "username:", .what = Answer::What::username},
        {.question = "password:", .what = Answer::What::password},
        {.question = "press return to get started!"},
        {.question = "press return to get started."},
        {.question = "press any key to continue"},
    };
    // The width first: at 80 columns the next echo could already be wrapped.
    p.on_open = {"terminal width 511", "terminal length 0"};
    p.pagers = {{.line = "--More--"}};

    p.transitions = {
        {.from = Mode::exec,
         .to = Mode::privileged,
         .command = "enable",
         .dialogue = {{.question = "password:", .what = Answer::What::enable_secret},
                      {.question = "username:", .what = Answer::What::username}},
         .refusals = {{.text = "% Bad secrets"},
                      {.text = "% Bad passwords"},
                      {.text = "% Access denied"},
                      {.text = "% Error in authentication"},
                      {.text = "% Authentication failed"},
                      {.text = "% No password set"},
                      {.text = "% Authorization failed"}}},
        {
            .from = Mode::privileged,
            .to = Mode::exec,
            .command = "disable",
        },
        {.from = Mode::privileged,
         .to = Mode::config,
         .command = "configure terminal",
         .refusals = {{.text = "% Configuration mode is locked"},
                      {.text = "Configuration mode is locked"}}},
        {
            .from = Mode::config,
            .to = Mode::privileged,
            .command = "end",
        },
    };

    p.text_begins = {{.text = "Enter TEXT message"},
                     {.text = "Enter the certificate"},
                     {.text = "Enter macro commands"}};
    p.literal_next = "\x16";
    // The configuration file says what is wanted, so the answer is yes.
    p.config_dialogue = {
        {.question = "[confirm]"},
        {.question = "[yes/no]:", .reply = "yes"},
        {.question = "[yes]:", .reply = "yes"},
        {.question = "[no]:", .reply = "yes"},
        {.question = "(y/n)?", .reply = "y"},
        {.question = "(y/n)", .reply = "y"},
    };

    p.errors = {
        {.text = "% Invalid"},
        {.text = "%Invalid"},
        {.text = "% Incomplete command"},
        {.text = "% Ambiguous command"},
        {.text = "% Unknown command"},
        {.text = "% Unrecognized"},
        {.text = "% Bad "},
        {.text = "% Error"},
        {.text = "%Error"},
        {.text = "%ERROR"},
        {.text = "% Cannot"},
        {.text = "% Can't"},
        {.text = "% Could not"},
        {.text = "% Failed"},
        {.text = "% Permission denied"},
        {.text = "% Access denied"},
        {.text = "% Please define a domain-name first"},
        {.text = "% Please define a hostname"},
        {.text = "Command authorization failed"},
        {.text = "% Authorization failed"},
        {.text = "Command rejected"},
        {.text = "%Command rejected"},
        {.text = "Bad mask"},
        {.text = "overlaps with", .anywhere = true},
        {.text = "command rejected:", .anywhere = true},
    };
    p.harmless = {
        {.text = "% Generating"},
        {.text = "% The key modulus size is"},
        {.text = "% The subject name"},
        {.text = "% Key pair was generated"},
        {.text = "% Applying VLAN changes"},
        {.text = "% Applying changes"},
        {.text = "%Portfast has been configured"},
        {.text = "%Warning: portfast should only be enabled"},
        {.text = "% Warning: use /31 mask on non point-to-point interface cautiously"},
        {.text = "% OSPF: Reference bandwidth is changed"},
    };

    p.save.command = "write memory";
    p.save.dialogue = {
        {.question = "[confirm]"},
        {.question = "[startup-config]?"},
        {.question = "[yes/no]:", .reply = "yes"},
    };
    p.save.success = {{.text = "[OK]", .anywhere = true},
                      {.text = "bytes copied in", .anywhere = true},
                      {.text = "Copy complete", .anywhere = true}};
    p.version_command = "show version";
    p.config_command = "show running-config";
    p.can.save = true;
    return p;
}

} // namespace muster::device::builtin
