#pragma once

#include "net/loop_resident.hpp"
#include "net/reactor.hpp"
#include "net/read_buffer.hpp"
#include "net/socket_wait.hpp"
#include "net/tls_session.hpp"
#include "net/transport.hpp"

#include <muster/core/function.hpp>
#include <muster/net/stream.hpp>

#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace muster::detail {

/// A Stream from inside. Driven by callbacks, not by tasks: it goes on sending while tasks are
/// being cancelled. It holds itself while it does something that nobody waits for.
class StreamImpl final : public std::enable_shared_from_this<StreamImpl>,
                         private LoopResident,
                         private Watch {
public:
    /// Takes over a connected socket or a pipe. `host` is the name that was connected to, if there
    /// was one, or what the pipe is called in messages. Throws Error when the system has no room
    /// to wait for it.
    StreamImpl(Transport connected, std::size_t limit, std::string host);
    ~StreamImpl() override;

    // Coroutines are static: they hold the stream from the moment they are made.

    // --- reading ---

    [[nodiscard]] ReadBuffer& input() noexcept { return input_; }

    [[nodiscard]] std::size_t limit() const noexcept { return limit_; }

    /// Nothing will be added to the input.
    [[nodiscard]] bool ended() const noexcept { return eof_; }

    /// Throws what broke the input, if something did.
    void check_input() const;

    /// Looks at the socket without waiting.
    void peek();

    /// Awaiting it waits until something may have been added to the input, or it has ended or
    /// broken: look, and await another one if need be.
    class Fill;
    [[nodiscard]] Fill fill(const char* function) noexcept;

    // --- writing ---

    /// Throws RuntimeError when nothing may be written any more.
    void check_writable() const;

    void write(std::string_view data);
    void write_eof();

    [[nodiscard]] bool can_write_eof() const noexcept { return tls_ == nullptr; }

    void set_marks(std::size_t high, std::size_t low);

    [[nodiscard]] std::size_t backlog() const noexcept {
        return outgoing_.size() - sent_ + queued_.size();
    }

    static Coro<void> drain(std::shared_ptr<StreamImpl> self);

    // --- closing ---

    void close() noexcept;
    void abort() noexcept;

    [[nodiscard]] bool is_closing() const noexcept { return closing_ || output_error_ != nullptr; }

    static Coro<void> wait_closed(std::shared_ptr<StreamImpl> self);

    /// Called once, when the connection is closed, whatever the reason.
    void on_closed(UniqueFunction<void()> callback) noexcept { on_closed_ = std::move(callback); }

    // --- TLS ---

    /// The handshake. Throws what Stream::start_tls does.
    static Coro<void> secure(std::shared_ptr<StreamImpl> self, TlsPeer peer, TimeLimit limit);

    [[nodiscard]] const std::unique_ptr<TlsSession>& tls() const noexcept { return tls_; }

    // --- looking in ---

    [[nodiscard]] const SocketAddress& peername() const noexcept { return peername_; }

    [[nodiscard]] const SocketAddress& sockname() const noexcept { return sockname_; }

    [[nodiscard]] const std::string& host() const noexcept { return host_; }

    /// The peer, for messages: "r1 (192.0.2.1:22)".
    [[nodiscard]] std::string who() const;

    [[nodiscard]] int descriptor() const noexcept {
        return socket_ ? socket_->native_handle() : -1;
    }

private:
    void context_gone() noexcept override;
    void check_loop(const TaskBase& task) const;

    void on_edge(std::uint32_t events) override;
    void reader_resumed() noexcept;
    void set_reading(bool reading) noexcept;
    void set_writing(bool writing) noexcept;

    bool receive_now();
    void discard();
    void received(const boost::system::error_code& error, std::string_view bytes);
    void take_in(std::string_view bytes);
    void decrypt();
    void input_ended();

    void send(std::string_view bytes);
    void send_more();
    void output_done();
    void fail_output(const boost::system::error_code& error);
    void lose(const boost::system::error_code& error);

    void finish();
    void close_socket(bool gracefully) noexcept;
    Coro<void> handshake();

    std::optional<Transport> socket_; // or a pipe; until it is closed
    boost::asio::io_context* context_;
    std::size_t limit_;
    std::string host_;
    SocketAddress peername_;
    SocketAddress sockname_;
    std::unique_ptr<TlsSession> tls_;

    std::shared_ptr<StreamImpl> self_; // while it goes on by itself

    ReadBuffer input_;
    WaitList readers_; // one at most
    std::exception_ptr input_error_;
    bool reading_ = false; // somebody waits for something to read
    bool more_;            // there may be something to read
    bool drop_by_drop_;    // a read may give less than there is
    bool hung_up_ = false; // the end has come, behind what is to be read
    bool ended_ = false;   // by the peer
    bool eof_ = false;     // readers find the end

    std::string outgoing_; // being sent, `sent_` of it done
    std::string queued_;   // to follow
    std::size_t sent_ = 0;
    std::size_t high_ = default_stream_limit;
    std::size_t low_ = default_stream_limit / 4;
    WaitList drainers_;
    std::exception_ptr output_error_;
    bool writing_ = false; // there was no room to write
    bool paused_ = false;  // drain() waits
    bool eof_written_ = false;

    WaitList closers_;
    UniqueFunction<void()> on_closed_;
    std::optional<boost::asio::steady_timer> goodbye_; // how long the peer's is waited for
    bool closing_ = false;
};

class StreamImpl::Fill final : public SocketWait {
public:
    Fill(StreamImpl& stream, const char* function) noexcept
        : SocketWait(stream.readers_, "data"), stream_(stream), function_(function) {}

    template <std::derived_from<PromiseBase> Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
        return suspend(handle.promise());
    }

    void await_resume() {
        if (!waits_) {
            SocketWait::await_resume();
            return;
        }
        stream_.reader_resumed();
        SocketWait::await_resume();
        stream_.receive_now();
    }

private:
    bool suspend(PromiseBase& leaf);

    StreamImpl& stream_;
    const char* function_;
    bool waits_ = false; // else it has read by itself
};

inline StreamImpl::Fill StreamImpl::fill(const char* function) noexcept {
    return {*this, function};
}

} // namespace muster::detail
