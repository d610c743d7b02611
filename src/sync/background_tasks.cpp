#include <muster/core/error.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/timeout.hpp>
#include <muster/sync/background_tasks.hpp>

#include <algorithm>
#include <limits>

namespace muster {

namespace {

constexpr std::ptrdiff_t most = std::numeric_limits<std::ptrdiff_t>::max();

// Saturating.
std::ptrdiff_t permits(std::size_t count, std::size_t more = 0) {
    constexpr auto bound = static_cast<std::size_t>(most);
    const std::size_t first = std::min(count, bound);
    return static_cast<std::ptrdiff_t>(first + std::min(more, bound - first));
}

} // namespace

BackgroundTasks::Job::Job(BackgroundTasks& jobs) noexcept : owner_(jobs) {
    jobs.jobs_.push_back(*this);
    ++jobs.count_;
    jobs.idle_.clear();
}

BackgroundTasks::Job::~Job() {
    if (linked()) { // the owner is there
        unlink();
        if (--owner_.count_ == 0) {
            owner_.idle_.set();
        }
    }
}

BackgroundTasks& BackgroundTasks::Job::owner() const {
    if (!linked()) {
        throw CancelledError("the BackgroundTasks of this task was destroyed");
    }
    return owner_;
}

BackgroundTasks::BackgroundTasks(BackgroundTasksOptions options)
    : limit_(permits(options.limit)),
      running_(limit_),
      places_(permits(options.limit, options.pending_limit)) {
    if (limit_ == 0) {
        throw ValueError("a BackgroundTasks' limit must be positive");
    }
    idle_.set();
}

BackgroundTasks::~BackgroundTasks() { cancel_all(); }

Coro<void> BackgroundTasks::close(TimeLimit limit) {
    closed_ = true;
    cancel_all();
    bool late = false;
    try {
        co_await wait_for(join(), limit);
    } catch (const TimeoutError&) {
        late = true;
    }
    if (late) {
        jobs_.for_each([](const Job& job) {
            job.task->loop()->loop().call_exception_handler(
                {.message = "a background task has not ended in time after close()",
                 .exception = nullptr,
                 .task = job.task->name()});
        });
    }
}

void BackgroundTasks::check_open() const {
    if (closed_) {
        throw RuntimeError("BackgroundTasks is closed");
    }
}

void BackgroundTasks::cancel_all() noexcept {
    jobs_.for_each([](const Job& job) {
        if (job.task != nullptr) { // else it is being made, and runs its first step
            job.task->cancel({});
        }
    });
}

} // namespace muster
