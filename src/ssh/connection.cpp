#include "ssh/channel_state.hpp"
#include "ssh/forward.hpp"
#include "ssh/one_line.hpp"

#include <muster/ssh/connection.hpp>

#include <string_view>
#include <utility>
#include <vector>

namespace muster::ssh {

using namespace detail;

namespace {

/// Everything that a command does, from the channel to its end.
class Command {
public:
    Command(std::shared_ptr<Session> session, std::string command, CommandOptions options)
        : channel_(std::move(session)),
          command_(std::move(command)),
          env_(std::move(options.env)),
          input_(std::move(options.input)),
          left_(input_) {}

    Coro<Completed> run() {
        Session& session = channel_.session();
        co_await channel_.open();
        co_await channel_.set_env(env_);
        co_await channel_.start("exec", command_);
        EngineChannel& channel = *channel_.get();
        bool more = true;
        while (more) {
            const int code = co_await session.perform([this] { return transfer(); });
            channel_.check(Phase::command, code);
            more = !channel.eof() || !channel.out.empty() || !channel.err.empty();
            session.resume(); // what was taken out has made room
        }
        try {
            ExitStatus end = co_await channel_.close(CutOff::fatal);
            result_.exit_status = end.exit_status;
            result_.exit_signal = std::move(end.exit_signal);
        } catch (const Error& failed) {
            // A device that hangs up instead of closing the channel has said everything.
            if (failed.kind() != ErrorKind::connection_lost || !channel.exit_status()) {
                throw;
            }
            result_.exit_status = channel.exit_status();
        }
        channel_.free();
        co_return std::move(result_);
    }

private:
    /// Moves what can be moved: output to us, input to the command.
    int transfer() {
        EngineChannel& channel = *channel_.get();
        bool moved = channel.eof();
        const auto take = [&moved](std::string& from, std::string& to) {
            moved = moved || !from.empty();
            to += from;
            from.clear();
        };
        take(channel.out, result_.out);
        take(channel.err, result_.err);
        if (!left_.empty() && !channel.eof()) {
            const std::size_t before = left_.size();
            const int code = channel_.write_some(left_);
            moved = moved || left_.size() < before;
            if (code < 0 && code != LIBSSH2_ERROR_EAGAIN) {
                return code;
            }
        }
        if (left_.empty() && !input_.empty() && !end_sent_ && !channel.eof()) {
            const int code = channel_.engine().send_eof(channel);
            end_sent_ = code == 0;
            if (code != LIBSSH2_ERROR_EAGAIN && code != 0) {
                return code;
            }
        }
        return moved ? 0 : LIBSSH2_ERROR_EAGAIN;
    }

    ChannelState channel_;
    std::string command_;
    std::vector<EnvVariable> env_;
    std::string input_;
    std::string_view left_;
    bool end_sent_ = false;
    Completed result_;
};

// The operations hold what they work on: they begin when they are awaited, and the Connection may
// have been moved by then.

Coro<Completed> run_on(std::shared_ptr<Session> session, std::string command,
                       CommandOptions options) {
    const TimeLimit limit = options.timeout;
    Command running(session, command, std::move(options));
    co_return co_await bounded(session, CutOffEnds::session, limit, Phase::command,
                               "'" + command + "' did not end", [&] { return running.run(); });
}

Coro<void> prepare_shell(ChannelState& channel, const ShellOptions& options) {
    co_await channel.open();
    co_await channel.request_pty(options.term, options.width, options.height);
    co_await channel.set_env(options.env);
    const std::string kind = "shell";
    const std::string none;
    co_await channel.start(kind, none);
}

Coro<Shell> open_shell_on(std::shared_ptr<Session> session, ShellOptions options) {
    auto state = std::make_shared<ChannelState>(session, options.timeout);
    co_await bounded(session, CutOffEnds::session, options.timeout, Phase::channel,
                     "the device did not open a shell",
                     [&] { return prepare_shell(*state, options); });
    co_return Shell(std::move(state));
}

Coro<void> prepare_channel(ChannelState& channel, const std::string& kind,
                           const std::string& argument, const ChannelOptions& options) {
    co_await channel.open();
    co_await channel.set_env(options.env);
    co_await channel.start(kind, argument);
}

Coro<Channel> start_on(std::shared_ptr<Session> session, std::string kind, std::string argument,
                       ChannelOptions options) {
    auto state = std::make_shared<ChannelState>(session, options.timeout);
    co_await bounded(session, CutOffEnds::session, options.timeout, Phase::channel,
                     "the device did not start '" + argument + "'",
                     [&] { return prepare_channel(*state, kind, argument, options); });
    co_return Channel(std::move(state));
}

Coro<Channel> open_tcp_on(std::shared_ptr<Session> session, Session::Target target,
                          ChannelOptions options) {
    auto state = std::make_shared<ChannelState>(session, options.timeout);
    co_await bounded(session, CutOffEnds::nothing, options.timeout, Phase::channel,
                     "the device did not connect to " + target.host + " port " +
                         std::to_string(target.port),
                     [&] { return state->open_tunnel(target); });
    co_return Channel(std::move(state));
}

Coro<void> close_session(std::shared_ptr<Session> session) {
    co_await session->close(session->close_timeout);
}

} // namespace

Connection::Connection(std::shared_ptr<Session> session) noexcept : session_(std::move(session)) {}

Connection::Connection(Connection&&) noexcept = default;

Connection& Connection::operator=(Connection&& other) noexcept {
    std::swap(session_, other.session_);
    return *this;
}

Connection::~Connection() {
    if (session_) {
        session_->abort("the connection was closed");
    }
}

Coro<Completed> Connection::run(std::string command, CommandOptions options) {
    return run_on(session_, std::move(command), std::move(options));
}

Coro<Shell> Connection::open_shell(ShellOptions options) {
    return open_shell_on(session_, std::move(options));
}

Coro<Channel> Connection::start(std::string command, ChannelOptions options) {
    return start_on(session_, "exec", std::move(command), std::move(options));
}

Coro<Channel> Connection::open_subsystem(std::string name, ChannelOptions options) {
    return start_on(session_, "subsystem", std::move(name), std::move(options));
}

Coro<Channel> Connection::open_tcp(std::string host, std::uint16_t port, ChannelOptions options) {
    return open_tcp_on(session_, {std::move(host), port}, std::move(options));
}

Coro<LocalForward> Connection::forward_local(std::string host, std::uint16_t port,
                                             ForwardOptions options) {
    return detail::forward_local(session_, std::move(host), port, std::move(options));
}

Coro<void> Connection::close() { return close_session(session_); }

bool Connection::closed() const noexcept { return !session_ || !session_->usable(); }

const std::string& Connection::host() const noexcept { return session_->host(); }

std::uint16_t Connection::port() const noexcept { return session_->port(); }

const std::string& Connection::server() const noexcept {
    return session_->engine().server_side().identification();
}

const std::string& Connection::host_key_fingerprint() const noexcept {
    return session_->host_key_fingerprint;
}

std::shared_ptr<Session> detail::session_of(const Connection& connection) {
    return connection.session_;
}

Coro<std::string> fetch(Options options, std::string command) {
    Connection connection = co_await connect(std::move(options));
    Completed completed = co_await connection.run(command);
    co_await connection.close();
    if (completed.exit_status.value_or(0) != 0 || !completed.exit_signal.empty()) {
        Failure failure;
        failure.host = connection.host();
        failure.port = connection.port();
        failure.phase = Phase::command;
        failure.kind = ErrorKind::command_failed;
        failure.reason = "'" + command + "' failed with " +
                         (completed.exit_signal.empty()
                              ? "status " + std::to_string(completed.exit_status.value_or(0))
                              : "signal " + completed.exit_signal);
        const auto end = completed.err.find_last_not_of("\r\n");
        if (end != std::string::npos) {
            constexpr std::size_t longest_words = 200;
            failure.reason += ": " + one_line(completed.err.substr(0, end + 1), longest_words);
        }
        throw Error(std::move(failure));
    }
    co_return std::move(completed.out);
}

} // namespace muster::ssh
