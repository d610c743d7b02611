#include "ssh/channel_state.hpp"

#include <muster/ssh/channel.hpp>

namespace muster::ssh {

using namespace detail;

namespace {

// As for shells, the operations hold what they work on.

Coro<std::string> read_channel(std::shared_ptr<ChannelState> state, ChannelState::From from,
                               std::size_t max) {
    co_return co_await state->read(from, max);
}

/// An operation of the channel within its time.
template <class F>
Coro<void> within(const std::shared_ptr<ChannelState>& state, std::string what, F body) {
    co_await bounded(state->session().shared_from_this(), CutOffEnds::nothing, state->timeout(),
                     Phase::command, std::move(what), std::move(body));
}

Coro<void> write_channel(std::shared_ptr<ChannelState> state, std::string text) {
    co_await within(state, "the device did not take what was sent",
                    [&] { return state->write(text); });
}

Coro<void> write_eof_on(std::shared_ptr<ChannelState> state) {
    co_await within(state, "the end of the input could not be sent",
                    [&] { return state->write_eof(); });
}

Coro<void> signal_channel(std::shared_ptr<ChannelState> state, std::string name) {
    co_await within(state, "the signal could not be sent",
                    [&] { return state->send_signal(name); });
}

Coro<ExitStatus> wait_for_exit(std::shared_ptr<ChannelState> state) {
    co_await state->wait_eof();
    co_return co_await bounded(
        state->session().shared_from_this(), CutOffEnds::nothing, state->timeout(), Phase::close,
        "the device did not close the channel", [&] { return state->close(CutOff::harmless); });
}

Coro<void> close_channel(std::shared_ptr<ChannelState> state) {
    try {
        state->discard();
        co_await bounded(state->session().shared_from_this(), CutOffEnds::nothing, state->timeout(),
                         Phase::close, "the device did not close the channel",
                         [&] { return state->close(CutOff::harmless); });
    } catch (const Error&) {
        // The session goes on asking, or is gone.
    }
    state->drop();
}

} // namespace

Channel::Channel(std::shared_ptr<ChannelState> state) noexcept : state_(std::move(state)) {}

Channel::Channel(Channel&&) noexcept = default;

Channel& Channel::operator=(Channel&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
}

Channel::~Channel() {
    if (state_) {
        state_->drop();
    }
}

Coro<std::string> Channel::read(std::size_t max) {
    return read_channel(state_, ChannelState::From::out, max);
}

Coro<std::string> Channel::read_err(std::size_t max) {
    return read_channel(state_, ChannelState::From::err, max);
}

Coro<void> Channel::write(std::string text) { return write_channel(state_, std::move(text)); }

Coro<void> Channel::write_eof() { return write_eof_on(state_); }

Coro<void> Channel::send_signal(std::string name) {
    return signal_channel(state_, std::move(name));
}

Coro<ExitStatus> Channel::wait() { return wait_for_exit(state_); }

Coro<void> Channel::close() { return close_channel(state_); }

bool Channel::closed() const noexcept { return !state_ || state_->closed(); }

} // namespace muster::ssh
