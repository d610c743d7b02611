#pragma once

#include "net/exit_watch.hpp"
#include "net/spawn.hpp"

#include <muster/core/coro.hpp>
#include <muster/core/detail/loop_core.hpp>
#include <muster/core/detail/timer_queue.hpp>

#include <sys/types.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace muster::detail {

/// A running child process, reaped by its loop as soon as it ends, whoever still refers to it. If
/// the loop goes first, the child is killed and reaped.
class Child : public std::enable_shared_from_this<Child>, private TimerNode {
public:
    /// Starts a program; see spawn(). When it throws, no process is left.
    static std::shared_ptr<Child> start(LoopCore& core, const std::string& program,
                                        const std::vector<std::string>& args,
                                        const SubprocessOptions& options,
                                        const std::array<int, 3>& ends);

    /// For start(). The process is started last: nothing can fail between that and ~Child().
    Child(LoopCore& core, const std::string& program, const std::vector<std::string>& args,
          const SubprocessOptions& options, const std::array<int, 3>& ends)
        : TimerNode(&Child::on_node), core_(&core), pid_(spawn(program, args, options, ends)) {}

    ~Child();

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    /// The exit status, or the negative number of the signal that ended it; nothing while it runs.
    [[nodiscard]] std::optional<int> returncode() const noexcept { return returncode_; }

    /// Waits for the end; the returncode. Any number of tasks may wait; cancelling one changes
    /// nothing for the child.
    static Coro<int> wait(std::shared_ptr<Child> child);

    /// Throws ProcessLookupError when it has ended, RuntimeError when its loop is gone.
    void send_signal(int signal);

private:
    static TaskBase* on_node(Node& node, NodeEvent event) noexcept;

    void check_loop() const;
    void watch();
    void reap() noexcept;
    void finish(std::optional<int> returncode) noexcept;
    void kill_and_reap() noexcept;
    [[nodiscard]] bool ends_soon() noexcept;

    LoopCore* core_; // null once it has ended or the loop is gone
    pid_t pid_;
    std::optional<int> returncode_;
    std::shared_ptr<ExitWatch> exit_; // tasks that wait hold it, too
    std::shared_ptr<Child> self_;     // while it runs: the loop's hold on it
};

} // namespace muster::detail
