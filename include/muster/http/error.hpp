#pragma once

#include <muster/core/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace muster::http {

/// Where on the way to a response an error happened.
enum class Phase : std::uint8_t {
    prepare, ///< before anything was sent: URL, options, certificate files
    resolve,
    connect, ///< waiting for a free connection of the pool, TCP
    tls,     ///< handshake and the check of the certificate
    request, ///< sending
    response,
};

/// "connect", as messages print it.
std::string_view to_string(Phase phase) noexcept;

/// What went wrong, for code that decides by it; the text is for people.
enum class ErrorKind : std::uint8_t {
    configuration,   ///< a URL, an option or a certificate file cannot be used; nothing was sent
    unreachable,     ///< no address, refused, no route
    timeout,         ///< the phase's time, or the whole request's, ran out
    certificate,     ///< the server's certificate was not accepted
    tls,             ///< the handshake failed for another reason
    protocol,        ///< what came back is not HTTP
    connection_lost, ///< the connection ended before the response was complete
    too_large,       ///< the response is larger than the limit
    decode,          ///< Response::json(): the body is not JSON
    status,          ///< Response::raise_for_status(): see StatusError
};

/// "connection lost", as messages print it.
std::string_view to_string(ErrorKind kind) noexcept;

/// The parts of an `Error`.
struct Failure {
    std::string method; ///< "GET"; empty where there was no request yet
    std::string url;    ///< as Url::str() prints it
    std::string host;
    std::uint16_t port = 0;
    Phase phase = Phase::prepare;
    ErrorKind kind = ErrorKind::protocol;
    std::string reason; ///< what happened
    std::string remedy; ///< what to do about it; empty where nothing useful is known
};

/// Every failure of the http room (requests.RequestException, httpx.HTTPError). `what()` is
/// "GET https://host/path: phase: reason (remedy)"; it never holds a secret.
class Error : public muster::Error {
public:
    explicit Error(Failure failure);

    [[nodiscard]] const std::string& method() const noexcept { return failure_.method; }

    [[nodiscard]] const std::string& url() const noexcept { return failure_.url; }

    [[nodiscard]] const std::string& host() const noexcept { return failure_.host; }

    [[nodiscard]] std::uint16_t port() const noexcept { return failure_.port; }

    [[nodiscard]] Phase phase() const noexcept { return failure_.phase; }

    [[nodiscard]] ErrorKind kind() const noexcept { return failure_.kind; }

    [[nodiscard]] const std::string& reason() const noexcept { return failure_.reason; }

    [[nodiscard]] const std::string& remedy() const noexcept { return failure_.remedy; }

private:
    Failure failure_;
};

} // namespace muster::http
