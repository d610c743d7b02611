#pragma once

#include "net/descriptor.hpp"
#include "net/endpoint.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace muster::detail {

/// What a Stream reads from and writes to: a connected socket, or one end of a pipe. Never waits:
/// its operations give asio::error::would_block instead.
class Transport {
public:
    enum class Kind : std::uint8_t {
        tcp,
        unix_socket,
        read_end,
        write_end, ///< what is read from it is the end of file
    };

    /// Makes `descriptor` non-blocking.
    Transport(boost::asio::io_context& context, Descriptor descriptor, Kind kind) noexcept;

    /// Takes the descriptor, which is non-blocking, out of an Asio socket.
    explicit Transport(AnySocket socket);

    [[nodiscard]] boost::asio::io_context& context() const noexcept { return *context_; }

    [[nodiscard]] int native_handle() const noexcept { return descriptor_.get(); }

    [[nodiscard]] Kind kind() const noexcept { return kind_; }

    /// Empty for pipes.
    [[nodiscard]] SocketAddress peername() const;
    [[nodiscard]] SocketAddress sockname() const;

    /// The end of file is asio::error::eof.
    std::size_t read_some(std::span<char> buffer, boost::system::error_code& error) noexcept;

    /// A peer that is gone is an error, and never the signal SIGPIPE, whose disposition is the
    /// host's.
    std::size_t write_some(std::string_view bytes, boost::system::error_code& error) noexcept;

    /// Ends writing. A pipe serves one direction only, so that it is closed.
    void shut_down_writing() noexcept;

private:
    [[nodiscard]] bool is_pipe() const noexcept {
        return kind_ == Kind::read_end || kind_ == Kind::write_end;
    }

    [[nodiscard]] ssize_t send(std::string_view bytes) const noexcept;

    boost::asio::io_context* context_;
    Descriptor descriptor_;
    Kind kind_;
};

/// Room for a large read, shared by all that read on this thread: nothing stays in it.
std::span<char> scratch() noexcept;

/// Whether an operation would have had to wait.
bool would_wait(const boost::system::error_code& error) noexcept;

} // namespace muster::detail
