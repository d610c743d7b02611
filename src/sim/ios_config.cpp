#include "ios_config.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <tuple>
#include <utility>

namespace muster::sim {

namespace {

bool starts_with(const Words& words, const Words& head, std::size_t count) {
    return words.size() >= count && head.size() >= count &&
           std::equal(head.begin(), head.begin() + static_cast<std::ptrdiff_t>(count),
                      words.begin());
}

bool same_identity(const ConfigLine& line, const Words& words, std::size_t key) {
    if (key == 0) {
        return line.words == words;
    }
    return line.key == key && starts_with(line.words, words, key);
}

// Virtual interfaces come before the ports, VLAN interfaces after them; each by number.
std::tuple<int, std::string> order(const ConfigLine& line) {
    if (line.words.size() < 2 || (line.words[0] != "interface" && line.words[0] != "vlan")) {
        return {0, ""};
    }
    const auto& name = line.words[1];
    constexpr std::array<std::string_view, 3> before{"Loopback", "Tunnel", "Port-channel"};
    const auto digits = std::min(name.find_first_of("0123456789"), name.size());
    const auto type = std::string_view(name).substr(0, digits);
    const auto found = std::ranges::find(before, type);
    int place = static_cast<int>(found - before.begin());
    if (type == "Vlan") {
        place = static_cast<int>(before.size()) + 1;
    }
    // Numbers padded, so that they compare as numbers.
    std::string key(type);
    std::string number;
    for (const char c : name.substr(digits) + '/') {
        if (c >= '0' && c <= '9') {
            number += c;
        } else {
            key += std::string(number.size() < 10 ? 10 - number.size() : 0, '0') + number + c;
            number.clear();
        }
    }
    return {place, std::move(key)};
}

bool shown_before(const ConfigLine& a, const ConfigLine& b) {
    return a.rank != b.rank ? a.rank < b.rank : order(a) < order(b);
}

void write(const ConfigLine& line, std::size_t depth, std::string& out) {
    out.append(depth, ' ');
    if (line.negated) {
        out += "no ";
    }
    out += join(line.words) + line.tail + '\n';
    const auto addressed = std::ranges::any_of(line.children, [](const auto& child) {
        return starts_with(child.words, {"ip", "address"}, 2);
    });
    const bool unaddressed = depth == 0 && line.words.front() == "interface" && !addressed;
    const int address_rank = 8;
    bool told = !unaddressed;
    for (const auto& child : line.children) {
        if (!told && child.rank > address_rank) {
            out += " no ip address\n";
            told = true;
        }
        write(child, depth + 1, out);
    }
    if (!told) {
        out += " no ip address\n";
    }
    if (line.section && depth > 0) {
        out.append(depth, ' ');
        out += "exit-address-family\n";
    }
}

} // namespace

std::string join(const Words& words) {
    std::string text;
    for (const auto& word : words) {
        text += text.empty() ? word : " " + word;
    }
    return text;
}

const ConfigLine* IosConfig::find(const Path& path) const {
    const auto* at = &root_;
    for (const auto& words : path) {
        const auto found = std::ranges::find_if(
            at->children, [&](const auto& line) { return line.section && line.words == words; });
        if (found == at->children.end()) {
            return nullptr;
        }
        at = &*found;
    }
    return at;
}

ConfigLine& IosConfig::section(const Path& path) {
    auto* at = &root_;
    for (const auto& words : path) {
        auto found = std::ranges::find(at->children, words, &ConfigLine::words);
        if (found == at->children.end()) {
            ConfigLine line;
            line.words = words;
            line.section = true;
            found = at->children.insert(at->children.end(), std::move(line));
        }
        at = &*found;
    }
    return *at;
}

void IosConfig::set(const Path& path, ConfigLine line) {
    auto& children = section(path).children;
    const auto found = std::ranges::find_if(
        children, [&](const auto& other) { return same_identity(other, line.words, line.key); });
    if (found == children.end()) {
        const auto place = std::ranges::upper_bound(children, line, shown_before);
        children.insert(place, std::move(line));
    } else if (line.section && found->section) {
        found->rank = line.rank;
    } else {
        *found = std::move(line);
    }
}

bool IosConfig::erase(const Path& path, const Words& words, std::size_t key, bool only_negated) {
    if (find(path) == nullptr) {
        return false;
    }
    return std::erase_if(section(path).children, [&](const ConfigLine& line) {
               return line.negated == only_negated &&
                      (starts_with(line.words, words, words.size()) ||
                       (key > 0 && same_identity(line, words, key)));
           }) > 0;
}

std::string IosConfig::text() const {
    std::string out;
    int group = 0;
    bool after_section = true;
    for (const auto& line : root_.children) {
        if (!after_section && (line.section || line.rank / 10 != group)) {
            out += "!\n";
        }
        group = line.rank / 10;
        write(line, 0, out);
        after_section = line.section;
        if (line.section) {
            out += "!\n";
        }
    }
    if (!after_section) {
        out += "!\n";
    }
    return out + "end\n";
}

std::string IosConfig::text(const Path& path) const {
    std::string out;
    if (const auto* line = find(path)) {
        write(*line, 0, out);
    }
    return out;
}

} // namespace muster::sim
