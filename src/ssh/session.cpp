#include "ssh/session.hpp"

#include <muster/core/error.hpp>
#include <muster/core/timeout.hpp>

#include <utility>

namespace muster::ssh::detail {

namespace {

/// Above this backlog channels write no more; a few packets of every channel still fit.
constexpr std::size_t high_water = 256 * 1024;

/// Above this many bytes that nobody wants, the socket is not read.
constexpr std::size_t enough_unread = 256 * 1024;

} // namespace

/// Waits for the end of a channel that nobody holds any more.
class Session::Reaper final : public Operation {
public:
    Reaper(Session& session, Channel& channel) : session_(session), channel_(channel) {}

    ~Reaper() override {
        session_.engine_.finish(*this, true);
        session_.engine_.free_channel(channel_);
    }

    int step() override { return session_.engine_.close_channel(channel_); }

    void wake() noexcept override {}

private:
    Session& session_;
    Channel& channel_;
};

Session::Session(std::string host, std::uint16_t port, const Methods& methods)
    : loop_(get_running_loop()), host_(std::move(host)), port_(port), engine_(methods) {}

Session::~Session() { abort("the connection was dropped"); }

void Session::start(std::shared_ptr<Transport> transport) {
    transport_ = std::move(transport);
    transport_->start(std::static_pointer_cast<TransportSink>(shared_from_this()));
}

bool Session::congested() const noexcept { return transport_->backlog() > high_water; }

void Session::begin(Operation& operation) {
    engine_.start(operation);
    settle();
}

void Session::finish(Operation& operation, CutOff cut_off) noexcept {
    engine_.finish(operation, cut_off == CutOff::harmless);
    if (engine_.failure() != 0 && transport_) {
        transport_->close();
    }
}

void Session::resume() {
    engine_.run();
    settle();
}

// After anything that the engine did: send what it wants sent, and read on if it can take more.
void Session::settle() {
    reap();
    if (!transport_) {
        return;
    }
    if (engine_.output_size() > 0) {
        transport_->send(engine_.take_output());
    }
    if (engine_.failure() != 0) {
        transport_->close();
        return;
    }
    transport_->pause(engine_.unread() > enough_unread);
}

void Session::on_input(std::string_view bytes) {
    heard_ = true;
    engine_.receive(bytes);
    settle();
    loop_.core().drain_now(); // whoever was woken runs in this turn of Asio
}

void Session::on_end(std::string reason) {
    ended_ = true;
    engine_.receive_eof(std::move(reason));
    settle();
}

void Session::on_sent() {
    if (!congested()) {
        resume();
    }
}

void Session::drop(Channel& channel) {
    channel.discard();
    if (engine_.failure() != 0) {
        engine_.free_channel(channel);
        return;
    }
    Reaper& reaper = reapers_.emplace_back(*this, channel);
    engine_.start(reaper);
    settle();
}

void Session::finish_in_background(std::unique_ptr<Operation> operation) {
    background_.push_back(std::move(operation));
    resume();
}

void Session::reap() noexcept {
    reapers_.remove_if([](const Reaper& reaper) { return reaper.finished(); });
    // What an operation holds may begin another when it goes: not while the list is walked.
    std::list<std::unique_ptr<Operation>> ended;
    for (auto it = background_.begin(); it != background_.end();) {
        const auto operation = it++;
        if ((*operation)->finished()) {
            engine_.finish(**operation, true);
            ended.splice(ended.end(), background_, operation);
        }
    }
}

void Session::keep_alive(TimeLimit interval, int tries) {
    keepalive_interval_ = interval;
    keepalive_tries_ = tries;
    if (!interval.limited() || interval.value() <= Clock::duration::zero()) {
        return;
    }
    keepalive_timer_ = loop_.call_later(interval.value(), [weak = weak_from_this()] {
        if (const auto self = weak.lock(); self && self->usable()) {
            self->ask_for_life();
        }
    });
}

void Session::ask_for_life() {
    if (std::exchange(heard_, false)) {
        unanswered_ = 0;
    } else if (unanswered_ >= keepalive_tries_) {
        engine_.fail(error_connection_lost, "the device has not answered " +
                                                std::to_string(unanswered_) +
                                                " keepalive messages");
        settle();
        return;
    } else {
        ++unanswered_;
        engine_.send_keepalive();
        settle();
    }
    keep_alive(keepalive_interval_, keepalive_tries_);
}

Coro<void> Session::close(TimeLimit limit) {
    const auto self = shared_from_this();
    if (!usable() || std::exchange(closing_, true)) {
        abort("the connection was closed");
        co_return;
    }
    try {
        co_await timeout(limit, [this]() -> Coro<void> {
            const int code = co_await perform_alone([this] { return engine_.disconnect(); });
            if (code == 0) {
                co_await perform(
                    [this] { return transport_->backlog() == 0 ? 0 : LIBSSH2_ERROR_EAGAIN; },
                    CutOff::harmless);
            }
        });
    } catch (const Error&) {
        // A device that does not take the goodbye in time is left without.
    } catch (const TimeoutError&) {
        // The same.
    } catch (...) {
        abort("closing the connection was cut off");
        throw;
    }
    abort("the connection was closed");
}

void Session::abort(const std::string& reason) noexcept {
    keepalive_timer_.cancel();
    engine_.fail(error_abandoned, reason);
    if (transport_) {
        transport_->close();
    }
    reapers_.clear();
    reap();
}

Error Session::error(Phase phase, ErrorKind kind, std::string reason, std::string remedy) const {
    Failure failure;
    failure.host = host_;
    failure.port = port_;
    failure.phase = phase;
    failure.kind = kind;
    failure.reason = std::move(reason);
    failure.remedy = std::move(remedy);
    return Error(std::move(failure));
}

} // namespace muster::ssh::detail
