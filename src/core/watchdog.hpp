#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/detail/loop_core.hpp>
#include <muster/core/event_loop.hpp>

#include <functional>
#include <memory>

namespace muster::detail {

/// A thread that looks after the steps of a loop, see EventLoop::set_watchdog.
[[nodiscard]] std::unique_ptr<StepWatch>
make_watchdog(Clock::duration limit, std::function<void(const BlockedStep&)> handler);

} // namespace muster::detail
