#include "deadlock.hpp"

#include <muster/core/detail/task_base.hpp>
#include <muster/core/thread_pool.hpp>

#include <filesystem>
#include <sstream>
#include <system_error>

namespace muster::detail {

namespace {

// In the text of an exception or a report, whose reader needs the shape, not each of 10,000.
constexpr std::size_t most_tasks = 100;

} // namespace

std::string deadlock_text(std::string_view remark) {
    std::ostringstream text;
    text << "deadlock: every task waits, and nothing is left that could wake one\n" << remark;
    print_task_tree(text, most_tasks);
    std::string result = std::move(text).str();
    result.pop_back(); // the last line's end
    return result;
}

bool waits_open_ended(const LoopCore& core) {
    bool found = false;
    core.tasks().for_each([&](FutureBase& future) {
        const Waiter* waiter = static_cast<TaskBase&>(future).waiter();
        found = found || (waiter != nullptr && waiter->open_ended());
    });
    return found;
}

bool has_unknown_threads(const LoopCore& core) {
    std::size_t known = 1 + concurrent::ThreadPoolExecutor::idle_threads();
    known += core.watched() ? 1 : 0; // the watchdog's
    std::error_code error;
    std::filesystem::directory_iterator thread("/proc/self/task", error);
    std::size_t all = 0;
    while (!error && thread != std::filesystem::directory_iterator()) {
        ++all;
        thread.increment(error);
    }
    return error || all > known;
}

} // namespace muster::detail
