#pragma once

#include "net/endpoint.hpp"
#include "net/pipe_end.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <utility>
#include <variant>

namespace muster::detail {

/// What a Stream reads from and writes to: a socket, or one end of a pipe. Has the interface of an
/// Asio socket; a pipe has no addresses.
class Transport {
public:
    using executor_type = boost::asio::any_io_executor;
    using shutdown_type = boost::asio::socket_base::shutdown_type;

    Transport(AnySocket socket) : end_(std::move(socket)) {}

    Transport(PipeEnd end) : end_(std::move(end)) {}

    [[nodiscard]] executor_type get_executor() {
        return std::visit([](auto& end) { return end.get_executor(); }, end_);
    }

    [[nodiscard]] int native_handle() {
        return std::visit([](auto& end) { return end.native_handle(); }, end_);
    }

    void non_blocking(bool mode, boost::system::error_code& error) {
        std::visit([&](auto& end) { end.non_blocking(mode, error); }, end_);
    }

    [[nodiscard]] AnyEndpoint remote_endpoint(boost::system::error_code& error) const {
        const auto* socket = std::get_if<AnySocket>(&end_);
        return socket != nullptr ? socket->remote_endpoint(error) : no_endpoint(error);
    }

    [[nodiscard]] AnyEndpoint local_endpoint(boost::system::error_code& error) const {
        const auto* socket = std::get_if<AnySocket>(&end_);
        return socket != nullptr ? socket->local_endpoint(error) : no_endpoint(error);
    }

    std::size_t read_some(boost::asio::mutable_buffer buffer, boost::system::error_code& error) {
        return std::visit([&](auto& end) { return end.read_some(buffer, error); }, end_);
    }

    std::size_t write_some(boost::asio::const_buffer buffer, boost::system::error_code& error) {
        return std::visit([&](auto& end) { return end.write_some(buffer, error); }, end_);
    }

    template <class Handler>
    void async_read_some(boost::asio::mutable_buffer buffer, Handler handler) {
        std::visit([&](auto& end) { end.async_read_some(buffer, std::move(handler)); }, end_);
    }

    template <class Handler>
    void async_write_some(boost::asio::const_buffer buffer, Handler handler) {
        std::visit([&](auto& end) { end.async_write_some(buffer, std::move(handler)); }, end_);
    }

    /// A pipe serves one direction only, so that it is closed.
    void shutdown(shutdown_type what, boost::system::error_code& error) {
        if (auto* socket = std::get_if<AnySocket>(&end_)) {
            socket->shutdown(what, error);
        } else {
            close(error);
        }
    }

    void close(boost::system::error_code& error) {
        std::visit([&](auto& end) { end.close(error); }, end_);
    }

private:
    static AnyEndpoint no_endpoint(boost::system::error_code& error) {
        error = boost::asio::error::operation_not_supported;
        return {};
    }

    std::variant<AnySocket, PipeEnd> end_;
};

} // namespace muster::detail
