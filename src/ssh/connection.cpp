#include "ssh/session.hpp"

#include <muster/core/timeout.hpp>
#include <muster/ssh/connection.hpp>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

namespace muster::ssh {

using namespace detail;

namespace {

/// A channel that ends with its holder.
class HeldChannel {
public:
    explicit HeldChannel(std::shared_ptr<Session> session) : session_(std::move(session)) {}

    HeldChannel(const HeldChannel&) = delete;
    HeldChannel& operator=(const HeldChannel&) = delete;

    ~HeldChannel() { drop(); }

    /// Ends it without waiting.
    void drop() noexcept {
        if (channel_ != nullptr) {
            session_->drop(*std::exchange(channel_, nullptr));
        }
    }

    Coro<void> open() {
        const int code = co_await session_->perform_alone(
            [this] { return session_->engine().open_channel(channel_); });
        check(Phase::channel, code);
    }

    Coro<void> start(const std::string& kind, const std::string& argument) {
        const int code = co_await session_->perform(
            [&] { return session_->engine().request_start(*channel_, kind, argument); });
        check(Phase::channel, code);
    }

    /// Ends it in order; the exit status is there afterwards.
    Coro<void> close() {
        const int code = co_await session_->perform(
            [this] { return session_->engine().close_channel(*channel_); });
        check(Phase::close, code);
    }

    void free() noexcept {
        if (channel_ != nullptr) {
            session_->engine().free_channel(*std::exchange(channel_, nullptr));
        }
    }

    void check(Phase phase, int code) const {
        if (code < 0) {
            throw session_->explain(phase, code);
        }
    }

    [[nodiscard]] Channel* get() const noexcept { return channel_; }

    [[nodiscard]] Session& session() const noexcept { return *session_; }

private:
    std::shared_ptr<Session> session_;
    Channel* channel_ = nullptr;
};

std::string timeout_text(const std::string& what, TimeLimit limit) {
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(limit.value()).count();
    return what + " within " + std::to_string(milliseconds) + " ms";
}

/// Runs `body` under the limit. Whatever cuts it off ends the session: the device may still be
/// at it.
template <class F>
auto bounded(std::shared_ptr<Session> session, TimeLimit limit, Phase phase, std::string what,
             F body) -> decltype(body()) {
    bool timed_out = false;
    try {
        co_return co_await timeout(limit, std::move(body));
    } catch (const TimeoutError&) {
        timed_out = true;
    } catch (const std::exception&) {
        throw;
    } catch (...) {
        session->abort("an operation was cancelled");
        throw;
    }
    if (timed_out) {
        session->abort("an operation was cut off by its deadline");
    }
    throw session->error(phase, ErrorKind::timeout, timeout_text(what, limit));
}

} // namespace

namespace detail {

class ShellState {
public:
    ShellState(std::shared_ptr<Session> session, ShellOptions options)
        : channel_(std::move(session)), options_(std::move(options)) {}

    Coro<void> open() {
        co_await channel_.open();
        const int code = co_await session().perform([this] {
            return engine().request_pty(*channel_.get(), options_.term, options_.width,
                                        options_.height);
        });
        channel_.check(Phase::channel, code);
        const std::string kind = "shell";
        const std::string none;
        co_await channel_.start(kind, none);
    }

    Coro<std::string> read(std::size_t max) {
        const int code = co_await session().perform(
            [this] {
                const Channel* channel = channel_.get();
                const bool ready = channel == nullptr || channel->eof() || !channel->out.empty() ||
                                   !channel->err.empty();
                return ready ? 0 : LIBSSH2_ERROR_EAGAIN;
            },
            CutOff::harmless);
        channel_.check(Phase::command, code);
        Channel* channel = channel_.get();
        if (channel == nullptr) {
            co_return std::string(); // ended here meanwhile
        }
        // With a terminal there is one stream; what a device sends as errors all the same goes
        // along.
        std::string& from = channel->out.empty() ? channel->err : channel->out;
        std::string text;
        if (from.size() <= max) {
            text = std::exchange(from, {});
        } else {
            text = from.substr(0, max);
            from.erase(0, max);
        }
        session().resume(); // what was taken out has made room
        co_return text;
    }

    /// One operation for the whole text: what several tasks write is not mixed.
    Coro<void> write(std::string_view text) {
        const int code = co_await session().perform([&] { return write_some(text); }, CutOff::fatal,
                                                    channel_.get());
        channel_.check(Phase::command, code);
    }

    Coro<void> close() {
        if (channel_.get() == nullptr) {
            co_return;
        }
        channel_.get()->discard();
        co_await channel_.close();
    }

    /// Without waiting: after an orderly close, or instead of it.
    void end() noexcept {
        channel_.drop();
        session().resume(); // a reader learns of it
    }

    /// Nothing will come any more.
    [[nodiscard]] bool closed() const noexcept {
        const Channel* channel = channel_.get();
        return channel == nullptr || (channel->out.empty() && channel->err.empty() &&
                                      (channel->eof() || session().engine().failure() != 0));
    }

    [[nodiscard]] Session& session() const noexcept { return channel_.session(); }

    [[nodiscard]] TimeLimit timeout() const noexcept { return options_.timeout; }

private:
    int write_some(std::string_view& text) {
        while (!text.empty()) {
            if (channel_.get() == nullptr) {
                return LIBSSH2_ERROR_CHANNEL_CLOSED;
            }
            if (session().congested()) {
                return LIBSSH2_ERROR_EAGAIN;
            }
            const int sent = engine().write(*channel_.get(), text);
            if (sent < 0) {
                return sent;
            }
            text.remove_prefix(static_cast<std::size_t>(sent));
        }
        return 0;
    }

    [[nodiscard]] Engine& engine() const noexcept { return session().engine(); }

    HeldChannel channel_;
    ShellOptions options_;
};

} // namespace detail

namespace {

/// Everything that a command does, from the channel to its end.
class Command {
public:
    Command(std::shared_ptr<Session> session, std::string command, std::string input)
        : channel_(std::move(session)),
          command_(std::move(command)),
          input_(std::move(input)),
          left_(input_) {}

    Coro<Completed> run() {
        Session& session = channel_.session();
        co_await channel_.open();
        co_await channel_.start("exec", command_);
        Channel& channel = *channel_.get();
        bool more = true;
        while (more) {
            const int code = co_await session.perform([this] { return transfer(); });
            channel_.check(Phase::command, code);
            more = !channel.eof() || !channel.out.empty() || !channel.err.empty();
            session.resume(); // what was taken out has made room
        }
        co_await channel_.close();
        result_.exit_status = channel.exit_status();
        result_.exit_signal = channel.exit_signal();
        channel_.free();
        co_return std::move(result_);
    }

private:
    /// Moves what can be moved: output to us, input to the command.
    int transfer() {
        Channel& channel = *channel_.get();
        bool moved = channel.eof();
        const auto take = [&moved](std::string& from, std::string& to) {
            moved = moved || !from.empty();
            to += from;
            from.clear();
        };
        take(channel.out, result_.out);
        take(channel.err, result_.err);
        if (!left_.empty() && !channel.eof() && !channel_.session().congested()) {
            const int sent = channel_.session().engine().write(channel, left_);
            if (sent > 0) {
                left_.remove_prefix(static_cast<std::size_t>(sent));
                moved = true;
            } else if (sent != LIBSSH2_ERROR_EAGAIN) {
                return sent;
            }
        }
        if (left_.empty() && !input_.empty() && !end_sent_ && !channel.eof()) {
            const int code = channel_.session().engine().send_eof(channel);
            end_sent_ = code == 0;
            if (code != LIBSSH2_ERROR_EAGAIN && code != 0) {
                return code;
            }
        }
        return moved ? 0 : LIBSSH2_ERROR_EAGAIN;
    }

    HeldChannel channel_;
    std::string command_;
    std::string input_;
    std::string_view left_;
    bool end_sent_ = false;
    Completed result_;
};

// The operations hold what they work on: they begin when they are awaited, and the Shell or
// Connection may have been moved by then.

Coro<void> write_shell(std::shared_ptr<ShellState> state, std::string text) {
    co_await bounded(state->session().shared_from_this(), state->timeout(), Phase::command,
                     "the device did not take what was sent", [&] { return state->write(text); });
}

Coro<std::string> read_shell(std::shared_ptr<ShellState> state, std::size_t max) {
    co_return co_await state->read(max);
}

Coro<void> close_shell(std::shared_ptr<ShellState> state) {
    try {
        co_await bounded(state->session().shared_from_this(), state->timeout(), Phase::close,
                         "the device did not close the shell", [&] { return state->close(); });
    } catch (const Error&) {
        // The connection is gone, and the shell with it.
    }
    state->end();
}

Coro<Shell> open_shell_on(std::shared_ptr<Session> session, ShellOptions options) {
    const TimeLimit limit = options.timeout;
    auto state = std::make_shared<ShellState>(session, std::move(options));
    co_await bounded(session, limit, Phase::channel, "the device did not open a shell",
                     [&] { return state->open(); });
    co_return Shell(std::move(state));
}

Coro<Completed> run_on(std::shared_ptr<Session> session, std::string command,
                       CommandOptions options) {
    Command running(session, command, std::move(options.input));
    co_return co_await bounded(session, options.timeout, Phase::command,
                               "'" + command + "' did not end", [&] { return running.run(); });
}

Coro<void> close_session(std::shared_ptr<Session> session) {
    co_await session->close(session->close_timeout);
}

} // namespace

Shell::Shell(std::shared_ptr<ShellState> state) noexcept : state_(std::move(state)) {}

Shell::Shell(Shell&&) noexcept = default;

Shell& Shell::operator=(Shell&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
}

Shell::~Shell() {
    if (state_) {
        state_->end();
    }
}

Coro<std::string> Shell::read(std::size_t max) { return read_shell(state_, max); }

Coro<void> Shell::write(std::string text) { return write_shell(state_, std::move(text)); }

Coro<void> Shell::close() { return close_shell(state_); }

bool Shell::closed() const noexcept { return !state_ || state_->closed(); }

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
        if (!completed.err.empty()) {
            failure.reason += ": " + completed.err.substr(0, 200);
        }
        throw Error(std::move(failure));
    }
    co_return std::move(completed.out);
}

} // namespace muster::ssh
