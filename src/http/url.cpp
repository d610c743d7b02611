#include "text.hpp"

#include <muster/http/error.hpp>
#include <muster/http/url.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <optional>

namespace muster::http {

namespace {

constexpr std::uint16_t http_port = 80;
constexpr std::uint16_t https_port = 443;

[[noreturn]] void refuse(std::string_view text, const std::string& reason, std::string remedy) {
    // Credentials stand before the last "@"; where the rest is so broken that nobody knows what
    // they are, nothing before it is shown.
    const std::size_t at = text.rfind('@');
    const std::string shown(at == std::string_view::npos ? text : text.substr(at + 1));
    Failure failure;
    failure.kind = ErrorKind::configuration;
    failure.reason = "\"" + detail::printable(shown.substr(0, shown.find_first_of("?#"))) +
                     "\" is not a usable URL: " + reason;
    failure.remedy = std::move(remedy);
    throw Error(std::move(failure));
}

bool is_alnum(char c) noexcept {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// What stands for itself everywhere (RFC 3986, "unreserved").
bool is_unreserved(char c) noexcept {
    return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

void append_encoded(std::string& out, char c) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += digits[byte >> 4];
    out += digits[byte & 15];
}

std::optional<unsigned char> hex_pair(std::string_view text) {
    unsigned char value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (text.size() != 2 || error != std::errc() || end != text.data() + 2) {
        return std::nullopt;
    }
    return value;
}

/// Percent-encoding undone; what only looks like one stays.
std::string decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%') {
            if (const auto byte = hex_pair(text.substr(i + 1, 2))) {
                out += static_cast<char>(*byte);
                i += 2;
                continue;
            }
        }
        out += text[i];
    }
    return out;
}

/// Path and query with everything encoded that cannot stand in a request line. A "%" that begins
/// an encoding stays as it is.
std::string encode_target(std::string_view text) {
    constexpr std::string_view allowed = "!$&'()*+,;=:@/?[]";
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (is_unreserved(c) || allowed.find(c) != std::string_view::npos ||
            (c == '%' && hex_pair(text.substr(i + 1, 2)))) {
            out += c;
        } else {
            append_encoded(out, c);
        }
    }
    return out;
}

bool looks_secret(std::string_view name) {
    constexpr std::array<std::string_view, 8> words{"key",  "token",     "pass", "pwd",
                                                    "auth", "signature", "cred", "secret"};
    const std::string lower = detail::to_lower(decode(name));
    return std::ranges::any_of(
        words, [&](std::string_view word) { return lower.find(word) != std::string::npos; });
}

/// The target with the values of secret-looking parameters hidden.
std::string masked(std::string_view target) {
    const std::size_t question = target.find('?');
    if (question == std::string_view::npos) {
        return std::string(target);
    }
    std::string out(target.substr(0, question + 1));
    std::string_view query = target.substr(question + 1);
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view item = query.substr(0, end);
        const std::size_t equals = item.find('=');
        if (equals != std::string_view::npos && looks_secret(item.substr(0, equals))) {
            out.append(item.substr(0, equals + 1)).append("***");
        } else {
            out.append(item);
        }
        query.remove_prefix(end);
        if (!query.empty()) {
            out += '&';
            query.remove_prefix(1);
        }
    }
    return out;
}

/// The host between brackets: an IPv6 address, perhaps with a zone ("%25eth0", or "%eth0").
std::optional<std::string> read_ipv6(std::string_view text) {
    const std::size_t percent = text.find('%');
    const std::string address(text.substr(0, percent));
    in6_addr parsed{};
    if (inet_pton(AF_INET6, address.c_str(), &parsed) != 1) {
        return std::nullopt;
    }
    if (percent == std::string_view::npos) {
        return detail::to_lower(address);
    }
    std::string_view zone = text.substr(percent + 1);
    if (zone.size() > 2 && zone.starts_with("25")) {
        zone.remove_prefix(2);
    }
    if (zone.empty() || !std::ranges::all_of(zone, is_unreserved)) {
        return std::nullopt;
    }
    return detail::to_lower(address) + "%" + std::string(zone);
}

} // namespace

Url Url::parse(std::string_view text) {
    const auto broken = [&](const std::string& reason, std::string remedy = {}) {
        refuse(text, reason, std::move(remedy));
    };
    if (std::ranges::any_of(
            text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; })) {
        broken("it holds a control character");
    }
    Url url;
    std::string_view rest = text;
    const std::size_t colon = rest.find("://");
    if (colon == std::string_view::npos) {
        broken("it has no scheme", "write http:// or https:// in front");
    }
    const std::string scheme = detail::to_lower(rest.substr(0, colon));
    if (scheme != "http" && scheme != "https") {
        broken("its scheme is not http or https");
    }
    url.tls_ = scheme == "https";
    rest.remove_prefix(colon + 3);

    std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
    rest.remove_prefix(authority.size());
    if (authority.find('\\') != std::string_view::npos) {
        broken("it holds a backslash"); // read as "/" by some: two readers, two hosts
    }
    if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
        const std::string_view user = authority.substr(0, at);
        const std::size_t separator = user.find(':');
        url.username_ = decode(user.substr(0, separator));
        if (separator != std::string_view::npos) {
            url.password_ = Secret(decode(user.substr(separator + 1)));
        }
        authority.remove_prefix(at + 1);
    }

    std::string_view port;
    if (authority.starts_with('[')) {
        const std::size_t end = authority.find(']');
        const auto address =
            end == std::string_view::npos ? std::nullopt : read_ipv6(authority.substr(1, end - 1));
        if (!address) {
            broken("there is no IPv6 address between its brackets");
        } else {
            url.host_ = *address;
        }
        port = authority.substr(end + 1);
    } else {
        const std::size_t end = std::min(authority.find(':'), authority.size());
        url.host_ = detail::to_lower(authority.substr(0, end));
        port = authority.substr(end);
        if (port.find(':', 1) != std::string_view::npos) {
            broken("an IPv6 address needs brackets", "write http://[2001:db8::1]/");
        }
    }
    if (url.host_.empty()) {
        broken("it names no host");
    }
    if (!authority.starts_with('[') && !std::ranges::all_of(url.host_, is_unreserved)) {
        broken("its host name holds characters that no host name has",
               "international names are written in their xn-- form");
    }
    url.port_ = url.tls_ ? https_port : http_port;
    if (!port.empty() && port != ":") {
        unsigned number = 0;
        const auto [end, error] =
            std::from_chars(port.data() + 1, port.data() + port.size(), number);
        if (port.front() != ':' || error != std::errc() || end != port.data() + port.size() ||
            number == 0 || number > 65535) {
            broken("its port is not a number from 1 to 65535");
        }
        url.port_ = static_cast<std::uint16_t>(number);
    }

    rest = rest.substr(0, rest.find('#')); // the fragment is the reader's business
    url.target_ = (rest.starts_with('/') ? "" : "/") + encode_target(rest);
    return url;
}

Url Url::parse(std::string_view text, const Params& params) {
    Url url = parse(text);
    if (!params.empty()) {
        const std::size_t question = url.target_.find('?');
        if (question == std::string::npos) {
            url.target_ += '?';
        } else if (question + 1 < url.target_.size()) {
            url.target_ += '&';
        }
        url.target_ += encode_params(params);
    }
    return url;
}

std::string Url::authority() const {
    std::string text =
        host_.find(':') == std::string::npos ? host_ : "[" + host_.substr(0, host_.find('%')) + "]";
    if (port_ != (tls_ ? https_port : http_port)) {
        text += ":" + std::to_string(port_);
    }
    return text;
}

std::string Url::origin() const { return (tls_ ? "https://" : "http://") + authority(); }

std::string Url::str() const { return origin() + masked(target_); }

std::string encode_params(const Params& params) {
    std::string out;
    const auto append = [&](std::string_view text) {
        for (const char c : text) {
            if (is_unreserved(c)) {
                out += c;
            } else {
                append_encoded(out, c);
            }
        }
    };
    for (const auto& [name, value] : params) {
        if (!out.empty()) {
            out += '&';
        }
        append(name);
        out += '=';
        append(value);
    }
    return out;
}

} // namespace muster::http
