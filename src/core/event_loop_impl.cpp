#include "event_loop_impl.hpp"

#include "deadlock.hpp"

#include <muster/core/error.hpp>

#include <boost/asio/post.hpp>

#include <algorithm>
#include <vector>

namespace muster {

namespace asio = boost::asio;

namespace {

// Told when a host's io_context is destroyed before the loops that are embedded in it.
class EmbeddedLoops : public asio::execution_context::service {
public:
    using key_type = EmbeddedLoops;
    static asio::execution_context::id id;

    explicit EmbeddedLoops(asio::execution_context& context)
        : asio::execution_context::service(context) {}

    void add(EventLoop& loop) { loops_.push_back(&loop); }

    void remove(EventLoop& loop) noexcept { std::erase(loops_, &loop); }

private:
    void shutdown() noexcept override {
        while (!loops_.empty()) {
            loops_.back()->close(); // removes it from the list
        }
    }

    std::vector<EventLoop*> loops_;
};

asio::execution_context::id EmbeddedLoops::id;

std::chrono::steady_clock::time_point to_steady(Clock::time_point time) noexcept {
    return std::chrono::steady_clock::time_point(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(time.time_since_epoch()));
}

} // namespace

EventLoop::Impl::Impl(EventLoop& owner)
    : loop(owner),
      owned_(std::make_unique<asio::io_context>(1)),
      context(*owned_),
      core(owner, *this),
      anchor_(std::make_shared<Anchor>(this)),
      timer_(std::in_place, context) {}

EventLoop::Impl::Impl(EventLoop& owner, asio::io_context& host, EmbedOptions options)
    : loop(owner),
      context(host),
      core(owner, *this),
      anchor_(std::make_shared<Anchor>(this)),
      timer_(host),
      keep_alive_(options.keep_alive) {
    asio::use_service<EmbeddedLoops>(context).add(owner);
}

EventLoop::Impl::~Impl() { shut(); }

void EventLoop::Impl::request_drain() noexcept {
    asio::post(context, [anchor = anchor_] {
        if (anchor->impl != nullptr) {
            anchor->impl->core.drain();
        }
    });
}

void EventLoop::Impl::arm_timer(Clock::time_point deadline) noexcept {
    // A later deadline than the armed one is armed when that one has passed. But a host's run()
    // must not wait for a timer that nobody needs any more, nor a deadlock stay unseen for it.
    if (deadline == Clock::time_point::max() && armed_ != deadline &&
        (embedded() || core.nothing_to_come())) {
        armed_ = deadline;
        timer_->cancel();
    }
    if (virtual_time || deadline >= armed_) {
        return;
    }
    armed_ = deadline;
    timer_->expires_at(to_steady(deadline));
    wait_for_timer();
}

void EventLoop::Impl::wait_for_timer() {
    timer_->async_wait([anchor = anchor_](boost::system::error_code error) {
        if (error || anchor->impl == nullptr) {
            return; // armed anew, or the loop is gone
        }
        anchor->impl->armed_ = Clock::time_point::max();
        anchor->impl->core.drain();
    });
}

Clock::time_point EventLoop::Impl::now() const noexcept {
    if (virtual_time) {
        return *virtual_time;
    }
    return Clock::time_point(std::chrono::steady_clock::now().time_since_epoch());
}

void EventLoop::Impl::hold_work(bool hold) noexcept {
    if (!embedded() || !keep_alive_) {
        return;
    }
    if (hold) {
        work_.emplace(context.get_executor());
    } else {
        work_.reset();
    }
}

void EventLoop::Impl::stop() noexcept {
    stop_requested_ = true;
    if (owned_) {
        owned_->stop();
    }
}

void EventLoop::Impl::run() {
    const detail::LoopCore::Running running(core);
    std::optional<WorkGuard> work;
    if (virtual_time) {
        work.emplace(context.get_executor());
    }
    stop_requested_ = false;
    deadlock_reported_ = false;
    context.restart();
    core.resume_drain();
    while (!stop_requested_) {
        if (virtual_time) {
            run_virtual();
        } else {
            run_real();
        }
    }
    core.clear_stop();
    if (const std::exception_ptr interrupt = core.take_interrupt()) {
        std::rethrow_exception(interrupt);
    }
}

void EventLoop::Impl::run_real() {
    context.run();
    if (stop_requested_) {
        return;
    }
    // It has run out of work: whatever comes now, comes from another thread.
    context.restart();
    if (!look_for_deadlock()) {
        const auto work = asio::make_work_guard(context);
        context.run_one();
    }
}

// Waits as long as a deadlock may have to be reported; whether something has come meanwhile.
bool EventLoop::Impl::look_for_deadlock() {
    Clock::duration quiet = deadlock_notice.limited() ? deadlock_notice.value() : Clock::duration();
    while (deadlock_notice.limited() && !deadlock_reported_ && core.nothing_to_come()) {
        bool certain = false;
        {
            const auto work = asio::make_work_guard(context);
            if (context.run_one_until(to_steady(detail::deadline_after(now(), quiet))) > 0) {
                return true;
            }
            certain = no_thread_to_come();
        }
        // The end of the last work has stopped it. Asked after the threads: one that has ended
        // since may have left something behind.
        if (!context.stopped()) {
            return true;
        }
        context.restart();
        if (certain) {
            report_deadlock();
        }
        // A thread may have been about to end, or may end later.
        quiet = std::max<Clock::duration>(std::chrono::milliseconds(1),
                                          std::min(quiet, Clock::duration::max() / 2) * 2);
    }
    return false;
}

bool EventLoop::Impl::no_thread_to_come() const {
    return core.gate().use_count() == 1 && !detail::waits_open_ended(core) &&
           (core.debug || !detail::has_unknown_threads(core));
}

void EventLoop::Impl::report_deadlock() {
    deadlock_reported_ = true;
    ExceptionContext report;
    report.message = detail::deadlock_text(
        "the loop waits on: a thread that knows it could still use call_soon_threadsafe() or "
        "stop()\n");
    loop.call_exception_handler(report);
}

void EventLoop::Impl::run_virtual() {
    if (context.poll() > 0 || stop_requested_) {
        return;
    }
    const Clock::time_point next = core.next_deadline();
    if (core.external_count() > 0) {
        context.run_one(); // real work is under way: virtual time stands still for it
    } else if (next != Clock::time_point::max()) {
        virtual_time = std::max(*virtual_time, next);
        core.drain();
    } else {
        throw RuntimeError(detail::deadlock_text());
    }
}

void EventLoop::Impl::shut() noexcept {
    if (anchor_->impl == nullptr) {
        return; // before; the io_context may be gone since
    }
    core.close();
    anchor_->impl = nullptr;
    signals.clear();
    timer_.reset();
    work_.reset();
    if (embedded()) {
        asio::use_service<EmbeddedLoops>(context).remove(loop);
    }
}

void EventLoop::Impl::count_signal(Signal& signal) noexcept {
    if (embedded() || signal.use == SignalUse::of_tasks) {
        signal.uncounted.reset();
    } else if (!signal.uncounted) {
        signal.uncounted.emplace(context);
    }
}

void EventLoop::Impl::wait_for_signal(int number) {
    Signal& signal = signals.at(number);
    signal.set.async_wait([anchor = anchor_](boost::system::error_code error, int got) {
        if (error || anchor->impl == nullptr) {
            return;
        }
        Impl& self = *anchor->impl;
        const auto found = self.signals.find(got);
        if (found == self.signals.end()) {
            return;
        }
        found->second.uncounted.reset(); // that wait is over
        self.core.loop().call_soon([callback = found->second.callback] { (*callback)(); });
        self.wait_for_signal(got);
        self.core.drain_now();
    });
    count_signal(signal);
}

} // namespace muster
