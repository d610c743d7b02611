#pragma once

#include "net/exit_watch.hpp"
#include "net/loop_guest.hpp"

#include <muster/core/coro.hpp>

#include <sys/types.h>

#include <memory>
#include <optional>

namespace muster::detail {

/// A running child process, reaped by its loop as soon as it ends, whoever still refers to it. If
/// the loop goes first, the child is killed and reaped.
class Child : public std::enable_shared_from_this<Child>, private LoopGuest {
public:
    /// Takes over a process that was just started; when it throws, the process is killed.
    static std::shared_ptr<Child> adopt(LoopCore& core, pid_t pid);

    Child(LoopCore& core, pid_t pid) : LoopGuest(core), pid_(pid) {}

    ~Child() override;

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    /// The exit status, or the negative number of the signal that ended it; nothing while it runs.
    [[nodiscard]] std::optional<int> returncode() const noexcept { return returncode_; }

    /// Waits for the end; the returncode. Any number of tasks may wait; cancelling one changes
    /// nothing for the child.
    static Coro<int> wait(std::shared_ptr<Child> child);

    /// Throws ProcessLookupError when it has ended.
    void send_signal(int signal);

private:
    void on_loop_gone() noexcept override { kill_and_reap(); }

    void watch();
    void reap() noexcept;
    void finish(std::optional<int> returncode) noexcept;
    void kill_and_reap() noexcept;
    [[nodiscard]] bool ends_soon() noexcept;

    pid_t pid_;
    std::optional<int> returncode_;
    std::optional<ExitWatch> exit_;
    std::shared_ptr<Child> self_; // while it runs: the loop's hold on it
};

} // namespace muster::detail
