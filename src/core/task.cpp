#include <muster/core/task.hpp>

namespace muster {

AnyTask current_task() noexcept {
    const detail::LoopCore* core = detail::LoopCore::current();
    return core != nullptr ? AnyTask(core->current_task) : AnyTask();
}

std::vector<AnyTask> all_tasks() {
    std::vector<AnyTask> tasks;
    get_running_loop().core().tasks().for_each([&](detail::FutureBase& future) {
        tasks.emplace_back(static_cast<detail::TaskBase*>(&future));
    });
    return tasks;
}

} // namespace muster
