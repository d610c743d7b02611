#include "net/child.hpp"

#include <muster/asio.hpp>
#include <muster/net/subprocess.hpp>

#include <boost/asio/as_tuple.hpp>

#include <poll.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <system_error>
#include <utility>

namespace muster::detail {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

/// How long the end of a loop waits for a killed child to be gone.
constexpr int grace_ms = 1000;

} // namespace

std::shared_ptr<Child> Child::start(LoopCore& core, const std::string& program,
                                    const std::vector<std::string>& args,
                                    const SubprocessOptions& options,
                                    const std::array<int, 3>& ends) {
    auto child = std::make_shared<Child>(core, program, args, options, ends);
    child->watch();
    return child;
}

Child::~Child() { kill_and_reap(); }

void Child::watch() {
    exit_ = std::make_shared<ExitWatch>(core_->loop().io_context(), pid_);
    // A timer that is never due: its drop is how the loop says that it goes.
    core_->add_timer(*this, Clock::time_point::max());
    self_ = shared_from_this();
    exit_->descriptor().async_wait(asio::posix::stream_descriptor::wait_read,
                                   [watched = weak_from_this()](const error_code& error) {
                                       if (const auto child = watched.lock();
                                           child != nullptr && !error) {
                                           child->reap();
                                       }
                                   });
}

Coro<int> Child::wait(std::shared_ptr<Child> child) {
    while (true) {
        if (const auto returncode = child->returncode_) {
            co_return *returncode;
        }
        child->check_loop();
        // Cancelling a wait of Asio needs the descriptor, even when the wait has just ended.
        const std::shared_ptr<ExitWatch> exit = child->exit_;
        const auto [error] = co_await exit->descriptor().async_wait(
            asio::posix::stream_descriptor::wait_read, asio::as_tuple(use_coro));
        if (!error) {
            child->reap();
        }
    }
}

void Child::send_signal(int signal) {
    if (returncode_) {
        throw ProcessLookupError("process " + std::to_string(pid_) + " has ended");
    }
    check_loop();
    // The pid is this child's until it is reaped.
    if (::kill(pid_, signal) != 0) {
        throw Error("cannot send signal " + std::to_string(signal) + " to process " +
                    std::to_string(pid_) + ": " + std::generic_category().message(errno));
    }
}

void Child::check_loop() const {
    if (core_ == nullptr) {
        throw RuntimeError("the event loop of process " + std::to_string(pid_) + " is gone");
    }
}

TaskBase* Child::on_node(Node& node, NodeEvent event) noexcept {
    if (event == NodeEvent::drop) {
        static_cast<Child&>(static_cast<TimerNode&>(node)).kill_and_reap();
    }
    return nullptr;
}

void Child::reap() noexcept {
    if (core_ == nullptr) {
        return;
    }
    int status = 0;
    pid_t reaped = 0;
    do {
        reaped = ::waitpid(pid_, &status, 0);
    } while (reaped < 0 && errno == EINTR);
    if (reaped < 0) {
        // The program waits for children that are not its own, or ignores SIGCHLD.
        ExceptionContext context;
        context.message =
            "Unknown child process pid " + std::to_string(pid_) + ", will report returncode 255";
        core_->report(context);
        finish(255);
    } else {
        finish(WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
    }
}

void Child::finish(std::optional<int> returncode) noexcept {
    const std::shared_ptr<Child> keep = std::move(self_);
    returncode_ = returncode;
    std::exchange(core_, nullptr)->remove_timer(*this);
    if (exit_) {
        error_code ignored;
        exit_->descriptor().close(ignored);
        exit_.reset();
    }
}

void Child::kill_and_reap() noexcept {
    if (core_ == nullptr) {
        return;
    }
    if (::kill(pid_, SIGKILL) == 0 && exit_ && ends_soon()) {
        reap();
    } else { // sudo's child is not ours to kill; one that hangs in the kernel takes its time
        reap_later(pid_);
        finish(std::nullopt);
    }
}

bool Child::ends_soon() noexcept {
    pollfd end{exit_->descriptor().native_handle(), POLLIN, 0};
    int ready = 0;
    do {
        ready = ::poll(&end, 1, grace_ms);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

} // namespace muster::detail
