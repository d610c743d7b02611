#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/coro.hpp>
#include <muster/core/detail/frame_pool.hpp>
#include <muster/core/detail/list.hpp>
#include <muster/core/detail/task_base.hpp>
#include <muster/core/task.hpp>
#include <muster/sync/event.hpp>
#include <muster/sync/semaphore.hpp>

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace muster {

/// How many tasks a BackgroundTasks has.
struct BackgroundTasksOptions {
    std::size_t limit = 100;            ///< tasks that run at once
    std::size_t pending_limit = 10'000; ///< tasks that wait to run, before spawn() waits
};

/// Tasks that run on while their starter does something else, a bounded number at a time
/// (aiojobs.Scheduler). One that fails disturbs no other: its exception, unless somebody retrieves
/// it from the handle, goes to the loop's exception handler. Not for threads.
class BackgroundTasks {
public:
    /// Throws ValueError when the limit is zero.
    explicit BackgroundTasks(BackgroundTasksOptions options = {});

    BackgroundTasks(const BackgroundTasks&) = delete;
    BackgroundTasks& operator=(const BackgroundTasks&) = delete;

    /// Cancels what is left, without waiting for it: see close().
    ~BackgroundTasks();

    /// Awaiting it makes a task of `coro`, which runs as soon as fewer than the limit do, in the
    /// order they were spawned; its value is the task's handle, which may be dropped. Waits while
    /// too many tasks wait to run. Throws RuntimeError when closed, meanwhile too; `coro` is
    /// destroyed then.
    template <class T>
    Coro<Task<T>> spawn(Coro<T> coro, TaskOptions options = {}) {
        check_open();
        auto place = co_await places_.guard();
        check_open();
        auto job = std::make_unique<Job>(*this);
        Job& entry = *job;
        Task<T> task = muster::create_task(run(std::move(job), std::move(place), std::move(coro)),
                                           std::move(options));
        if (!task.done()) { // an eager one may be, and its job gone
            entry.task = task.state().get();
        }
        co_return task;
    }

    /// The same for a function and arguments that live as long as the task: a capturing lambda is
    /// safe.
    template <class F, class... Args>
        requires detail::CoroFunction<std::decay_t<F>&, std::unwrap_ref_decay_t<Args>...>
    auto spawn(F&& function, Args&&... args) {
        return spawn(detail::invoke_owned<std::decay_t<F>, std::decay_t<Args>...>(
            std::forward<F>(function), std::forward<Args>(args)...));
    }

    /// Tasks that run.
    [[nodiscard]] std::size_t active_count() const noexcept {
        return static_cast<std::size_t>(limit_ - running_.value());
    }

    /// Tasks that wait to run.
    [[nodiscard]] std::size_t pending_count() const noexcept { return count_ - active_count(); }

    /// Whether close() was called.
    [[nodiscard]] bool closed() const noexcept { return closed_; }

    /// Awaiting it waits until no task is left.
    detail::EventWait join() noexcept { return {idle_, "background tasks"}; }

    /// From now on spawn() throws. Cancels all tasks and waits for them, for at most `limit`; after
    /// that it reports each that is left to the loop's exception handler, and leaves it running.
    Coro<void> close(TimeLimit limit = std::nullopt);

private:
    /// A task's entry; lies in the task's frame and goes with it.
    class Job : public detail::Pooled, public detail::Link {
    public:
        explicit Job(BackgroundTasks& jobs) noexcept;
        ~Job();

        /// Throws CancelledError when it is gone.
        [[nodiscard]] BackgroundTasks& owner() const;

        detail::TaskBase* task = nullptr;

    private:
        BackgroundTasks& owner_;
    };

    template <class T>
    static Coro<T> run(std::unique_ptr<Job> job, [[maybe_unused]] Semaphore::Guard place,
                       Coro<T> coro) {
        const auto running = co_await job->owner().running_.guard();
        co_return co_await std::move(coro);
    }

    void check_open() const;
    void cancel_all() noexcept;

    std::ptrdiff_t limit_;
    std::size_t count_ = 0;
    bool closed_ = false;
    Semaphore running_;
    Semaphore places_; // for tasks that run or wait to
    Event idle_;
    detail::List<Job> jobs_;
};

} // namespace muster
