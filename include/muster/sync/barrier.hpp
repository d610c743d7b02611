#pragma once

#include <muster/core/coro.hpp>
#include <muster/core/detail/list.hpp>
#include <muster/sync/detail/wait_list.hpp>

#include <cstddef>
#include <cstdint>

namespace muster {

/// Lets tasks go on when as many as it is for have come; then starts over (asyncio.Barrier). Not
/// for threads.
class Barrier {
public:
    /// Throws ValueError when `parties` is less than one.
    explicit Barrier(std::ptrdiff_t parties);

    Barrier(const Barrier&) = delete;
    Barrier& operator=(const Barrier&) = delete;

    /// Waits until all parties have come; then all go on. Its value is the place in the order they
    /// came, from 0. A task that comes while those of the round before are still leaving waits for
    /// the next round. Throws BrokenBarrierError when the barrier is broken, and when it is aborted
    /// or reset meanwhile. A task that is cancelled before all have come is one that has not come;
    /// afterwards that changes nothing for the others.
    Coro<std::size_t> wait();

    /// Starts over: tasks that wait get BrokenBarrierError. Mends a broken barrier. Not a
    /// coroutine as in asyncio, so that a catch handler can call it.
    void reset();

    /// Breaks the barrier until reset(): tasks that wait, and those that come, get
    /// BrokenBarrierError. Not a coroutine, either.
    void abort();

    /// How many tasks the barrier is for.
    [[nodiscard]] std::size_t parties() const noexcept { return parties_; }

    /// How many tasks have come and wait for the others.
    [[nodiscard]] std::size_t n_waiting() const noexcept {
        return state_ == State::filling ? count_ : 0;
    }

    /// Whether abort() was called, and no reset() since.
    [[nodiscard]] bool broken() const noexcept { return state_ == State::broken; }

private:
    enum class State : std::uint8_t {
        filling,   ///< tasks come
        draining,  ///< all have come, and go on one after the other
        resetting, ///< reset before all had gone on: the others leave with an error
        broken,
    };

    /// A task's presence, from its coming to its going on; lies in its frame.
    class Presence : public detail::Link {
    public:
        explicit Presence(Barrier& barrier) noexcept;
        ~Presence();

    private:
        Barrier& barrier_;
    };

    [[nodiscard]] bool closed() const noexcept {
        return state_ == State::draining || state_ == State::resetting;
    }

    void left() noexcept;

    std::size_t parties_;
    std::size_t count_ = 0; // tasks that have come and not gone on
    State state_ = State::filling;
    detail::List<Presence> present_;
    detail::WaitList entering_; // tasks that came while the barrier was closed
    detail::WaitList waiting_;
};

} // namespace muster
