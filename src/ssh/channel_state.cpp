#include "ssh/channel_state.hpp"

#include <chrono>
#include <cstddef>

namespace muster::ssh::detail {

Coro<void> ChannelState::open() {
    const bool right_after_another = engine().take_goodbye();
    int code = co_await session_->open_channel(channel_);
    if (code == LIBSSH2_ERROR_CHANNEL_FAILURE && right_after_another) {
        // The goodbye to the other channel and this request come together, and a device that allows
        // one channel at a time has not let go of it yet. By now it has.
        code = co_await session_->open_channel(channel_);
    }
    check(Phase::channel, code);
}

Coro<void> ChannelState::open_tunnel(const Session::Target& target) {
    const int code = co_await session_->open_channel(channel_, target);
    if (code == LIBSSH2_ERROR_CHANNEL_FAILURE) {
        throw session_->error(Phase::channel, ErrorKind::request_refused,
                              "the device did not connect to " + target.host + " port " +
                                  std::to_string(target.port) + ": " +
                                  session_->engine().last_words(),
                              "does it allow TCP forwarding, and can it reach that host?");
    }
    check(Phase::channel, code);
}

Coro<void> ChannelState::set_env(const std::vector<EnvVariable>& env) {
    for (const auto& [name, value] : env) {
        const int code =
            co_await session_->perform([&] { return engine().set_env(*channel_, name, value); });
        if (code == LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED) {
            throw session_->error(Phase::channel, ErrorKind::request_refused,
                                  "the device does not take the environment variable " + name,
                                  "allow it on the device (sshd: AcceptEnv), or leave it out");
        }
        check(Phase::channel, code);
    }
}

Coro<void> ChannelState::request_pty(const std::string& term, int width, int height) {
    const int code = co_await session_->perform(
        [&] { return engine().request_pty(*channel_, term, width, height); });
    check(Phase::channel, code);
}

Coro<void> ChannelState::start(const std::string& kind, const std::string& argument) {
    const int code = co_await session_->perform(
        [&] { return engine().request_start(*channel_, kind, argument); });
    check(Phase::channel, code);
}

Coro<std::string> ChannelState::read(From from, std::size_t max) {
    const auto source = [this, from]() -> std::string& {
        const bool err = from == From::err || (from == From::both && channel_->out.empty());
        return err ? channel_->err : channel_->out;
    };
    const int code = co_await session_->perform(
        [&] {
            const bool ready = channel_ == nullptr || channel_->eof() || !source().empty();
            return ready ? 0 : LIBSSH2_ERROR_EAGAIN;
        },
        CutOff::harmless);
    check(Phase::command, code);
    if (channel_ == nullptr) {
        co_return std::string(); // ended here meanwhile
    }
    std::string& buffer = source();
    std::string text;
    if (buffer.size() <= max) {
        text = std::exchange(buffer, {});
    } else {
        text = buffer.substr(0, max);
        buffer.erase(0, max);
    }
    session_->resume(); // what was taken out has made room
    co_return text;
}

/// A text on its way out. Cut off in the middle of a packet, it leaves that one to the next write.
class ChannelState::UnfinishedWrite {
public:
    UnfinishedWrite(ChannelState& state, std::string_view text) : state_(state), left_(text) {}

    UnfinishedWrite(const UnfinishedWrite&) = delete;
    UnfinishedWrite& operator=(const UnfinishedWrite&) = delete;

    ~UnfinishedWrite() { state_.keep_unfinished(left_); }

    std::string_view& left() noexcept { return left_; }

private:
    ChannelState& state_;
    std::string_view left_;
};

Coro<void> ChannelState::write(std::string_view text) {
    UnfinishedWrite unfinished(*this, text);
    const int code = co_await session_->perform([&] { return write_some(unfinished.left()); },
                                                CutOff::harmless, channel_);
    check(Phase::command, code);
}

int ChannelState::write_some(std::string_view& text) {
    while (!half_written_.empty() || !text.empty()) {
        if (channel_ == nullptr || eof_sent_) {
            return LIBSSH2_ERROR_CHANNEL_CLOSED;
        }
        if (session_->congested()) {
            return LIBSSH2_ERROR_EAGAIN;
        }
        const int sent = engine().write(*channel_, half_written_.empty() ? text : half_written_);
        if (sent < 0) {
            return sent;
        }
        const auto count = static_cast<std::size_t>(sent);
        if (half_written_.empty()) {
            text.remove_prefix(count);
        } else {
            half_written_.erase(0, count);
        }
    }
    return 0;
}

void ChannelState::keep_unfinished(std::string_view text) {
    if (channel_ != nullptr && half_written_.empty() && !text.empty() &&
        engine().write_begun(*channel_)) {
        half_written_ = text.substr(0, Engine::packet_size);
    }
}

Coro<void> ChannelState::write_eof() {
    const int code = co_await session_->perform(
        [this] {
            if (channel_ == nullptr || eof_sent_) {
                return 0;
            }
            const int result = engine().send_eof(*channel_);
            eof_sent_ = result != LIBSSH2_ERROR_EAGAIN;
            return result;
        },
        CutOff::harmless, channel_);
    check(Phase::command, code);
}

Coro<void> ChannelState::send_signal(const std::string& name) {
    const int code = co_await session_->perform([&] {
        return channel_ == nullptr ? LIBSSH2_ERROR_CHANNEL_CLOSED
                                   : engine().send_signal(*channel_, name);
    });
    if (code == LIBSSH2_ERROR_METHOD_NOT_SUPPORTED) {
        throw session_->error(Phase::command, ErrorKind::configuration,
                              "muster was built with libssh2 " LIBSSH2_VERSION
                              ", which cannot send signals",
                              "build it with libssh2 1.11 or newer, or close the channel");
    }
    check(Phase::command, code);
}

Coro<void> ChannelState::resize(int width, int height) {
    const int code = co_await session_->perform([&] {
        return channel_ == nullptr ? LIBSSH2_ERROR_CHANNEL_CLOSED
                                   : engine().resize_pty(*channel_, width, height);
    });
    check(Phase::command, code);
}

void ChannelState::discard() noexcept {
    if (channel_ != nullptr) {
        channel_->discard();
    }
}

Coro<void> ChannelState::wait_eof() {
    const int code = co_await session_->perform(
        [this] { return channel_ == nullptr || channel_->eof() ? 0 : LIBSSH2_ERROR_EAGAIN; },
        CutOff::harmless);
    check(Phase::command, code);
}

Coro<ExitStatus> ChannelState::close(CutOff cut_off) {
    const int code = co_await session_->perform(
        [this] { return channel_ == nullptr ? 0 : engine().close_channel(*channel_); }, cut_off);
    check(Phase::close, code);
    ExitStatus status;
    if (channel_ != nullptr) {
        status.exit_status = channel_->exit_status();
        status.exit_signal = channel_->exit_signal();
    }
    co_return status;
}

void ChannelState::free() noexcept {
    if (channel_ != nullptr) {
        engine().free_channel(*std::exchange(channel_, nullptr));
    }
}

void ChannelState::drop() noexcept {
    if (channel_ != nullptr) {
        session_->drop(*std::exchange(channel_, nullptr));
        session_->resume();
    }
}

bool ChannelState::closed() const noexcept {
    return channel_ == nullptr || (channel_->out.empty() && channel_->err.empty() &&
                                   (channel_->eof() || engine().failure() != 0));
}

std::string timeout_text(const std::string& what, TimeLimit limit) {
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(limit.value()).count();
    return what + " within " + std::to_string(milliseconds) + " ms";
}

} // namespace muster::ssh::detail
