#include "terminal.hpp"

#include <boost/system/error_code.hpp>

#include <algorithm>
#include <utility>

namespace muster::sim {

namespace {

constexpr std::size_t drop_size = 8;

// What a router says on a terminal that monitors its log, in the middle of whatever is going on.
constexpr std::string_view log_noise =
    "\r\n*Mar  1 00:12:34.567: %LINEPROTO-5-UPDOWN: Line protocol on Interface "
    "GigabitEthernet0/2, changed state to up\r\n";

IosSessionOptions session_options(const DeviceSpec& spec) {
    IosSessionOptions options;
    options.username = spec.username;
    options.privileged = spec.starts_privileged;
    options.reject = spec.fault.reject_line;
    return options;
}

} // namespace

Terminal::Terminal(boost::asio::io_context& io, VirtualDevice& device, Delays& delays,
                   std::function<void()> on_output)
    : device_(device),
      delays_(delays),
      on_output_(std::move(on_output)),
      session_(device.ios, session_options(device.spec)),
      answer_timer_(io),
      drip_timer_(io) {}

void Terminal::resize(int width, int length) { session_.resize(width, length); }

void Terminal::open() {
    opened_ = true;
    std::string greeting;
    {
        const std::scoped_lock lock(device_.mutex);
        greeting = session_.greeting();
    }
    put(greeting);
    prompted();
    if (!fails_after(Step::prompt)) {
        work();
    }
}

void Terminal::run(std::string_view command) {
    ++device_.lines;
    IosReply reply;
    {
        const std::scoped_lock lock(device_.mutex);
        reply.output = session_.exec(command);
    }
    reply.closed = true;
    answer(std::move(reply));
}

void Terminal::input(std::string_view bytes) {
    session_.input(bytes);
    work();
}

void Terminal::work() {
    while (opened_ && !busy_ && !closed_ && failure_ == Failure::none) {
        std::optional<IosReply> reply;
        {
            const std::scoped_lock lock(device_.mutex);
            reply = session_.step();
        }
        if (!reply) {
            return;
        }
        put(reply->echo);
        if (reply->line_end) {
            ++device_.lines;
        }
        if (reply->line_end && reply->configuring &&
            fails_after(Step::line, ++configuration_lines_)) {
            return;
        }
        if (reply->output.empty() && !reply->closed) {
            continue;
        }
        if (reply->line_end) {
            answer(std::move(*reply));
        } else {
            say(*reply);
        }
    }
}

void Terminal::answer(IosReply reply) {
    const auto& latency = device_.spec.latency;
    const auto delay = delays_.draw(latency.command, latency);
    if (delay.count() == 0) {
        say(reply);
        return;
    }
    busy_ = true;
    answer_timer_.expires_after(delay);
    answer_timer_.async_wait([this, alive = std::weak_ptr(alive_),
                              reply = std::move(reply)](boost::system::error_code error) {
        if (error || alive.expired()) {
            return;
        }
        busy_ = false;
        say(reply);
        work();
    });
}

void Terminal::say(const IosReply& reply) {
    closed_ = reply.closed;
    put(reply.output);
    if (closed_) {
        on_output_();
    } else {
        prompted();
    }
}

void Terminal::put(std::string_view text) {
    output_ += text;
    if (!text.empty()) {
        on_output_();
    }
}

void Terminal::prompted() {
    if (device_.spec.fault.noise) {
        put(log_noise);
    }
}

bool Terminal::fails_after(Step step, int line) {
    const auto& fault = device_.spec.fault;
    const bool now = fault.failure != Failure::none && fault.after == step &&
                     (step != Step::line || line == fault.line);
    if (now) {
        failure_ = fault.failure;
        on_output_();
    }
    return now;
}

std::string Terminal::take(std::size_t limit) {
    const auto drip = device_.spec.fault.drip;
    if (drip.count() == 0) {
        auto text = output_.substr(0, limit);
        output_.erase(0, text.size());
        return text;
    }
    if (dripping_ || output_.empty() || limit == 0) {
        return {};
    }
    dripping_ = true;
    drip_timer_.expires_after(drip);
    drip_timer_.async_wait([this, alive = std::weak_ptr(alive_)](boost::system::error_code error) {
        if (!error && !alive.expired()) {
            dripping_ = false;
            on_output_();
        }
    });
    auto text = output_.substr(0, std::min(limit, drop_size));
    output_.erase(0, text.size());
    return text;
}

} // namespace muster::sim
