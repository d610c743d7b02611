#include "request_text.hpp"

#include "text.hpp"

#include <muster/core/error.hpp>

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

namespace muster::http::detail {

namespace {

std::string base64(const std::string& text) {
    std::string out((text.size() + 2) / 3 * 4 + 1, '\0'); // OpenSSL ends it with a zero
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
    out.resize(static_cast<std::size_t>(size));
    return out;
}

/// The Authorization field's value; empty: none.
std::string authorization(const Url& url, const Request& request, const ClientOptions& options) {
    Auth auth = options.auth;
    if (request.options.auth) {
        auth = *request.options.auth;
    } else if (!url.username().empty() || !url.password().empty()) {
        auth = BasicAuth{url.username(), url.password()};
    }
    if (const auto* basic = std::get_if<BasicAuth>(&auth)) {
        if (basic->username.find(':') != std::string::npos) {
            throw ValueError("a user name with a colon cannot be sent by basic authentication");
        }
        return "Basic " + base64(basic->username + ":" + basic->password.reveal());
    }
    if (const auto* bearer = std::get_if<BearerAuth>(&auth)) {
        return "Bearer " + bearer->token.reveal();
    }
    return {};
}

/// `more` besides `headers`, in place of those of the same name.
void override_with(Headers& headers, const Headers& more) {
    for (const auto& field : more) {
        headers.erase(field.name);
    }
    for (const auto& field : more) {
        headers.add(field.name, field.value);
    }
}

void add_missing(Headers& headers, std::string_view name, std::string_view value) {
    if (!value.empty() && !headers.contains(name)) {
        headers.add(name, value);
    }
}

} // namespace

std::string request_text(const Url& url, const Request& request, const ClientOptions& options) {
    if (!is_token(request.method)) {
        throw ValueError("\"" + printable(request.method) + "\" is not a request method");
    }
    Headers headers = options.headers;
    override_with(headers, request.options.headers);
    for (const std::string_view own : {"Content-Length", "Transfer-Encoding"}) {
        if (headers.contains(own)) {
            throw ValueError("the header field " + std::string(own) +
                             " follows from the body and cannot be given");
        }
    }
    const std::string host = headers.get("Host", url.authority());
    headers.erase("Host");
    const std::string agent =
        options.user_agent.empty() ? "muster/" MUSTER_VERSION : options.user_agent;
    add_missing(headers, "User-Agent", agent);
    add_missing(headers, "Accept", "*/*");
    add_missing(headers, "Authorization", authorization(url, request, options));
    add_missing(headers, "Content-Type", request.body.content_type());
    const std::string& body = request.body.text();
    constexpr std::array<std::string_view, 3> expect_body{"POST", "PUT", "PATCH"};
    if (!request.body.content_type().empty() ||
        std::ranges::find(expect_body, request.method) != expect_body.end()) {
        headers.add("Content-Length", std::to_string(body.size()));
    }
    if (options.max_idle_connections == 0) {
        headers.set("Connection", "close");
    }

    std::string text = request.method + " " + url.target() + " HTTP/1.1\r\nHost: " + host + "\r\n";
    for (const auto& field : headers) {
        text.append(field.name).append(": ").append(field.value).append("\r\n");
    }
    text.append("\r\n").append(body);
    return text;
}

bool is_idempotent(const std::string& method) noexcept {
    constexpr std::array<std::string_view, 6> methods{"GET",    "HEAD",    "PUT",
                                                      "DELETE", "OPTIONS", "TRACE"};
    return std::ranges::find(methods, method) != methods.end();
}

} // namespace muster::http::detail
