#include <muster/core/detail/thread_hop.hpp>

#include <utility>

namespace muster::detail {

ThreadHop::ThreadHop(LoopCore& core) : gate_(core.gate()), core_(&core) {}

void ThreadHop::arrive(std::shared_ptr<ThreadHop> hop) noexcept {
    const std::shared_ptr<LoopGate> gate = hop->gate_;
    UniqueFunction<void()> work = [hop = std::move(hop)] {
        hop->core_->remove_external(*hop);
        hop->deliver();
    };
    // On a loop that is closed nobody waits any more.
    static_cast<void>(gate->post(work));
}

} // namespace muster::detail
