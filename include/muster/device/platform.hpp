#pragma once
/// What muster knows of a kind of device, as data: a new platform needs no code.

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// `= {}` on fields of class type lets designated initialisers leave them out without a warning.

namespace muster::device {

/// Where a command line stands. `other` is a mode that is recognised but not worked in (`(tcl)#`).
enum class Mode { none, exec, privileged, config, other };

/// "exec", "privileged", "configuration", ...
[[nodiscard]] std::string_view to_string(Mode mode) noexcept;

/// How the prompt of one mode looks: NAME, then `(CONTEXT...)` where there is one, then the end
/// character and at most one blank: `edge-1(config-if)#`.
struct PromptShape {
    Mode mode = Mode::none;
    /// The character the prompt ends with.
    char end = '#';
    /// What the text in parentheses begins with; `*`: anything; empty: there are no parentheses.
    /// The first shape of a platform that fits counts.
    std::string context = {};
    /// The prompt is NAME:STATUS and the end: the last command's exit status, in decimal.
    bool exit_status = false;
};

/// A question a device asks in place of its prompt, and what to say to it.
struct Answer {
    enum class What { text, username, password, enable_secret };

    /// The end of the last line, blanks and letter case aside: `[confirm]`, `password:`.
    std::string question;
    /// What is sent, without the newline. A secret is sent at most once per dialogue: a device
    /// that asks again has refused it.
    std::string reply = {};
    What what = What::text;
    /// `false`: the reply goes out without a newline (`y` at a single-key question).
    bool newline = true;
};

/// What a device shows on the last line while it waits for a key to go on with its output.
struct Pager {
    /// The whole line, blanks around it aside.
    std::string line;
    std::string reply = " ";
};

/// Text in a device's output that means something.
struct Marker {
    std::string text;
    /// `false`: only at the start of a line, blanks and letter case aside.
    bool anywhere = false;
};

/// How one mode is left for another.
struct Transition {
    Mode from = Mode::none;
    Mode to = Mode::none;
    std::string command;
    std::vector<Answer> dialogue = {};
    /// Output that means the device refuses, beside the platform's error markers.
    std::vector<Marker> refusals = {};
};

/// How the running configuration is made permanent.
struct SaveProcedure {
    /// Empty: the platform has nothing to save.
    std::string command;
    std::vector<Answer> dialogue = {};
    /// The save counts only when one of these was printed.
    std::vector<Marker> success = {};
};

/// What muster can do on a platform. An option that needs more is refused before anything is sent.
struct Capabilities {
    bool save = false;
    bool dry_run = false;
    bool diff = false;
    bool commit_confirm = false;
    bool rollback = false;
};

/// Limits for each phase of a session; a device or a call may set its own.
struct PhaseTimeouts {
    std::chrono::milliseconds connect{15'000};
    std::chrono::milliseconds authenticate{30'000};
    /// From the opened shell to the first prompt, and for each command sent on open.
    std::chrono::milliseconds prompt{30'000};
    /// For a command's whole output.
    std::chrono::milliseconds command{60'000};
    /// For each configuration line.
    std::chrono::milliseconds config_line{30'000};
    std::chrono::milliseconds save{120'000};
};

/// How configuration files for a platform are read: see `ConfigText`.
enum class ConfigSyntax {
    /// `!` comments, banners with a delimiter, certificate blocks.
    cisco,
    /// One command a line, `#` comments.
    plain,
};

/// A kind of device.
struct Platform {
    std::string name;
    /// What netmiko, NAPALM, scrapli, nornir and Ansible call it.
    std::vector<std::string> aliases;

    std::vector<PromptShape> prompts;
    /// What a host name in a prompt consists of, beside letters and digits.
    std::string name_characters = "._-@/:";
    /// To how many characters the host name is cut in the prompts of configuration modes; 0: never.
    std::size_t config_name_limit = 0;

    /// Does the device echo what is typed?
    bool echoes = true;
    /// Does it offer an exec channel per command, with an exit status (a POSIX system)?
    bool exec_channel = false;
    /// Replaces a shell whose prompt can't be known by one whose prompt is: sent as the first line,
    /// before any prompt. `{1}` and `{2}` stand for the halves of a random word; the prompt then is
    /// the word, `:`, the last exit status, `> `. Halves, so that the echo does not look like it.
    std::string take_over;

    /// Questions that may come before the first prompt.
    std::vector<Answer> login_dialogue;
    /// Sent at the first prompt, in order; refusals are ignored.
    std::vector<std::string> on_open;
    std::vector<Pager> pagers;

    std::vector<Transition> transitions;
    ConfigSyntax config_syntax = ConfigSyntax::cisco;
    /// What the device says when it takes the lines that follow as text, without a prompt for each,
    /// until they end as the command said: banners, certificates.
    std::vector<Marker> text_begins;
    /// Sent before a `?`, which would ask for help; empty: it would not.
    std::string literal_next;
    /// Questions a configuration line may raise.
    std::vector<Answer> config_dialogue;

    /// A line that says that a command was refused.
    std::vector<Marker> errors;
    /// `%` lines that mean nothing bad. A `%` line that is neither is a warning.
    std::vector<Marker> harmless;

    SaveProcedure save;
    /// What shows the version, for `fetch(device)`.
    std::string version_command;
    /// What shows the running configuration; empty: nothing does.
    std::string config_command;
    Capabilities can;
    PhaseTimeouts timeouts;

    /// The way from one mode to another; null when there is none.
    [[nodiscard]] const Transition* transition(Mode from, Mode to) const noexcept;
};

/// The platform of that name or alias, null when there is none. Letter case, `-` for `_` and
/// netmiko's `_ssh` endings do not matter. The platform lives as long as the program.
[[nodiscard]] const Platform* find_platform(std::string_view name_or_alias);

/// The names (not the aliases) of all platforms, sorted.
[[nodiscard]] std::vector<std::string_view> platform_names();

} // namespace muster::device
