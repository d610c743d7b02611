#include <muster/core/error.hpp>
#include <muster/sync/barrier.hpp>
#include <muster/sync/detail/line_awaiter.hpp>

namespace muster {

Barrier::Barrier(std::ptrdiff_t parties) : parties_(static_cast<std::size_t>(parties)) {
    if (parties < 1) {
        throw ValueError("parties must be >= 1");
    }
}

Barrier::Presence::Presence(Barrier& barrier) noexcept : barrier_(barrier) {
    ++barrier.count_;
    barrier.present_.push_back(*this);
}

Barrier::Presence::~Presence() {
    if (linked()) { // the barrier is there
        unlink();
        barrier_.left();
    }
}

Coro<std::size_t> Barrier::wait() {
    while (closed()) {
        co_await detail::LineAwaiter(entering_, "barrier");
    }
    if (broken()) {
        throw BrokenBarrierError("Barrier aborted");
    }
    const std::size_t index = count_;
    const Presence presence(*this);
    if (count_ == parties_) {
        state_ = State::draining;
        waiting_.grant_all();
        co_return index;
    }
    while (state_ == State::filling) {
        co_await detail::LineAwaiter(waiting_, "barrier");
    }
    if (state_ != State::draining) {
        throw BrokenBarrierError("Abort or reset of barrier");
    }
    co_return index;
}

void Barrier::left() noexcept {
    if (--count_ == 0 && closed()) {
        state_ = State::filling;
        entering_.grant_all();
    }
}

void Barrier::reset() {
    waiting_.check_thread();
    if (count_ == 0) {
        state_ = State::filling;
        return;
    }
    state_ = State::resetting;
    waiting_.grant_all();
}

void Barrier::abort() {
    waiting_.check_thread();
    state_ = State::broken;
    waiting_.grant_all();
    entering_.grant_all();
}

} // namespace muster
