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

    struct Signal {
        explicit Signal(boost::asio::io_context& context) : set(context) {}

        boost::asio::signal_set set;
        std::shared_ptr<UniqueFunction<void()>> callback;
    };

    void wait_for_signal(int number);

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

    /// Set: time is virtual, and jumps to the next deadline whenever nothing else can happen.
    std::optional<Clock::time_point> virtual_time;

private:
    void wait_for_timer();
    void run_virtual();

    std::shared_ptr<Anchor> anchor_;
    std::optional<boost::asio::steady_timer> timer_;
    Clock::time_point armed_ = Clock::time_point::max();
    bool keep_alive_ = true;
    bool stop_requested_ = false;
    std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
};

} // namespace muster
