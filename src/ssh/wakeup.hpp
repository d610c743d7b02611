#pragma once

#include "net/socket_wait.hpp"

#include <muster/core/event_loop.hpp>
#include <muster/core/future.hpp>

#include <optional>

namespace muster::ssh::detail {

/// What somebody waits for until an operation is finished. The device works meanwhile: a virtual
/// clock stands still.
class Wakeup {
public:
    /// To be awaited. Kept here, because what is awaited must outlive the wait.
    Future<void>& wait(EventLoop& loop) {
        future_ = loop.create_future<void>();
        work_.emplace(loop.core());
        return future_;
    }

    void wake() noexcept {
        work_.reset();
        if (future_.valid() && !future_.done()) {
            future_.set_result();
        }
    }

    /// Nobody waits any more.
    void forget() noexcept {
        work_.reset();
        future_ = Future<void>();
    }

private:
    Future<void> future_;
    std::optional<muster::detail::PendingWork> work_;
};

} // namespace muster::ssh::detail
