#pragma once

#include <muster/core/detail/loop_core.hpp>

#include <memory>

namespace muster::detail {

/// The way back to the loop from another thread or another library's scheduler. Shared by both
/// sides; everything that belongs to the loop is touched on the loop's thread only.
class ThreadHop : public ExternalOperation {
public:
    virtual ~ThreadHop() = default;

    /// Any thread: has `deliver` called on the loop's thread, if there still is a loop. The hop
    /// goes over too, so that what it holds is destroyed there.
    static void arrive(std::shared_ptr<ThreadHop> hop) noexcept;

protected:
    /// Does not register the hop with the loop: LoopCore::add_external does.
    explicit ThreadHop(LoopCore& core);

    virtual void deliver() noexcept = 0;

    /// For the loop's thread.
    [[nodiscard]] LoopCore& core() const noexcept { return *core_; }

private:
    std::shared_ptr<LoopGate> gate_;
    LoopCore* core_;
};

} // namespace muster::detail
