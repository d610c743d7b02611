#pragma once

#include <muster/core/concurrent_future.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/task.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace muster {

namespace detail {

/// A coroutine on its way to another thread's loop, and its result on the way back.
template <class T>
class ThreadsafeCall : public std::enable_shared_from_this<ThreadsafeCall<T>> {
public:
    ThreadsafeCall() = default;
    ThreadsafeCall(const ThreadsafeCall&) = delete;
    ThreadsafeCall& operator=(const ThreadsafeCall&) = delete;

    ~ThreadsafeCall() {
        if (!ended_) {
            fail(std::make_exception_ptr(
                RuntimeError("the event loop was closed before the coroutine had ended")));
        }
    }

    concurrent::Future<T> start(Coro<T> coro, EventLoop& loop) {
        concurrent::Future<T> future = promise_.future();
        gate_ = loop.core().gate();
        UniqueFunction<void()> call = [self = this->shared_from_this(), &loop,
                                       coro = std::move(coro)]() mutable {
            self->run(std::move(coro), loop);
        };
        if (!gate_->post(call)) {
            fail(std::make_exception_ptr(RuntimeError("Event loop is closed")));
        }
        return future;
    }

private:
    /// Its share of the call: the task's handle is let go of on the loop's thread.
    struct LoopSide {
        explicit LoopSide(std::shared_ptr<ThreadsafeCall> shared) noexcept
            : call(std::move(shared)) {}

        LoopSide(LoopSide&&) noexcept = default;
        LoopSide& operator=(LoopSide&&) = delete;

        ~LoopSide() {
            if (call != nullptr) {
                call->task_ = Task<T>();
            }
        }

        std::shared_ptr<ThreadsafeCall> call;
    };

    void run(Coro<T> coro, EventLoop& loop) {
        if (promise_.future().cancelled()) {
            ended_ = true;
            coro.close();
            return;
        }
        try {
            task_ = loop.create_task(std::move(coro));
        } catch (...) {
            fail(std::current_exception());
            return;
        }
        task_.add_done_callback([side = LoopSide(this->shared_from_this())](const Task<T>& task) {
            side.call->finish(task);
        });
        promise_.future().add_done_callback(
            [weak = this->weak_from_this()](const concurrent::Future<T>& future) {
                const auto self = weak.lock();
                if (self != nullptr && future.cancelled()) {
                    self->cancel_task();
                }
            });
    }

    /// From any thread.
    void cancel_task() {
        UniqueFunction<void()> cancel = [self = this->shared_from_this()] {
            if (self->task_.valid()) {
                self->task_.cancel();
            }
        };
        static_cast<void>(gate_->post(cancel)); // a closed loop has dropped the task
    }

    void finish(const Task<T>& task) {
        ended_ = true;
        if (promise_.future().cancelled()) {
            return; // an error of the task stays with it, to be reported
        }
        if (task.cancelled()) {
            promise_.future().cancel();
            return;
        }
        try {
            if constexpr (std::is_void_v<T>) {
                task.result();
                promise_.set_result();
            } else if constexpr (std::is_reference_v<T>) {
                promise_.set_result(task.result());
            } else {
                promise_.set_result(Task<T>(task).result());
            }
        } catch (...) {
            fail(std::current_exception());
        }
    }

    void fail(std::exception_ptr error) noexcept {
        ended_ = true;
        try {
            promise_.set_exception(std::move(error));
        } catch (const InvalidStateError&) { // NOLINT(bugprone-empty-catch): cancelled meanwhile
        }
    }

    concurrent::Promise<T> promise_;
    std::shared_ptr<LoopGate> gate_;
    Task<T> task_; // for the loop's thread
    bool ended_ = false;
};

} // namespace detail

/// Runs `coro` as a task of `loop`, from another thread: the future gives its result to threads
/// (asyncio.run_coroutine_threadsafe). Cancelling the future cancels the task. If the loop is
/// closed, or is closed before the end, the future fails with RuntimeError. Waiting for the future
/// on the loop's own thread would wait for ever: await a task there.
template <class T>
concurrent::Future<T> run_coroutine_threadsafe(Coro<T> coro, EventLoop& loop) {
    return std::make_shared<detail::ThreadsafeCall<T>>()->start(std::move(coro), loop);
}

/// Runs `function(args...)`, which gives a Coro, in the same way. The function and decayed copies
/// of the arguments live as long as the task: a capturing lambda is safe.
template <class F, class... Args>
    requires detail::CoroFunction<std::decay_t<F>&, std::unwrap_ref_decay_t<Args>...>
auto run_coroutine_threadsafe(EventLoop& loop, F&& function, Args&&... args) {
    return run_coroutine_threadsafe(detail::invoke_owned<std::decay_t<F>, std::decay_t<Args>...>(
                                        std::forward<F>(function), std::forward<Args>(args)...),
                                    loop);
}

} // namespace muster
