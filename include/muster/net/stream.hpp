#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/coro.hpp>
#include <muster/core/error.hpp>
#include <muster/net/address.hpp>
#include <muster/net/tls.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster {

namespace detail {
class StreamImpl;
}

/// The connection broke, or was closed while something was to be sent (Python:
/// ConnectionResetError, BrokenPipeError).
class ConnectionResetError : public Error {
public:
    using Error::Error;
};

/// The stream ended before all that was asked for had come (asyncio.IncompleteReadError).
class IncompleteReadError : public Error {
public:
    IncompleteReadError(std::string partial, std::optional<std::size_t> expected);

    /// What had come; it is not in the stream any more.
    [[nodiscard]] const std::string& partial() const noexcept { return partial_; }

    /// How many bytes were asked for; nothing, when a separator was.
    [[nodiscard]] std::optional<std::size_t> expected() const noexcept { return expected_; }

private:
    std::string partial_;
    std::optional<std::size_t> expected_;
};

/// A separator was not found within the stream's limit (asyncio.LimitOverrunError). What has come
/// is still in the stream.
class LimitOverrunError : public Error {
public:
    LimitOverrunError(const std::string& what, std::size_t consumed)
        : Error(what), consumed_(consumed) {}

    /// How many bytes can be read without touching a separator.
    [[nodiscard]] std::size_t consumed() const noexcept { return consumed_; }

private:
    std::size_t consumed_;
};

/// The most bytes that readline() and readuntil() take, unless a stream's options say otherwise.
inline constexpr std::size_t default_stream_limit = std::size_t{64} << 10;

/// What Stream::write() gives: awaiting it drains the stream. Awaited once, or not at all.
class Drain {
public:
    explicit Drain(std::shared_ptr<detail::StreamImpl> stream) noexcept
        : stream_(std::move(stream)) {}

    detail::CoroAwaiter<void> operator co_await() &&;

private:
    std::shared_ptr<detail::StreamImpl> stream_;
};

/// A connection over TCP, TLS or a Unix socket (asyncio's StreamReader and StreamWriter in one).
/// open_connection() and start_server() make it; a child process has one for each of its pipes. On
/// the thread of its loop only. Movable, also while tasks read from it and write to it; what they
/// wait for goes on.
///
/// One task reads at a time, any number write. Cancelling a task that reads or drains loses no
/// bytes: they stay in the stream for the next one. Dropping the stream closes it as close() does.
///
/// Reading looks at the socket only when it needs more, so that a peer is slowed down by a reader
/// that is slow. What came before the connection broke can be read before the error is thrown, and
/// after sending has failed reading still works: the peer may have said why.
class Stream {
public:
    /// For open_connection() and start_server().
    explicit Stream(std::shared_ptr<detail::StreamImpl> impl) noexcept;
    Stream(Stream&&) noexcept;
    Stream& operator=(Stream&&) noexcept;
    ~Stream();

    // --- reading ---
    //
    // All of these throw ConnectionResetError or TlsError when the connection broke, and
    // RuntimeError when another task waits for data already.

    /// Everything up to the end of the stream. What has come stays in the stream until then.
    [[nodiscard]] Coro<std::string> read();

    /// Up to `count` bytes, as soon as there is one; nothing at the end of the stream. A negative
    /// count means all.
    template <std::integral N>
    [[nodiscard]] Coro<std::string> read(N count) {
        if (std::cmp_less(count, 0)) {
            return read();
        }
        return read_up_to(static_cast<std::size_t>(count));
    }

    /// A line with its "\n"; what is left without one at the end of the stream, then "". Throws
    /// ValueError when a line is longer than the limit: the line is dropped, or, if its end has not
    /// come, what has come of it.
    [[nodiscard]] Coro<std::string> readline();

    /// The same for loops (`async for line in reader`); nothing at the end of the stream:
    ///
    ///     while (auto line = co_await stream.next_line()) { ... }
    [[nodiscard]] Coro<std::optional<std::string>> next_line();

    /// Exactly `count` bytes. Throws IncompleteReadError when the stream ends first, ValueError
    /// for a negative count.
    template <std::integral N>
    [[nodiscard]] Coro<std::string> readexactly(N count) {
        if (std::cmp_less(count, 0)) {
            throw ValueError("readexactly size can not be less than zero");
        }
        return read_exactly(static_cast<std::size_t>(count));
    }

    /// Everything up to and with `separator`. Throws IncompleteReadError when the stream ends
    /// first, LimitOverrunError when more than the limit comes before the separator (it stays in
    /// the stream then), ValueError when the separator is empty.
    [[nodiscard]] Coro<std::string> readuntil(std::string separator = "\n");

    /// The same up to whichever separator ends first.
    [[nodiscard]] Coro<std::string> readuntil(std::vector<std::string> separators);
    [[nodiscard]] Coro<std::string> readuntil(std::initializer_list<std::string_view> separators);

    /// Whether all has been read and nothing more will come. Looks at the socket, without waiting,
    /// when nothing is left to read: a peer that hung up is noticed.
    [[nodiscard]] bool at_eof();

    // --- writing ---

    /// Sends `data`, or keeps what the socket does not take now and sends it later. Never waits,
    /// and is done with `data` when it returns. `co_await stream.write(data)` then waits as
    /// drain() does; without co_await nothing is lost, but nothing holds back a writer that is
    /// faster than its peer either.
    ///
    /// Throws RuntimeError after write_eof() and close(). After the connection broke the data is
    /// dropped; drain() and wait_closed() tell.
    Drain write(std::string_view data);

    /// The same for several pieces, sent together.
    template <std::ranges::input_range Lines>
        requires std::convertible_to<std::ranges::range_reference_t<Lines>, std::string_view>
    Drain writelines(Lines&& lines) {
        std::string all;
        for (const std::string_view line : lines) {
            all += line;
        }
        return write(all);
    }

    Drain writelines(std::initializer_list<std::string_view> lines) {
        return writelines(std::views::all(lines));
    }

    /// Waits while more than the high-water mark is left to send, until no more than the low-water
    /// mark is; any number of tasks may. Throws ConnectionResetError when the connection broke or
    /// is closed. Lets other tasks run once in a while when there is nothing to wait for.
    [[nodiscard]] Coro<void> drain();

    /// Tells the peer that nothing more will be sent, after what was written. Reading goes on.
    /// Throws RuntimeError over TLS, which can't (can_write_eof).
    void write_eof();

    [[nodiscard]] bool can_write_eof() const noexcept;

    /// Bytes at which drain() begins to wait, and at which it ends; by default 64 KiB and a quarter
    /// of `high` (transport.set_write_buffer_limits). Throws ValueError when low is above high.
    void set_write_buffer_limits(std::size_t high, std::optional<std::size_t> low = {});

    /// Bytes that were written and not sent (transport.get_write_buffer_size).
    [[nodiscard]] std::size_t write_buffer_size() const noexcept;

    // --- closing ---

    /// Closes the connection in the background, after what was written has been sent and, over TLS,
    /// the peer has said goodbye or 5 s have passed. Readers find the end of the stream.
    /// Idempotent.
    void close() noexcept;

    /// Closes it at once; what has not been sent is lost (transport.abort). Idempotent.
    void abort() noexcept;

    /// Whether it is closed, being closed, or nothing can be sent because the connection broke.
    [[nodiscard]] bool is_closing() const noexcept;

    /// Waits until the connection is closed; call close() first. Throws ConnectionResetError when
    /// something that was written could not be sent.
    [[nodiscard]] Coro<void> wait_closed();

    // --- TLS ---

    /// Makes this a TLS connection, as the client: after STARTTLS. Nobody else may read or write
    /// meanwhile. Bytes that came in clear text and were not read count as part of the handshake,
    /// never as data. Throws TlsError, TimeoutError, ConnectionResetError; the connection is closed
    /// then, as it is when the task is cancelled.
    [[nodiscard]] Coro<void> start_tls(TlsOptions options,
                                       TimeLimit timeout = std::chrono::seconds(60));

    /// The same as the server, for a stream that a server was given.
    [[nodiscard]] Coro<void> start_tls(TlsServerOptions options);

    /// What was agreed on; nothing without TLS.
    [[nodiscard]] std::optional<TlsInfo> tls_info() const;

    // --- looking in (get_extra_info) ---

    /// The peer's address; known after closing, too.
    [[nodiscard]] const SocketAddress& peername() const;

    /// This side's.
    [[nodiscard]] const SocketAddress& sockname() const;

    /// The descriptor, to set options of the socket; -1 once closed.
    [[nodiscard]] int fileno() const noexcept;

private:
    Coro<std::string> read_up_to(std::size_t count);
    Coro<std::string> read_exactly(std::size_t count);

    std::shared_ptr<detail::StreamImpl> impl_; // operations under way hold it, too
};

} // namespace muster
