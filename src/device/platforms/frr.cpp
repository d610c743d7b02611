#include "builtin.hpp"

namespace muster::device::builtin {

// FRRouting's vtysh, as a login shell or behind sshd's ForceCommand.
Platform frr() {
    Platform p;
    p.name = "frr";
    p.aliases = {"frrouting", "frr_vtysh", "vtysh", "frr.frr.frr"};

    p.prompts = {
        {.mode = Mode::exec, .end = '>'},
        {.mode = Mode::privileged, .end = '#'},
        {.mode = Mode::config, .end = '#', .context = "config"},
    };
    p.login_dialogue = {{.question = "password:", .what = Answer::What::password}};
    p.on_open = {"terminal length 0"};
    // `terminal paginate` gives less.
    p.pagers = {{.line = "--More--"}, {.line = ":"}, {.line = "(END)", .reply = "q"}};

    p.transitions = {
        {.from = Mode::exec,
         .to = Mode::privileged,
         .command = "enable",
         .dialogue = {{.question = "password:", .what = Answer::What::enable_secret}},
         .refusals = {{.text = "% Bad passwords"}, {.text = "% Wrong password"}}},
        {
            .from = Mode::privileged,
            .to = Mode::exec,
            .command = "disable",
        },
        {.from = Mode::privileged,
         .to = Mode::config,
         .command = "configure terminal",
         .refusals = {{.text = "VTY configuration is locked"},
                      {.text = "% Configuration is locked"}}},
        {
            .from = Mode::config,
            .to = Mode::privileged,
            .command = "end",
        },
    };

    p.literal_next = "\x16";
    p.errors = {
        {.text = "% Unknown command"},
        {.text = "% Command incomplete"},
        {.text = "% Ambiguous command"},
        {.text = "% Configuration failed"},
        {.text = "% Failed"},
        {.text = "% Invalid"},
        {.text = "% Malformed"},
        {.text = "% Can't"},
        {.text = "% Cannot"},
        {.text = "% Could not"},
        {.text = "% There is no matched command"},
        {.text = "Error type:"},
    };

    p.save.command = "write memory";
    p.save.success = {{.text = "[OK]", .anywhere = true},
                      {.text = "onfiguration saved to", .anywhere = true}};
    p.version_command = "show version";
    p.config_command = "show running-config";
    p.can.save = true;
    return p;
}

} // namespace muster::device::builtin
