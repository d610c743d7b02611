#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/coro.hpp>
#include <muster/fleet/progress.hpp>
#include <muster/fleet/push.hpp>

namespace config_push {

/// Progress on standard error: one line that is redrawn on a terminal, a line for each device
/// elsewhere.
class ProgressLine {
public:
    ProgressLine(std::size_t total, bool enabled);
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;
    ~ProgressLine();

    /// Says what is about to be done.
    void begin(std::size_t max_at_once);

    void observe(const muster::fleet::Event& event) { progress_.observe(event); }

    void report(const muster::fleet::PushReport& report);

    /// Redraws until cancelled.
    muster::Coro<void> keep_drawing();

private:
    void draw();
    void erase();

    muster::fleet::Progress progress_;
    muster::Clock::time_point start_ = muster::Clock::now();
    bool enabled_;
    bool redraws_;
    bool drawn_ = false;
};

} // namespace config_push
