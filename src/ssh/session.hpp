#pragma once
/// An Engine on a transport, inside the loop: what connections and shells are made of.

#include "ssh/engine.hpp"
#include "ssh/transport.hpp"
#include "ssh/wakeup.hpp"

#include <muster/core/coro.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/future.hpp>
#include <muster/ssh/error.hpp>
#include <muster/ssh/options.hpp>

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace muster::ssh::detail {

/// What a cancelled wait does to the session.
enum class CutOff : std::uint8_t {
    fatal,    ///< libssh2 is in the middle of something: the session ends
    harmless, ///< it only looked at what had arrived
};

class Session final : public TransportSink, public std::enable_shared_from_this<Session> {
public:
    Session(std::string host, std::uint16_t port, const Methods& methods,
            Clock::duration compute_budget = Clock::duration::max());
    ~Session();

    /// Begins to carry bytes. Once.
    void start(std::shared_ptr<Transport> transport);

    [[nodiscard]] Engine& engine() noexcept { return *engine_; }

    [[nodiscard]] const Engine& engine() const noexcept { return *engine_; }

    /// For operations that nobody awaits: begins one, and finishes it, whether it is over or not.
    void begin(Operation& operation);
    void finish(Operation& operation, CutOff cut_off) noexcept;

    /// Waits until `step`, called again and again, gives a result: a step of the engine, or
    /// something that looks at what has arrived. `step` must live until then.
    template <class Step>
    Coro<int> perform(Step step, CutOff cut_off = CutOff::fatal, const void* exclusive = nullptr) {
        Waiter<Step> waiter(*this, std::move(step), cut_off, exclusive);
        if (!waiter.finished()) {
            co_await waiter.wait();
        }
        co_return waiter.result();
    }

    /// The same for steps that may not overlap on one session: in turn.
    template <class Step>
    Coro<int> perform_alone(Step step) {
        return perform(std::move(step), CutOff::fatal, engine_.get());
    }

    /// Opens a channel: a command's or shell's, or a tunnel to `target`. Given up by its caller, it
    /// goes on until the device has answered, and the channel is closed then: libssh2 can open one
    /// at a time, and does not forget it.
    struct Target {
        std::string host;
        std::uint16_t port = 0;
    };

    Coro<int> open_channel(EngineChannel*& channel, std::optional<Target> target = std::nullopt);

    /// More is waiting to be sent than is good: write nothing more for now.
    [[nodiscard]] bool congested() const noexcept;

    /// Has the engine look again, after something was read out of a channel.
    void resume();

    /// Ends the channel without waiting: it is freed once the device has agreed.
    void drop(EngineChannel& channel);

    /// Takes over a begun operation that nobody waits for any more: it goes on to its end, so that
    /// the session stays of use.
    void finish_in_background(std::unique_ptr<Operation> operation);

    /// Asks for signs of life from now on.
    void keep_alive(TimeLimit interval, int tries);

    /// Sends the goodbye and what is queued, then closes. Nothing is thrown but CancelledError.
    Coro<void> close(TimeLimit limit);

    /// Closes at once; whatever waits fails with `reason`.
    void abort(const std::string& reason) noexcept;

    [[nodiscard]] bool usable() const noexcept { return engine_->failure() == 0 && !ended_; }

    /// An error of this host.
    [[nodiscard]] Error error(Phase phase, ErrorKind kind, std::string reason,
                              std::string remedy = {}) const;

    /// The error for a step's negative result.
    [[nodiscard]] Error explain(Phase phase, int code) const;

    [[nodiscard]] const std::string& host() const noexcept { return host_; }

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

    std::string host_key_fingerprint;
    TimeLimit close_timeout = std::nullopt;
    /// The session that carries this one, if nobody else holds it: it ends with this one.
    std::shared_ptr<Session> carrier;

private:
    template <class Step>
    class Waiter final : public Operation {
    public:
        Waiter(Session& session, Step step, CutOff cut_off, const void* exclusive)
            : Operation(exclusive), session_(session), step_(std::move(step)), cut_off_(cut_off) {
            session_.begin(*this);
        }

        ~Waiter() override { session_.finish(*this, cut_off_); }

        Future<void>& wait() { return woken_.wait(session_.loop_); }

        int step() override { return step_(); }

        void wake() noexcept override { woken_.wake(); }

    private:
        Session& session_;
        Step step_;
        Wakeup woken_;
        CutOff cut_off_;
    };

    class Closing;
    class Opening;
    class OpeningGuard;

    void on_input(std::string_view bytes) override;
    void on_end(std::string reason) override;
    void on_sent() override;

    void settle();
    void compute();
    void reap(bool all) noexcept;
    void ask_for_life();

    EventLoop& loop_;
    std::string host_;
    std::uint16_t port_;
    std::shared_ptr<Engine> engine_; // shared with the thread that computes
    std::shared_ptr<Transport> transport_;
    std::list<std::unique_ptr<Operation>> background_; // nobody waits for them
    TimerHandle keepalive_timer_;
    TimeLimit keepalive_interval_ = std::nullopt;
    int keepalive_tries_ = 0;
    int unanswered_ = 0;
    bool heard_ = false;
    bool ended_ = false;
    bool closing_ = false;
};

} // namespace muster::ssh::detail
