#include "event_loop_impl.hpp"

#include <muster/core/run.hpp>

#include <chrono>
#include <csignal>
#include <utility>

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

struct sigaction interrupt_disposition() noexcept {
    struct sigaction action{};
    ::sigaction(SIGINT, nullptr, &action);
    return action;
}

struct sigaction default_disposition() noexcept {
    struct sigaction action{};
    action.sa_handler = SIG_DFL;
    return action;
}

bool same_disposition(const struct sigaction& a, const struct sigaction& b) noexcept {
    return (a.sa_flags & SA_SIGINFO) == (b.sa_flags & SA_SIGINFO) && a.sa_handler == b.sa_handler;
}

} // namespace

// What a Ctrl-C does to a main task while it runs.
class Runner::InterruptHandler {
public:
    InterruptHandler(EventLoop& loop, AnyTask main)
        : loop_(loop),
          main_(std::move(main)),
          callback_(loop_.install_signal_handler(
              SIGINT, [this] { interrupt(); }, EventLoop::SignalUse::of_nobody)),
          installed_(interrupt_disposition()) {}

    InterruptHandler(const InterruptHandler&) = delete;
    InterruptHandler& operator=(const InterruptHandler&) = delete;

    // What the program has put in its place meanwhile is left alone.
    ~InterruptHandler() {
        if (!loop_.has_signal_handler(SIGINT, callback_)) {
            return;
        }
        const struct sigaction present = interrupt_disposition();
        loop_.remove_signal_handler(SIGINT);
        if (!same_disposition(present, installed_)) {
            ::sigaction(SIGINT, &present, nullptr);
        }
    }

    /// Whether the run ends with KeyboardInterrupt whatever the main task makes of it.
    [[nodiscard]] bool at_once() const noexcept { return at_once_; }

    /// Whether Ctrl-C has cancelled the main task.
    [[nodiscard]] bool has_cancelled() const noexcept { return count_ > 0; }

private:
    void interrupt() {
        if (++count_ == 1 && !main_.done()) {
            main_.cancel();
        } else {
            at_once_ = true;
            loop_.stop();
        }
    }

    EventLoop& loop_;
    AnyTask main_;
    EventLoop::SignalCallback callback_;
    struct sigaction installed_;
    int count_ = 0;
    bool at_once_ = false;
};

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
    if (options_.handle_sigint && on_main_thread() &&
        same_disposition(interrupt_disposition(), default_disposition())) {
        interrupts.emplace(*loop_, main);
    }
    try {
        loop_->run_until_done(*main.state());
    } catch (const RuntimeError&) {
        if (interrupts && interrupts->at_once()) {
            throw KeyboardInterrupt(); // it has stopped the loop
        }
        throw;
    }
    if (interrupts && (interrupts->at_once() ||
                       (interrupts->has_cancelled() && main.cancelled() && main.uncancel() == 0))) {
        throw KeyboardInterrupt();
    }
}

void Runner::close() {
    if (closed_) {
        return;
    }
    if (loop_ && !loop_->is_closed()) {
        const auto clean_up = [](EventLoop& loop) -> Coro<void> {
            co_await loop.shutdown();
            if (const auto end = loop.impl_->end_executor; end != nullptr) {
                co_await (loop.*end)(executor_join_limit);
            }
        };
        Task<> cleaning;
        bool interrupted = false;
        do {
            ExceptionContext context;
            context.message = "Exception while the event loop was being shut down";
            try {
                if (!std::exchange(interrupted, false)) {
                    cleaning = loop_->create_task(clean_up(*loop_));
                }
                loop_->run_until_complete(cleaning);
            } catch (const KeyboardInterrupt&) { // of what is left: the others are cleaned up, too
                interrupted = true;
                context.exception = std::current_exception();
            } catch (...) {
                context.exception = std::current_exception();
            }
            if (context.exception) {
                loop_->call_exception_handler(context);
            }
        } while (interrupted);
        loop_->close();
    }
    closed_ = true;
}

} // namespace muster
