// What an Engine does with its channels.

#include "ssh/engine.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

namespace muster::ssh::detail {

namespace {

constexpr unsigned window_size = 256 * 1024;
constexpr std::string_view session_channel = "session";
constexpr std::string_view originator = "127.0.0.1"; // of tunnels, which have none here
constexpr int originator_port = 22;

/// Sessions wait most of the time, by the thousand: large buffers go.
void empty(std::string& buffer) {
    constexpr std::size_t small = 2048;
    if (buffer.capacity() > small) {
        buffer = std::string();
    } else {
        buffer.clear();
    }
}

} // namespace

void EngineChannel::discard() noexcept {
    discard_ = true;
    out.clear();
    err.clear();
}

bool Engine::drain(EngineChannel& channel) {
    bool progress = false;
    for (const int stream : {0, SSH_EXTENDED_DATA_STDERR}) {
        std::string& buffer = stream == 0 ? channel.out : channel.err;
        if (channel.eof_ || buffer.size() >= EngineChannel::buffer_limit) {
            continue;
        }
        const int code =
            drain_stream(channel.raw_, stream, buffer, EngineChannel::buffer_limit - buffer.size());
        if (code < 0) {
            fail(code, last_error());
            return true;
        }
        if (channel.discard_) {
            empty(buffer);
        }
        progress = progress || code > 0;
    }
    if (!channel.eof_ && libssh2_channel_eof(channel.raw_) == 1) {
        channel.eof_ = true;
        progress = true;
    }
    return progress;
}

// Takes about as much as there is room for: 1 when it found something, the code when the session is
// broken.
int Engine::drain_stream(LIBSSH2_CHANNEL* raw, int stream, std::string& buffer,
                         std::size_t room) noexcept {
    static thread_local std::array<char, Engine::packet_size> scratch;
    const std::size_t full = buffer.size() + room;
    int progress = 0;
    while (buffer.size() < full) {
        const auto got = libssh2_channel_read_ex(raw, stream, scratch.data(), scratch.size());
        if (got <= 0) {
            const int code = static_cast<int>(got);
            return is_fatal(code) ? code : progress;
        }
        buffer.append(scratch.data(), static_cast<std::size_t>(got));
        progress = 1;
    }
    return progress;
}

int Engine::compute_round() noexcept {
    int progress = 0;
    for (EngineChannel& channel : channels_) {
        if (channel.found_eof_) {
            continue;
        }
        for (const int stream : {0, SSH_EXTENDED_DATA_STDERR}) {
            std::string& found = stream == 0 ? channel.found_out_ : channel.found_err_;
            const std::size_t room = stream == 0 ? channel.room_out_ : channel.room_err_;
            const int code = drain_stream(channel.raw_, stream, found, room);
            if (code < 0) {
                return code;
            }
            progress |= code;
        }
        if (libssh2_channel_eof(channel.raw_) == 1) {
            channel.found_eof_ = true;
            progress = 1;
        }
    }
    for (LIBSSH2_CHANNEL* raw : library_channels_) {
        // Until its end, libssh2 sorts all input, and keeps what belongs to SFTP.
        if (const int code = libssh2_channel_wait_eof(raw); is_fatal(code)) {
            return code;
        }
    }
    return progress;
}

void Engine::deliver_found(EngineChannel& channel) {
    channel.eof_ = channel.found_eof_;
    if (!channel.discard_) {
        channel.out += channel.found_out_;
        channel.err += channel.found_err_;
    }
    empty(channel.found_out_);
    empty(channel.found_err_);
}

int Engine::open_channel(EngineChannel*& channel) {
    LIBSSH2_CHANNEL* raw =
        libssh2_channel_open_ex(session_, session_channel.data(), length_of(session_channel),
                                window_size, packet_size, nullptr, 0);
    if (raw == nullptr) {
        return libssh2_session_last_errno(session_);
    }
    channel = &add_channel(raw);
    return 0;
}

int Engine::open_tunnel(EngineChannel*& channel, const std::string& host, int port) {
    LIBSSH2_CHANNEL* raw = libssh2_channel_direct_tcpip_ex(session_, host.c_str(), port,
                                                           originator.data(), originator_port);
    if (raw == nullptr) {
        return libssh2_session_last_errno(session_);
    }
    channel = &add_channel(raw);
    return 0;
}

EngineChannel& Engine::add_channel(LIBSSH2_CHANNEL* raw) {
    EngineChannel& channel = channels_.emplace_back();
    channel.raw_ = raw;
    channel.id_ = confirmed_channel_;
    return channel;
}

int Engine::set_env(EngineChannel& channel, const std::string& name, const std::string& value) {
    return libssh2_channel_setenv_ex(channel.raw_, name.c_str(), length_of(name), value.c_str(),
                                     length_of(value));
}

int Engine::request_pty(EngineChannel& channel, const std::string& term, int width, int height) {
    return libssh2_channel_request_pty_ex(channel.raw_, term.c_str(), length_of(term), nullptr, 0,
                                          width, height, 0, 0);
}

int Engine::request_start(EngineChannel& channel, const std::string& kind,
                          const std::string& argument) {
    const bool shell = kind == "shell";
    return libssh2_channel_process_startup(channel.raw_, kind.c_str(), length_of(kind),
                                           shell ? nullptr : argument.c_str(),
                                           shell ? 0 : length_of(argument));
}

int Engine::write(EngineChannel& channel, std::string_view data) {
    const auto sent = libssh2_channel_write_ex(channel.raw_, 0, data.data(),
                                               std::min<std::size_t>(data.size(), packet_size));
    channel.write_waits_ = sent == LIBSSH2_ERROR_EAGAIN;
    return sent == 0 ? LIBSSH2_ERROR_EAGAIN : static_cast<int>(sent);
}

bool Engine::write_begun(const EngineChannel& channel) const noexcept {
    return channel.write_waits_ && failure_ == 0 &&
           libssh2_channel_window_write_ex(channel.raw_, nullptr) > 0;
}

int Engine::send_eof(EngineChannel& channel) { return libssh2_channel_send_eof(channel.raw_); }

int Engine::send_signal(EngineChannel& channel, const std::string& name) {
#if LIBSSH2_VERSION_NUM >= 0x010b00
    return libssh2_channel_signal_ex(channel.raw_, name.c_str(), name.size());
#else
    static_cast<void>(channel);
    static_cast<void>(name);
    return LIBSSH2_ERROR_METHOD_NOT_SUPPORTED;
#endif
}

int Engine::resize_pty(EngineChannel& channel, int width, int height) {
    return libssh2_channel_request_pty_size_ex(channel.raw_, width, height, 0, 0);
}

int Engine::close_channel(EngineChannel& channel) {
    if (!channel.close_sent_) {
        if (const int code = libssh2_channel_close(channel.raw_); code != 0) {
            return code;
        }
        channel.close_sent_ = true;
        said_goodbye_ = true;
    }
    // libssh2_channel_close may return before the device's own close has come.
    if (!channel.eof_) {
        return LIBSSH2_ERROR_EAGAIN;
    }
    if (const int code = libssh2_channel_wait_closed(channel.raw_); code != 0) {
        return code;
    }
    if (!channel.exit_status_) {
        if (const int status = libssh2_channel_get_exit_status(channel.raw_); status != 0) {
            channel.exit_status_ = status;
        }
    }
    return 0;
}

void Engine::free_channel(EngineChannel& channel) noexcept {
    if (computing_) {
        late_frees_.push_back(&channel);
        return;
    }
    if (libssh2_channel_free(channel.raw_) == LIBSSH2_ERROR_EAGAIN) {
        // Still open: libssh2 would want to wait for the device. The session goes instead.
        fail(error_abandoned, "a channel was dropped while it was open");
        while (libssh2_channel_free(channel.raw_) == LIBSSH2_ERROR_EAGAIN) {
        }
    }
    channels_.remove_if([&](const EngineChannel& one) { return &one == &channel; });
}

} // namespace muster::ssh::detail
