#include "net/loop_resident.hpp"
#include "net/reactor.hpp"
#include "net/read_buffer.hpp"
#include "net/tcp_socket.hpp"
#include "net/transport.hpp"
#include "ssh/transport.hpp"

#include <muster/core/event_loop.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <sys/epoll.h>

#include <optional>
#include <utility>

namespace muster::ssh::detail {

namespace asio = boost::asio;
using boost::system::error_code;
using muster::detail::LoopCore;
using muster::detail::LoopGate;
using muster::detail::LoopResident;
using muster::detail::Node;
using muster::detail::NodeEvent;
using muster::detail::ReadBuffer;
using muster::detail::TaskBase;
using muster::detail::Watch;
using Socket = muster::detail::Transport;

namespace {

/// What its sink does is a step of the loop, as a task's or a callback's is, so that the loop knows
/// how long it takes: an edge only puts the transport on the ready list.
class TcpTransport final : public Transport,
                           public std::enable_shared_from_this<TcpTransport>,
                           private LoopResident,
                           private Watch,
                           private Node {
public:
    explicit TcpTransport(Socket connected)
        : LoopResident(connected.context()),
          Node(&TcpTransport::on_node),
          loop_(get_running_loop().core().gate()),
          socket_(std::move(connected)) {
        watch(socket_->context(), socket_->native_handle());
    }

    void start(std::weak_ptr<TransportSink> sink) override {
        sink_ = std::move(sink);
        started_ = true;
        wait();
        look_if_any();
    }

    void send(std::string bytes) override {
        if (!socket_ || write_failed_) {
            return;
        }
        std::string_view rest = bytes;
        if (outgoing_.empty()) {
            // Nearly always the socket takes everything at once.
            rest.remove_prefix(write(rest));
        }
        if (!rest.empty() && !write_failed_) {
            const bool first = outgoing_.empty();
            outgoing_.append(rest);
            if (first) {
                watch_writing();
                wait();
            }
        }
    }

    [[nodiscard]] std::size_t backlog() const noexcept override { return outgoing_.size(); }

    void pause(bool paused) override {
        if (paused_ != paused) {
            paused_ = paused;
            wait();
            look_if_any();
        }
    }

    void close() noexcept override {
        Node::unlink(); // from the ready list
        unwatch();
        socket_.reset();
        leave();
        outgoing_.clear();
    }

private:
    static TaskBase* on_node(Node& node, NodeEvent event) noexcept {
        if (event == NodeEvent::run) {
            auto& transport = static_cast<TcpTransport&>(node);
            const auto self = transport.shared_from_this(); // it must not go before this returns
            transport.look();
        }
        return nullptr;
    }

    void context_gone() noexcept override {
        close();
        if (const auto sink = sink_.lock()) {
            sink->on_end("the event loop has ended");
        }
    }

    void on_edge(std::uint32_t events) override {
        const auto any_of = [events](std::uint32_t wanted) { return (events & wanted) != 0; };
        if (any_of(EPOLLPRI)) {
            drop_by_drop_ = true; // a read ends at TCP's urgent mark, whatever is behind
        }
        if (any_of(EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
            hung_up_ = true;
        }
        more_ = more_ || any_of(EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
        room_ = room_ || any_of(EPOLLOUT | EPOLLHUP | EPOLLERR);
        look_if_any();
    }

    [[nodiscard]] bool can_read() const noexcept {
        return started_ && !paused_ && !ended_ && socket_.has_value();
    }

    void wait() noexcept { set_waiting(can_read() || !outgoing_.empty()); }

    /// Has the loop look after the socket, if there is something to do.
    void look_if_any() noexcept {
        if (Node::linked() || !((more_ && can_read()) || (room_ && !outgoing_.empty()))) {
            return;
        }
        if (LoopCore* loop = loop_->core()) {
            loop->append(*this);
        }
    }

    void look() {
        const auto sink = sink_.lock();
        if (!sink) {
            close();
            return;
        }
        if (room_ && !outgoing_.empty()) {
            write_more(*sink);
        }
        if (more_ && can_read()) {
            read(*sink);
        }
        look_if_any(); // others have their turn before
    }

    void read(TransportSink& sink) {
        const std::span<char> buffer = muster::detail::scratch();
        error_code error;
        const std::size_t count = socket_->read_some(buffer, error);
        more_ = !error && (count == buffer.size() || drop_by_drop_ || hung_up_);
        if (count > 0) {
            sink.on_input({buffer.data(), count});
        } else if (error && !muster::detail::would_wait(error)) {
            ended_ = true;
            wait();
            sink.on_end(error == asio::error::eof ? "the device closed the connection"
                                                  : "the connection broke: " + error.message());
        }
    }

    /// Sends until there is no room: only then does the system tell when there is some again.
    void write_more(TransportSink& sink) {
        const std::size_t before = outgoing_.size();
        while (const std::size_t sent = write(outgoing_.view())) {
            outgoing_.drop(sent);
        }
        wait();
        if (outgoing_.size() < before) {
            sink.on_sent();
        }
    }

    std::size_t write(std::string_view bytes) {
        if (bytes.empty()) {
            return 0;
        }
        error_code error;
        const std::size_t sent = socket_->write_some(bytes, error);
        room_ = sent == bytes.size();
        if (error && !muster::detail::would_wait(error)) {
            // The device may have said why before it closed: reading goes on and finds that, or the
            // end.
            write_failed_ = true;
            outgoing_.clear();
        }
        return sent;
    }

    std::shared_ptr<LoopGate> loop_;
    std::optional<Socket> socket_; // until it is closed
    std::weak_ptr<TransportSink> sink_;
    ReadBuffer outgoing_;
    bool started_ = false;
    bool paused_ = false;
    bool more_ = false;         // there may be something to read
    bool room_ = false;         // there may be room to write
    bool drop_by_drop_ = false; // a read may give less than there is
    bool hung_up_ = false;      // the end has come, behind what is to be read
    bool ended_ = false;
    bool write_failed_ = false;
};

} // namespace

std::shared_ptr<Transport> make_tcp_transport(TcpSocket socket) {
    return std::make_shared<TcpTransport>(socket.impl().release());
}

} // namespace muster::ssh::detail
