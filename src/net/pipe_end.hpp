#pragma once

#include "net/descriptor.hpp"

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace muster::detail {

/// One end of a pipe, with the interface of an Asio socket. What is read from a writing end is the
/// end of file. Writing to a broken pipe gives an error and never the signal SIGPIPE, whose
/// disposition is the host's.
class PipeEnd {
public:
    using executor_type = boost::asio::posix::stream_descriptor::executor_type;

    enum class Use : std::uint8_t { reading, writing };

    PipeEnd(boost::asio::io_context& context, Descriptor end, Use use);

    [[nodiscard]] executor_type get_executor() { return end_->get_executor(); }

    /// Negative once closed.
    [[nodiscard]] int native_handle() { return end_->native_handle(); }

    void non_blocking(bool mode, boost::system::error_code& error) {
        end_->non_blocking(mode, error);
    }

    std::size_t read_some(boost::asio::mutable_buffer buffer, boost::system::error_code& error);

    std::size_t write_some(boost::asio::const_buffer buffer, boost::system::error_code& error) {
        return write_to(*end_, buffer, error);
    }

    template <class Handler>
    void async_read_some(boost::asio::mutable_buffer buffer, Handler handler) {
        if (use_ == Use::reading) {
            end_->async_read_some(buffer, std::move(handler));
            return;
        }
        const auto allocator = boost::asio::get_associated_allocator(handler);
        boost::asio::post(
            get_executor(),
            boost::asio::bind_allocator(allocator, [handler = std::move(handler)]() mutable {
                handler(boost::system::error_code(boost::asio::error::eof), std::size_t{0});
            }));
    }

    template <class Handler>
    void async_write_some(boost::asio::const_buffer buffer, Handler handler) {
        wait_and_write(end_, buffer, std::move(handler));
    }

    void close(boost::system::error_code& error) { end_->close(error); }

private:
    using End = boost::asio::posix::stream_descriptor;

    static std::size_t write_to(End& end, boost::asio::const_buffer buffer,
                                boost::system::error_code& error);

    template <class Handler>
    static void wait_and_write(const std::shared_ptr<End>& end, boost::asio::const_buffer buffer,
                               Handler handler) {
        const auto allocator = boost::asio::get_associated_allocator(handler);
        end->async_wait(
            End::wait_write,
            boost::asio::bind_allocator(allocator, [end, buffer, handler = std::move(handler)](
                                                       boost::system::error_code error) mutable {
                const std::size_t count = error ? 0 : write_to(*end, buffer, error);
                if (error == boost::asio::error::would_block) {
                    wait_and_write(end, buffer, std::move(handler));
                } else {
                    handler(error, count);
                }
            }));
    }

    std::shared_ptr<End> end_; // a write under way holds it, too
    Use use_;
};

} // namespace muster::detail
