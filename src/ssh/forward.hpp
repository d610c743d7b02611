#pragma once

#include "ssh/session.hpp"

#include <muster/core/coro.hpp>
#include <muster/ssh/forward.hpp>
#include <muster/ssh/options.hpp>

#include <memory>
#include <string>

namespace muster::ssh::detail {

/// See Connection::forward_local.
Coro<LocalForward> forward_local(std::shared_ptr<Session> session, std::string host,
                                 std::uint16_t port, ForwardOptions options);

} // namespace muster::ssh::detail
