#include "ios_rules.hpp"

#include <array>
#include <utility>

namespace muster::sim {

namespace {

using enum Effect;

constexpr Rule global_rules[]{
    {"end", 0, 0, end},
    {"exit", 0, 0, exit},
    {"do <line>", 0, 0, exec},

    {"service timestamps (debug|log) [(uptime|datetime [msec] [localtime] [show-timezone] [year])]",
     12, 3, toggle},
    {"service password-encryption", 13, 0, toggle},
    {"service (tcp-keepalives-in|tcp-keepalives-out|sequence-numbers|compress-config|dhcp|pad|"
     "config|nagle|call-home)",
     14, 0, toggle},
    {"hostname <word>", 30, 1, hostname},
    {"boot system <line>", 41, 2},
    {"logging (buffered|console|monitor) [(<int:4096-2147483647>|emergencies|alerts|critical|"
     "errors|warnings|notifications|informational|debugging)] [(emergencies|alerts|critical|errors|"
     "warnings|notifications|informational|debugging)]",
     45, 2, toggle},
    {"enable secret [(0|5|8|9)] <word>", 50, 2, secret},
    {"enable password [(0|7)] <word>", 51, 2, secret},
    {"aaa new-model", 55, 0, toggle},
    {"aaa (authentication|authorization|accounting|group|session-id) <line>", 56},
    {"clock timezone <word> <line>", 60, 2},
    {"clock summer-time <line>", 60, 2},
    {"ip domain lookup", 70, 0, on},
    {"ip domain-lookup", 70, 0, on},
    {"ip domain (name|list) <word>", 71, 3},
    {"ip domain-name <word>", 71, 2},
    {"ip name-server <ip> [<ip>] [<ip>]", 72},
    {"ip cef", 73, 0, toggle},
    {"ipv6 unicast-routing", 74},
    {"ip dhcp (snooping|excluded-address|relay) <line>", 75},
    {"vrf definition <word>", 80, 0, enter, Mode::vrf},
    {"vtp (domain|mode|version|password) <line>", 85, 2},
    {"lldp run", 86},
    {"cdp run", 86, 0, on},
    {"spanning-tree <line>", 87},
    {"errdisable recovery <line>", 88},
    {"username <word> [privilege <int:0-15>] [(password|secret) [(0|5|7|8|9)] <word>]", 90, 2,
     secret},
    {"archive", 95, 0, enter, Mode::archive},
    {"vlan <int:1-4094>", 100, 0, enter, Mode::vlan},
    {"ip ssh (version <int:1-2>|time-out <int:1-120>|authentication-retries <int:0-5>|"
     "source-interface <interface>)",
     110, 3},
    {"interface <interface>", 130, 0, interface, Mode::interface},
    {"router bgp <int:1-4294967295>", 140, 0, bgp, Mode::router},
    {"router ospf <int:1-65535> [vrf <word>]", 141, 0, enter, Mode::router},
    {"ip forward-protocol nd", 145, 0, on},
    {"ip http (server|secure-server)", 146, 0, toggle},
    {"ip http (access-class|authentication|port) <line>", 146, 3},
    {"ip route <ip> <mask> (<ip>|<interface> [<ip>]) [<int:1-255>] [name <word>]", 150},
    {"ip route vrf <word> <ip> <mask> <line>", 150},
    {"ip prefix-list <word> [seq <int:1-4294967294>] (permit|deny) <prefix> [ge <int:0-32>] "
     "[le <int:0-32>]",
     152},
    {"ip access-list standard <word>", 155, 0, enter, Mode::acl_standard},
    {"ip access-list extended <word>", 156, 0, enter, Mode::acl_extended},
    {"access-list <int:1-2699> (permit|deny|remark) <line>", 157},
    {"logging host <word> [(vrf <word>|transport (udp|tcp) [port <int:1-65535>])]", 160},
    {"logging <ip>", 160},
    {"logging (trap|facility|origin-id|source-interface|rate-limit) <line>", 161, 2},
    {"logging on", 161, 0, on},
    {"route-map <word> [(permit|deny)] [<int:0-65535>]", 165, 0, enter, Mode::route_map},
    {"snmp-server (community|user|group|view) <line>", 170},
    {"snmp-server (location|contact|chassis-id|trap-source) <line>", 171, 2},
    {"snmp-server (enable|host|ifmib) <line>", 172},
    {"tacacs-server <line>", 175},
    {"radius-server <line>", 175},
    {"banner (motd|login|exec|incoming) <line>", 180, 2, banner},
    {"privilege <line>", 185},
    {"alias exec <word> <line>", 186, 3},
    {"line (con <int:0-0>|aux <int:0-0>|vty <int:0-98> [<int:1-98>])", 190, 0, enter, Mode::line},
    {"ntp server [vrf <word>] <word> [prefer] [version <int:1-4>] [key <int:1-65535>]", 195},
    {"ntp peer <word> [prefer]", 195},
    {"ntp (source <interface>|master [<int:1-15>]|update-calendar|logging|authenticate)", 195, 2},
    {"ntp (authentication-key|trusted-key|access-group) <line>", 195},
};

constexpr Rule interface_rules[]{
    {"exit", 0, 0, exit},
    {"description <line>", 1, 1},
    {"switchport", 2, 0, toggle},
    {"switchport mode (access|trunk|dynamic (auto|desirable))", 3, 2},
    {"switchport access vlan <int:1-4094>", 3, 3},
    {"switchport trunk (allowed vlan|native vlan|encapsulation) <line>", 3, 3},
    {"encapsulation dot1Q <int:1-4094> [native]", 4, 1},
    {"vrf forwarding <word>", 5, 2},
    {"bandwidth <int:1-10000000>", 6, 1},
    {"mtu <int:64-9216>", 6, 1},
    {"ip address (dhcp|<ip> <mask>)", 8, 2},
    {"ip address <ip> <mask> secondary", 7},
    {"ip access-group <word> (in|out)", 9},
    {"ip helper-address <ip>", 9},
    {"ip mtu <int:68-9216>", 9, 2},
    {"ip (redirects|unreachables|proxy-arp)", 9, 0, on},
    {"ip nat (inside|outside)", 9, 2},
    {"ip ospf <line>", 10},
    {"ipv6 address <word>", 10},
    {"standby <line>", 11},
    {"shutdown", 20},
    {"duplex (auto|full|half)", 21, 1},
    {"speed (auto|10|100|1000|10000)", 21, 1},
    {"negotiation auto", 21},
    {"load-interval <int:30-600>", 22, 1},
    {"channel-group <int:1-256> mode (active|passive|on)", 23, 1},
    {"spanning-tree <line>", 24},
    {"cdp enable", 25, 0, on},
    {"lldp (transmit|receive)", 25, 0, on},
    {"service-policy (input|output) <word>", 26, 2},
    {"tunnel (source|destination|mode) <line>", 27, 2},
    {"logging event link-status", 28, 0, on},
};

constexpr Rule router_rules[]{
    {"exit", 0, 0, exit},
    {"bgp router-id <ip>", 1, 2},
    {"router-id <ip>", 1, 1},
    {"bgp log-neighbor-changes", 2, 0, toggle},
    {"bgp (default|graceful-restart|bestpath|cluster-id) [<line>]", 3},
    {"auto-cost reference-bandwidth <int:1-4294967>", 3, 2},
    {"log-adjacency-changes [detail]", 3, 1},
    {"passive-interface (default|<interface>)", 5},
    {"network <ip> [mask <mask>]", 6},
    {"network <ip> <ip> area <word>", 6},
    {"redistribute (connected|static|ospf <int:1-65535>|bgp <int:1-4294967295>) [metric "
     "<int:0-4294967295>] [subnets] [route-map <word>]",
     7, 2},
    {"timers bgp <int:0-65535> <int:0-65535>", 8, 2},
    {"neighbor <word> remote-as <int:1-4294967295>", 10, 3},
    {"neighbor <word> peer-group [<word>]", 10, 3},
    {"neighbor <word> (description|update-source|password|ebgp-multihop|timers|version) <line>", 10,
     3},
    {"neighbor <word> (shutdown|activate|next-hop-self|soft-reconfiguration inbound|"
     "send-community [(both|extended|standard)]|route-reflector-client)",
     10},
    {"neighbor <word> (route-map|prefix-list|filter-list|distribute-list) <word> (in|out)", 10},
    {"maximum-paths [ibgp] <int:1-32>", 12},
    {"default-information originate [always]", 13, 2},
    {"area <word> <line>", 14},
    {"address-family (ipv4|ipv6|vpnv4) [(unicast|multicast|vrf <word>)]", 20, 0, enter,
     Mode::address_family},
};

constexpr Rule address_family_rules[]{
    {"exit", 0, 0, exit},
    {"exit-address-family", 0, 0, exit},
    {"network <ip> [mask <mask>]", 6},
    {"redistribute (connected|static|ospf <int:1-65535>) [route-map <word>]", 7, 2},
    {"neighbor <word> (activate|next-hop-self|soft-reconfiguration inbound|"
     "send-community [(both|extended|standard)]|route-reflector-client)",
     10},
    {"neighbor <word> (route-map|prefix-list) <word> (in|out)", 10},
    {"maximum-paths [ibgp] <int:1-32>", 12},
};

constexpr Rule line_rules[]{
    {"exit", 0, 0, exit},
    {"exec-timeout <int:0-35791> [<int:0-2147483>]", 1, 1},
    {"privilege level <int:0-15>", 2, 2},
    {"password [(0|7)] <word>", 3, 1, secret},
    {"logging synchronous", 4},
    {"login [(local|authentication <word>)]", 5, 1, toggle},
    {"length <int:0-512>", 6, 1},
    {"width <int:0-512>", 6, 1},
    {"access-class <word> (in|out)", 7},
    {"transport (input|output|preferred) (none|ssh|telnet|all|telnet ssh|ssh telnet)", 8, 2},
    {"stopbits (1|2)", 9, 1},
    {"history size <int:0-256>", 9, 2},
    {"exec", 9, 0, on},
};

constexpr Rule vlan_rules[]{
    {"exit", 0, 0, exit},
    {"name <word>", 1, 1},
    {"state (active|suspend)", 2, 1},
    {"shutdown", 3},
};

constexpr Rule acl_rules[]{
    {"exit", 0, 0, exit},
    {"(permit|deny|remark) <line>", 1},
    {"<int:1-2147483647> (permit|deny) <line>", 1, 1},
};

constexpr Rule route_map_rules[]{
    {"exit", 0, 0, exit},
    {"description <line>", 1, 1},
    {"match (as-path|community|interface|ip|length|metric|tag) <line>", 2},
    {"set (as-path|community|ip|local-preference|metric|origin|tag|weight) <line>", 3, 2},
    {"continue [<int:1-65535>]", 4, 1},
};

constexpr Rule vrf_rules[]{
    {"exit", 0, 0, exit},
    {"description <line>", 1, 1},
    {"rd <word>", 2, 1},
    {"route-target (import|export|both) <word>", 3},
    {"exit-address-family", 0, 0, accept},
    {"address-family (ipv4|ipv6)", 4, 0, enter, Mode::address_family},
};

constexpr Rule archive_rules[]{
    {"exit", 0, 0, exit},
    {"path <word>", 1, 1},
    {"maximum <int:1-14>", 2, 1},
    {"write-memory", 3},
    {"time-period <int:1-525600>", 3, 1},
};

using enum Command;

constexpr std::pair<std::string_view, Command> user_commands[]{
    {"enable [<int:0-15>]", enable},
    {"disable", disable},
    {"(exit|logout|quit)", quit},
    {"show version", show_version},
    {"show clock [detail]", show_clock},
    {"show ip interface brief", show_ip_interface_brief},
    {"show interfaces [<interface>]", show_interfaces},
    {"show interfaces description", show_interfaces_description},
    {"show inventory", show_inventory},
    {"show privilege", show_privilege},
    {"show users", show_users},
    {"show vlan brief", show_vlan_brief},
    {"show ip route", show_ip_route},
    {"show (history|terminal|sessions)", nothing},
    {"terminal length <int:0-512>", terminal_length},
    {"terminal width <int:0-512>", terminal_width},
    {"terminal no (monitor|length|width)", terminal_other},
    {"terminal (monitor|exec prompt (timestamp|no-timestamp))", terminal_other},
    {"ping <word>", ping},
};

constexpr std::pair<std::string_view, Command> privileged_commands[]{
    {"configure [terminal]", configure},
    {"show running-config [all]", show_running},
    {"show running-config interface <interface>", show_running_interface},
    {"show startup-config", show_startup},
    {"show logging", show_logging},
    {"write [memory]", write},
    {"write terminal", write_terminal},
    {"write erase", erase_startup},
    {"erase startup-config", erase_startup},
    {"copy running-config startup-config", copy_running_startup},
    {"reload", reload},
    {"clear (counters|logging|line <line>)", nothing},
    {"undebug all", nothing},
};

Grammar make_grammar(std::span<const Rule> rules) {
    Grammar grammar;
    int index = 0;
    for (const auto& rule : rules) {
        grammar.add(rule.pattern, index++);
    }
    return grammar;
}

Grammar make_exec_grammar(bool privileged) {
    Grammar grammar;
    for (const auto& [pattern, command] : user_commands) {
        grammar.add(pattern, static_cast<int>(command));
    }
    if (privileged) {
        for (const auto& [pattern, command] : privileged_commands) {
            grammar.add(pattern, static_cast<int>(command));
        }
    }
    return grammar;
}

} // namespace

std::string_view mode_name(Mode mode) {
    switch (mode) {
    case Mode::user:
    case Mode::privileged:
        return "";
    case Mode::config:
        return "config";
    case Mode::interface:
        return "config-if";
    case Mode::subinterface:
        return "config-subif";
    case Mode::router:
        return "config-router";
    case Mode::address_family:
        return "config-router-af";
    case Mode::line:
        return "config-line";
    case Mode::vlan:
        return "config-vlan";
    case Mode::acl_standard:
        return "config-std-nacl";
    case Mode::acl_extended:
        return "config-ext-nacl";
    case Mode::route_map:
        return "config-route-map";
    case Mode::vrf:
        return "config-vrf";
    case Mode::archive:
        return "config-archive";
    }
    return "config";
}

std::span<const Rule> rules_of(Mode mode) {
    switch (mode) {
    case Mode::interface:
    case Mode::subinterface:
        return interface_rules;
    case Mode::router:
        return router_rules;
    case Mode::address_family:
        return address_family_rules;
    case Mode::line:
        return line_rules;
    case Mode::vlan:
        return vlan_rules;
    case Mode::acl_standard:
    case Mode::acl_extended:
        return acl_rules;
    case Mode::route_map:
        return route_map_rules;
    case Mode::vrf:
        return vrf_rules;
    case Mode::archive:
        return archive_rules;
    default:
        return global_rules;
    }
}

const Grammar& grammar_of(Mode mode) {
    // Built once, on first use, for all devices of the process; read-only afterwards.
    static const auto grammars = [] {
        std::array<Grammar, static_cast<std::size_t>(Mode::archive) + 1> all;
        for (int i = 0; i < static_cast<int>(all.size()); ++i) {
            all[static_cast<std::size_t>(i)] = make_grammar(rules_of(static_cast<Mode>(i)));
        }
        return all;
    }();
    return grammars[static_cast<std::size_t>(mode)];
}

const Grammar& exec_grammar(bool privileged) {
    static const Grammar user = make_exec_grammar(false);
    static const Grammar all = make_exec_grammar(true);
    return privileged ? all : user;
}

} // namespace muster::sim
