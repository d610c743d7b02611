#include "ssh/channel_state.hpp"
#include "ssh/transport.hpp"

#include <muster/core/event_loop.hpp>

#include <optional>
#include <utility>

namespace muster::ssh::detail {

namespace {

/// A session's bytes through a channel of another session, the carrier. What the carrier's engine
/// finds is delivered in a turn of the loop of its own: operations must not call into an engine.
class ChannelTransport final : public Transport,
                               public std::enable_shared_from_this<ChannelTransport> {
public:
    explicit ChannelTransport(std::unique_ptr<ChannelState> channel)
        : loop_(get_running_loop()), channel_(std::move(channel)) {}

    ~ChannelTransport() override { end(); }

    void start(std::weak_ptr<TransportSink> sink) override {
        sink_ = std::move(sink);
        read();
    }

    void send(std::string bytes) override {
        if (channel_ == nullptr || write_failed_) {
            return;
        }
        if (queued_.empty()) {
            queued_ = std::move(bytes);
        } else {
            queued_ += bytes;
        }
        write();
    }

    [[nodiscard]] std::size_t backlog() const noexcept override {
        return left_.size() + queued_.size();
    }

    void pause(bool paused) override {
        paused_ = paused;
        read();
    }

    void close() noexcept override { end(); }

private:
    using Notice = void (ChannelTransport::*)();

    /// Waits until the carrier has bytes for us, or no more.
    class Reading final : public Operation {
    public:
        explicit Reading(ChannelTransport& transport) : transport_(transport) {}

        int step() override {
            const EngineChannel& channel = *transport_.channel_->get();
            return channel.eof() || !channel.out.empty() ? 0 : LIBSSH2_ERROR_EAGAIN;
        }

        void wake() noexcept override { transport_.notify(&ChannelTransport::on_read); }

    private:
        ChannelTransport& transport_;
    };

    /// Waits until the carrier has taken what is left.
    class Writing final : public Operation {
    public:
        explicit Writing(ChannelTransport& transport)
            : Operation(transport.channel_->get()), transport_(transport) {}

        int step() override { return transport_.channel_->write_some(transport_.left_); }

        void wake() noexcept override {
            if (!transport_.beginning_) {
                transport_.notify(&ChannelTransport::on_written);
            }
        }

    private:
        ChannelTransport& transport_;
    };

    [[nodiscard]] Session& carrier() const noexcept { return channel_->session(); }

    void notify(Notice notice) noexcept {
        loop_.call_soon([weak = weak_from_this(), notice] {
            if (const auto self = weak.lock(); self && self->channel_ != nullptr) {
                (*self.*notice)();
            }
        });
    }

    void read() {
        if (channel_ != nullptr && !reading_ && !paused_ && !ended_) {
            reading_.emplace(*this);
            carrier().begin(*reading_);
        }
    }

    void on_read() {
        if (!reading_ || !reading_->finished()) {
            return;
        }
        const int code = reading_->result();
        stop(reading_);
        const auto sink = sink_.lock();
        if (!sink) {
            close();
            return;
        }
        EngineChannel& channel = *channel_->get();
        const std::string bytes = std::exchange(channel.out, {});
        if (bytes.empty()) {
            ended_ = true;
            sink->on_end("the connection through " + carrier().host() + " ended: " +
                         (code < 0 ? carrier().explain(Phase::transfer, code).reason()
                                   : "the device closed it"));
            return;
        }
        carrier().resume(); // there is room again
        sink->on_input(bytes);
        read();
    }

    // Nearly always the carrier takes everything at once, which saves a turn of the loop.
    void write() {
        while (!writing_ && !queued_.empty()) {
            outgoing_ = std::exchange(queued_, {});
            left_ = outgoing_;
            writing_.emplace(*this);
            beginning_ = true;
            carrier().begin(*writing_);
            beginning_ = false;
            if (writing_->finished()) {
                finish_writing();
            }
        }
    }

    void on_written() {
        if (!writing_ || !writing_->finished()) {
            return;
        }
        finish_writing();
        write();
        if (const auto sink = sink_.lock()) {
            sink->on_sent();
        }
    }

    // When it failed, the reader learns why.
    void finish_writing() {
        write_failed_ = writing_->result() < 0;
        stop(writing_);
        left_ = {};
        outgoing_.clear();
        if (write_failed_) {
            queued_.clear();
        }
    }

    template <class Pending>
    void stop(std::optional<Pending>& pending) noexcept {
        if (pending) {
            carrier().finish(*pending, CutOff::harmless);
            pending.reset();
        }
    }

    void end() noexcept {
        if (channel_ != nullptr) {
            stop(reading_);
            stop(writing_);
            channel_.reset();
        }
        left_ = {};
        queued_.clear();
    }

    EventLoop& loop_;
    std::unique_ptr<ChannelState> channel_; // null once closed
    std::weak_ptr<TransportSink> sink_;
    std::optional<Reading> reading_;
    std::optional<Writing> writing_;
    std::string outgoing_; // being written
    std::string_view left_;
    std::string queued_; // to follow
    bool beginning_ = false;
    bool paused_ = false;
    bool ended_ = false;
    bool write_failed_ = false;
};

} // namespace

std::shared_ptr<Transport> make_channel_transport(std::unique_ptr<ChannelState> channel) {
    return std::make_shared<ChannelTransport>(std::move(channel));
}

} // namespace muster::ssh::detail
