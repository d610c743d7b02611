#include "net/stream_impl.hpp"

#include <muster/core/timeout.hpp>

#include <boost/asio/error.hpp>

#include <sys/epoll.h>

#include <chrono>
#include <span>
#include <utility>

namespace muster::detail {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr int most_discarded_reads = 16;
constexpr std::chrono::seconds goodbye_limit{5};

} // namespace

StreamImpl::StreamImpl(Transport connected, std::size_t limit, std::string host)
    : LoopResident(connected.context()),
      socket_(std::move(connected)),
      context_(&socket_->context()),
      limit_(limit),
      host_(std::move(host)),
      peername_(socket_->peername()),
      sockname_(socket_->sockname()),
      more_(socket_->kind() == Transport::Kind::write_end),
      drop_by_drop_(socket_->kind() == Transport::Kind::unix_socket) {
    watch(*context_, socket_->native_handle());
}

StreamImpl::~StreamImpl() { close_socket(false); }

void StreamImpl::context_gone() noexcept {
    const auto self = self_;
    if (!eof_ && input_error_ == nullptr) {
        input_error_ = std::make_exception_ptr(
            ConnectionResetError("the connection to " + who() + " ended with its event loop"));
    }
    close_socket(true);
}

void StreamImpl::check_loop(const TaskBase& task) const {
    if (&task.loop()->loop().io_context() != context_) {
        throw RuntimeError("the connection to " + who() + " belongs to another event loop");
    }
}

std::string StreamImpl::who() const {
    if (!host_.empty() && peername_ == SocketAddress()) {
        return host_; // a pipe
    }
    const std::string address = peername_.str();
    return host_.empty() || without_brackets(host_) == peername_.host
               ? address
               : host_ + " (" + address + ")";
}

// --- reading ---

void StreamImpl::check_input() const {
    if (input_error_ != nullptr) {
        std::rethrow_exception(input_error_);
    }
}

void StreamImpl::peek() {
    if (!eof_) {
        more_ = true;
        receive_now();
    }
}

bool StreamImpl::Fill::suspend(PromiseBase& leaf) {
    stream_.check_loop(*leaf.task);
    if (!stream_.readers_.idle()) {
        throw RuntimeError(std::string(function_) +
                           "() called while another coroutine is already waiting for incoming "
                           "data on the connection to " +
                           stream_.who());
    }
    if (stream_.receive_now()) {
        if (!leaf.task->spend_ready()) [[likely]] {
            return false;
        }
        pass(leaf);
    } else {
        stream_.set_reading(true);
        waits_ = true;
        begin(leaf);
    }
    return true;
}

void StreamImpl::on_edge(std::uint32_t events) {
    const auto self = self_; // it must not go before this returns
    const auto any_of = [events](std::uint32_t wanted) { return (events & wanted) != 0; };
    if (any_of(EPOLLPRI)) {
        drop_by_drop_ = true; // a read ends at TCP's urgent mark, whatever is behind
    }
    if (any_of(EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        hung_up_ = true;
    }
    if (writing_ && any_of(EPOLLOUT | EPOLLHUP | EPOLLERR)) {
        send_more();
    }
    if (!socket_ || !any_of(EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        return;
    }
    more_ = true;
    if (goodbye_) {
        discard();
    } else {
        set_reading(false);
        readers_.grant_all(); // who reads does it itself, right before it uses what it gets
    }
}

/// A reader that was cancelled waits no more; for the peer's goodbye the stream waits itself.
void StreamImpl::reader_resumed() noexcept {
    if (!goodbye_) {
        set_reading(false);
    }
}

void StreamImpl::set_reading(bool reading) noexcept {
    reading_ = reading && socket_;
    set_waiting(reading_ || writing_);
}

void StreamImpl::set_writing(bool writing) noexcept {
    writing_ = writing;
    set_waiting(reading_ || writing_);
}

/// Reads what is there, unless that is nothing for certain; true when something has come of it.
bool StreamImpl::receive_now() {
    if (!socket_ || !more_) {
        return false;
    }
    error_code error;
    const std::span<char> buffer = scratch();
    const std::size_t count = socket_->read_some(buffer, error);
    more_ = !error && (count == buffer.size() || drop_by_drop_ || hung_up_);
    if (would_wait(error)) {
        return false;
    }
    received(error, {buffer.data(), count});
    return true;
}

/// Reads until the peer's goodbye.
void StreamImpl::discard() {
    for (int i = 0; i < most_discarded_reads && receive_now(); ++i) {
    }
    if (socket_) {
        set_reading(true);
        if (more_) {
            repeat_edges(); // others should have their turn, too
        }
    }
}

void StreamImpl::received(const error_code& error, std::string_view bytes) {
    if (!bytes.empty() && !closing_) {
        take_in(bytes);
    }
    if (error == asio::error::eof) {
        input_ended();
    } else if (error) {
        lose(error);
    }
    readers_.grant_all();
}

void StreamImpl::take_in(std::string_view bytes) {
    if (tls_ == nullptr) {
        input_.append(bytes);
    } else if (!ended_) {
        tls_->feed(bytes);
        if (tls_->established()) {
            decrypt();
        }
    }
}

void StreamImpl::decrypt() {
    try {
        if (tls_->read(input_)) {
            ended_ = eof_ = true;
        }
    } catch (...) { // for whoever reads
        input_error_ = std::current_exception();
    }
    send(tls_->output());
}

void StreamImpl::input_ended() {
    if (goodbye_) {
        close_socket(true);
        return;
    }
    if (tls_ != nullptr && tls_->established() && !ended_ && !tls_->legacy() && !closing_ &&
        input_error_ == nullptr) {
        input_error_ = std::make_exception_ptr(TlsError(
            TlsError::Kind::truncated,
            who() + " ended the TLS connection without a goodbye: something may be missing",
            "if it always ends so, it is an old peer: see TlsOptions::legacy"));
    }
    ended_ = eof_ = true;
}

// --- writing ---

void StreamImpl::check_writable() const {
    if (eof_written_) {
        throw RuntimeError("write() after write_eof() to " + who());
    }
    if (closing_) {
        throw RuntimeError("write() after close() of the connection to " + who());
    }
    if (tls_ != nullptr && !tls_->established()) {
        throw RuntimeError("write() during start_tls() with " + who());
    }
}

void StreamImpl::write(std::string_view data) {
    check_writable();
    if (output_error_ != nullptr || data.empty()) {
        return;
    }
    if (tls_ == nullptr) {
        send(data);
    } else {
        try {
            tls_->write(data);
        } catch (const TlsError&) {
            output_error_ = std::current_exception(); // for drain() and wait_closed()
        }
        send(tls_->output());
    }
}

void StreamImpl::send(std::string_view bytes) {
    if (!socket_ || output_error_ != nullptr || bytes.empty()) {
        return;
    }
    if (writing_) {
        queued_ += bytes;
    } else {
        // Nearly always the socket takes everything at once, which saves a turn of the loop.
        error_code error;
        const std::size_t count = socket_->write_some(bytes, error);
        if (error && !would_wait(error)) {
            fail_output(error);
            return;
        }
        if (count == bytes.size()) {
            return;
        }
        outgoing_ = bytes.substr(count);
        sent_ = 0;
        self_ = shared_from_this();
        set_writing(true);
        watch_writing();
        send_more();
    }
    paused_ = paused_ || backlog() > high_;
}

/// Sends until there is no room: only then does the system tell when there is some again.
void StreamImpl::send_more() {
    while (socket_ && !outgoing_.empty()) {
        error_code error;
        sent_ += socket_->write_some(std::string_view(outgoing_).substr(sent_), error);
        if (would_wait(error)) {
            break;
        }
        if (error) {
            fail_output(error);
            return;
        }
        if (sent_ == outgoing_.size()) {
            outgoing_ = std::exchange(queued_, {});
            sent_ = 0;
        }
    }
    if (paused_ && backlog() <= low_) {
        paused_ = false;
        drainers_.grant_all();
    }
    if (outgoing_.empty()) {
        set_writing(false);
        output_done();
    }
}

/// Everything that was written has been sent.
void StreamImpl::output_done() {
    if (closing_) {
        finish();
    } else if (eof_written_) {
        socket_->shut_down_writing();
    }
}

/// The peer may have said why before it closed: the input goes on to its end.
void StreamImpl::fail_output(const error_code& error) {
    output_error_ = std::make_exception_ptr(
        ConnectionResetError("sending to " + who() + " failed: " + error.message()));
    outgoing_.clear();
    queued_.clear();
    sent_ = 0;
    paused_ = false;
    set_writing(false);
    drainers_.grant_all();
    closers_.grant_all();
    if (closing_) {
        close_socket(true);
    }
}

/// The connection is no more.
void StreamImpl::lose(const error_code& error) {
    const auto lost = std::make_exception_ptr(
        ConnectionResetError("the connection to " + who() + " broke: " + error.message()));
    if (input_error_ == nullptr) {
        input_error_ = lost;
    }
    if (output_error_ == nullptr && (!closing_ || backlog() > 0)) {
        output_error_ = lost;
    }
    close_socket(false);
}

void StreamImpl::write_eof() {
    if (!can_write_eof()) {
        throw RuntimeError("write_eof() is not possible over TLS; close() the connection");
    }
    if (std::exchange(eof_written_, true) || closing_) {
        return;
    }
    if (!writing_ && socket_) {
        output_done();
    }
}

void StreamImpl::set_marks(std::size_t high, std::size_t low) {
    if (low > high) {
        throw ValueError("the high-water mark (" + std::to_string(high) +
                         ") must not be below the low-water mark (" + std::to_string(low) + ")");
    }
    high_ = high;
    low_ = low;
    if (backlog() > high_) {
        paused_ = true;
    } else if (paused_ && backlog() <= low_) {
        paused_ = false;
        drainers_.grant_all();
    }
}

Coro<void> StreamImpl::drain(std::shared_ptr<StreamImpl> self) {
    co_await FairTurn();
    if (self->output_error_ == nullptr && self->paused_) {
        self->check_loop(*LoopCore::current()->current_task);
        co_await SocketWait(self->drainers_, "drain");
    }
    if (self->output_error_ != nullptr) {
        std::rethrow_exception(self->output_error_);
    }
    if (!self->socket_) {
        throw ConnectionResetError("drain(): the connection to " + self->who() + " is closed");
    }
}

// --- closing ---

void StreamImpl::close() noexcept {
    if (std::exchange(closing_, true)) {
        return;
    }
    const auto self = self_;
    if (tls_ != nullptr && tls_->established()) {
        tls_->shut_down();
        send(tls_->output());
    }
    eof_ = true;
    readers_.grant_all();
    if (socket_ && !writing_) {
        finish();
    }
}

/// Everything has been sent: the connection can go.
void StreamImpl::finish() {
    const bool wait_for_goodbye = tls_ != nullptr && tls_->established() && !ended_ &&
                                  output_error_ == nullptr && input_error_ == nullptr;
    if (!wait_for_goodbye) {
        close_socket(true);
        return;
    }
    // Closing now, with bytes of TLS unread or on their way, would make the kernel reset the
    // connection, and the peer lose what it has not read yet.
    socket_->shut_down_writing();
    self_ = shared_from_this();
    goodbye_.emplace(*context_, goodbye_limit);
    goodbye_->async_wait([self = shared_from_this()](error_code error) {
        if (!error) {
            self->close_socket(true);
            run_woken();
        }
    });
    discard();
}

void StreamImpl::abort() noexcept {
    const auto self = self_;
    closing_ = true;
    if (backlog() > 0 && output_error_ == nullptr) {
        output_error_ = std::make_exception_ptr(ConnectionResetError(
            "the connection to " + who() + " was aborted before everything was sent"));
    }
    close_socket(false);
}

void StreamImpl::close_socket(bool gracefully) noexcept {
    if (!socket_) {
        return;
    }
    error_code error;
    // Unread bytes would make the kernel reset the connection, and the peer lose what it has not
    // read yet.
    for (int i = 0; gracefully && !error && i < most_discarded_reads; ++i) {
        socket_->read_some(scratch(), error);
    }
    unwatch();
    socket_.reset();
    goodbye_.reset();
    leave();
    reading_ = writing_ = false;
    const auto self = std::move(self_); // to the end of this function
    closing_ = eof_ = true;
    outgoing_.clear();
    queued_.clear();
    sent_ = 0;
    readers_.grant_all();
    drainers_.grant_all();
    closers_.grant_all();
    if (UniqueFunction<void()> callback = std::move(on_closed_)) {
        callback();
    }
}

Coro<void> StreamImpl::wait_closed(std::shared_ptr<StreamImpl> self) {
    if (self->socket_ && (self->closing_ || self->output_error_ == nullptr)) {
        self->check_loop(*LoopCore::current()->current_task);
        co_await SocketWait(self->closers_, "connection to close");
    } else {
        co_await FairTurn();
    }
    if (self->output_error_ != nullptr) {
        std::rethrow_exception(self->output_error_);
    }
}

// --- TLS ---

Coro<void> StreamImpl::secure(std::shared_ptr<StreamImpl> self, TlsPeer peer, TimeLimit limit) {
    if (self->tls_ != nullptr) {
        throw RuntimeError("start_tls(): the connection to " + self->who() + " has TLS already");
    }
    self->check_writable();
    if (!self->readers_.idle()) {
        throw RuntimeError("start_tls() called while another coroutine reads from " + self->who());
    }
    self->tls_ = std::make_unique<TlsSession>(std::move(peer));
    try {
        co_await timeout(limit, [&] { return self->handshake(); });
    } catch (const TlsError& error) {
        self->abort();
        throw TlsError(error.kind(), "TLS with " + self->who() + ": " + error.reason(),
                       error.remedy());
    } catch (const TimeoutError&) {
        self->abort();
        throw TimeoutError("TLS with " + self->who() + ": the handshake was not complete in time");
    } catch (...) { // cancelled, or the connection broke
        self->abort();
        throw;
    }
}

Coro<void> StreamImpl::handshake() {
    tls_->feed(input_.view());
    input_.clear();
    while (true) {
        bool complete = false;
        std::exception_ptr error;
        try {
            complete = tls_->handshake();
        } catch (const TlsError&) {
            error = std::current_exception();
        }
        send(tls_->output()); // in case of an error, this tells the other side
        if (error != nullptr) {
            std::rethrow_exception(error);
        }
        if (complete) {
            break;
        }
        check_input();
        if (eof_) {
            throw ConnectionResetError(who() + " closed the connection during the TLS handshake");
        }
        co_await fill("start_tls");
    }
    decrypt(); // what came with the end of the handshake
}

} // namespace muster::detail
