#include <muster/core/thread_pool.hpp>

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace muster::concurrent {

namespace {

/// Work given to `execute`: nobody waits for it.
class PlainJob final : public detail::Job {
public:
    explicit PlainJob(UniqueFunction<void()> work) : work_(std::move(work)) {}

    void run() noexcept override {
        std::exception_ptr error;
        try {
            work_();
        } catch (...) {
            error = std::current_exception();
        }
        work_ = nullptr;
        if (error != nullptr) {
            detail::report_error("exception in work given to execute()", error);
        }
    }

    detail::JobPtr publish(detail::JobPtr) noexcept override { return nullptr; }

    void run_callbacks() noexcept override {}

    void fail(detail::JobPtr, std::exception_ptr error) noexcept override {
        work_ = nullptr;
        detail::report_error("work given to execute() was dropped", error);
    }

private:
    UniqueFunction<void()> work_;
};

void name_this_thread(const std::string& prefix, int number) {
    constexpr std::size_t longest = 15;
    const std::string suffix = "_" + std::to_string(number);
    const std::string name = prefix.substr(0, longest - std::min(longest, suffix.size())) + suffix;
#if defined(__APPLE__)
    pthread_setname_np(name.c_str());
#else
    pthread_setname_np(pthread_self(), name.c_str());
#endif
}

BrokenThreadPool broken_pool() {
    return BrokenThreadPool("a thread initializer failed; the thread pool is not usable any more");
}

} // namespace

void Executor::enqueue(detail::JobPtr job) {
    execute([job = std::move(job)]() mutable {
        job->run();
        detail::Job& published = *job;
        job = published.publish(std::move(job));
        if (job != nullptr) {
            job->run_callbacks();
        }
    });
}

class ThreadPoolExecutor::Pool : public std::enable_shared_from_this<Pool> {
public:
    Pool(int max_workers, ThreadPoolOptions options)
        : max_workers_(max_workers), options_(std::move(options)) {
        All& all = all_pools();
        const std::lock_guard lock(all.mutex);
        all.pools.push_back(this);
    }

    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    ~Pool() {
        All& all = all_pools();
        const std::lock_guard lock(all.mutex);
        std::erase(all.pools, this);
    }

    /// The threads of all pools that have nothing to do.
    static std::size_t idle_threads() {
        All& all = all_pools();
        const std::lock_guard lock(all.mutex);
        std::size_t count = 0;
        for (const Pool* pool : all.pools) {
            const std::lock_guard pool_lock(pool->mutex_);
            count += pool->queue_.empty() ? pool->idle_.load() : 0;
        }
        return count;
    }

    void submit(detail::JobPtr job) {
        if (push(std::move(job))) {
            work_or_stop_.notify_one(); // not under the lock, which the thread takes at once
        }
    }

    void stop(bool cancel_futures) {
        std::deque<detail::JobPtr> dropped;
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
            if (cancel_futures) {
                dropped.swap(queue_);
            }
        }
        work_or_stop_.notify_all();
        // Giving up a job cancels its future, which may run callbacks: not under the lock.
        while (!dropped.empty()) {
            dropped.pop_front();
        }
    }

    /// Waits for all threads to end; the calling one, if it is among them, is let go.
    void join() {
        const std::lock_guard one_at_a_time(join_mutex_);
        for (;;) {
            std::thread thread;
            {
                // A thread may start another one until it ends, so look again after each.
                const std::lock_guard lock(mutex_);
                if (threads_.empty()) {
                    return;
                }
                thread = std::move(threads_.back());
                threads_.pop_back();
            }
            if (thread.get_id() == std::this_thread::get_id()) {
                thread.detach();
            } else {
                thread.join();
            }
        }
    }

    [[nodiscard]] bool on_own_thread() const noexcept { return current_ == this; }

    [[nodiscard]] int started() const {
        const std::lock_guard lock(mutex_);
        return started_;
    }

    [[nodiscard]] int max_workers() const noexcept { return max_workers_; }

    [[nodiscard]] ExecutorMetrics metrics() const {
        const std::lock_guard lock(mutex_);
        return {.queued = queue_.size(), .running = at_work_ - idle_, .threads = alive_};
    }

private:
    struct All {
        std::mutex mutex;
        std::vector<const Pool*> pools;
    };

    /// Never destroyed: pools may end while the process exits.
    static All& all_pools() {
        static auto& all = *new All; // NOLINT(cppcoreguidelines-owning-memory)
        return all;
    }

    /// Whether a thread that sleeps is to be woken.
    bool push(detail::JobPtr job) {
        const std::lock_guard lock(mutex_);
        if (broken_) {
            throw broken_pool();
        }
        if (stopping_) {
            throw RuntimeError("cannot schedule new futures after shutdown");
        }
        queue_.push_back(std::move(job));
        try {
            return !spawn_if_short() && sleeping_ > 0;
        } catch (const std::system_error& error) {
            if (started_ > 0) {
                return sleeping_ > 0; // the threads there are will get to it
            }
            job = std::move(queue_.back()); // it goes when the lock is released
            queue_.pop_back();
            throw RuntimeError(std::string("the system starts no thread for the pool (") +
                               error.what() + "); check the limits of processes and memory");
        }
    }

    /// Starts a thread if there is more work than idle threads; whether it did. Under the lock.
    bool spawn_if_short() {
        if (idle_ >= queue_.size() || started_ >= max_workers_) {
            return false;
        }
        threads_.reserve(threads_.size() + 1);
        threads_.emplace_back(
            [pool = shared_from_this(), number = started_] { pool->work(number); });
        ++started_;
        ++alive_;
        return true;
    }

    void work(int number) noexcept {
        current_ = this;
        name_this_thread(options_.thread_name_prefix, number);
        const bool initialized = initialize();
        std::unique_lock lock(mutex_);
        if (!initialized) {
            --alive_;
            return;
        }
        ++at_work_;
        ++idle_;
        for (;;) {
            while (queue_.empty() && !stopping_) {
                ++sleeping_;
                work_or_stop_.wait(lock);
                --sleeping_;
            }
            if (queue_.empty()) {
                --alive_;
                --at_work_;
                --idle_;
                return;
            }
            --idle_;
            detail::JobPtr job = std::move(queue_.front());
            queue_.pop_front();
            lock.unlock();
            job->run();
            complete(std::move(job));
            lock.lock();
        }
    }

    /// Completes the job's future and counts this thread as idle again. It does so before the
    /// waiter can know: whoever submits the next job at once finds this thread, not a new one.
    void complete(detail::JobPtr job) {
        ++idle_;
        detail::Job& published = *job;
        job = published.publish(std::move(job));
        if (job == nullptr) {
            return;
        }
        {
            // Callbacks may take long, and may wait for the job which was left for this thread.
            const std::lock_guard lock(mutex_);
            --idle_;
            try {
                spawn_if_short();
                // NOLINTNEXTLINE(bugprone-empty-catch): this thread comes back for it
            } catch (const std::system_error&) {
            }
        }
        job->run_callbacks();
        job.reset();
        ++idle_;
    }

    bool initialize() noexcept {
        if (!options_.initializer) {
            return true;
        }
        std::exception_ptr error;
        try {
            options_.initializer();
            return true;
        } catch (...) {
            error = std::current_exception();
        }
        detail::report_error("exception in a thread pool's initializer", error);
        std::deque<detail::JobPtr> pending;
        {
            const std::lock_guard lock(mutex_);
            broken_ = true;
            pending.swap(queue_);
        }
        for (detail::JobPtr& job : pending) {
            detail::Job& failed = *job;
            failed.fail(std::move(job), std::make_exception_ptr(broken_pool()));
        }
        return false;
    }

    static thread_local const Pool* current_; // whose thread this is

    const int max_workers_;
    const ThreadPoolOptions options_;
    mutable std::mutex mutex_;
    std::condition_variable work_or_stop_;
    std::deque<detail::JobPtr> queue_;
    std::vector<std::thread> threads_; // not joined yet
    int started_ = 0;
    std::size_t alive_ = 0;    // threads that have not ended
    std::size_t at_work_ = 0;  // of them, those that are initialised
    std::size_t sleeping_ = 0; // threads that wait for work
    /// Threads that wait for work, or will before they do anything else. Atomic, since one that
    /// comes back from its work takes no lock for it.
    std::atomic<std::size_t> idle_ = 0;
    bool stopping_ = false;
    bool broken_ = false;
    std::mutex join_mutex_;
};

thread_local const ThreadPoolExecutor::Pool* ThreadPoolExecutor::Pool::current_ = nullptr;

int ThreadPoolExecutor::default_max_workers() noexcept {
    return static_cast<int>(std::min(32U, std::max(1U, std::thread::hardware_concurrency()) + 4U));
}

ThreadPoolExecutor::ThreadPoolExecutor(int max_workers, ThreadPoolOptions options) {
    if (max_workers <= 0) {
        throw ValueError("max_workers must be greater than 0");
    }
    pool_ = std::make_shared<Pool>(max_workers, std::move(options));
}

ThreadPoolExecutor::~ThreadPoolExecutor() {
    pool_->stop(false);
    pool_->join();
}

void ThreadPoolExecutor::execute(UniqueFunction<void()> work) {
    enqueue(detail::JobPtr(new PlainJob(std::move(work))));
}

void ThreadPoolExecutor::enqueue(detail::JobPtr job) {
    const std::shared_ptr<Pool> pool = pool_; // the job may destroy this executor at once
    pool->submit(std::move(job));
}

void ThreadPoolExecutor::shutdown(bool wait, bool cancel_futures) {
    if (wait && pool_->on_own_thread()) {
        throw RuntimeError("a thread of the pool cannot wait for the pool to end: it would wait "
                           "for itself; call shutdown(false) there");
    }
    pool_->stop(cancel_futures);
    if (wait) {
        pool_->join();
    }
}

std::size_t ThreadPoolExecutor::idle_threads() { return Pool::idle_threads(); }

ExecutorMetrics ThreadPoolExecutor::metrics() const { return pool_->metrics(); }

int ThreadPoolExecutor::thread_count() const { return pool_->started(); }

int ThreadPoolExecutor::max_workers() const noexcept { return pool_->max_workers(); }

} // namespace muster::concurrent
