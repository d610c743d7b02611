#pragma once

#include <muster/core/concurrent_queue.hpp>

#include <cstddef>
#include <mutex>
#include <thread>

namespace muster::testing_support {

/// A queue that tells how many threads and tasks stand in its lines: a test which needs a thread
/// to be blocked can wait for just that.
template <class Queue>
class Watched : public Queue {
public:
    using Queue::Queue;

    void await_getters(std::size_t count) const { await(this->state_->getters(), count); }

    void await_putters(std::size_t count) const { await(this->state_->putters(), count); }

    void await_joiners(std::size_t count) const { await(this->state_->joiners(), count); }

private:
    void await(const concurrent::detail::Line& line, std::size_t count) const {
        for (std::size_t seen = 0; seen != count; std::this_thread::yield()) {
            const std::lock_guard lock(this->state_->mutex());
            seen = 0;
            line.for_each([&seen](const concurrent::detail::Place&) { ++seen; });
        }
    }
};

} // namespace muster::testing_support
