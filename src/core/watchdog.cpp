#include "watchdog.hpp"

#include <muster/core/detail/task_base.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace muster::detail {

namespace {

void write_report(const BlockedStep& step) {
    ExceptionContext context;
    const auto blocked = std::chrono::duration_cast<std::chrono::milliseconds>(step.blocked);
    context.message = std::string(step.task.empty() ? "A callback" : "A task") +
                      " blocks the event loop, for " + std::to_string(blocked.count()) +
                      " ms by now";
    if (!step.task.empty()) {
        context.task = step.task;
        context.message += std::string(", since it went on from ") + step.where.file_name() + ":" +
                           std::to_string(step.where.line());
    }
    default_exception_handler(context);
}

class Watchdog final : public StepWatch {
public:
    Watchdog(Clock::duration limit, std::function<void(const BlockedStep&)> handler)
        : limit_(limit),
          handler_(handler ? std::move(handler) : write_report),
          thread_([this](const std::stop_token& stop) { watch(stop); }) {}

    void step_begins(const TaskBase* task) noexcept override {
        const std::lock_guard lock(mutex_);
        // Copied: what the task looks like is the loop's to change while the step runs.
        step_.task = task != nullptr ? task->name() : std::string();
        const std::vector<std::source_location> stack =
            task != nullptr ? task->stack() : std::vector<std::source_location>();
        step_.where = stack.empty() ? std::source_location() : stack.front();
        start_ = std::chrono::steady_clock::now();
        running_ = true;
    }

    void step_ends() noexcept override {
        const std::lock_guard lock(mutex_);
        running_ = false;
        reported_ = false;
    }

private:
    void watch(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (!stop.stop_requested()) {
            const auto now = std::chrono::steady_clock::now();
            if (running_ && !reported_ && now - start_ >= limit_) {
                reported_ = true;
                BlockedStep step = step_;
                step.blocked = now - start_;
                lock.unlock(); // the step may end while the handler looks at it
                tell(step);
                lock.lock();
            } else {
                // Often enough to be on time within half of the limit.
                stopped_.wait_for(lock, stop, limit_ / 2, [] { return false; });
            }
        }
    }

    void tell(const BlockedStep& step) noexcept {
        try {
            handler_(step);
        } catch (...) {
            ExceptionContext context;
            context.message = "Exception in the handler of the watchdog";
            context.exception = std::current_exception();
            default_exception_handler(context);
        }
    }

    Clock::duration limit_;
    std::function<void(const BlockedStep&)> handler_;
    std::mutex mutex_;
    std::condition_variable_any stopped_;
    BlockedStep step_;
    std::chrono::steady_clock::time_point start_;
    bool running_ = false;
    bool reported_ = false;
    std::jthread thread_; // last: it uses the others
};

} // namespace

std::unique_ptr<StepWatch> make_watchdog(Clock::duration limit,
                                         std::function<void(const BlockedStep&)> handler) {
    return std::make_unique<Watchdog>(limit, std::move(handler));
}

} // namespace muster::detail
