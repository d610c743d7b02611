#include "net/child.hpp"
#include "net/pipe.hpp"
#include "net/stream_impl.hpp"

#include <muster/core/gather.hpp>
#include <muster/net/subprocess.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

namespace muster {

struct Process::Impl {
    std::shared_ptr<detail::Child> child;
    std::optional<Stream> in;
    std::optional<Stream> out;
    std::optional<Stream> err;
};

namespace {

using detail::Descriptor;

/// A copy that does not lie where the child's standard streams will be, so that setting one up
/// can't overwrite the source of another.
Descriptor above_standard(int fd) {
    Descriptor copy(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (!copy.valid()) {
        throw Error("cannot give descriptor " + std::to_string(fd) +
                    " to a child process: " + std::generic_category().message(errno));
    }
    return copy;
}

/// Both ends of one of a child's standard streams.
struct Ends {
    Descriptor childs;
    Descriptor ours;
};

Ends make_ends(Stdio where, int stream) {
    if (where.fd() >= 0) {
        return {above_standard(where.fd()), Descriptor()};
    }
    if (where == Stdio::stdout_ && stream != STDERR_FILENO) {
        throw ValueError("Stdio::stdout_ is for standard error only");
    }
    if (where != Stdio::pipe) {
        return {};
    }
    detail::Pipe pipe = detail::make_pipe();
    const bool child_reads = stream == STDIN_FILENO;
    Descriptor& childs = child_reads ? pipe.read_end : pipe.write_end;
    Descriptor& ours = child_reads ? pipe.write_end : pipe.read_end;
    return {childs.get() > STDERR_FILENO ? std::move(childs) : above_standard(childs.get()),
            std::move(ours)};
}

[[noreturn]] void throw_not_piped(const std::string& name) {
    throw RuntimeError(name + " of the process is not piped: start it with ." + name +
                       "_ = Stdio::pipe");
}

Stream& piped(std::optional<Stream>& stream, const char* name) {
    if (!stream) {
        throw_not_piped(name);
    }
    return *stream;
}

/// How much of a long input is on its way at a time.
constexpr std::size_t piece = default_stream_limit;

Coro<void> feed(std::optional<Stream>& stream, std::string_view input) {
    if (!stream) {
        co_return;
    }
    bool reads = true;
    for (; reads && !input.empty(); input.remove_prefix(std::min(piece, input.size()))) {
        try {
            co_await stream->write(input.substr(0, piece));
        } catch (const ConnectionResetError&) {
            reads = false; // its returncode tells whether that is wrong
        }
    }
    stream->close();
}

Coro<std::string> read_all(std::optional<Stream>& stream) {
    if (!stream) {
        co_return std::string();
    }
    co_return co_await stream->read();
}

Coro<ProcessOutput> communicate_with(std::shared_ptr<Process::Impl> impl, std::string_view input) {
    if (!input.empty() && !impl->in) {
        throw_not_piped("stdin");
    }
    auto [none, out, err] =
        co_await gather(feed(impl->in, input), read_all(impl->out), read_all(impl->err));
    co_await detail::Child::wait(impl->child);
    co_return ProcessOutput{std::move(out), std::move(err)};
}

} // namespace

Process::Process(std::shared_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}

Process::Process(Process&&) noexcept = default;
Process& Process::operator=(Process&&) noexcept = default;
Process::~Process() = default;

int Process::pid() const noexcept { return impl_->child->pid(); }

std::optional<int> Process::returncode() const noexcept { return impl_->child->returncode(); }

Stream& Process::stdin() { return piped(impl_->in, "stdin"); }

Stream& Process::stdout() { return piped(impl_->out, "stdout"); }

Stream& Process::stderr() { return piped(impl_->err, "stderr"); }

Coro<int> Process::wait() { return detail::Child::wait(impl_->child); }

Coro<ProcessOutput> Process::communicate(std::string_view input) {
    return communicate_with(impl_, input);
}

void Process::send_signal(int signal) { impl_->child->send_signal(signal); }

void Process::terminate() { send_signal(SIGTERM); }

void Process::kill() { send_signal(SIGKILL); }

Coro<Process> create_subprocess_exec(std::string program, Arguments args,
                                     SubprocessOptions options) {
    detail::LoopCore& core = get_running_loop().core();
    Ends in = make_ends(options.stdin_, STDIN_FILENO);
    Ends out = make_ends(options.stdout_, STDOUT_FILENO);
    Ends err = make_ends(options.stderr_, STDERR_FILENO);
    auto impl = std::make_shared<Process::Impl>();
    const auto open = [&](std::optional<Stream>& stream, Ends& ends, detail::Transport::Kind kind,
                          const char* name) {
        if (ends.ours.valid()) {
            detail::Transport end(core.loop().io_context(), std::move(ends.ours), kind);
            stream.emplace(std::make_shared<detail::StreamImpl>(std::move(end), options.limit,
                                                                name + (" of " + program)));
        }
    };
    open(impl->in, in, detail::Transport::Kind::write_end, "stdin");
    open(impl->out, out, detail::Transport::Kind::read_end, "stdout");
    open(impl->err, err, detail::Transport::Kind::read_end, "stderr");
    // Last, so that nothing can fail any more while a child runs.
    impl->child = detail::Child::start(core, program, args.get(), options,
                                       {in.childs.get(), out.childs.get(), err.childs.get()});
    co_return Process(std::move(impl));
}

Coro<Process> create_subprocess_shell(std::string command, SubprocessOptions options) {
    return create_subprocess_exec("/bin/sh", std::vector<std::string>{"-c", std::move(command)},
                                  std::move(options));
}

} // namespace muster
