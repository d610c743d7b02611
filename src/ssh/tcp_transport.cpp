#include "net/tcp_socket.hpp"
#include "ssh/transport.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <array>
#include <utility>

namespace muster::ssh::detail {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

class TcpTransport final : public Transport,
                           public std::enable_shared_from_this<TcpTransport>,
                           private muster::detail::LoopSocket {
public:
    explicit TcpTransport(tcp::socket connected) : LoopSocket(std::move(connected)) {
        error_code ignored;
        socket().non_blocking(true, ignored);
        socket().set_option(tcp::no_delay(true), ignored);
    }

    void start(std::weak_ptr<TransportSink> sink) override {
        sink_ = std::move(sink);
        read();
    }

    void send(std::string bytes) override {
        if (closed_ || write_failed_ || bytes.empty()) {
            return;
        }
        if (writing_) {
            queued_ += bytes;
            return;
        }
        outgoing_ = std::move(bytes);
        sent_ = 0;
        // Nearly always the socket takes everything at once, which saves a turn of the loop.
        error_code error;
        sent_ = socket().write_some(asio::buffer(outgoing_), error);
        if (error && error != asio::error::would_block && error != asio::error::try_again) {
            fail_writing();
        } else if (sent_ < outgoing_.size()) {
            write();
        } else {
            outgoing_ = std::string();
            sent_ = 0;
        }
    }

    [[nodiscard]] std::size_t backlog() const noexcept override {
        return outgoing_.size() - sent_ + queued_.size();
    }

    void pause(bool paused) override {
        paused_ = paused;
        read();
    }

    void close() noexcept override {
        closed_ = true;
        LoopSocket::close();
        outgoing_.clear();
        queued_.clear();
        sent_ = 0;
    }

private:
    // Only while it is not closed.
    tcp::socket& socket() noexcept { return *get(); }

    void on_loop_gone() noexcept override {
        closed_ = true;
        if (const auto sink = sink_.lock()) {
            sink->on_end("the event loop has ended");
        }
    }

    void read() {
        if (closed_ || reading_ || paused_ || ended_) {
            return;
        }
        reading_ = true;
        socket().async_read_some(asio::buffer(first_),
                                 [self = shared_from_this()](error_code error, std::size_t count) {
                                     self->on_read(error, count);
                                     self->reading_ = false;
                                     self->read();
                                 });
    }

    void on_read(error_code error, std::size_t count) {
        if (closed_) {
            return;
        }
        const auto sink = sink_.lock();
        if (!sink) {
            close();
            return;
        }
        if (error) {
            end(*sink, error);
            return;
        }
        // A buffer per connection is small, for there may be ten thousand; what fills it goes on
        // through one that all share.
        static thread_local std::array<char, shared_size> shared;
        std::size_t filled = count;
        std::size_t room = first_.size();
        sink->on_input({first_.data(), count});
        for (int round = 0; filled == room && round < max_rounds && !closed_ && !paused_; ++round) {
            filled = socket().read_some(asio::buffer(shared), error);
            room = shared.size();
            if (error == asio::error::would_block || error == asio::error::try_again) {
                break;
            }
            if (error) {
                end(*sink, error);
                return;
            }
            sink->on_input({shared.data(), filled});
        }
    }

    void end(TransportSink& sink, error_code error) {
        ended_ = true;
        sink.on_end(error == asio::error::eof ? "the device closed the connection"
                                              : "the connection broke: " + error.message());
    }

    void write() {
        writing_ = true;
        const auto rest = asio::buffer(outgoing_) + sent_;
        socket().async_write_some(rest,
                                  [self = shared_from_this()](error_code error, std::size_t count) {
                                      self->writing_ = false;
                                      self->on_written(error, count);
                                  });
    }

    void on_written(error_code error, std::size_t count) {
        if (closed_) {
            return;
        }
        if (error) {
            fail_writing();
            return;
        }
        sent_ += count;
        if (sent_ == outgoing_.size()) {
            outgoing_ = std::exchange(queued_, {});
            sent_ = 0;
        }
        if (!outgoing_.empty()) {
            write();
        }
        if (const auto sink = sink_.lock()) {
            sink->on_sent();
        }
    }

    // The device may have said why before it closed: reading goes on and finds that, or the end.
    void fail_writing() {
        write_failed_ = true;
        outgoing_.clear();
        queued_.clear();
        sent_ = 0;
    }

    static constexpr std::size_t shared_size = 65536;
    static constexpr int max_rounds = 8; // then others have their turn

    std::weak_ptr<TransportSink> sink_;
    std::array<char, 2048> first_{};
    std::string outgoing_; // being written, `sent_` of it done
    std::string queued_;   // to follow
    std::size_t sent_ = 0;
    bool reading_ = false;
    bool writing_ = false;
    bool paused_ = false;
    bool ended_ = false;
    bool write_failed_ = false;
    bool closed_ = false;
};

} // namespace

std::shared_ptr<Transport> make_tcp_transport(TcpSocket socket) {
    return std::make_shared<TcpTransport>(socket.impl().release());
}

} // namespace muster::ssh::detail
