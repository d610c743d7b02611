#pragma once

#include <muster/core/event_loop.hpp>
#include <muster/core/run.hpp>
#include <muster/core/task.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace muster::testing_support {

/// Runs a coroutine in a task named "main", on a real loop that looks for a deadlock each time
/// before it blocks. The first report ends the run.
class WatchedLoop {
public:
    explicit WatchedLoop(bool debug = true) {
        runner_.get_loop().set_debug(debug);
        runner_.get_loop().set_slow_callback_duration(std::chrono::hours(1)); // no reports of that
        runner_.get_loop().set_deadlock_notice(std::chrono::seconds(0));
        runner_.get_loop().set_exception_handler(
            [this](EventLoop& loop, const ExceptionContext& context) {
                reports.push_back(context.message);
                loop.stop();
            });
    }

    EventLoop& loop() { return runner_.get_loop(); }

    WatchedLoop& run(std::function<Coro<>()> main) {
        const auto named = [](std::function<Coro<>()> inner) -> Coro<> {
            current_task().set_name("main");
            co_await inner();
        };
        try {
            runner_.run(named(std::move(main)));
        } catch (const RuntimeError& error) {
            if (std::string(error.what()).find("stopped before") == std::string::npos) {
                throw;
            }
        }
        return *this;
    }

    std::vector<std::string> reports; ///< what the loop has reported

private:
    Runner runner_;
};

} // namespace muster::testing_support
