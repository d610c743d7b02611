#pragma once
/// A channel in use: what shells, commands and channels share.

#include "ssh/session.hpp"

#include <muster/core/coro.hpp>
#include <muster/core/timeout.hpp>
#include <muster/ssh/channel.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster::ssh::detail {

/// A channel of a session, that ends with its holder. The operations must not outlive it.
class ChannelState {
public:
    explicit ChannelState(std::shared_ptr<Session> session, TimeLimit timeout = std::nullopt)
        : session_(std::move(session)), timeout_(timeout) {}

    ChannelState(const ChannelState&) = delete;
    ChannelState& operator=(const ChannelState&) = delete;

    ~ChannelState() { drop(); }

    /// Opens it: nothing has been started on it yet. Throws ssh::Error, as all below.
    Coro<void> open();
    /// Opens it as a connection that the device makes.
    Coro<void> open_tunnel(const Session::Target& target);
    Coro<void> set_env(const std::vector<EnvVariable>& env);
    Coro<void> request_pty(const std::string& term, int width, int height);
    /// kind: "exec", "shell" or "subsystem".
    Coro<void> start(const std::string& kind, const std::string& argument);

    /// The next bytes; of the standard error where `err`, of whichever has any where `both`.
    enum class From : std::uint8_t { out, err, both };
    Coro<std::string> read(From from, std::size_t max);

    /// One operation for the whole text: what several tasks write is not mixed.
    Coro<void> write(std::string_view text);
    /// A step of that: takes off what was sent.
    int write_some(std::string_view& text);
    Coro<void> write_eof();
    Coro<void> send_signal(const std::string& name);
    Coro<void> resize(int width, int height);

    /// Nothing will be read any more.
    void discard() noexcept;

    /// Waits until everything has come, whether it was read or not.
    Coro<void> wait_eof();

    /// Ends it in order. Cut off harmlessly, it has to be followed by drop().
    Coro<ExitStatus> close(CutOff cut_off);

    /// Ends it without waiting; a reader learns of it.
    void drop() noexcept;

    /// Nothing will come any more.
    [[nodiscard]] bool closed() const noexcept;

    void check(Phase phase, int code) const {
        if (code < 0) {
            throw session_->explain(phase, code);
        }
    }

    /// Null before it is open and after its end.
    [[nodiscard]] EngineChannel* get() const noexcept { return channel_; }

    [[nodiscard]] Session& session() const noexcept { return *session_; }

    [[nodiscard]] Engine& engine() const noexcept { return session_->engine(); }

    /// Of each operation of its holder.
    [[nodiscard]] TimeLimit timeout() const noexcept { return timeout_; }

    /// Frees it after an orderly end.
    void free() noexcept;

private:
    class UnfinishedWrite;

    void keep_unfinished(std::string_view text);

    std::shared_ptr<Session> session_;
    EngineChannel* channel_ = nullptr;
    TimeLimit timeout_;
    std::string half_written_; // libssh2 has begun with it; nobody waits for it any more
    bool eof_sent_ = false;
};

/// "what within 300 ms"
std::string timeout_text(const std::string& what, TimeLimit limit);

/// What a deadline or a cancellation does beyond ending the wait.
enum class CutOffEnds : std::uint8_t {
    nothing,
    session, ///< the device may still be at it
};

/// Runs `body` under the limit.
template <class F>
auto bounded(std::shared_ptr<Session> session, CutOffEnds ends, TimeLimit limit, Phase phase,
             std::string what, F body) -> decltype(body()) {
    bool timed_out = false;
    try {
        co_return co_await muster::timeout(limit, std::move(body));
    } catch (const TimeoutError&) {
        timed_out = true;
    } catch (const std::exception&) {
        throw;
    } catch (...) {
        if (ends == CutOffEnds::session) {
            session->abort("an operation was cancelled");
        }
        throw;
    }
    if (timed_out && ends == CutOffEnds::session) {
        session->abort("an operation was cut off by its deadline");
    }
    throw session->error(phase, ErrorKind::timeout, timeout_text(what, limit));
}

} // namespace muster::ssh::detail
