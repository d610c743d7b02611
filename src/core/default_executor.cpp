#include "event_loop_impl.hpp"

#include <muster/core/run_in_executor.hpp>
#include <muster/core/task.hpp>
#include <muster/core/thread_pool.hpp>
#include <muster/core/timeout.hpp>

#include <thread>
#include <utility>

namespace muster {

void EventLoop::set_default_executor(std::shared_ptr<concurrent::Executor> executor) {
    core_->check_open();
    core_->check_thread();
    impl_->executor = std::move(executor);
    impl_->end_executor = &EventLoop::shutdown_default_executor;
}

concurrent::Executor& EventLoop::default_executor() {
    core_->check_open();
    core_->check_thread();
    if (impl_->executor_shut_down) {
        throw RuntimeError("Executor shutdown has been called");
    }
    if (!impl_->executor) {
        impl_->executor = std::make_shared<concurrent::ThreadPoolExecutor>(
            concurrent::ThreadPoolExecutor::default_max_workers(),
            concurrent::ThreadPoolOptions{.thread_name_prefix = "muster"});
        impl_->end_executor = &EventLoop::shutdown_default_executor;
    }
    return *impl_->executor;
}

namespace {

// A thread that is left alone when nobody waits for it any more.
struct Joiner {
    explicit Joiner(std::thread joining) : thread(std::move(joining)) {}

    Joiner(const Joiner&) = delete;
    Joiner& operator=(const Joiner&) = delete;

    ~Joiner() {
        if (thread.joinable()) {
            thread.detach();
        }
    }

    std::thread thread;
};

} // namespace

Coro<void> EventLoop::shutdown_default_executor(TimeLimit limit) {
    impl_->executor_shut_down = true;
    if (!impl_->executor) {
        co_return;
    }
    const std::shared_ptr<concurrent::Executor> executor = std::exchange(impl_->executor, nullptr);
    concurrent::Promise<void> promise;
    static_cast<void>(promise.set_running_or_notify_cancel()); // the thread can't be called back
    const Future<void> joined = wrap_future(promise.future());
    // A thread of its own waits: the executor's threads are what is being waited for.
    Joiner joiner{std::thread([executor = executor, promise = std::move(promise)]() mutable {
        executor->shutdown(true);
        executor.reset();
        promise.set_result();
    })};
    bool in_time = true;
    try {
        co_await wait_for(joined, limit);
    } catch (const TimeoutError&) {
        in_time = false;
    }
    if (in_time) {
        joiner.thread.join();
    } else {
        ExceptionContext context;
        context.message = "The executor did not finish joining its threads within the time limit";
        call_exception_handler(context);
        executor->shutdown(false);
    }
}

} // namespace muster
