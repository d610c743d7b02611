#include "platforms/builtin.hpp"

#include <muster/device/platform.hpp>

#include <algorithm>

namespace muster::device {

namespace {

const std::vector<Platform>& all_platforms() {
    static const std::vector<Platform> platforms = [] {
        std::vector<Platform> list;
        list.push_back(builtin::cisco_ios());
        list.push_back(builtin::frr());
        list.push_back(builtin::generic());
        list.push_back(builtin::linux_shell());
        return list;
    }();
    return platforms;
}

/// The spelling names are compared in.
std::string canonical(std::string_view name) {
    std::string result;
    for (const char c : name) {
        const bool upper = c >= 'A' && c <= 'Z';
        result += c == '-' || c == ' ' ? '_' : static_cast<char>(upper ? c - 'A' + 'a' : c);
    }
    // netmiko knows every SSH platform a second time under this ending.
    constexpr std::string_view ssh_ending = "_ssh";
    if (result.size() > ssh_ending.size() && result.ends_with(ssh_ending)) {
        result.resize(result.size() - ssh_ending.size());
    }
    return result;
}

} // namespace

std::string_view to_string(Mode mode) noexcept {
    switch (mode) {
    case Mode::exec:
        return "exec";
    case Mode::privileged:
        return "privileged";
    case Mode::config:
        return "configuration";
    case Mode::other:
        return "other";
    case Mode::none:
        break;
    }
    return "none";
}

const Transition* Platform::transition(Mode from, Mode to) const noexcept {
    for (const Transition& candidate : transitions) {
        if (candidate.from == from && candidate.to == to) {
            return &candidate;
        }
    }
    return nullptr;
}

const Platform* find_platform(std::string_view name_or_alias) {
    const std::string wanted = canonical(name_or_alias);
    for (const Platform& platform : all_platforms()) {
        if (platform.name == wanted ||
            std::ranges::any_of(platform.aliases,
                                [&](const std::string& alias) { return alias == wanted; })) {
            return &platform;
        }
    }
    return nullptr;
}

std::vector<std::string_view> platform_names() {
    std::vector<std::string_view> names;
    for (const Platform& platform : all_platforms()) {
        names.emplace_back(platform.name);
    }
    std::ranges::sort(names);
    return names;
}

} // namespace muster::device
