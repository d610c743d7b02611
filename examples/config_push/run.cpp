#include "run.hpp"

#include "progress_line.hpp"
#include "report.hpp"

#include <muster/muster.hpp>
#include <muster/net/descriptor_limit.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <csignal>

namespace config_push {

using namespace muster;

namespace {

// Ctrl-C and SIGTERM while the devices are worked on.
class Interrupts {
public:
    explicit Interrupts(fleet::RunControl control) : control_(std::move(control)) {
        for (const int number : {SIGINT, SIGTERM}) {
            get_running_loop().add_signal_handler(number, [this, number] { interrupt(number); });
        }
    }

    Interrupts(const Interrupts&) = delete;
    Interrupts& operator=(const Interrupts&) = delete;

    ~Interrupts() {
        for (const int number : {SIGINT, SIGTERM}) {
            get_running_loop().remove_signal_handler(number);
        }
    }

    [[nodiscard]] int signal() const noexcept { return signal_; }

private:
    void interrupt(int number) {
        if (signal_ == 0) {
            signal_ = number;
            control_.stop_starting();
            fmt::print(stderr, "interrupted: no further device is started; those at work are "
                               "finished; once more to abort\n");
        } else {
            control_.cancel();
            fmt::print(stderr, "aborting\n");
        }
    }

    fleet::RunControl control_;
    int signal_ = 0;
};

} // namespace

Coro<RunResult> run_push(const std::vector<device::Device>& devices, std::string text,
                         std::string source, Options options) {
    const std::size_t at_once = std::min(options.max_at_once, devices.size());
    require_descriptors(at_once, fmt::format("{} devices at once (--max-at-once)", at_once));
    ProgressLine line(devices.size(), options.progress);
    fleet::PushOptions push;
    push.session.host_key_policy = options.host_keys;
    if (!options.known_hosts.empty()) {
        push.session.known_hosts = {options.known_hosts};
    }
    push.session.timeouts.connect = options.connect_timeout;
    push.session.timeouts.command = options.command_timeout;
    push.session.timeouts.config_line = options.command_timeout;
    push.save = options.save;
    push.compare = options.compare;
    push.on_report = [&](const fleet::PushReport& report) {
        line.report(report);
        if (options.output == Output::ndjson) {
            print_ndjson(report);
        }
    };
    fleet::FleetOptions run;
    run.max_at_once = options.max_at_once;
    run.device_timeout = options.device_timeout;
    run.on_event = [&](const fleet::Event& event) { line.observe(event); };

    const Interrupts interrupts(run.control);
    const Clock::time_point start = Clock::now();
    line.begin(options.max_at_once);
    Task<void> drawing = create_task(line.keep_drawing());
    RunResult result;
    std::exception_ptr error;
    try {
        result.reports = co_await fleet::push_config(devices, std::move(text), std::move(source),
                                                     std::move(push), std::move(run));
    } catch (...) {
        error = std::current_exception();
    }
    drawing.cancel();
    co_await gather(return_exceptions, drawing);
    if (error) {
        std::rethrow_exception(error);
    }
    result.elapsed = Clock::now() - start;
    result.signal = interrupts.signal();
    co_return result;
}

} // namespace config_push
