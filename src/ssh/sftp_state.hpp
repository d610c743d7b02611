#pragma once
/// SFTP inside the loop: operations of an SftpEngine that coroutines wait for.

#include "ssh/session.hpp"
#include "ssh/sftp_engine.hpp"
#include "ssh/wakeup.hpp"

#include <muster/core/coro.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/future.hpp>

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace muster::ssh::detail {

class SftpState final : public std::enable_shared_from_this<SftpState> {
public:
    SftpState(std::shared_ptr<Session> session, SftpOptions options);
    SftpState(const SftpState&) = delete;
    SftpState& operator=(const SftpState&) = delete;

    ~SftpState() { watchdog_.cancel(); }

    [[nodiscard]] Session& session() const noexcept { return *session_; }

    [[nodiscard]] SftpEngine& sftp() noexcept { return sftp_; }

    [[nodiscard]] const SftpOptions& options() const noexcept { return options_; }

    /// Does a piece of work: waits until `work.step(state)` gives a result, in turn with all other
    /// work on this SFTP session, and gives the work back. `work.task()` says what it is, after
    /// "cannot". Cancelled before its turn, it is not begun; cancelled later, it goes on by itself:
    /// so it owns all that it uses.
    template <class Work>
    Coro<Work> perform(Work work) {
        return run(shared_from_this(), &sftp_, std::move(work));
    }

    /// The same for work that belongs to the whole session.
    template <class Work>
    Coro<Work> perform_alone(Work work) {
        return run(shared_from_this(), &session_->engine(), std::move(work));
    }

    /// Does it without anybody waiting.
    template <class Work>
    void perform_in_background(Work work) {
        if (session_->engine().failure() == 0) {
            auto operation =
                std::make_unique<WorkOperation<Work>>(shared_from_this(), &sftp_, std::move(work));
            session_->begin(*operation);
            session_->finish_in_background(std::move(operation));
        }
    }

    /// Ends it without waiting.
    void end();

    [[nodiscard]] Error error(ErrorKind kind, std::string reason, std::string remedy = {}) const {
        return session_->error(Phase::transfer, kind, std::move(reason), std::move(remedy));
    }

    bool closed = false; ///< here

private:
    /// What a failed step leaves behind.
    struct Outcome {
        int code = 0;
        std::optional<unsigned long> refusal;
        std::string words;
    };

    template <class Work>
    class WorkOperation final : public Operation {
    public:
        WorkOperation(std::shared_ptr<SftpState> state, const void* exclusive, Work work)
            : Operation(exclusive), work_(std::move(work)), state_(std::move(state)) {}

        int step() override {
            if (!ready_ && state_->sftp_.await_room() == LIBSSH2_ERROR_EAGAIN) {
                return LIBSSH2_ERROR_EAGAIN;
            }
            ready_ = true;
            const int code = work_.step(*state_);
            if (code < 0 && code != LIBSSH2_ERROR_EAGAIN) {
                outcome_ = {code, state_->sftp_.refusal(), state_->sftp_.words()};
            }
            return code;
        }

        void wake() noexcept override { woken_.wake(); }

        Future<void>& wait() { return woken_.wait(get_running_loop()); }

        void abandon() {
            woken_.forget();
            if constexpr (requires { work_.abandon(); }) {
                work_.abandon();
            }
        }

        [[nodiscard]] Work& work() noexcept { return work_; }

        [[nodiscard]] Outcome outcome() const {
            return outcome_.code != 0 ? outcome_ : Outcome{result(), std::nullopt, {}};
        }

    private:
        Work work_;
        std::shared_ptr<SftpState> state_;
        Wakeup woken_;
        Outcome outcome_;
        bool ready_ = false;
    };

    /// An operation that somebody waits for. Dropped while it is under way, it goes on alone.
    template <class Work>
    class Awaited {
    public:
        Awaited(SftpState& state, std::unique_ptr<WorkOperation<Work>> operation)
            : state_(state), operation_(std::move(operation)) {
            state_.session_->begin(*operation_);
            state_.watch(1);
        }

        Awaited(const Awaited&) = delete;
        Awaited& operator=(const Awaited&) = delete;

        ~Awaited() {
            state_.watch(-1);
            if (operation_->begun() && !operation_->finished()) {
                operation_->abandon();
                state_.session_->finish_in_background(std::move(operation_));
            } else {
                state_.session_->finish(*operation_, CutOff::harmless);
            }
        }

        WorkOperation<Work>* operator->() const noexcept { return operation_.get(); }

    private:
        SftpState& state_;
        std::unique_ptr<WorkOperation<Work>> operation_;
    };

    template <class Work>
    static Coro<Work> run(std::shared_ptr<SftpState> state, const void* exclusive, Work work) {
        Awaited<Work> operation(
            *state, std::make_unique<WorkOperation<Work>>(state, exclusive, std::move(work)));
        if (!operation->finished()) {
            co_await operation->wait();
        }
        if (operation->result() < 0) {
            throw state->explain(operation->outcome(), operation->work().task());
        }
        co_return std::move(operation->work());
    }

    [[nodiscard]] Error explain(const Outcome& outcome, const std::string& task) const;

    /// Counts those who wait, and has the device watched while there are any.
    void watch(int more);
    void arm();
    void check_progress();

    std::shared_ptr<Session> session_;
    SftpEngine sftp_;
    SftpOptions options_;
    TimerHandle watchdog_;
    std::uint64_t seen_progress_ = 0;
    int quiet_checks_ = 0;
    int waiting_ = 0;
    bool timed_out_ = false;
};

/// A file that is open on the device, and where its reader is.
struct SftpFileState {
    SftpFileState(std::shared_ptr<SftpState> on, std::shared_ptr<SftpHandle> open, std::string name)
        : sftp(std::move(on)), handle(std::move(open)), path(std::move(name)) {}

    SftpFileState(const SftpFileState&) = delete;
    SftpFileState& operator=(const SftpFileState&) = delete;
    ~SftpFileState();

    std::shared_ptr<SftpState> sftp;
    std::shared_ptr<SftpHandle> handle;
    std::string path;
    std::uint64_t position = 0;
    bool appends = false;
};

} // namespace muster::ssh::detail
