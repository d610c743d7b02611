#pragma once

#include <muster/net/tcp.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace muster::ssh::detail {

/// Who is told what a transport does. Not from within a call of the transport.
class TransportSink {
public:
    virtual void on_input(std::string_view bytes) = 0;
    virtual void on_end(std::string reason) = 0;
    /// The backlog has become smaller.
    virtual void on_sent() = 0;

protected:
    ~TransportSink() = default;
};

/// Carries a session's bytes: a socket, or a channel of another session. Driven by
/// callbacks, not by tasks: a session must go on working while tasks are being cancelled, since
/// their clean-up may need it.
class Transport {
public:
    virtual ~Transport() = default;

    /// Begins to read. The sink is held weakly: without it, the transport closes.
    virtual void start(std::weak_ptr<TransportSink> sink) = 0;
    /// Queues bytes behind those that have not gone out yet.
    virtual void send(std::string bytes) = 0;
    /// Bytes queued.
    [[nodiscard]] virtual std::size_t backlog() const noexcept = 0;
    /// Reads no more until it is resumed: the sink has enough.
    virtual void pause(bool paused) = 0;
    /// At once; nothing is called any more.
    virtual void close() noexcept = 0;
};

class ChannelState;

/// Takes over a connected socket.
std::shared_ptr<Transport> make_tcp_transport(TcpSocket socket);

/// Takes over a tunnel that another session has opened.
std::shared_ptr<Transport> make_channel_transport(std::unique_ptr<ChannelState> channel);

} // namespace muster::ssh::detail
