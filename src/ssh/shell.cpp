#include "ssh/channel_state.hpp"

#include <muster/ssh/shell.hpp>

namespace muster::ssh {

using namespace detail;

namespace {

// The operations hold what they work on: they begin when they are awaited, and the Shell may have
// been moved by then.

Coro<std::string> read_shell(std::shared_ptr<ChannelState> state, std::size_t max) {
    // With a terminal there is one stream; what a device sends as errors all the same goes along.
    co_return co_await state->read(ChannelState::From::both, max);
}

Coro<void> write_shell(std::shared_ptr<ChannelState> state, std::string text) {
    co_await bounded(state->session().shared_from_this(), CutOffEnds::session, state->timeout(),
                     Phase::command, "the device did not take what was sent",
                     [&] { return state->write(text); });
}

Coro<void> resize_shell(std::shared_ptr<ChannelState> state, int width, int height) {
    co_await bounded(state->session().shared_from_this(), CutOffEnds::session, state->timeout(),
                     Phase::command, "the terminal's size could not be sent",
                     [&] { return state->resize(width, height); });
}

Coro<void> close_shell(std::shared_ptr<ChannelState> state) {
    try {
        state->discard();
        co_await bounded(state->session().shared_from_this(), CutOffEnds::nothing,
                         state->session().close_timeout, Phase::close,
                         "the device did not close the shell",
                         [&] { return state->close(CutOff::harmless); });
    } catch (const Error&) {
        // Some devices do not answer while a program runs in the shell: it is closed when it has
        // ended. Or the connection is gone, and the shell with it.
    }
    state->drop();
}

} // namespace

Shell::Shell(std::shared_ptr<ChannelState> state) noexcept : state_(std::move(state)) {}

Shell::Shell(Shell&&) noexcept = default;

Shell& Shell::operator=(Shell&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
}

Shell::~Shell() {
    if (state_) {
        state_->drop();
    }
}

Coro<std::string> Shell::read(std::size_t max) { return read_shell(state_, max); }

Coro<void> Shell::write(std::string text) { return write_shell(state_, std::move(text)); }

Coro<void> Shell::resize(int width, int height) { return resize_shell(state_, width, height); }

Coro<void> Shell::close() { return close_shell(state_); }

bool Shell::closed() const noexcept { return !state_ || state_->closed(); }

} // namespace muster::ssh
