#pragma once

#include <muster/core/event_loop.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <map>
#include <memory>
#include <optional>

namespace muster {

/// An EventLoop on Asio: drives the core from an io_context, its own or a host's.
class EventLoop::Impl : public detail::Driver {
public:
    explicit Impl(EventLoop& loop);
    Impl(EventLoop& loop, boost::asio::io_context& host, EmbedOptions options);
    ~Impl() override;

    void request_drain() noexcept override;
    void arm_timer(Clock::time_point deadline) noexcept override;
    [[nodiscard]] Clock::time_point now() const noexcept override;
    void hold_work(bool hold) noexcept override;
    void stop() noexcept override;

    [[nodiscard]] bool can_stop() const noexcept override { return !embedded(); }

    /// Runs the own io_context until the core is stopped.
    void run();

    /// Frees what is left, on the loop's thread; handlers still queued find nobody.
    void shut() noexcept;

    [[nodiscard]] bool embedded() const noexcept { return owned_ == nullptr; }

    /// The opposite of a work guard: an operation is under way that run() is not to wait for.
    class Uncounted {
    public:
        explicit Uncounted(boost::asio::io_context& context) noexcept : context_(context) {
            context_.get_executor().on_work_finished();
        }

        Uncounted(const Uncounted&) = delete;
        Uncounted& operator=(const Uncounted&) = delete;

        ~Uncounted() { context_.get_executor().on_work_started(); }

    private:
        boost::asio::io_context& context_;
    };

    struct Signal {
        explicit Signal(boost::asio::io_context& context) : set(context) {}

        boost::asio::signal_set set;
        EventLoop::SignalCallback callback;
        EventLoop::SignalUse use = EventLoop::SignalUse::of_tasks;
        std::optional<Uncounted> uncounted; // the wait for it; goes before the set ends the wait
    };

    void wait_for_signal(int number);

    /// Has the wait for a signal count as work if tasks may wait for it.
    void count_signal(Signal& signal) noexcept;

    /// What handlers in the io_context hold: null once the loop is gone.
    struct Anchor {
        Impl* impl;
    };

    EventLoop& loop;
    std::unique_ptr<boost::asio::io_context> owned_;
    boost::asio::io_context& context;
    detail::LoopCore core;
    std::map<int, Signal> signals;
    EventLoop::ExceptionHandler exception_handler;
    std::shared_ptr<concurrent::Executor> executor;
    bool executor_shut_down = false;

    /// Ends the executor, once there has been one: a program without threads does not carry what
    /// that takes.
    Coro<void> (EventLoop::*end_executor)(TimeLimit) = nullptr;

    /// Set: time is virtual, and jumps to the next deadline whenever nothing else can happen.
    std::optional<Clock::time_point> virtual_time;

    /// How long nothing has to happen before a deadlock is reported.
    TimeLimit deadlock_notice = std::chrono::seconds(1);

private:
    using WorkGuard = boost::asio::executor_work_guard<boost::asio::io_context::executor_type>;

    void wait_for_timer();
    void run_virtual();
    void run_real();
    bool look_for_deadlock();
    [[nodiscard]] bool no_thread_to_come() const;
    void report_deadlock();

    std::shared_ptr<Anchor> anchor_;
    std::optional<boost::asio::steady_timer> timer_;
    Clock::time_point armed_ = Clock::time_point::max();
    bool keep_alive_ = true;
    bool stop_requested_ = false;
    bool deadlock_reported_ = false; // in this run
    std::optional<WorkGuard> work_;
};

} // namespace muster
