#include <muster/core/task.hpp>

namespace muster {

void detail::throw_no_coroutine() {
    throw RuntimeError("create_task() was given a Coro that was moved from");
}

AnyTask current_task() noexcept {
    const detail::LoopCore* core = detail::LoopCore::current();
    return core != nullptr ? AnyTask(core->current_task) : AnyTask();
}

AnyTask current_task(EventLoop& loop) noexcept { return AnyTask(loop.core().current_task); }

std::vector<AnyTask> all_tasks() { return all_tasks(get_running_loop()); }

std::vector<AnyTask> all_tasks(EventLoop& loop) {
    std::vector<AnyTask> tasks;
    loop.core().tasks().for_each([&](detail::FutureBase& future) {
        tasks.emplace_back(static_cast<detail::TaskBase*>(&future));
    });
    return tasks;
}

} // namespace muster
