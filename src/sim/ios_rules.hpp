#pragma once
// What the virtual IOS understands: its commands, mode by mode, as data.

#include "grammar.hpp"

#include <cstddef>
#include <span>
#include <string_view>

namespace muster::sim {

/// The prompts a session can be at.
enum class Mode {
    user,
    privileged,
    config,
    interface,
    subinterface,
    router,
    address_family,
    line,
    vlan,
    acl_standard,
    acl_extended,
    route_map,
    vrf,
    archive,
};

/// What a prompt in `mode` shows between the name and `#`, such as `config-if`.
std::string_view mode_name(Mode mode);

inline bool is_config(Mode mode) { return mode > Mode::privileged; }

/// What a configuration line does besides being remembered.
enum class Effect {
    store,
    enter,  ///< opens a section and goes to its mode
    toggle, ///< remembered in its `no` form too, because IOS shows both
    on,     ///< on by default: only the `no` form is shown
    hostname,
    banner,
    secret, ///< the last word is a secret, kept and shown as a hash only
    interface,
    bgp,
    accept, ///< understood, leaves no trace
    exit,
    end,
    exec, ///< `do ...`
};

/// A configuration command.
struct Rule {
    std::string_view pattern;
    int rank = 0;        ///< place in `show running-config`
    std::size_t key = 0; ///< words which identify the line, a new one replaces it; 0: all
    Effect effect = Effect::store;
    Mode enters = Mode::config;
};

/// The rules of a configuration mode, and the grammar which indexes them.
std::span<const Rule> rules_of(Mode mode);
const Grammar& grammar_of(Mode mode);

/// Commands of the two exec modes.
enum class Command {
    enable,
    disable,
    configure,
    quit,
    show_running,
    show_running_interface,
    show_startup,
    show_version,
    show_ip_interface_brief,
    show_interfaces,
    show_interfaces_description,
    show_clock,
    show_inventory,
    show_privilege,
    show_users,
    show_vlan_brief,
    show_logging,
    show_ip_route,
    write,
    write_terminal,
    copy_running_startup,
    erase_startup,
    reload,
    terminal_length,
    terminal_width,
    terminal_other,
    ping,
    nothing,
};

/// Grammar whose rule numbers are `Command`s.
const Grammar& exec_grammar(bool privileged);

} // namespace muster::sim
