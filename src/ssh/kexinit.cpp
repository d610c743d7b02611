#include "ssh/kexinit.hpp"

#include "ssh/wire.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace muster::ssh::detail {

namespace {

constexpr unsigned char kexinit_message = 20;
/// A server may send lines before its identification; this much of that is enough (RFC 4253
/// section 4.2 leaves it open), and no KEXINIT is longer than the largest packet.
constexpr std::size_t max_buffered = 64UL * 1024;
constexpr std::size_t max_packet = 35'000;
constexpr std::size_t max_quoted = 60;

template <class Names>
std::string join(const Names& names, std::string_view separator) {
    std::size_t size = 0;
    for (const auto& name : names) {
        size += separator.size() + name.size();
    }
    std::string text;
    text.reserve(size);
    for (const auto& name : names) {
        if (!text.empty()) {
            text += separator;
        }
        text += name;
    }
    return text;
}

bool share_a_name(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    return std::find_first_of(a.begin(), a.end(), b.begin(), b.end()) != a.end();
}

/// Without the names that stand for abilities, not for methods (RFC 8308, OpenSSH's strict order).
std::vector<std::string> real_names(std::vector<std::string> names) {
    std::erase_if(names, [](const std::string& name) {
        return name.starts_with("ext-info-") || name.starts_with("kex-strict-");
    });
    return names;
}

} // namespace

void KexInitReader::feed(std::string_view bytes) {
    if (done_) {
        return;
    }
    buffer_ += bytes;
    if (!identification_.empty() || parse_lines()) {
        parse_packet();
    }
    if (read_over_ + buffer_.size() > max_buffered) {
        done_ = true;
        if (first_line_.empty()) {
            first_line_ = buffer_.substr(0, max_quoted + 1);
        }
    }
    if (done_) {
        buffer_ = std::string();
    }
}

bool KexInitReader::parse_lines() {
    for (auto end = buffer_.find('\n'); end != std::string::npos; end = buffer_.find('\n')) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        read_over_ += end + 1;
        if (line.ends_with('\r')) {
            line.pop_back();
        }
        if (line.starts_with("SSH-")) {
            identification_ = std::move(line);
            read_over_ = 0;
            return true;
        }
        if (first_line_.empty()) {
            first_line_ = std::move(line);
        }
    }
    return false;
}

void KexInitReader::parse_packet() {
    WireReader packet(buffer_);
    const std::uint32_t length = packet.uint32();
    if (length > max_packet) {
        done_ = true;
        return;
    }
    const std::size_t padding = packet.byte();
    if (!packet.ok() || buffer_.size() < 4 + length) {
        return; // more to come
    }
    if (length < padding + 1) {
        done_ = true;
        return;
    }
    WireReader payload(packet.take(length - padding - 1));
    done_ = true;
    if (payload.byte() == kexinit_message) {
        constexpr std::size_t before = 1 + 16; // the message's number and a cookie
        lists_ = std::string_view(buffer_).substr(5, length - padding - 1);
        lists_.erase(0, before);
    }
}

std::optional<KexInit> KexInitReader::message() const {
    WireReader payload(lists_);
    std::array<std::vector<std::string>, 6> lists;
    for (auto& list : lists) {
        list = split_names(payload.string());
    }
    if (!payload.ok()) {
        return std::nullopt;
    }
    return KexInit{std::move(lists[0]), std::move(lists[1]), std::move(lists[2]),
                   std::move(lists[3]), std::move(lists[4]), std::move(lists[5])};
}

std::string_view
KexInitReader::first_shared_kex(const std::vector<std::string_view>& names) const noexcept {
    const std::string_view offered = WireReader(lists_).string();
    const auto is_offered = [&](std::string_view name) {
        for (auto at = offered.find(name); at != std::string_view::npos;
             at = offered.find(name, at + 1)) {
            const auto end = at + name.size();
            if ((at == 0 || offered[at - 1] == ',') &&
                (end == offered.size() || offered[end] == ',')) {
                return true;
            }
        }
        return false;
    };
    const auto first = std::find_if(names.begin(), names.end(), is_offered);
    return first == names.end() ? std::string_view() : *first;
}

std::string KexInitReader::garbage() const {
    std::string text;
    for (const char c : first_line_.empty() ? buffer_ : first_line_) {
        if (text.size() == max_quoted) {
            return text + "...";
        }
        text += c >= ' ' && c < '\x7f' ? c : '.';
    }
    return text;
}

std::string explain_mismatch(const KexInit& ours, const KexInit& theirs) {
    struct Category {
        const char* name;
        const std::vector<std::string>& ours;
        const std::vector<std::string>& theirs;
    };

    const std::array<Category, 6> categories{
        {{"key exchange methods", ours.kex, theirs.kex},
         {"host key types", ours.host_key, theirs.host_key},
         {"ciphers", ours.cipher_to_server, theirs.cipher_to_server},
         {"ciphers", ours.cipher_to_client, theirs.cipher_to_client},
         {"MACs", ours.mac_to_server, theirs.mac_to_server},
         {"MACs", ours.mac_to_client, theirs.mac_to_client}}};
    for (const Category& category : categories) {
        if (!share_a_name(category.ours, category.theirs)) {
            return std::string("no common ") + category.name + ": the device offers " +
                   join_names(real_names(category.theirs)) +
                   "; offered to it: " + join_names(real_names(category.ours));
        }
    }
    return {};
}

std::vector<std::string> split_names(std::string_view names) {
    std::vector<std::string> list;
    while (!names.empty()) {
        const auto comma = std::min(names.find(','), names.size());
        if (comma > 0) {
            list.emplace_back(names.substr(0, comma));
        }
        names.remove_prefix(std::min(comma + 1, names.size()));
    }
    return list;
}

std::string join_names(const std::vector<std::string>& names, std::string_view separator) {
    return join(names, separator);
}

std::string join_names(const std::vector<std::string_view>& names, std::string_view separator) {
    return join(names, separator);
}

} // namespace muster::ssh::detail
