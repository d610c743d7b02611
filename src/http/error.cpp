#include "text.hpp"

#include <muster/http/error.hpp>
#include <muster/http/message.hpp>

#include <utility>

namespace muster::http {

namespace {

std::string describe(const Failure& failure) {
    std::string text;
    if (!failure.url.empty()) {
        text += failure.method.empty() ? failure.url : failure.method + " " + failure.url;
        text += ": ";
    }
    if (failure.phase != Phase::prepare) {
        text += to_string(failure.phase);
        text += ": ";
    }
    text += failure.reason;
    if (!failure.remedy.empty()) {
        text += " (" + failure.remedy + ")";
    }
    return text;
}

Failure failure_of(const Response& response, ErrorKind kind) {
    Failure failure;
    failure.method = response.method;
    failure.url = response.url;
    if (!response.url.empty()) {
        const Url url = Url::parse(response.url);
        failure.host = url.host();
        failure.port = url.port();
    }
    failure.phase = Phase::response;
    failure.kind = kind;
    return failure;
}

/// " to https://...", without what may be secret in it; empty where it says nothing usable.
std::string redirect_target(const Response& response) {
    const std::string location = response.headers.get("Location");
    try {
        const bool path = location.starts_with('/') && !location.starts_with("//");
        return " to " +
               Url::parse(path ? Url::parse(response.url).origin() + location : location).str();
    } catch (const Error&) {
        return {};
    }
}

Failure bad_status(const Response& response) {
    Failure failure = failure_of(response, ErrorKind::status);
    failure.reason = std::to_string(response.status);
    if (!response.reason.empty()) {
        failure.reason += " " + detail::printable(response.reason);
    }
    switch (response.status) {
    case 401:
        failure.remedy = "user name, password or token was not accepted";
        break;
    case 403:
        failure.remedy = "this user may not do that";
        break;
    default:
        if (response.status >= 300 && response.status < 400) {
            failure.remedy = "a redirect" + redirect_target(response);
        }
        break;
    }
    return failure;
}

} // namespace

std::string_view to_string(Phase phase) noexcept {
    switch (phase) {
    case Phase::prepare:
        return "preparation";
    case Phase::resolve:
        return "resolve";
    case Phase::connect:
        return "connect";
    case Phase::tls:
        return "TLS";
    case Phase::request:
        return "request";
    case Phase::response:
        return "response";
    }
    return "?";
}

std::string_view to_string(ErrorKind kind) noexcept {
    switch (kind) {
    case ErrorKind::configuration:
        return "configuration";
    case ErrorKind::unreachable:
        return "unreachable";
    case ErrorKind::timeout:
        return "timeout";
    case ErrorKind::certificate:
        return "certificate";
    case ErrorKind::tls:
        return "TLS";
    case ErrorKind::protocol:
        return "protocol";
    case ErrorKind::connection_lost:
        return "connection lost";
    case ErrorKind::too_large:
        return "too large";
    case ErrorKind::decode:
        return "decode";
    case ErrorKind::status:
        return "status";
    }
    return "?";
}

Error::Error(Failure failure) : muster::Error(describe(failure)), failure_(std::move(failure)) {}

StatusError::StatusError(Response response)
    : Error(bad_status(response)),
      response_(std::make_shared<const Response>(std::move(response))) {}

nlohmann::json Response::json() const {
    try {
        return nlohmann::json::parse(body);
    } catch (const nlohmann::json::parse_error& error) {
        Failure failure = failure_of(*this, ErrorKind::decode);
        failure.reason = body.empty() ? "there is no JSON: the body is empty"
                                      : "the body is not JSON: byte " + std::to_string(error.byte) +
                                            " of " + std::to_string(body.size());
        failure.reason += ", status " + std::to_string(status);
        if (const std::string* type = headers.find("Content-Type")) {
            failure.reason += ", Content-Type " + detail::printable(*type);
        }
        throw Error(std::move(failure));
    }
}

const Response& Response::raise_for_status() const& {
    if (!ok()) {
        throw StatusError(*this);
    }
    return *this;
}

Response Response::raise_for_status() && {
    if (!ok()) {
        throw StatusError(std::move(*this));
    }
    return std::move(*this);
}

} // namespace muster::http
