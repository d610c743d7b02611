#include "net/stream_impl.hpp"

#include <muster/net/stream.hpp>

#include <utility>

namespace muster {

namespace {

using Impl = std::shared_ptr<detail::StreamImpl>;

std::string incomplete(std::size_t size, std::optional<std::size_t> expected) {
    return std::to_string(size) + " bytes read on a total of " +
           (expected ? std::to_string(*expected) : "undefined") + " expected bytes";
}

LimitOverrunError overrun(const detail::StreamImpl& stream, const char* what,
                          std::size_t consumed) {
    return {std::string(what) + " the limit of " + std::to_string(stream.limit()) + " bytes on " +
                stream.who() + " (if such lengths are expected, give the stream a larger limit)",
            consumed};
}

Coro<std::string> read_all(Impl stream) {
    co_await detail::FairTurn();
    while (!stream->ended()) {
        stream->check_input();
        co_await stream->fill("read");
    }
    stream->check_input();
    co_return stream->input().take(stream->input().size());
}

Coro<std::string> read_some(Impl stream, std::size_t count) {
    co_await detail::FairTurn();
    while (count > 0 && stream->input().empty()) {
        stream->check_input();
        if (stream->ended()) {
            break;
        }
        co_await stream->fill("read");
    }
    co_return stream->input().take(count);
}

Coro<std::string> read_exact(Impl stream, std::size_t count) {
    co_await detail::FairTurn();
    while (stream->input().size() < count) {
        stream->check_input();
        if (stream->ended()) {
            throw IncompleteReadError(stream->input().take(count), count);
        }
        co_await stream->fill("readexactly");
    }
    co_return stream->input().take(count);
}

Coro<std::string> read_to(Impl stream, std::vector<std::string> separators, const char* function) {
    detail::SeparatorSearch search(std::move(separators));
    co_await detail::FairTurn();
    while (true) {
        if (const auto found = search.find(stream->input().view())) {
            if (found->begin > stream->limit()) {
                throw overrun(*stream, "Separator is found, but chunk is longer than",
                              found->begin);
            }
            co_return stream->input().take(found->end);
        }
        if (search.searched() > stream->limit()) {
            throw overrun(*stream, "Separator is not found, and chunk exceed", search.searched());
        }
        stream->check_input();
        if (stream->ended()) {
            throw IncompleteReadError(stream->input().take(stream->input().size()), std::nullopt);
        }
        co_await stream->fill(function);
    }
}

Coro<std::string> read_line(Impl stream) {
    std::vector<std::string> newline(1, "\n");
    try {
        co_return co_await read_to(stream, std::move(newline), "readline");
    } catch (const IncompleteReadError& error) {
        co_return error.partial();
    } catch (const LimitOverrunError& error) {
        detail::ReadBuffer& input = stream->input();
        if (input.view().substr(error.consumed()).starts_with('\n')) {
            input.drop(error.consumed() + 1);
        } else {
            input.clear();
        }
        throw ValueError(error.what());
    }
}

Coro<std::optional<std::string>> read_next_line(Impl stream) {
    std::string line = co_await read_line(std::move(stream));
    if (line.empty()) {
        co_return std::nullopt;
    }
    co_return line;
}

Coro<void> become_client(Impl stream, TlsOptions options, TimeLimit limit) {
    detail::TlsPeer peer;
    peer.context = detail::TlsContext::client(options);
    peer.name = detail::certificate_name(stream->host(), options);
    if (peer.name.empty() && options.verify == Verify::full) {
        throw ValueError("start_tls() needs to know which name the certificate of " +
                         stream->who() + " has to carry: say it as TlsOptions::server_name");
    }
    co_await detail::StreamImpl::secure(std::move(stream), std::move(peer), limit);
}

Coro<void> become_server(Impl stream, TlsServerOptions options) {
    detail::TlsPeer peer;
    peer.context = detail::TlsContext::server(options);
    co_await detail::StreamImpl::secure(std::move(stream), std::move(peer),
                                        options.handshake_timeout);
}

/// Throws instead of crashing when the stream was moved from.
const Impl& there(const Impl& impl) {
    if (impl == nullptr) {
        throw RuntimeError("this Stream was moved from");
    }
    return impl;
}

} // namespace

IncompleteReadError::IncompleteReadError(std::string partial, std::optional<std::size_t> expected)
    : Error(incomplete(partial.size(), expected)),
      partial_(std::move(partial)),
      expected_(expected) {}

detail::CoroAwaiter<void> Drain::operator co_await() && {
    return detail::StreamImpl::drain(std::move(stream_)).operator co_await();
}

Stream::Stream(Impl impl) noexcept : impl_(std::move(impl)) {}

Stream::Stream(Stream&&) noexcept = default;

Stream& Stream::operator=(Stream&& other) noexcept {
    if (this != &other) {
        if (impl_) {
            impl_->close();
        }
        impl_ = std::move(other.impl_);
    }
    return *this;
}

Stream::~Stream() {
    if (impl_) {
        impl_->close();
    }
}

Coro<std::string> Stream::read() { return read_all(there(impl_)); }

Coro<std::string> Stream::read_up_to(std::size_t count) { return read_some(there(impl_), count); }

Coro<std::string> Stream::readline() { return read_line(there(impl_)); }

Coro<std::optional<std::string>> Stream::next_line() { return read_next_line(there(impl_)); }

Coro<std::string> Stream::read_exactly(std::size_t count) {
    return read_exact(there(impl_), count);
}

Coro<std::string> Stream::readuntil(std::string separator) {
    std::vector<std::string> one;
    one.push_back(std::move(separator));
    return readuntil(std::move(one));
}

Coro<std::string> Stream::readuntil(std::vector<std::string> separators) {
    return read_to(there(impl_), std::move(separators), "readuntil");
}

Coro<std::string> Stream::readuntil(std::initializer_list<std::string_view> separators) {
    return readuntil(std::vector<std::string>(separators.begin(), separators.end()));
}

bool Stream::at_eof() {
    if (there(impl_)->input().empty()) {
        impl_->peek();
    }
    return impl_->input().empty() && impl_->ended();
}

Drain Stream::write(std::string_view data) {
    there(impl_)->write(data);
    return Drain(impl_);
}

Coro<void> Stream::drain() { return detail::StreamImpl::drain(there(impl_)); }

void Stream::write_eof() { there(impl_)->write_eof(); }

bool Stream::can_write_eof() const noexcept { return impl_ && impl_->can_write_eof(); }

void Stream::set_write_buffer_limits(std::size_t high, std::optional<std::size_t> low) {
    there(impl_)->set_marks(high, low.value_or(high / 4));
}

std::size_t Stream::write_buffer_size() const noexcept { return impl_ ? impl_->backlog() : 0; }

void Stream::close() noexcept {
    if (impl_) {
        impl_->close();
    }
}

void Stream::abort() noexcept {
    if (impl_) {
        impl_->abort();
    }
}

bool Stream::is_closing() const noexcept { return !impl_ || impl_->is_closing(); }

Coro<void> Stream::wait_closed() { return detail::StreamImpl::wait_closed(there(impl_)); }

Coro<void> Stream::start_tls(TlsOptions options, TimeLimit timeout) {
    return become_client(there(impl_), std::move(options), timeout);
}

Coro<void> Stream::start_tls(TlsServerOptions options) {
    return become_server(there(impl_), std::move(options));
}

std::optional<TlsInfo> Stream::tls_info() const {
    const auto& tls = there(impl_)->tls();
    if (tls == nullptr || !tls->established()) {
        return std::nullopt;
    }
    return tls->info();
}

const SocketAddress& Stream::peername() const { return there(impl_)->peername(); }

const SocketAddress& Stream::sockname() const { return there(impl_)->sockname(); }

int Stream::fileno() const noexcept { return impl_ ? impl_->descriptor() : -1; }

} // namespace muster
