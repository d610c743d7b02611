#include "progress_line.hpp"

#include "report.hpp"

#include <muster/core/sleep.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace config_push {

using namespace std::chrono_literals;

ProgressLine::ProgressLine(std::size_t total, bool enabled)
    : progress_(total), enabled_(enabled), redraws_(enabled && is_terminal(stderr)) {}

ProgressLine::~ProgressLine() { erase(); }

void ProgressLine::begin(std::size_t max_at_once) {
    if (enabled_ && !redraws_) {
        fmt::print(stderr, "{} devices, {} at once\n", progress_.total(),
                   std::min(max_at_once, progress_.total()));
    }
}

void ProgressLine::report(const muster::fleet::PushReport& report) {
    if (enabled_ && !redraws_) {
        fmt::print(stderr, "{}\n", one_line(report));
    }
}

muster::Coro<void> ProgressLine::keep_drawing() {
    while (redraws_) {
        draw();
        co_await muster::async_sleep(100ms);
    }
}

void ProgressLine::draw() {
    fmt::print(stderr, "\r\033[K{}", progress_.line(muster::Clock::now() - start_));
    static_cast<void>(std::fflush(stderr));
    drawn_ = true;
}

void ProgressLine::erase() {
    if (drawn_) {
        fmt::print(stderr, "\r\033[K");
        static_cast<void>(std::fflush(stderr));
    }
}

} // namespace config_push
