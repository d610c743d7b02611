#pragma once

#include <muster/core/detail/loop_core.hpp>
#include <muster/core/detail/timer_queue.hpp>

#include <utility>

namespace muster::detail {

/// Something that belongs to a loop, but may be referred to when the loop is gone: it is told.
class LoopGuest : private TimerNode {
public:
    /// Throws std::bad_alloc.
    explicit LoopGuest(LoopCore& core) : TimerNode(&LoopGuest::on_node), core_(&core) {
        // Never due: only its drop is wanted, which is how a loop says that it goes.
        core.add_timer(*this, Clock::time_point::max());
    }

    LoopGuest(const LoopGuest&) = delete;
    LoopGuest& operator=(const LoopGuest&) = delete;

    virtual ~LoopGuest() { leave(); }

    /// The loop; null after leave(), and once the loop is gone.
    [[nodiscard]] LoopCore* core() const noexcept { return core_; }

protected:
    /// The loop is closing. Its io_context is still there.
    virtual void on_loop_gone() noexcept = 0;

    /// Idempotent.
    void leave() noexcept {
        if (core_ != nullptr) {
            std::exchange(core_, nullptr)->remove_timer(*this);
        }
    }

private:
    static void on_node(Node& node, NodeEvent event) noexcept {
        if (event == NodeEvent::drop) {
            auto& guest = static_cast<LoopGuest&>(static_cast<TimerNode&>(node));
            guest.on_loop_gone();
        }
    }

    LoopCore* core_;
};

} // namespace muster::detail
