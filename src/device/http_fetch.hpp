#pragma once

#include <muster/device/fetch.hpp>

namespace muster::device {

/// `fetch()` for devices that are reached over HTTP or HTTPS.
Coro<Reply> fetch_over_http(Device device, Request request, CliOptions options);

} // namespace muster::device
