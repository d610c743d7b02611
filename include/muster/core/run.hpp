#pragma once

#include <muster/core/context.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/task.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace muster {

/// How run() and Runner behave.
struct RunOptions {
    /// Debug mode; default: whether MUSTER_DEBUG is set.
    std::optional<bool> debug = {};
    /// Ctrl-C cancels the main task, and a second one ends the run at once, after the step that is
    /// under way; only on the main thread, and only where SIGINT has its default disposition.
    bool handle_sigint = true;
};

/// Runs several coroutines, one after the other, on one loop and in one context (asyncio.Runner).
class Runner {
public:
    /// `loop`: run on this one instead of a new one (loop_factory in asyncio).
    explicit Runner(RunOptions options = {}, std::unique_ptr<EventLoop> loop = nullptr);
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;

    /// close(), but what leftovers throw goes to the exception handler.
    ~Runner();

    /// Runs `main` to its end, in `context` or in the one that all runs share; its result. Throws
    /// RuntimeError when a loop runs on this thread already, KeyboardInterrupt after Ctrl-C unless
    /// `main` ended with something else than CancelledError.
    template <class T>
    T run(Coro<T> main, std::optional<Context> context = {}) {
        check_can_run();
        Task<T> task = get_loop().create_task(std::move(main),
                                              {.context = context ? std::move(context) : context_});
        run_main(task);
        return std::move(task).result();
    }

    /// The loop, made when first asked for.
    EventLoop& get_loop();

    /// Cancels what is left and waits for it, joins the default executor (for at most 300 s),
    /// closes the loop. Idempotent.
    void close();

private:
    class InterruptHandler;

    void check_can_run() const;
    void run_main(const AnyTask& main);

    RunOptions options_;
    Context context_ = copy_context();
    std::unique_ptr<EventLoop> loop_;
    bool closed_ = false;
};

/// Runs `main` on a new loop to its end, then cancels what it left and waits for it, joins the
/// default executor and closes the loop. Its result, or what it threw (asyncio.run). Throws
/// RuntimeError when a loop runs on this thread already.
template <class T>
T run(Coro<T> main, RunOptions options = {}) {
    Runner runner(options);
    std::exception_ptr error;
    try {
        if constexpr (std::is_void_v<T>) {
            runner.run(std::move(main));
            runner.close();
            return;
        } else {
            T result = runner.run(std::move(main));
            runner.close();
            return result;
        }
    } catch (...) {
        error = std::current_exception();
    }
    // Here, not in a destructor: an exception that nobody catches ends the program without any.
    runner.close();
    std::rethrow_exception(error);
}

} // namespace muster
