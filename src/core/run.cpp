#include <muster/core/run.hpp>

#include <chrono>
#include <csignal>

#if defined(__linux__)
#    include <sys/syscall.h>
#    include <unistd.h>
#endif

namespace muster {

namespace {

using namespace std::chrono_literals;

constexpr auto executor_join_limit = 300s; // as in asyncio

bool on_main_thread() noexcept {
#if defined(__linux__)
    return ::syscall(SYS_gettid) == ::getpid();
#else
    return true;
#endif
}

bool interrupt_has_default_disposition() noexcept {
    struct sigaction action{};
    return ::sigaction(SIGINT, nullptr, &action) == 0 && (action.sa_flags & SA_SIGINFO) == 0 &&
           action.sa_handler == SIG_DFL;
}

// What a Ctrl-C does to a main task while it runs.
class InterruptHandler {
public:
    InterruptHandler(EventLoop& loop, AnyTask main) : loop_(loop), main_(std::move(main)) {
        loop_.add_signal_handler(SIGINT, [this] { interrupt(); });
    }

    InterruptHandler(const InterruptHandler&) = delete;
    InterruptHandler& operator=(const InterruptHandler&) = delete;

    ~InterruptHandler() { loop_.remove_signal_handler(SIGINT); }

    [[nodiscard]] int count() const noexcept { return count_; }

private:
    void interrupt() {
        if (++count_ == 1 && !main_.done()) {
            main_.cancel();
        } else {
            loop_.stop();
        }
    }

    EventLoop& loop_;
    AnyTask main_;
    int count_ = 0;
};

} // namespace

Runner::Runner(RunOptions options, std::unique_ptr<EventLoop> loop)
    : options_(options), loop_(std::move(loop)) {
    if (loop_ && options_.debug) {
        loop_->set_debug(*options_.debug);
    }
}

Runner::~Runner() { close(); }

EventLoop& Runner::get_loop() {
    if (closed_) {
        throw RuntimeError("Runner is closed");
    }
    if (!loop_) {
        loop_ = std::make_unique<EventLoop>();
        if (options_.debug) {
            loop_->set_debug(*options_.debug);
        }
    }
    return *loop_;
}

void Runner::check_can_run() const {
    if (detail::LoopCore::current() != nullptr) {
        throw RuntimeError("Runner.run() cannot be called from a running event loop");
    }
}

void Runner::run_main(const AnyTask& main) {
    std::optional<InterruptHandler> interrupts;
    if (options_.handle_sigint && on_main_thread() && interrupt_has_default_disposition()) {
        interrupts.emplace(*loop_, main);
    }
    try {
        loop_->run_until_done(*main.state());
    } catch (const RuntimeError&) {
        if (interrupts && interrupts->count() > 1) {
            throw KeyboardInterrupt(); // the second one stopped the loop
        }
        throw;
    }
    if (interrupts && interrupts->count() > 0 && main.cancelled() && main.uncancel() == 0) {
        throw KeyboardInterrupt();
    }
}

void Runner::close() {
    if (closed_) {
        return;
    }
    if (loop_) {
        const auto clean_up = [](EventLoop& loop) -> Coro<void> {
            co_await loop.shutdown();
            co_await loop.shutdown_default_executor(executor_join_limit);
        };
        try {
            loop_->run_until_complete(clean_up(*loop_));
        } catch (...) {
            ExceptionContext context;
            context.message = "Exception while the event loop was being shut down";
            context.exception = std::current_exception();
            loop_->call_exception_handler(context);
        }
        loop_->close();
    }
    closed_ = true;
}

} // namespace muster
