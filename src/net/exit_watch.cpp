#include "net/exit_watch.hpp"

#include "net/descriptor.hpp"
#include "net/pipe.hpp"

#include <muster/core/error.hpp>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace muster::detail {

namespace {

/// Runs `body` in a thread that nobody joins and that no signal of the program is delivered to.
template <class F>
void run_detached(F body) {
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    const auto restore = [&before] { ::pthread_sigmask(SIG_SETMASK, &before, nullptr); };
    try {
        std::thread(std::move(body)).detach();
    } catch (...) {
        restore();
        throw;
    }
    restore();
}

void wait_until_ended(pid_t pid, int flags) noexcept {
    siginfo_t info;
    while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | flags) != 0 && errno == EINTR) {
    }
}

Descriptor pidfd_of(pid_t pid) {
#ifdef SYS_pidfd_open
    return Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U))); // always CLOEXEC
#else
    static_cast<void>(pid);
    return Descriptor();
#endif
}

/// For kernels before 5.3 and sandboxes that know no pidfd. The child stays unreaped, so that its
/// pid is not given to another process before the loop has seen the end.
Descriptor closed_at_end_of(pid_t pid) {
    Pipe pipe = make_pipe();
    try {
        run_detached(
            [pid, write_end = std::move(pipe.write_end)] { wait_until_ended(pid, WNOWAIT); });
    } catch (const std::system_error& error) {
        throw Error("no thread to wait for a child process: " + error.code().message());
    }
    return std::move(pipe.read_end);
}

Descriptor watch(pid_t pid) {
    Descriptor pidfd = pidfd_of(pid);
    return pidfd.valid() ? std::move(pidfd) : closed_at_end_of(pid);
}

} // namespace

ExitWatch::ExitWatch(boost::asio::io_context& context, pid_t pid) : descriptor_(context) {
    Descriptor descriptor = watch(pid);
    descriptor_.assign(descriptor.get());
    static_cast<void>(descriptor.release());
}

void reap_later(pid_t pid) noexcept {
    try {
        run_detached([pid] { wait_until_ended(pid, 0); });
    } catch (const std::system_error&) {
        // Without threads it stays a zombie until this program ends, unless it has ended by now.
        ::waitpid(pid, nullptr, WNOHANG);
    }
}

} // namespace muster::detail
