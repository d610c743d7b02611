#include "ssh/session.hpp"

#include <muster/core/error.hpp>
#include <muster/core/run_in_executor.hpp>
#include <muster/core/thread_pool.hpp>
#include <muster/core/timeout.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

namespace muster::ssh::detail {

namespace {

/// Above this backlog channels write no more; a few packets of every channel still fit.
constexpr std::size_t high_water = 256UL * 1024;

/// Above this many bytes that nobody wants, the socket is not read.
constexpr std::size_t enough_unread = 256UL * 1024;

} // namespace

/// Waits for the end of a channel that nobody holds any more.
class Session::Closing final : public Operation {
public:
    Closing(Session& session, EngineChannel& channel) : session_(session), channel_(channel) {}

    ~Closing() override { session_.engine_->free_channel(channel_); }

    int step() override { return session_.engine_->close_channel(channel_); }

    void wake() noexcept override {}

private:
    Session& session_;
    EngineChannel& channel_;
};

/// Opens a channel, for somebody who may have gone before it is open.
class Session::Opening final : public Operation {
public:
    Opening(Session& session, std::optional<Target> target)
        : Operation(session.engine_.get()), session_(session), target_(std::move(target)) {}

    ~Opening() override {
        if (channel_ != nullptr) {
            session_.drop(*channel_); // nobody has come for it
        }
    }

    int step() override {
        return target_ ? session_.engine_->open_tunnel(channel_, target_->host, target_->port)
                       : session_.engine_->open_channel(channel_);
    }

    void wake() noexcept override { woken_.wake(); }

    Future<void>& wait() { return woken_.wait(session_.loop_); }

    void abandon() noexcept { woken_.forget(); }

    /// The channel, if it was opened; once.
    EngineChannel* take_channel() noexcept { return std::exchange(channel_, nullptr); }

private:
    Session& session_;
    std::optional<Target> target_;
    EngineChannel* channel_ = nullptr;
    Wakeup woken_;
};

/// Whoever waits for a channel to open. One that goes leaves the opening to the session.
class Session::OpeningGuard {
public:
    OpeningGuard(Session& session, std::optional<Target> target)
        : session_(session), opening_(std::make_unique<Opening>(session, std::move(target))) {
        session_.begin(*opening_);
    }

    OpeningGuard(const OpeningGuard&) = delete;
    OpeningGuard& operator=(const OpeningGuard&) = delete;

    ~OpeningGuard() {
        opening_->abandon();
        session_.finish_in_background(std::move(opening_));
    }

    [[nodiscard]] Opening* operator->() const noexcept { return opening_.get(); }

private:
    Session& session_;
    std::unique_ptr<Opening> opening_;
};

Session::Session(std::string host, std::uint16_t port, const Methods& methods,
                 Clock::duration compute_budget)
    : loop_(get_running_loop()),
      host_(std::move(host)),
      port_(port),
      engine_(std::make_shared<Engine>(methods)) {
    engine_->set_compute_budget(compute_budget);
}

Session::~Session() { abort("the connection was dropped"); }

void Session::start(std::shared_ptr<Transport> transport) {
    transport_ = std::move(transport);
    transport_->start(std::static_pointer_cast<TransportSink>(shared_from_this()));
}

bool Session::congested() const noexcept { return transport_->backlog() > high_water; }

void Session::begin(Operation& operation) {
    engine_->start(operation);
    settle();
}

void Session::finish(Operation& operation, CutOff cut_off) noexcept {
    engine_->finish(operation, cut_off == CutOff::harmless);
    if (engine_->failure() != 0 && transport_) {
        transport_->close();
    }
}

void Session::resume() {
    engine_->run();
    settle();
}

// After anything that the engine did: send what it wants sent, and read on if it can take more.
void Session::settle() {
    reap(false);
    if (!transport_) {
        return;
    }
    if (engine_->output_size() > 0) {
        transport_->send(engine_->take_output());
    }
    if (engine_->failure() != 0) {
        transport_->close();
        return;
    }
    transport_->pause(engine_->unread() > enough_unread);
    if (engine_->wants_compute()) {
        compute();
    }
}

namespace {

/// Behind the loop's thread, when there is too much to do.
void lower_priority_of_this_thread() {
#ifdef __linux__ // elsewhere it would be the whole process
    constexpr int below_normal = 5;
    static_cast<void>(::setpriority(PRIO_PROCESS, 0, below_normal));
#endif
}

/// For arithmetic alone: as many threads as there are processors.
concurrent::Executor& compute_executor() {
    static concurrent::ThreadPoolExecutor executor(
        std::max(1, static_cast<int>(std::thread::hardware_concurrency())),
        {.thread_name_prefix = "muster-kex", .initializer = lower_priority_of_this_thread});
    return executor;
}

} // namespace

void Session::compute() {
    engine_->begin_compute();
    try {
        auto done =
            loop_.run_in_executor(compute_executor(), [engine = engine_] { engine->compute(); });
        done.add_done_callback([weak = weak_from_this()](const Future<void>& /*done*/) {
            if (const auto self = weak.lock()) {
                self->engine_->end_compute();
                self->settle();
            }
        });
    } catch (...) {
        // No thread is to be had, or the loop is ending: it takes long here, then.
        engine_->compute();
        engine_->end_compute();
    }
}

void Session::on_input(std::string_view bytes) {
    heard_ = true;
    engine_->receive(bytes);
    settle();
}

void Session::on_end(std::string reason) {
    ended_ = true;
    engine_->receive_eof(std::move(reason));
    settle();
}

void Session::on_sent() {
    if (!congested()) {
        resume();
    }
}

void Session::drop(EngineChannel& channel) {
    channel.discard();
    if (engine_->failure() != 0) {
        engine_->free_channel(channel);
        return;
    }
    auto closing = std::make_unique<Closing>(*this, channel);
    Operation& operation = *closing;
    background_.push_back(std::move(closing));
    begin(operation);
}

void Session::finish_in_background(std::unique_ptr<Operation> operation) {
    background_.push_back(std::move(operation));
    resume();
}

Coro<int> Session::open_channel(EngineChannel*& channel, std::optional<Target> target) {
    const auto self = shared_from_this();
    const OpeningGuard opening(*this, std::move(target));
    if (!opening->finished()) {
        co_await opening->wait();
    }
    channel = opening->take_channel();
    co_return opening->result();
}

void Session::reap(bool all) noexcept {
    // What an operation holds may begin another when it goes: not while the list is walked.
    std::list<std::unique_ptr<Operation>> ended;
    for (auto it = background_.begin(); it != background_.end();) {
        const auto operation = it++;
        if (all || (*operation)->finished()) {
            engine_->finish(**operation, true);
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
        engine_->fail(error_connection_lost, "the device has not answered " +
                                                 std::to_string(unanswered_) +
                                                 " keepalive messages");
        settle();
        return;
    } else {
        ++unanswered_;
        engine_->send_keepalive();
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
            const int code = co_await perform_alone([this] { return engine_->disconnect(); });
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
    const auto last = std::exchange(carrier, nullptr);
    abort("the connection was closed");
    if (last) {
        co_await last->close(limit);
    }
}

void Session::abort(const std::string& reason) noexcept {
    keepalive_timer_.cancel();
    engine_->fail(error_abandoned, reason);
    if (transport_) {
        transport_->close();
    }
    reap(true);
    if (const auto last = std::exchange(carrier, nullptr)) {
        last->abort(reason);
    }
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
