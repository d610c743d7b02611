#include "ssh/crypto.hpp"
#include "ssh/files.hpp"
#include "ssh/patterns.hpp"
#include "ssh/wire.hpp"

#include <muster/ssh/error.hpp>
#include <muster/ssh/known_hosts.hpp>

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

namespace muster::ssh {

using detail::lower;

namespace {

constexpr std::uint16_t default_port = 22;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view next_field(std::string_view& line) {
    while (!line.empty() && is_blank(line.front())) {
        line.remove_prefix(1);
    }
    std::size_t length = 0;
    while (length < line.size() && !is_blank(line[length])) {
        ++length;
    }
    const std::string_view field = line.substr(0, length);
    line.remove_prefix(length);
    return field;
}

/// Whether the bytes are a whole public key. OpenSSH passes over lines whose key is cut short or of
/// a type that it does not know, so a host that has no other line is a new one.
bool is_public_key(std::string_view bytes) {
    struct Type {
        std::string_view name;
        int parts; // after the name
    };

    static constexpr std::array<Type, 8> types{{{"ssh-ed25519", 1},
                                                {"ecdsa-sha2-nistp256", 2},
                                                {"ecdsa-sha2-nistp384", 2},
                                                {"ecdsa-sha2-nistp521", 2},
                                                {"ssh-rsa", 2},
                                                {"ssh-dss", 4},
                                                {"sk-ssh-ed25519@openssh.com", 2},
                                                {"sk-ecdsa-sha2-nistp256@openssh.com", 3}}};
    detail::WireReader reader(bytes);
    const std::string_view name = reader.string();
    const auto* const type = std::find_if(
        types.begin(), types.end(), [&](const Type& candidate) { return candidate.name == name; });
    if (type == types.end()) {
        return false;
    }
    for (int part = 0; part < type->parts; ++part) {
        const std::string_view value = reader.string();
        const bool is_point = part == 0 && name.find("ed25519") != std::string_view::npos;
        if (value.empty() || (is_point && value.size() != 32)) {
            return false;
        }
    }
    return reader.ok() && reader.rest().empty();
}

} // namespace

std::string fingerprint(std::string_view key) {
    std::string text = detail::base64_encode(detail::sha256(key));
    while (text.ends_with('=')) {
        text.pop_back();
    }
    return "SHA256:" + text;
}

std::string key_type(std::string_view key) { return std::string(detail::WireReader(key).string()); }

std::string known_hosts_name(std::string_view host, std::uint16_t port) {
    if (port == default_port || port == 0) {
        return lower(host);
    }
    return "[" + lower(host) + "]:" + std::to_string(port);
}

void KnownHosts::add(std::string_view text, const std::string& file) {
    files_.push_back(file);
    lines_.push_back(0);
    add_lines(text, static_cast<std::uint32_t>(files_.size() - 1));
}

void KnownHosts::append(std::string_view text, const std::string& file) {
    const auto known = std::find(files_.begin(), files_.end(), file);
    if (known == files_.end()) {
        add(text, file);
    } else {
        add_lines(text, static_cast<std::uint32_t>(known - files_.begin()));
    }
}

void KnownHosts::add_lines(std::string_view text, std::uint32_t file) {
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        add_line(text.substr(0, end), ++lines_[file], file);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

void KnownHosts::add_line(std::string_view line, std::size_t number, std::uint32_t file) {
    const auto problem = [&](std::string what) {
        problems_.push_back({files_[file], number, std::move(what)});
    };
    std::string_view hosts = next_field(line);
    if (hosts.empty() || hosts.starts_with('#')) {
        return;
    }
    Entry entry;
    entry.line = number;
    entry.file = file;
    if (hosts.starts_with('@')) {
        if (hosts == "@revoked") {
            entry.marker = Marker::revoked;
        } else if (hosts == "@cert-authority") {
            entry.marker = Marker::authority;
        } else {
            problem("unknown marker '" + std::string(hosts) + "'");
            return;
        }
        hosts = next_field(line);
    }
    entry.type = next_field(line);
    const std::string_view encoded = next_field(line);
    if (encoded.empty()) {
        problem("expected: hosts, key type, key");
        return;
    }
    auto key = detail::base64_decode(encoded);
    if (!key || key_type(*key) != entry.type || !is_public_key(*key)) {
        problem("the key is not a valid " + entry.type + " key");
        return;
    }
    entry.key = std::move(*key);

    const std::size_t index = entries_.size();
    if (hosts.starts_with('|')) {
        // |1|salt|hash
        const auto bar = hosts.find('|', 3);
        if (!hosts.starts_with("|1|") || bar == std::string_view::npos) {
            problem("unknown kind of hashed name");
            return;
        }
        auto salt = detail::base64_decode(hosts.substr(3, bar - 3));
        auto hash = detail::base64_decode(hosts.substr(bar + 1));
        if (!salt || !hash || salt->size() != 20 || hash->size() != 20) {
            problem("the hashed name is malformed");
            return;
        }
        entry.salt = std::move(*salt);
        entry.hash = std::move(*hash);
        patterns_.push_back(index);
    } else {
        entry.hosts = lower(hosts);
        if (entry.hosts.find_first_of("*?!") != std::string::npos) {
            patterns_.push_back(index);
        } else {
            std::string_view list = entry.hosts;
            while (!list.empty()) {
                const auto comma = std::min(list.find(','), list.size());
                auto& lines = by_name_[std::string(list.substr(0, comma))];
                if (lines.empty() || lines.back() != index) {
                    lines.push_back(index);
                }
                list.remove_prefix(std::min(comma + 1, list.size()));
            }
        }
    }
    entries_.push_back(std::move(entry));
}

KnownHosts KnownHosts::load(const std::vector<std::string>& files) {
    KnownHosts hosts;
    for (const auto& file : files) {
        if (const auto text = detail::read_file(file)) {
            hosts.add(*text, file);
        }
    }
    return hosts;
}

std::vector<const KnownHosts::Entry*> KnownHosts::matching(const std::string& name) const {
    std::vector<std::size_t> indices;
    if (const auto found = by_name_.find(name); found != by_name_.end()) {
        indices = found->second;
    }
    for (const std::size_t index : patterns_) {
        const Entry& entry = entries_[index];
        const bool matched = entry.hash.empty() ? detail::matches_list(name, entry.hosts)
                                                : detail::hmac_sha1(entry.salt, name) == entry.hash;
        if (matched) {
            indices.push_back(index);
        }
    }
    std::sort(indices.begin(), indices.end());
    std::vector<const Entry*> found;
    found.reserve(indices.size());
    for (const std::size_t index : indices) {
        found.push_back(&entries_[index]);
    }
    return found;
}

HostKeyVerdict KnownHosts::check(std::string_view host, std::uint16_t port,
                                 std::string_view key) const {
    HostKeyVerdict verdict;
    verdict.fingerprint = ssh::fingerprint(key);
    verdict.type = ssh::key_type(key);
    const auto decide = [&](HostKeyStatus status, const Entry& entry) {
        verdict.status = status;
        verdict.file = files_[entry.file];
        verdict.line = entry.line;
        if (status == HostKeyStatus::changed) {
            verdict.known_fingerprint = ssh::fingerprint(entry.key);
            verdict.known_type = entry.type;
        }
    };

    const std::string name = known_hosts_name(host, port);
    const std::string bare = lower(host);
    auto entries = matching(name);
    const std::size_t own = entries.size();
    if (name != bare) {
        const auto without_port = matching(bare);
        entries.insert(entries.end(), without_port.begin(), without_port.end());
    }
    // A revocation beats every other line, wherever it stands.
    for (const Entry* entry : entries) {
        if (entry->marker == Marker::revoked && entry->key == key) {
            decide(HostKeyStatus::revoked, *entry);
            return verdict;
        }
        verdict.has_authority = verdict.has_authority || entry->marker == Marker::authority;
    }
    // Where the port has no line of its own, one without a port can vouch for a key, but never
    // contradict: another service on the same machine may well have another key.
    const auto plain = [](const Entry* entry) { return entry->marker == Marker::none; };
    const auto end_of_own = entries.begin() + static_cast<std::ptrdiff_t>(own);
    const bool own_decide = std::any_of(entries.begin(), end_of_own, plain);
    if (own_decide) {
        entries.erase(end_of_own, entries.end());
    }
    std::erase_if(entries, std::not_fn(plain));
    for (const Entry* entry : entries) {
        if (entry->key == key) {
            decide(HostKeyStatus::match, *entry);
            return verdict;
        }
    }
    if (!own_decide) {
        return verdict;
    }
    // Of several lines, one of the presented type says most.
    for (const Entry* entry : entries) {
        if (verdict.status == HostKeyStatus::unknown || entry->type == verdict.type) {
            decide(HostKeyStatus::changed, *entry);
        }
        if (entry->type == verdict.type) {
            break;
        }
    }
    return verdict;
}

std::vector<std::string> KnownHosts::key_types(std::string_view host, std::uint16_t port) const {
    const std::string name = known_hosts_name(host, port);
    auto entries = matching(name);
    if (std::none_of(entries.begin(), entries.end(),
                     [](const Entry* entry) { return entry->marker == Marker::none; }) &&
        name != lower(host)) {
        entries = matching(lower(host));
    }
    std::vector<std::string> types;
    for (const Entry* entry : entries) {
        if (entry->marker == Marker::none &&
            std::find(types.begin(), types.end(), entry->type) == types.end()) {
            types.push_back(entry->type);
        }
    }
    return types;
}

std::vector<std::string> default_known_hosts_files() {
    std::vector<std::string> files;
    if (const std::string& home = detail::home_directory(); !home.empty()) {
        files.push_back(home + "/.ssh/known_hosts");
    }
    files.emplace_back("/etc/ssh/ssh_known_hosts");
    return files;
}

} // namespace muster::ssh
