#pragma once

#include <muster/http/error.hpp>

#include <string>

namespace muster::http::detail {

/// What a part found wrong; who knows the request makes an Error of it.
struct Trouble {
    ErrorKind kind = ErrorKind::protocol;
    std::string reason;
    std::string remedy;
};

} // namespace muster::http::detail
