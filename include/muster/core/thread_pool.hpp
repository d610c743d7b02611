#pragma once

#include <muster/core/executor.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace muster::concurrent {

/// How a `ThreadPoolExecutor` makes its threads.
struct ThreadPoolOptions {
    /// Threads are named `<prefix>_<number>`; the system keeps 15 characters, so the prefix is cut
    /// where that is needed to keep the number.
    std::string thread_name_prefix = "muster-pool";
    /// Runs once on each thread before its first job, maybe on several threads at once. If it
    /// throws, the pool is broken: what is queued and whatever is submitted later fails with
    /// BrokenThreadPool, and the exception is reported (`set_error_handler`).
    std::function<void()> initializer = nullptr;
};

/// Runs jobs on up to `max_workers` threads (concurrent.futures.ThreadPoolExecutor). A thread is
/// started when a job finds none idle, and kept for later jobs. Thread-safe.
class ThreadPoolExecutor final : public Executor {
public:
    /// As many threads as Python's: the processors and 4, at most 32.
    [[nodiscard]] static int default_max_workers() noexcept;

    /// ValueError unless `max_workers` is positive.
    explicit ThreadPoolExecutor(int max_workers = default_max_workers(),
                                ThreadPoolOptions options = {});

    /// `shutdown(true)`: waits for the jobs. Destroyed by one of its own jobs, it waits for all
    /// other threads, and leaves that one to end by itself.
    ~ThreadPoolExecutor() override;

    /// BrokenThreadPool when an initializer failed, RuntimeError after `shutdown` and when the
    /// system gives no first thread.
    void execute(UniqueFunction<void()> work) override;

    /// See `Executor::shutdown`. RuntimeError when one of the pool's own threads would wait.
    void shutdown(bool wait = true, bool cancel_futures = false) override;

    [[nodiscard]] ExecutorMetrics metrics() const override;

    /// How many threads have been started.
    [[nodiscard]] int thread_count() const;

    [[nodiscard]] int max_workers() const noexcept;

    /// How many threads of all pools in the process have nothing to do.
    [[nodiscard]] static std::size_t idle_threads();

    void enqueue(detail::JobPtr job) override;

private:
    class Pool;

    std::shared_ptr<Pool> pool_; // shared with the threads
};

} // namespace muster::concurrent
