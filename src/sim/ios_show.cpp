#include "ios_show.hpp"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <ctime>
#include <regex>
#include <utility>
#include <vector>

namespace muster::sim {

namespace {

std::vector<std::string_view> split_lines(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

std::string plural(long long count, std::string_view unit) {
    return fmt::format("{} {}{}", count, unit, count == 1 ? "" : "s");
}

std::string uptime_text(std::chrono::seconds uptime) {
    const auto minutes = uptime.count() / 60;
    constexpr std::array<std::pair<long long, std::string_view>, 4> units{{
        {7 * 24 * 60, "week"},
        {24 * 60, "day"},
        {60, "hour"},
        {1, "minute"},
    }};
    std::string text;
    auto rest = minutes;
    for (const auto& [size, unit] : units) {
        const auto count = rest / size;
        rest %= size;
        if (count > 0 || size == 1) {
            text += (text.empty() ? "" : ", ") + plural(count, unit);
        }
    }
    return text;
}

std::string version(const IosState& state) {
    return fmt::format(
        "Cisco IOS Software, IOSv Software (VIOS-ADVENTERPRISEK9-M), Version {0}, RELEASE SOFTWARE "
        "(fc1)\n"
        "Virtual device of the muster fleet simulator\n"
        "\n"
        "ROM: Bootstrap program is IOSv\n"
        "\n"
        "{1} uptime is {2}\n"
        "System returned to ROM by reload\n"
        "System image file is \"flash0:/vios-adventerprisek9-m\"\n"
        "Last reload reason: Unknown reason\n"
        "\n"
        "Cisco IOSv (revision 1.0) with 460137K/62464K bytes of memory.\n"
        "Processor board ID {3}\n"
        "4 Gigabit Ethernet interfaces\n"
        "DRAM configuration is 72 bits wide with parity disabled.\n"
        "256K bytes of non-volatile configuration memory.\n"
        "2097152K bytes of ATA System CompactFlash 0 (Read/Write)\n"
        "\n"
        "Configuration register is 0x0\n"
        "\n",
        IosDevice::version(), state.hostname(), uptime_text(state.uptime()),
        state.profile().serial);
}

std::string running(const IosState& state) {
    std::string body = "!\n";
    if (!state.change_note().empty()) {
        body += "! Last configuration change at " + state.change_note() + "\n";
    }
    if (!state.save_note().empty()) {
        body += "! NVRAM config last updated at " + state.save_note() + "\n";
    }
    if (body.size() > 2) {
        body += "!\n";
    }
    body += state.running().text();
    return fmt::format("Building configuration...\n\nCurrent configuration : {} bytes\n{}\n",
                       body.size(), body);
}

std::string startup(const IosState& state) {
    if (!state.startup()) {
        return "startup-config is not present\n";
    }
    const auto body = "!\n" + state.startup()->text();
    return fmt::format("Using {} out of 262144 bytes\n{}\n", body.size(), body);
}

std::string running_interface(const IosState& state, const std::string& name) {
    const auto body = "!\n" + state.running().text({{"interface", name}}) + "end\n";
    return fmt::format("Building configuration...\n\nCurrent configuration : {} bytes\n{}\n",
                       body.size(), body);
}

std::string_view status(const IosInterface& interface) {
    return interface.enabled ? "up" : "administratively down";
}

std::string_view protocol(const IosInterface& interface) {
    return interface.enabled ? "up" : "down";
}

std::string brief(const IosState& state) {
    std::string text = fmt::format("{:<27}{:<16}{:<4}{:<7}{:<22}{}\n", "Interface", "IP-Address",
                                   "OK?", "Method", "Status", "Protocol");
    for (const auto& interface : state.interfaces()) {
        text += fmt::format("{:<27}{:<16}{:<4}{:<7}{:<22}{}\n", interface.name,
                            interface.ip.empty() ? "unassigned" : interface.ip, "YES",
                            interface.ip.empty() ? "unset" : "manual", status(interface),
                            protocol(interface));
    }
    return text;
}

std::string descriptions(const IosState& state) {
    std::string text =
        fmt::format("{:<31}{:<15}{:<9}{}\n", "Interface", "Status", "Protocol", "Description");
    for (const auto& interface : state.interfaces()) {
        text += fmt::format("{:<31}{:<15}{:<9}{}\n", interface.name,
                            interface.enabled ? "up" : "admin down", protocol(interface),
                            interface.description);
    }
    return text;
}

std::string interfaces(const IosState& state, const std::string& name) {
    std::string text;
    for (const auto& interface : state.interfaces()) {
        if (!name.empty() && interface.name != name) {
            continue;
        }
        text += fmt::format("{} is {}, line protocol is {}\n", interface.name, status(interface),
                            protocol(interface));
        text += "  Hardware is iGbE, address is 5254.0012.3456 (bia 5254.0012.3456)\n";
        if (!interface.description.empty()) {
            text += "  Description: " + interface.description + "\n";
        }
        if (!interface.ip.empty()) {
            text += "  Internet address is " + interface.ip + " " + interface.mask + "\n";
        }
        text += "  MTU 1500 bytes, BW 1000000 Kbit/sec, DLY 10 usec,\n"
                "     reliability 255/255, txload 1/255, rxload 1/255\n"
                "     0 packets input, 0 bytes, 0 no buffer\n"
                "     0 input errors, 0 CRC, 0 frame, 0 overrun, 0 ignored\n"
                "     0 packets output, 0 bytes, 0 underruns\n";
    }
    return text;
}

std::string clock(const IosState& state) {
    const auto now = state.now();
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() %
        1000;
    auto text = ios_time(now);
    text.insert(8, fmt::format(".{:03}", milliseconds));
    return "*" + text + "\n";
}

std::string inventory(const IosState& state) {
    return fmt::format(
        "NAME: \"IOSv\", DESCR: \"IOSv chassis, Hw Serial#: {0}, Hw Revision: 1.0\"\n"
        "PID: IOSv              , VID: 1.0, SN: {0}\n\n",
        state.profile().serial);
}

std::string vlans(const IosState& state) {
    std::string text = fmt::format("\n{:<5}{:<33}{:<10}{}\n{:-<4} {:-<32} {:-<9} {:-<31}\n", "VLAN",
                                   "Name", "Status", "Ports", "", "", "", "");
    text += fmt::format("{:<5}{:<33}{:<10}\n", 1, "default", "active");
    for (const auto& line : state.running().lines()) {
        if (line.section && line.words.front() == "vlan") {
            auto name = fmt::format("VLAN{:0>4}", line.words[1]);
            for (const auto& child : line.children) {
                name = child.words.front() == "name" ? child.words[1] : name;
            }
            text += fmt::format("{:<5}{:<33}{:<10}\n", line.words[1], name, "active");
        }
    }
    return text;
}

std::string logging(const IosState& state) {
    std::string text = "Syslog logging: enabled (0 messages dropped, 0 messages rate-limited)\n\n"
                       "Log Buffer (8192 bytes):\n\n";
    for (const auto& entry : state.log()) {
        text += entry + "\n";
    }
    return text;
}

std::string routes(const IosState& state) {
    std::string text = "Codes: L - local, C - connected, S - static\n\n"
                       "Gateway of last resort is not set\n\n";
    for (const auto& interface : state.interfaces()) {
        if (interface.enabled && !interface.ip.empty()) {
            text += fmt::format("L        {}/32 is directly connected, {}\n", interface.ip,
                                interface.name);
        }
    }
    for (const auto& line : state.running().lines()) {
        if (line.words.size() > 4 && line.words[0] == "ip" && line.words[1] == "route") {
            text += fmt::format("S        {} [1/0] via {}\n", line.words[2], line.words[4]);
        }
    }
    return text;
}

std::string matching(const std::vector<std::string_view>& lines, const std::regex& pattern,
                     bool wanted) {
    std::string text;
    for (const auto line : lines) {
        if (std::regex_search(line.begin(), line.end(), pattern) == wanted) {
            text.append(line).append("\n");
        }
    }
    return text;
}

std::string beginning(const std::vector<std::string_view>& lines, const std::regex& pattern) {
    std::string text;
    for (const auto line : lines) {
        if (!text.empty() || std::regex_search(line.begin(), line.end(), pattern)) {
            text.append(line).append("\n");
        }
    }
    return text;
}

std::string sections(const std::vector<std::string_view>& lines, const std::regex& pattern) {
    std::string text;
    bool inside = false;
    for (const auto line : lines) {
        if (!line.starts_with(' ')) {
            inside = std::regex_search(line.begin(), line.end(), pattern);
        }
        if (inside) {
            text.append(line).append("\n");
        }
    }
    return text;
}

} // namespace

std::string show(const IosState& state, Command command, const std::string& argument,
                 const std::string& user, bool privileged) {
    switch (command) {
    case Command::show_running:
    case Command::write_terminal:
        return running(state);
    case Command::show_running_interface:
        return running_interface(state, argument);
    case Command::show_startup:
        return startup(state);
    case Command::show_version:
        return version(state);
    case Command::show_ip_interface_brief:
        return brief(state);
    case Command::show_interfaces:
        return interfaces(state, argument);
    case Command::show_interfaces_description:
        return descriptions(state);
    case Command::show_clock:
        return clock(state);
    case Command::show_inventory:
        return inventory(state);
    case Command::show_privilege:
        return fmt::format("Current privilege level is {}\n", privileged ? 15 : 1);
    case Command::show_users:
        return fmt::format("    Line       User       Host(s)              Idle       Location\n"
                           "*  2 vty 0     {:<10} idle                 00:00:00\n",
                           user);
    case Command::show_vlan_brief:
        return vlans(state);
    case Command::show_logging:
        return logging(state);
    case Command::show_ip_route:
        return routes(state);
    default:
        return {};
    }
}

bool filter_output(std::string& text, std::string_view modifier) {
    const auto words = tokenize(modifier);
    if (words.size() < 2) {
        return false;
    }
    const auto verb = words.front().text;
    const auto expression = std::string(modifier.substr(words[1].column));
    std::regex pattern;
    try {
        pattern = std::regex(expression, std::regex::extended);
    } catch (const std::regex_error&) {
        return false;
    }
    const auto lines = split_lines(text);
    if (abbreviates(verb, "include")) {
        text = matching(lines, pattern, true);
    } else if (abbreviates(verb, "exclude")) {
        text = matching(lines, pattern, false);
    } else if (abbreviates(verb, "begin")) {
        text = beginning(lines, pattern);
    } else if (abbreviates(verb, "section")) {
        text = sections(lines, pattern);
    } else if (abbreviates(verb, "count")) {
        const auto found = split_lines(matching(lines, pattern, true)).size();
        text = fmt::format("Number of lines which match regexp = {}\n", found);
    } else {
        return false;
    }
    return true;
}

} // namespace muster::sim
