#include "fleet/address.hpp"

#include <muster/core/error.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace muster::fleet::detail {
namespace {

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

bool is_interface_name(std::string_view zone) {
    return !zone.empty() && std::all_of(zone.begin(), zone.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_';
    });
}

bool is_ipv6(std::string_view text) {
    const std::size_t percent = text.find('%');
    if (percent != std::string_view::npos && !is_interface_name(text.substr(percent + 1))) {
        return false;
    }
    const std::string address(text.substr(0, percent));
    in6_addr parsed{};
    return ::inet_pton(AF_INET6, address.c_str(), &parsed) == 1;
}

// All digits and dots: meant as an IPv4 address, whatever a resolver would make of it.
bool looks_like_ipv4(std::string_view text) {
    return text.find_first_not_of("0123456789.") == std::string_view::npos;
}

void check_name(std::string_view host) {
    if (host.empty()) {
        throw ValueError("the host is empty");
    }
    if (host.find("://") != std::string_view::npos) {
        throw ValueError(quoted(host) + " is a URL; give the host alone, and the protocol as "
                                        "'transport: ssh', 'http' or 'https'");
    }
    if (host.find('@') != std::string_view::npos) {
        throw ValueError(quoted(host) + " holds a user name; give it as 'username'");
    }
    if (host.front() == '-') {
        throw ValueError("a host can't begin with '-'");
    }
    const bool printable = std::all_of(host.begin(), host.end(), [](char c) {
        return static_cast<unsigned char>(c) > ' ' && c != '\x7f' && c != '/' && c != '\\';
    });
    if (!printable) {
        throw ValueError(quoted(host) + " is not a host name or an address");
    }
    if (looks_like_ipv4(host)) {
        in_addr parsed{};
        if (::inet_pton(AF_INET, std::string(host).c_str(), &parsed) != 1) {
            throw ValueError(quoted(host) + " is not an IPv4 address");
        }
    }
}

} // namespace

std::uint16_t parse_port(std::string_view text) {
    unsigned port = 0;
    const char* begin = text.data();
    const char* end = begin + text.size();
    const auto [stop, error] = std::from_chars(begin, end, port);
    if (error == std::errc::result_out_of_range ||
        (error == std::errc{} && stop == end && (port == 0 || port > 65535))) {
        throw ValueError(quoted(text) + " is out of range; a port is 1 to 65535");
    }
    if (error != std::errc{} || stop != end) {
        throw ValueError(quoted(text) + " is not a port; a port is 1 to 65535");
    }
    return static_cast<std::uint16_t>(port);
}

Address parse_address(std::string_view text) {
    if (!text.empty() && text.front() == '[') {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos) {
            throw ValueError(quoted(text) + " has no closing ']'");
        }
        const std::string_view host = text.substr(1, close - 1);
        const std::string_view rest = text.substr(close + 1);
        if (!is_ipv6(host)) {
            throw ValueError(quoted(host) + " is not an IPv6 address");
        }
        if (rest.empty()) {
            return {std::string(host), 0};
        }
        if (rest.front() != ':') {
            throw ValueError("after ']' only ':port' can follow, in " + quoted(text));
        }
        return {std::string(host), parse_port(rest.substr(1))};
    }
    const auto colons = std::count(text.begin(), text.end(), ':');
    if (colons >= 2 && text.find("://") == std::string_view::npos) {
        if (!is_ipv6(text)) {
            throw ValueError(quoted(text) +
                             " is not an IPv6 address; with a port it is written '[::1]:22'");
        }
        return {std::string(text), 0};
    }
    const std::size_t colon = text.find(':');
    const bool is_url = text.find("://") != std::string_view::npos;
    if (colon == std::string_view::npos || is_url) {
        check_name(text);
        return {std::string(text), 0};
    }
    const std::string_view host = text.substr(0, colon);
    check_name(host);
    return {std::string(host), parse_port(text.substr(colon + 1))};
}

} // namespace muster::fleet::detail
