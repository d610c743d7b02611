#pragma once

#include <muster/http/error.hpp>
#include <muster/net/tls.hpp>

#include <string>

namespace muster::http::detail {

/// What a part found wrong; who knows the request makes an Error of it.
struct Trouble {
    ErrorKind kind = ErrorKind::protocol;
    std::string reason;
    std::string remedy;
};

/// The same of TLS.
inline Trouble trouble_of(const TlsError& error) {
    switch (error.kind()) {
    case TlsError::Kind::configuration:
        return {ErrorKind::configuration, error.reason(), error.remedy()};
    case TlsError::Kind::certificate:
        return {ErrorKind::certificate, error.reason(), error.remedy()};
    default:
        return {ErrorKind::tls, error.reason(), error.remedy()};
    }
}

} // namespace muster::http::detail
