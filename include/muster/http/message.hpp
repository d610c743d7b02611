#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/secret.hpp>
#include <muster/http/error.hpp>
#include <muster/http/headers.hpp>
#include <muster/http/url.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace muster::http {

/// What a request carries: nothing, text, or JSON.
class Body {
public:
    /// None.
    Body() = default;

    /// Text or bytes as they are.
    Body(std::string text, std::string content_type = "text/plain; charset=utf-8")
        : text_(std::move(text)), content_type_(std::move(content_type)) {}

    Body(const char* text) : Body(std::string(text)) {}

    /// JSON. Throws nlohmann's type_error when a string in it is not UTF-8.
    template <class Json>
        requires std::same_as<std::remove_cvref_t<Json>, nlohmann::json>
    Body(const Json& json) : Body(json.dump(), "application/json") {}

    /// What a browser sends for a form (application/x-www-form-urlencoded).
    static Body form(const Params& fields) {
        return {encode_params(fields), "application/x-www-form-urlencoded"};
    }

    [[nodiscard]] const std::string& text() const noexcept { return text_; }

    /// Empty: there is no body.
    [[nodiscard]] const std::string& content_type() const noexcept { return content_type_; }

private:
    std::string text_;
    std::string content_type_;
};

/// No credentials, even where the client or the URL has some.
struct NoAuth {};

/// User name and password in clear text (RFC 7617): as secret as the connection.
struct BasicAuth {
    std::string username = {};
    Secret password = {};
};

/// A token (RFC 6750).
struct BearerAuth {
    Secret token = {};
};

using Auth = std::variant<NoAuth, BasicAuth, BearerAuth>;

/// How long each part of a request may take; std::nullopt is no limit.
struct Timeouts {
    TimeLimit connect = std::chrono::seconds(10);  ///< name resolution and TCP, all addresses
    TimeLimit tls = std::chrono::seconds(10);      ///< the handshake
    TimeLimit response = std::chrono::seconds(30); ///< from the request's end to the header's end
    TimeLimit idle = std::chrono::seconds(30);     ///< silence while a body is on its way
    /// All of it, including the wait for a free connection and a second try.
    TimeLimit total = std::chrono::minutes(5);
};

/// What may be said besides method, URL and body.
struct RequestOptions {
    Params params = {};   ///< appended to the URL's query
    Headers headers = {}; ///< besides the client's, and in place of those of the same name
    /// In place of the URL's "user:password@", which comes before the client's.
    std::optional<Auth> auth = {};
    std::optional<Timeouts> timeouts = {};    ///< in place of the client's
    std::optional<std::size_t> max_body = {}; ///< in place of the client's
};

/// One request.
struct Request {
    std::string method = "GET";
    std::string url = {}; ///< absolute, or a path ("/api") below the client's base_url
    Body body = {};
    RequestOptions options = {};
};

/// One response, complete.
struct Response {
    int status = 0;          ///< 200
    std::string reason = {}; ///< "OK"; some servers send none
    Headers headers = {};
    std::string body = {};
    std::string method = {}; ///< of the request
    std::string url = {};    ///< of the request, as Url::str() prints it

    /// 2xx.
    [[nodiscard]] bool ok() const noexcept { return status >= 200 && status < 300; }

    /// The body parsed. Throws http::Error (ErrorKind::decode) when it is not JSON.
    [[nodiscard]] nlohmann::json json() const;

    /// Throws StatusError unless the status is 2xx; else gives the response itself
    /// (requests.Response.raise_for_status).
    const Response& raise_for_status() const&;
    Response raise_for_status() &&;
};

/// A response whose status is not 2xx (requests.HTTPError, httpx.HTTPStatusError).
class StatusError : public Error {
public:
    explicit StatusError(Response response);

    [[nodiscard]] int status() const noexcept { return response_->status; }

    /// All of it: many servers explain themselves in the body.
    [[nodiscard]] const Response& response() const noexcept { return *response_; }

private:
    std::shared_ptr<const Response> response_; // shared: copying an exception must not throw
};

} // namespace muster::http
