#pragma once

#include <muster/core/coro.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace muster::ssh {

namespace detail {
class ForwardState;
} // namespace detail

/// A port on this machine whose connections a device carries on (ssh -L): made by
/// `Connection::forward_local()`. Dropping it listens no more and ends its connections.
class LocalForward {
public:
    explicit LocalForward(std::shared_ptr<detail::ForwardState> state) noexcept;
    LocalForward(LocalForward&&) noexcept;
    LocalForward& operator=(LocalForward&& other) noexcept;
    ~LocalForward();

    /// Where it listens: the port that was found for port 0. 0 once closed.
    [[nodiscard]] std::uint16_t port() const;

    /// Listens no more, ends its connections and waits until they are gone. Idempotent.
    Coro<void> close();

private:
    std::shared_ptr<detail::ForwardState> state_;
};

} // namespace muster::ssh
