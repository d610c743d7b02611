#include <muster/core/run_in_executor.hpp>

namespace muster::detail {

ThreadHop::ThreadHop(LoopCore& core) : gate_(core.gate()), core_(&core) {}

void ThreadHop::arrive() noexcept {
    UniqueFunction<void()> work = [self = shared_from_this()] {
        self->core_->remove_external(*self);
        self->deliver();
    };
    // On a loop that is closed nobody waits any more.
    static_cast<void>(gate_->post(work));
}

} // namespace muster::detail
