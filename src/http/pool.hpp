#pragma once

#include "connection.hpp"

#include <muster/core/clock.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/sync/semaphore.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <unordered_map>

namespace muster::http::detail {

/// Connections kept for later requests, and how many there may be. A key stands for a scheme, host
/// and port.
class Pool {
public:
    Pool(std::size_t max_per_host, std::size_t max_idle, std::chrono::milliseconds keep_idle);
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    ~Pool();

    /// To be held by whoever uses a connection to that host.
    Semaphore& places(const std::string& key);

    /// The connection used last that is still good; null when there is none.
    std::shared_ptr<Connection> take(const std::string& key);

    /// Keeps a connection that is between two requests.
    void give(const std::string& key, std::shared_ptr<Connection> connection);

    void close_idle() noexcept;
    [[nodiscard]] std::size_t idle() const noexcept;

private:
    class Shelf;

    std::shared_ptr<Shelf> shelf() const;

    std::size_t max_per_host_;
    std::size_t max_idle_;
    Clock::duration keep_idle_;
    std::unordered_map<std::string, Semaphore> places_;
    /// A timer of the loop owns it: a loop that closes closes the sockets that are its own.
    std::weak_ptr<Shelf> shelf_;
};

} // namespace muster::http::detail
