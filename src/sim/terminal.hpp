#pragma once
// A virtual terminal over one SSH channel: the pace, the faults and the flow of a device's
// command line, apart from how bytes reach the wire.

#include "virtual_device.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace muster::sim {

/// Runs an IosSession with the device's latency and faults. Output collects in `output()`; the
/// owner takes from it what the wire can hold, when `on_output` tells it that there is more.
class Terminal {
public:
    /// `on_output` is called when there is more output, or the session has come to its end.
    Terminal(boost::asio::io_context& io, VirtualDevice& device, Delays& delays,
             std::function<void()> on_output);

    /// The size of the user's window.
    void resize(int width, int length);

    /// Starts an interactive session: banner and prompt.
    void open();

    /// Starts a session of one command.
    void run(std::string_view command);

    /// Bytes from the user.
    void input(std::string_view bytes);

    /// Removes up to `limit` bytes of output; fewer with a dripping device, which says more later.
    std::string take(std::size_t limit);

    /// Returns what the wire could not hold to the head of the output.
    void put_back(std::string_view text) { output_.insert(0, text); }

    [[nodiscard]] bool has_output() const { return !output_.empty(); }

    /// The device has ended the session; what is in the output is still to be sent.
    [[nodiscard]] bool closed() const { return closed_; }

    /// How the device's script ends the connection once the output is sent; a device that hangs
    /// just says no more.
    [[nodiscard]] Failure failure() const { return failure_; }

private:
    void work();
    void answer(IosReply reply);
    void say(const IosReply& reply);
    void put(std::string_view text);
    void prompted();
    [[nodiscard]] bool fails_after(Step step, int line = 0);

    VirtualDevice& device_;
    Delays& delays_;
    std::function<void()> on_output_;
    IosSession session_;
    boost::asio::steady_timer answer_timer_;
    boost::asio::steady_timer drip_timer_;
    // Tells a timer whose handler is already queued that the terminal is gone.
    std::shared_ptr<char> alive_ = std::make_shared<char>();
    std::string output_;
    int configuration_lines_ = 0;
    bool opened_ = false;
    bool busy_ = false;     // an answer is being waited for; what is typed meanwhile waits too
    bool dripping_ = false; // the next drop is not due yet
    bool closed_ = false;
    Failure failure_ = Failure::none;
};

} // namespace muster::sim
