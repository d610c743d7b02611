#include <muster/core/detail/future_wait.hpp>

namespace muster::detail {

void check_same_loop(const TaskBase& task, const FutureBase& future) {
    if (!future.done() && future.loop() != task.loop()) {
        throw RuntimeError("Task '" + task.name() +
                           "' awaits a future of another event loop; use "
                           "run_coroutine_threadsafe() to reach another loop");
    }
}

void FutureWait::begin(PromiseBase& leaf) {
    TaskBase& task = *leaf.task;
    check_same_loop(task, *future_);
    if (static_cast<FutureBase*>(&task) == future_.get()) {
        throw RuntimeError("Task cannot await on itself: " + task.name());
    }
    task_ = &task;
    future_->add_waiter(*this);
    task.suspend(leaf, *this);
}

} // namespace muster::detail
