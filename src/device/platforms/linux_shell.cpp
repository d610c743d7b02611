#include "builtin.hpp"

namespace muster::device::builtin {

// Any POSIX system behind an ordinary shell account.
Platform linux_shell() {
    Platform p;
    p.name = "linux";
    p.aliases = {"posix", "unix", "debian", "ubuntu", "cumulus", "cumulus_linux", "sonic"};

    // A user's prompt can be anything, and so can his shell: run a plain one under a prompt of our
    // own. Spelt so that sh, bash, zsh, csh and fish all read it alike. ENV is emptied because sh
    // would run the file it names, which may set another prompt.
    p.take_over = "exec env ENV= PS2= PS1='{1}''{2}:$?> ' TERM=dumb PAGER=cat LC_ALL=C sh -i";
    p.on_open = {"stty -echo"};
    p.prompts = {{.mode = Mode::privileged, .end = '>', .exit_status = true}};
    p.echoes = false;
    p.exec_channel = true;

    p.config_syntax = ConfigSyntax::plain;
    p.version_command = "uname -a";
    return p;
}

} // namespace muster::device::builtin
