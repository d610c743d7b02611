#include "builtin.hpp"

namespace muster::device::builtin {

// A command line nothing is known of, except that its prompt ends as prompts do. Reads well, and
// sends configuration lines as they are; modes have to be entered by the user's own commands.
Platform generic() {
    Platform p;
    p.name = "generic";
    p.aliases = {"terminal_server", "generic_termserver", "autodetect"};

    p.prompts = {
        {.mode = Mode::config, .end = '#', .context = "config"},
        {.mode = Mode::privileged, .end = '#'},
        {.mode = Mode::exec, .end = '>'},
        {.mode = Mode::exec, .end = '$'},
        {.mode = Mode::exec, .end = '%'},
    };
    p.name_characters = "._-@/:~[]";
    p.login_dialogue = {
        {.question = "username:", .what = Answer::What::username},
        {.question = "login:", .what = Answer::What::username},
        {.question = "password:", .what = Answer::What::password},
    };
    p.pagers = {{.line = "--More--"},
                {.line = "<--- More --->"},
                {.line = "---(more)---"},
                {.line = "(END)", .reply = "q"}};
    p.errors = {
        {.text = "% Invalid"},
        {.text = "% Unknown command"},
        {.text = "% Incomplete command"},
        {.text = "% Ambiguous command"},
        {.text = "syntax error"},
        {.text = "unknown command"},
        {.text = "Command authorization failed"},
    };
    p.version_command = "show version";
    return p;
}

} // namespace muster::device::builtin
